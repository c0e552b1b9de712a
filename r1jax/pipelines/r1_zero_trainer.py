"""What a run of RL holds on to: model, data, samplers, judge and jitted steps."""

import bisect
import dataclasses
import itertools
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from r1jax import keys, sharding
from r1jax.config import ModelConfig, SamplerConfig
from r1jax.data.mixing import mixed_indices
from r1jax.data.tasks import files_digest, load_task
from r1jax.data.tokenizer import Tokenizer
from r1jax.io.digests import fingerprint
from r1jax.model import forward
from r1jax.pipelines.r1_zero_config import R1ZeroConfig
from r1jax.rewards.combine import Rewarder
from r1jax.sampling.sampler import Sampler
from r1jax.train import optimizer
from r1jax.train.artifacts import open_model, resolve
from r1jax.train.examiner import Examiner
from r1jax.train.grpo_step import grpo_step, sequence_logps
from r1jax.train.preferences import Preference
from r1jax.types import TrainState, Weights


class Trainer:
    """The parts of a run that do not change: model, data, samplers, jitted steps."""

    def __init__(self, config: R1ZeroConfig, mesh: Mesh | None):
        self.config = config
        self.mesh = mesh
        self.data = load_task(config.task)  # first: it fails sooner than a big model is read
        learned = {
            name: Preference(preference, how=config.execution, mesh=mesh)
            for name, preference in config.preferences.items()
        }
        self.rewarder = Rewarder(config.reward, learned=learned)
        self.splits = self.data.splits
        self._base: Weights | None
        self._base, self.model, self.tokenizer = self._open()
        # what may not change when a run is resumed, whatever else of its config does
        self.fixed = {
            "updates_per_rollout": config.grpo.updates_per_rollout,
            "prompts_per_rollout": config.grpo.prompts_per_rollout,
            "group_size": config.grpo.group_size,
            "data_sha256": files_digest(config.task),
            "reward_models": {
                name: fingerprint(resolve(p.model)) for name, p in config.preferences.items()
            },
        }
        self.root = keys.root(config.seed)
        self.cap = max(s.max_new_tokens for s in config.stages)
        rollout = SamplerConfig(1.0, 0, 1.0, 0.0, 1.0, config.cache_segments, config.streams)
        self.players = {
            t: self._examiner(dataclasses.replace(rollout, temperature=t))
            for t in {s.temperature for s in config.stages}
        }
        exam = config.evaluation.sampler
        alike = exam == dataclasses.replace(rollout, temperature=exam.temperature)
        # an equal sampler is shared, and with it its compiled programs
        player = self.players.get(exam.temperature) if alike else None
        self.exam = player or self._examiner(exam)
        shared = {"model": self.model, "config": config.grpo, "opt": config.optimizer}
        self.step = jax.jit(
            partial(grpo_step, **shared, on_policy=config.grpo.updates_per_rollout == 1),
            static_argnames="temperature", donate_argnums=0,
        )  # fmt: skip
        self.logps = jax.jit(
            partial(
                sequence_logps, model=self.model, chunk=config.grpo.logit_chunk,
                micro_batches=config.grpo.micro_batches * config.grpo.minibatches,
            ),
            static_argnames=("temperature", "replay"),
        )  # fmt: skip

    def _open(self) -> tuple[Weights, ModelConfig, Tokenizer]:
        return open_model(self.config.base, how=self.config.execution, mesh=self.mesh)

    def _examiner(self, sampler: SamplerConfig) -> Examiner:
        draws = Sampler(
            model=self.model, config=sampler, max_new=self.cap, stop_ids=self.tokenizer.stop_ids,
            pad_id=self.tokenizer.pad_id, buckets=self.config.prompt_buckets,
        )  # fmt: skip
        return Examiner(
            sampler=draws, tokenizer=self.tokenizer, style=self.config.prompt,
            rewarder=self.rewarder, seed=self.config.seed,
        )  # fmt: skip

    def check(self) -> None:
        """Meets bad input before any work: all prompts fit, all answers can be judged.

        Raises:
          ValueError: says which split and problem, or which split is too small.
        """
        e, there = self.config.evaluation, {s: len(of) for s, of in self.splits.items()}
        for split, wanted in (("validation", e.validation), ("test", e.test), ("ood", e.ood)):
            if wanted > there.get(split, 0):
                raise ValueError(
                    f"config.evaluation.{split}: {wanted} problems wanted, "
                    f"{there.get(split, 0)} there"
                )
            if wanted:
                self.exam.check(self.splits[split], range(wanted), split)
        rollouts_ = range(self.config.updates // self.config.grpo.updates_per_rollout)
        self.exam.check(
            self.splits["train"], sorted({i for r in rollouts_ for i in self.drawn(r)}), "train"
        )

    def check_resumed(self, meta: dict[str, Any]) -> None:
        """Raises unless a checkpoint was taken with rollouts of the same shape and data.

        Raises:
          ValueError: names what changed: rollouts would be asked twice, or cut up wrongly.
        """
        changed = [
            f"{name}: the checkpoint has {meta.get(name)!r}, this run {value!r}"
            for name, value in self.fixed.items()
            if meta.get(name) != value
        ]
        if changed:
            raise ValueError(f"resume: {'; '.join(changed)}; take a new --workdir")

    def close(self) -> None:
        """Ends the workers that judge."""
        self.rewarder.close()

    def drawn(self, number: int) -> list[int]:
        """Which training problems a rollout asks: of the sources of its stage."""
        g, data = self.config.grpo, self.data
        named = self.config.stage(number * g.updates_per_rollout).sources
        asked = [i for i, name in enumerate(data.names) if not named or name in named]
        sizes = [data.sizes[i] for i in asked]
        drawn = mixed_indices(
            sizes, [data.weights[i] for i in asked], seed=self.config.seed, step=number,
            batch=g.prompts_per_rollout,
        )  # fmt: skip
        # from where a problem stands among the asked sources to where it stands among all
        ends, moved = [*itertools.accumulate(sizes)], []
        for at in drawn:
            part = bisect.bisect_right(ends, at)
            moved.append(at - ends[part] + sizes[part] + sum(data.sizes[: asked[part]]))
        return moved

    def initial_state(self) -> TrainState:
        """The base model as policy and, where a KL term asks for one, a copy as reference.

        The base is handed over, so that nothing else holds it; asked again, it is read again.
        """
        weights, self._base = self._base or self._open()[0], None
        zero = lambda: jnp.zeros((), jnp.int32)
        reference = jax.tree.map(jnp.copy, weights) if self.config.grpo.kl_coef else None
        opt_state = optimizer.make(self.config.optimizer).init(weights.params)
        state = TrainState(weights, reference, opt_state, zero(), zero(), zero())
        return sharding.spread_state(state, self.mesh, forward.logical_axes(self.model))
