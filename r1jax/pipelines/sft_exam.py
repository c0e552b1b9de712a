"""The questions that a model is asked while it is fine-tuned."""

import json
from pathlib import Path
from typing import Any

from r1jax import keys
from r1jax.config import ModelConfig
from r1jax.data.tasks import TaskData
from r1jax.data.tokenizer import Tokenizer
from r1jax.pipelines.sft_config import ExamConfig, SftConfig
from r1jax.rewards.combine import Rewarder
from r1jax.sampling.sampler import Sampler
from r1jax.train.evaluation import evaluate
from r1jax.train.examiner import Examiner
from r1jax.train.loop import Run
from r1jax.types import TrainState


class Exam:
    """Asks the held-out splits of a task; holds the workers that judge, and ends them when closed.

    Args:
      config: of the run.
      exam: of it, what concerns the exam.
      data: the task's.
      model, tokenizer: of the network that learns.
    """

    def __init__(
        self,
        config: SftConfig,
        exam: ExamConfig,
        data: TaskData,
        model: ModelConfig,
        tokenizer: Tokenizer,
    ):
        self.config, self.splits = exam, data.splits
        self.root = keys.root(config.seed)
        sampler = Sampler(
            model=model, config=exam.evaluation.sampler, max_new=exam.max_new_tokens,
            stop_ids=tokenizer.stop_ids, pad_id=tokenizer.pad_id, buckets=exam.prompt_buckets,
        )  # fmt: skip
        self.rewarder = Rewarder(exam.reward, learned={})
        self.examiner = Examiner(
            sampler=sampler, tokenizer=tokenizer, style=config.prompt, rewarder=self.rewarder,
            seed=config.seed,
        )  # fmt: skip

    def check(self) -> None:
        """Meets bad input before any work: the splits are large enough, all questions fit.

        Raises:
          ValueError: says which split and problem.
        """
        e = self.config.evaluation
        for split, wanted in (("validation", e.validation), ("test", e.test), ("ood", e.ood)):
            there = len(self.splits.get(split, []))
            if wanted > there:
                raise ValueError(
                    f"config.exam.evaluation.{split}: {wanted} problems wanted, {there} there"
                )
            if wanted:
                self.examiner.check(self.splits[split], range(wanted), split)

    def ask(
        self, state: TrainState, here: Run, split: str, count: int
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Examines the model as it is on a split; returns the row it notes, and samples."""
        with here.phase("evaluate"):
            row, shown = evaluate(
                self.examiner, state.weights, self.splits[split],
                keys.stream(self.root, "evaluate", here.updates), split=split, count=count,
                config=self.config.evaluation, reflective=self.config.reflective_words,
                cap=self.config.max_new_tokens,
            )  # fmt: skip
        here.evaluated(row)
        return row, shown

    def ask_all(self, state: TrainState, here: Run, path: Path) -> None:
        """Examines on the test and ood splits and keeps samples for the report."""
        e, shown = self.config.evaluation, []
        for split, count in (("test", e.test), ("ood", e.ood)):
            if count:
                shown += self.ask(state, here, split, count)[1]
        path.write_text(json.dumps(shown, ensure_ascii=False, indent=1))

    def close(self) -> None:
        """Ends the workers that judge."""
        self.rewarder.close()
