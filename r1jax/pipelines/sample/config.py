"""What rejection sampling is made of; the values are in configs/."""

import dataclasses
from typing import Literal

from r1jax.config import Count, Counts, Seed, Size, UserError, Within
from r1jax.data.rows.filters import FilterConfig
from r1jax.data.tasks.tasks import TaskConfig
from r1jax.exams.asking import AskConfig, ask_config, check_exam
from r1jax.model.config import ExecutionConfig
from r1jax.rewards.combine import RewardConfig
from r1jax.sampling.config import SamplerConfig
from r1jax.sharding import MeshConfig
from r1jax.text.templates import PromptConfig


@dataclasses.dataclass(frozen=True)
class MixtureConfig:
    """Training rows that are mixed in.

    Attributes:
      path: a file of training rows (`text.conversations`), or a folder of such.
      share: of all rows written, 0 to below 1. R1 has 200k non-reasoning ones of 800k: 0.25.
      repeat: whether rows are taken again where there are too few; else that is an error.
    """

    path: str
    share: Within
    repeat: bool


@dataclasses.dataclass(frozen=True)
class SampleConfig:
    """How a checkpoint's samples become training rows.

    Attributes:
      seed: of the questions that are taken and of the sampling.
      model: that is sampled: a model directory, a GGUF file, or "package:NAME".
      prompt: how a question becomes a prompt; few-shot examples make it a prompted base.
      task: sources of training questions; their names are the domains. Questions that equal
        a held-out one are taken out of them.
      prompts: how many questions of each source; those that are not named, or 0, are left out.
      samples: completions of each question.
      samples_at_once: of these, how many are drawn together, a divisor.
      batch: questions at a time; a multiple of mesh.data * mesh.expert.
      max_new_tokens: length cap of a completion.
      prompt_buckets: prompt lengths that the sampler is compiled for, in tokens.
      reward: judges the completions; what its parts say is what the filters read.
      filters: what a completion must be.
      keep: most completions kept of a question.
      prefer: which ones, if more are fit.
      mixture: other training rows by name, which become domains too.
      shard_rows: training rows of an output file.
      level: nominal coverage of the yields' intervals.
    """

    pipeline: Literal["sample"]
    seed: Seed
    model: str
    prompt: PromptConfig
    task: TaskConfig
    prompts: dict[str, Size]
    samples: Count
    samples_at_once: Count
    batch: Count
    max_new_tokens: Count
    prompt_buckets: Counts
    sampler: SamplerConfig
    reward: RewardConfig
    filters: FilterConfig
    keep: Count
    prefer: Literal["first", "shortest"]
    mixture: dict[str, MixtureConfig]
    shard_rows: Count
    level: Within
    execution: ExecutionConfig
    mesh: MeshConfig

    @property
    def ask(self) -> AskConfig:
        """How the model is asked."""
        return ask_config(self)

    def __post_init__(self):
        check_exam(self.ask, samples=self.samples, reward=self.reward, learned={})
        if unknown := sorted(set(self.prompts) - set(self.task.sources)):
            raise UserError(f"prompts: no sources {unknown}, there are {sorted(self.task.sources)}")
        if not any(self.prompts.values()):
            raise UserError(f"prompts: got {self.prompts}, wanted counts, and some above 0")
        if both := sorted(set(self.mixture) & set(self.task.sources)):
            raise UserError(f"mixture: {both} are sources of the task too")
        if (shares := sum(part.share for part in self.mixture.values())) >= 1:
            raise UserError(f"mixture: the shares add up to {shares:g}, wanted less than 1")
