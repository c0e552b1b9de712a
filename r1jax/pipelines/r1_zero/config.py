"""The config of a run of reinforcement learning; its values are in configs/."""

import dataclasses
from typing import Literal

from r1jax.config import Count, Counts, Positive, Seed, Size, UserError
from r1jax.data.tasks.mixing import mixed_indices
from r1jax.data.tasks.tasks import TaskConfig
from r1jax.exams.asking import check_preferences, check_stages
from r1jax.exams.evaluation import EvalConfig
from r1jax.exams.reward_models import PreferenceConfig
from r1jax.io.retention import CheckpointConfig
from r1jax.model.config import ExecutionConfig, check_trained
from r1jax.rewards.combine import RewardConfig
from r1jax.sharding import MeshConfig
from r1jax.text.templates import PromptConfig
from r1jax.train.grpo import GrpoConfig
from r1jax.train.optimizer import OptimizerConfig


@dataclasses.dataclass(frozen=True)
class StageConfig:
    """Sampling from an update on: length cap, temperature and what is asked may change.

    Attributes:
      from_update: first update (from 0) of the stage; the first stage starts at 0.
      max_new_tokens: length cap of a completion.
      temperature: of the rollouts and of every log-probability that is compared with them.
      sources: names of the task's sources that are asked; none named means all. R1 asks general
        prompts in the last 400 of 1,700 updates only (arXiv:2501.12948, section 3.2.2).
    """

    from_update: Size
    max_new_tokens: Count
    temperature: Positive
    sources: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class R1ZeroConfig:
    """A run of GRPO: R1-Zero, and the two RL stages of R1.

    Attributes:
      seed: of the questions, the sampling and the order of the minibatches.
      updates: optimizer updates; a multiple of the updates per rollout.
      base: the model to start from: a model
        directory, a GGUF file, or "package:NAME".
      prompt: how questions are put.
      reward: what a completion is paid.
      preferences: reward models by name; each is a part of the reward and has a weight there.
      on_judge_error: what becomes of a completion that could not be judged: "drop" leaves it out of
        its group and of the loss, "zero" takes its answer for wrong, "stop" ends the run.
      reflective_words: counted in completions, for the metrics only.
      stages: what is asked and how it is sampled, by update; the first starts at update 0.
      prompt_buckets: prompt lengths that the sampler is compiled for, in tokens.
      length_buckets: lengths of prompt + completion that the training step is compiled for.
      cache_segments: steps in which the sampler's cache grows, at least 1. Rollouts are never
        filtered (top-k, top-p): the trainer's log-probabilities are those of the whole
        distribution.
      slots: samples that a stream of the sampler draws at a time, as in `SamplerConfig`.
      samples_every: updates between tables of samples.
      samples_shown: rows of such a table.
    """

    pipeline: Literal["r1_zero"]
    seed: Seed
    updates: Count
    base: str
    prompt: PromptConfig
    task: TaskConfig
    reward: RewardConfig
    preferences: dict[str, PreferenceConfig]
    on_judge_error: Literal["drop", "zero", "stop"]
    reflective_words: tuple[str, ...]
    stages: tuple[StageConfig, ...]
    prompt_buckets: Counts
    length_buckets: Counts
    cache_segments: Count
    slots: Size
    samples_every: Count
    samples_shown: Count
    grpo: GrpoConfig
    optimizer: OptimizerConfig
    evaluation: EvalConfig
    execution: ExecutionConfig
    mesh: MeshConfig
    checkpoint: CheckpointConfig

    def __post_init__(self):
        check_trained(self.execution.param_dtype, "execution")
        if self.updates % self.grpo.updates_per_rollout:
            raise UserError(
                f"updates {self.updates} are no multiple of the {self.grpo.updates_per_rollout} "
                "per rollout"
            )
        longest = check_stages(self)
        per_rollout = self.grpo.updates_per_rollout
        sampled = [self.stage(u) for u in range(0, self.updates, per_rollout)]
        reached = [s for s in self.stages if s.from_update < self.updates]
        idle = [s.from_update for s in reached if s not in sampled]
        if idle:
            raise UserError(
                f"stages: no rollout of the {self.updates} updates ({per_rollout} a rollout) falls "
                f"into those from update {idle}"
            )
        self._check_sources(reached)
        check_preferences(self.preferences, longest=longest)
        shortest = min(s.max_new_tokens for s in self.stages)
        self.reward.check(cap=shortest, learned=self.preferences)
        if self.reward.kind == "rule" and not any(self.reward.weights.values()):
            raise UserError("reward.weights: all are 0, wanted one above 0; nothing would be paid")
        shards = self.mesh.data * self.mesh.expert
        if self.grpo.prompts_per_rollout % shards:
            raise UserError(f"batches do not divide by mesh data x expert = {shards}")
        if self.evaluation.batch % shards:
            raise UserError(
                f"evaluation.batch {self.evaluation.batch} does not divide by mesh data x expert = "
                f"{shards}"
            )

    def _check_sources(self, reached: list[StageConfig]) -> None:
        known, named = set(self.task.sources), {name for s in self.stages for name in s.sources}
        if unknown := sorted(named - known):
            raise UserError(f"stages: unknown sources {unknown}, the task has {sorted(known)}")
        if all(s.sources for s in self.stages) and (idle := sorted(known - named)):
            raise UserError(f"stages: no rollout asks the sources {idle}")
        for stage in reached:
            if idle := sorted(set(stage.sources) - self._drawn_sources(stage)):
                raise UserError(
                    f"stages: from update {stage.from_update} on none of the rollouts, of "
                    f"{self.grpo.prompts_per_rollout} prompts, asks the sources {idle}: wanted "
                    "more weight for them, more prompts or more updates"
                )

    def _drawn_sources(self, stage: StageConfig) -> set[str]:
        """The sources, of those that a stage names, that its rollouts ask."""
        names, drawn = sorted(stage.sources), set[str]()
        weights = [self.task.sources[name].weight for name in names]
        per_rollout, batch = self.grpo.updates_per_rollout, self.grpo.prompts_per_rollout
        for number in range(self.updates // per_rollout):
            if len(drawn) == len(names):
                break
            if self.stage(number * per_rollout) == stage:
                # the order of the sources depends on weights alone: one problem of each will do
                sizes = [1] * len(names)
                indices = mixed_indices(sizes, weights, seed=0, step=number, batch=batch)
                drawn |= {names[i] for i in indices}
        return drawn

    def stage(self, update: int) -> StageConfig:
        """The stage that a rollout starting after `update` updates belongs to."""
        return [s for s in self.stages if s.from_update <= update][-1]
