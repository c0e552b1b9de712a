"""The parts of a run of RL: model, data, samplers, judge and jitted steps."""

import bisect
import dataclasses
import itertools
from functools import partial

import jax
from jax.sharding import Mesh

from r1jax import keys
from r1jax.config import UserError
from r1jax.data.tasks.mixing import mixed_indices
from r1jax.data.tasks.tasks import files_digest, load_task
from r1jax.exams.reward_models import Preference
from r1jax.exams.training import open_examiners
from r1jax.hub.artifacts import open_model, resolve, warn_beyond_window
from r1jax.io.digests import fingerprint
from r1jax.model import forward
from r1jax.model.config import ModelConfig
from r1jax.pipelines.r1_zero.config import R1ZeroConfig
from r1jax.rewards.combine import Rewarder
from r1jax.rewards.judge import OPEN
from r1jax.text.tokenizer import Tokenizer
from r1jax.train.grpo import grpo_step, sequence_logps
from r1jax.train.packing import auto_tokens
from r1jax.train.state import initial_state
from r1jax.types import TrainState, Weights


class Trainer:
    """The parts of a run that do not change: model, data, samplers, jitted steps."""

    def __init__(self, config: R1ZeroConfig, mesh: Mesh | None):
        self.config = config
        self.mesh = mesh
        longest = max(s.max_new_tokens for s in config.stages) + max(config.prompt_buckets)
        keys_of_length = "prompt_buckets and the stages' max_new_tokens"
        warn_beyond_window(config.base, longest=longest, keys=keys_of_length)
        self.data = load_task(config.task)  # first: it fails sooner than a big model is read
        learned = {
            name: Preference(preference, how=config.execution, mesh=mesh)
            for name, preference in config.preferences.items()
        }
        self.rewarder = Rewarder(config.reward, learned=learned)
        self.splits = self.data.splits
        self._base: Weights | None
        self._base, self.model, self.tokenizer = self._open()
        # may not change between a checkpoint and the run that resumes from it
        self.fixed = {
            "updates_per_rollout": config.grpo.updates_per_rollout,
            "prompts_per_rollout": config.grpo.prompts_per_rollout,
            "group_size": config.grpo.group_size,
            "data_sha256": files_digest(config.task),
            "base_sha256": fingerprint(resolve(config.base)),
            "reward_models": {
                name: fingerprint(resolve(p.model)) for name, p in config.preferences.items()
            },
        }
        self.root = keys.root(config.seed)
        self.players, self.exam = open_examiners(
            config,
            self.model,
            self.tokenizer,
            self.rewarder,
            self.splits,
            routes=config.grpo.replay_routes,
        )
        # exact numerics: a sequence begins with a block of attention, as in the sampler
        self.align = self.model.attention_block if self.model.exact else 1
        self.micro_tokens = config.grpo.micro_tokens or auto_tokens(
            self.model, jax.default_backend(), devices=config.mesh.data * config.mesh.expert
        )
        grpo = dataclasses.replace(config.grpo, micro_tokens=self.micro_tokens)
        shared = {"model": self.model, "config": grpo, "opt": config.optimizer}
        self.step = jax.jit(
            partial(grpo_step, **shared, on_policy=config.grpo.updates_per_rollout == 1),
            static_argnames="temperature",
            donate_argnums=0,
        )
        self.logps = jax.jit(
            partial(
                sequence_logps,
                model=self.model,
                chunk=config.grpo.logit_chunk,
                micro_tokens=self.micro_tokens,
            ),
            static_argnames=("temperature", "replay"),
        )

    def _open(self) -> tuple[Weights, ModelConfig, Tokenizer]:
        return open_model(self.config.base, how=self.config.execution, mesh=self.mesh)

    def check(self) -> None:
        """Checks before any work that all prompts fit and all answers can be judged.

        Raises:
          UserError: names the split that is too small, the problem that does not fit, or the one
            whose replies could be judged by their form alone.
        """
        self.exam.check()
        rollouts = range(self.config.updates // self.config.grpo.updates_per_rollout)
        drawn = sorted(set(itertools.chain(*map(self.drawn, rollouts))))
        self.exam.examiner.check(self.splits["train"], drawn, "train")
        judged = {preference.judges for preference in self.config.preferences.values()}
        for problem in (self.splits["train"][i] for i in drawn):
            if problem.kind in OPEN and problem.kind not in judged:
                raise UserError(
                    f"train: problem {problem.id} is of the kind {problem.kind!r}, which no rule "
                    f"can judge; preferences judge {sorted(judged)}"
                )

    def close(self) -> None:
        """Ends the workers that judge."""
        self.rewarder.close()

    def drawn(self, number: int) -> list[int]:
        """The training problems that a rollout asks, from the sources of its stage."""
        g, data = self.config.grpo, self.data
        named = self.config.stage(number * g.updates_per_rollout).sources
        sources = [i for i, name in enumerate(data.names) if not named or name in named]
        sizes = [data.sizes[i] for i in sources]
        drawn = mixed_indices(
            sizes,
            [data.weights[i] for i in sources],
            seed=self.config.seed,
            step=number,
            batch=g.prompts_per_rollout,
        )
        # from a problem's place among these sources to its place among all
        ends, moved = [*itertools.accumulate(sizes)], []
        for at in drawn:
            part = bisect.bisect_right(ends, at)
            moved.append(at - ends[part] + sizes[part] + sum(data.sizes[: sources[part]]))
        return moved

    def initial_state(self) -> TrainState:
        """The base model as policy and, where a KL term asks for one, a copy as reference.

        The trainer gives the base away, so that nothing else holds it; a second call reads it
        again.
        """
        weights, self._base = self._base or self._open()[0], None
        return initial_state(
            weights,
            opt=self.config.optimizer,
            reference=bool(self.config.grpo.kl_coef),
            mesh=self.mesh,
            axes=forward.logical_axes(self.model),
        )
