"""The config of a distillation by logits; its values are in configs/."""

import dataclasses
from typing import Literal

from r1jax.config import Count, Counts, Positive, Seed, Share, Size, UserError
from r1jax.data.tasks.tasks import TaskConfig
from r1jax.exams.asking import check_stages
from r1jax.exams.evaluation import EvalConfig
from r1jax.io.retention import CheckpointConfig
from r1jax.model.config import ExecutionConfig, check_trained
from r1jax.rewards.combine import RewardConfig
from r1jax.sharding import MeshConfig
from r1jax.text.templates import PromptConfig
from r1jax.train.distill import DistillLossConfig
from r1jax.train.optimizer import OptimizerConfig


@dataclasses.dataclass(frozen=True)
class SamplingConfig:
    """How the student samples from an update on.

    Attributes:
      from_update: first update (from 0) of the stage; the first stage starts at 0.
      max_new_tokens: length cap of a completion.
      temperature: above 0.
    """

    from_update: Size
    max_new_tokens: Count
    temperature: Positive


@dataclasses.dataclass(frozen=True)
class DistillConfig:
    """A student that learns a teacher's distributions, token by token.

    Attributes:
      seed: of the order of the data and of the sampling.
      updates: optimizer updates, each on one batch.
      student, teacher: models of one tokenizer: a model directory, a GGUF
        file, or "package:NAME".
      prompt: how questions are put, to the sampling student and in the fixed data alike.
      task: questions to sample on, and those of the exams.
      data: JSON lines of training rows (`text.conversations`), the fixed data; "" for "on_policy".
      way: whose replies the batches hold: "on_policy" the student's, "offline" the fixed data's,
        "mixed" either (GKD, arXiv:2306.13649, algorithm 1).
      lam: of "mixed": chance that an update takes the student's; else not read.
      loss: the objective.
      reward: what the student's samples would be paid, as a metric; nothing is trained on it.
      reflective_words: counted in completions, for the metrics only.
      stages: length cap and temperature of the student's samples, by update.
      prompts_per_update: questions of an on-policy batch.
      samples_per_prompt: replies to each. A fixed batch has as many rows as an on-policy one, one
        conversation each.
      prompt_buckets: prompt lengths that the sampler is compiled for, in tokens.
      length_buckets: lengths of prompt + reply that the training step is compiled for.
      cache_segments: steps in which the sampler's cache grows, at least 1.
      slots: samples that a stream of the sampler draws at a time, as in `SamplerConfig`.
      execution, teacher_execution: how either network is held and run.
    """

    pipeline: Literal["distill"]
    seed: Seed
    updates: Count
    student: str
    teacher: str
    prompt: PromptConfig
    task: TaskConfig
    data: str
    way: Literal["on_policy", "offline", "mixed"]
    lam: Share
    loss: DistillLossConfig
    reward: RewardConfig
    reflective_words: tuple[str, ...]
    stages: tuple[SamplingConfig, ...]
    prompts_per_update: Count
    samples_per_prompt: Count
    prompt_buckets: Counts
    length_buckets: Counts
    cache_segments: Count
    slots: Size
    optimizer: OptimizerConfig
    evaluation: EvalConfig
    execution: ExecutionConfig
    teacher_execution: ExecutionConfig
    mesh: MeshConfig
    checkpoint: CheckpointConfig

    def __post_init__(self):
        check_trained(self.execution.param_dtype, "execution")
        self._check_way()
        check_stages(self)
        self.reward.check(cap=min(s.max_new_tokens for s in self.stages), learned=())
        self._check_sizes()

    def _check_way(self) -> None:
        if self.way != "on_policy" and not self.data:
            raise UserError(f"way {self.way!r}: data is empty, wanted a file of training rows")
        if self.way == "on_policy" and self.data:
            raise UserError(f"way 'on_policy' does not read data {self.data!r}; wanted ''")
        if self.way == "mixed" and not 0 < self.lam < 1:
            raise UserError(
                f"lam {self.lam}: wanted above 0 and below 1 (the ends are the ways 'offline' and "
                "'on_policy')"
            )
        if self.loss.estimator == "sampled":
            if self.way != "on_policy":
                raise UserError(
                    "loss.estimator 'sampled' holds for the student's own samples: wanted way "
                    f"'on_policy', got {self.way!r}"
                )
            other = [s.temperature for s in self.stages if s.temperature != self.loss.temperature]
            if other:
                raise UserError(
                    f"loss.estimator 'sampled' with loss.temperature {self.loss.temperature}: "
                    f"samples are drawn at {other}, wanted the same"
                )

    def _check_sizes(self) -> None:
        shards, pieces = self.mesh.data * self.mesh.expert, self.loss.micro_batches
        if self.rows % (pieces * shards) or self.prompts_per_update % shards:
            raise UserError(
                f"batches of {self.prompts_per_update} prompts, {self.rows} rows do not divide by "
                f"{pieces} micro_batches and mesh data x expert = {shards}"
            )
        if self.evaluation.batch % shards:
            raise UserError(
                f"evaluation.batch {self.evaluation.batch} does not divide by mesh data x expert = "
                f"{shards}"
            )

    @property
    def rows(self) -> int:
        """Rows of a batch."""
        return self.prompts_per_update * self.samples_per_prompt

    def stage(self, update: int) -> SamplingConfig:
        """The stage that the batch after `update` updates belongs to."""
        return [s for s in self.stages if s.from_update <= update][-1]
