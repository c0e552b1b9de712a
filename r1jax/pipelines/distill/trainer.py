"""The parts of a distillation: two models, questions, fixed data, samplers, a jitted step."""

from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Bool, Int

from r1jax import keys
from r1jax.config import UserError
from r1jax.data.rows.training_rows import read_training_rows
from r1jax.data.tasks.mixing import mixed_indices
from r1jax.data.tasks.problems import Problem, batch_indices
from r1jax.data.tasks.tasks import files_digest, load_task
from r1jax.exams.training import open_examiners
from r1jax.hub.artifacts import open_model, resolve, warn_beyond_window
from r1jax.io.digests import fingerprint
from r1jax.model import forward
from r1jax.model.config import ModelConfig
from r1jax.pipelines.distill.config import DistillConfig
from r1jax.rewards.combine import Rewarder
from r1jax.rl.grpo import token_weights
from r1jax.text.conversations import Example, encode
from r1jax.text.tokenizer import Tokenizer
from r1jax.train import rollouts
from r1jax.train.distill import check_pair, distill_step
from r1jax.train.state import initial_state
from r1jax.types import PackedBatch, TrainState, Weights


class Trainer:
    """The parts of a run that do not change: models, data, samplers, the jitted step."""

    def __init__(self, config: DistillConfig, mesh: Mesh | None):
        self.config, self.mesh = config, mesh
        self.rewarder = Rewarder(config.reward, learned={})
        longest = max(s.max_new_tokens for s in config.stages) + max(config.prompt_buckets)
        keys_of_length = "prompt_buckets and the stages' max_new_tokens"
        warn_beyond_window(config.student, longest=longest, keys=keys_of_length)
        self.data = load_task(config.task)  # first: it fails sooner than a big model is read
        self.splits = self.data.splits
        self._student: Weights | None
        self._student, self.model, self.tokenizer = self._open()
        self.teacher, self.teacher_model, teacher_tokenizer = open_model(
            config.teacher, how=config.teacher_execution, mesh=mesh
        )
        check_tokenizers(self.tokenizer, teacher_tokenizer, config)
        check_pair(self.model, self.teacher_model)
        self.examples = _read_examples(config, self.tokenizer) if config.data else []
        # may not change between a checkpoint and the run that resumes from it
        self.fixed = {
            "task_sha256": files_digest(config.task),
            "data_sha256": fingerprint(config.data) if config.data else None,
            "student_sha256": fingerprint(resolve(config.student)),
            "teacher_sha256": fingerprint(resolve(config.teacher)),
        }
        self.root = keys.root(config.seed)
        self.players, self.exam = open_examiners(
            config, self.model, self.tokenizer, self.rewarder, self.splits, routes=False
        )
        self.step = jax.jit(
            partial(
                distill_step,
                model=self.model,
                teacher_model=self.teacher_model,
                opt=config.optimizer,
                config=config.loss,
            ),
            donate_argnums=0,
        )

    def _open(self) -> tuple[Weights, ModelConfig, Tokenizer]:
        return open_model(self.config.student, how=self.config.execution, mesh=self.mesh)

    def check(self) -> None:
        """Checks before any work that all prompts fit and all answers can be judged.

        Raises:
          UserError: names the split that is too small, or the problem.
        """
        self.exam.check()
        updates = filter(self.samples, range(self.config.updates))
        drawn = sorted({i for update in updates for i in self._drawn(update)})
        self.exam.examiner.check(self.splits["train"], drawn, "train")

    def close(self) -> None:
        """Ends the workers that judge."""
        self.rewarder.close()

    def samples(self, update: int) -> bool:
        """Whether the batch after `update` updates is the student's own; a function of the seed."""
        if self.config.way != "mixed":
            return self.config.way == "on_policy"
        coin = jax.random.uniform(keys.stream(self.root, "way", update))
        return float(coin) < self.config.lam

    def _drawn(self, update: int) -> list[int]:
        return mixed_indices(
            self.data.sizes,
            self.data.weights,
            seed=self.config.seed,
            step=update,
            batch=self.config.prompts_per_update,
        )

    def questions(self, update: int) -> list[Problem]:
        """The training problems that an on-policy batch asks."""
        return [self.splits["train"][i] for i in self._drawn(update)]

    def fixed_batch(self, update: int) -> PackedBatch:
        """Conversations of the fixed data, a row each; host arrays."""
        picked = batch_indices(
            len(self.examples), seed=self.config.seed, step=update, batch=self.config.rows
        )
        examples = [self.examples[i] for i in picked]
        width = rollouts.bucket(max(len(e.ids) for e in examples), self.config.length_buckets)
        shape = (len(examples), width)
        tokens_BT, real_BT = np.zeros(shape, np.int32), np.zeros(shape, bool)
        mask_BT = np.zeros(shape, bool)
        for row, (ids, targets) in enumerate(examples):
            tokens_BT[row, : len(ids)], real_BT[row, : len(ids)] = ids, True
            mask_BT[row, : len(ids) - 1] = targets[1:]  # position t predicts token t + 1
        return self.weighted(tokens_BT, real_BT.astype(np.int32), mask_BT)

    def weighted(
        self,
        tokens_BT: Int[np.ndarray, "B T"],
        segments_BT: Int[np.ndarray, "B T"],
        mask_BT: Bool[np.ndarray, "B T"],
    ) -> PackedBatch:
        """Rows of one sequence each, their tokens weighted as one batch; host arrays."""
        c = self.config.loss
        weights_BT = token_weights(jnp.asarray(mask_BT), reduction=c.reduction, constant=c.constant)
        positions_BT = np.broadcast_to(
            np.arange(tokens_BT.shape[1], dtype=np.int32), tokens_BT.shape
        )
        fields: list[Any] = [tokens_BT, segments_BT, positions_BT, np.asarray(weights_BT)]
        return PackedBatch(*fields)

    def initial_state(self) -> TrainState:
        """The student's; the trainer gives it away, and a second call reads it again."""
        weights, self._student = self._student or self._open()[0], None
        return initial_state(
            weights,
            opt=self.config.optimizer,
            reference=False,
            mesh=self.mesh,
            axes=forward.logical_axes(self.model),
        )


def check_tokenizers(student: Tokenizer, teacher: Tokenizer, config: DistillConfig) -> None:
    """Checks that student and teacher share one tokenizer.

    Raises:
      UserError: names both.
    """
    if student.fingerprint != teacher.fingerprint:
        tokenizers = {
            f"student {config.student}": student,
            f"teacher {config.teacher}": teacher,
        }
        both = [f"{k} has {t.size} ids, {t.fingerprint[:12]}" for k, t in tokenizers.items()]
        raise UserError(
            f"logits are compared id by id, and the tokenizers differ: {'; '.join(both)}. "
            "Train the student on the teacher's replies instead (pipeline 'sft')"
        )


def _read_examples(config: DistillConfig, tokenizer: Tokenizer) -> list[Example]:
    """The fixed data, encoded.

    Raises:
      UserError: names file and line of a row that is none, or longer than every length bucket.
    """
    examples, longest = [], max(config.length_buckets)
    for row in read_training_rows(Path(config.data), limit=0):
        for example in encode(tokenizer, config.prompt, row):
            if len(example.ids) > longest:
                raise UserError(
                    f"{row.where}: row {row.id} has {len(example.ids)} tokens, the largest length "
                    f"bucket {longest}"
                )
            examples.append(example)
    return examples
