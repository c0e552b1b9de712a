"""What an exam is made of; the values are in configs/."""

import dataclasses
from typing import Literal

from r1jax.config import Count, Counts, Seed, Size, UserError, Within
from r1jax.data.files.mapping import FileSource
from r1jax.data.tasks.splits import SourceConfig
from r1jax.exams.asking import AskConfig, ask_config, check_exam
from r1jax.model.config import ExecutionConfig
from r1jax.rewards.combine import RewardConfig
from r1jax.sampling.config import SamplerConfig
from r1jax.sharding import MeshConfig
from r1jax.text.templates import PromptConfig


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """How a model is examined.

    Attributes:
      seed: of the sampling and of the permutation test.
      name: of the exam, for the report.
      model: a model directory, a GGUF file, or "package:NAME".
      prompt: how a question becomes a prompt.
      file: questions in a file; None where `source` has them.
      source: one whose `split` is asked; None where `file` has them.
      split: of the source; not read with a file.
      first: how many of the questions are asked, from the first; 0 for all.
      samples: answers to each question, k.
      samples_at_once: of these, how many are drawn together, a divisor.
      ks: sizes for pass@k, and cons@k where they divide `samples`.
      batch: questions at a time; a multiple of mesh.data * mesh.expert.
      max_new_tokens: length cap of an answer.
      prompt_buckets: prompt lengths that the sampler is compiled for, in tokens.
      reward: judges the answers; its weights add up the score of the examples.
      level: nominal coverage of the intervals.
      compare: workdir of another model's exam on the same questions; "" for none.
      draws: sign patterns of the comparison's permutation test.
    """

    pipeline: Literal["evaluate"]
    seed: Seed
    name: str
    model: str
    prompt: PromptConfig
    file: FileSource | None
    source: SourceConfig | None
    split: Literal["train", "validation", "test", "ood"]
    first: Size
    samples: Count
    samples_at_once: Count
    ks: Counts
    batch: Count
    max_new_tokens: Count
    prompt_buckets: Counts
    sampler: SamplerConfig
    reward: RewardConfig
    level: Within
    compare: str
    draws: Count
    execution: ExecutionConfig
    mesh: MeshConfig

    def __post_init__(self):
        if (self.file is None) == (self.source is None):
            raise UserError("wanted questions of a file or of a source, got both or neither")
        check_exam(self.ask, samples=self.samples, reward=self.reward, learned={})
        if max(self.ks) > self.samples:
            raise UserError(f"ks: got {self.ks}, wanted some of 1 to {self.samples}")

    @property
    def ask(self) -> AskConfig:
        """How the model is asked."""
        return ask_config(self)
