"""What is measured of a model at each stage; the values are in configs/."""

import dataclasses
from typing import Literal

from r1jax.config import Count, Counts, Seed, UserError, Within
from r1jax.data.tasks.splits import SourceConfig
from r1jax.exams.asking import AskConfig, ask_config, check_exam
from r1jax.exams.reward_models import PreferenceConfig
from r1jax.model.config import ExecutionConfig
from r1jax.rewards.combine import RewardConfig
from r1jax.rewards.parts.format import FORMATS
from r1jax.sampling.config import SamplerConfig
from r1jax.sharding import MeshConfig
from r1jax.text.templates import PromptConfig

FORM = ("format", "own_format", "readability", "language")  # measures of one exam's completions


@dataclasses.dataclass(frozen=True)
class AssessExam:
    """Some questions, and what is measured of the replies.

    Attributes:
      source, split: where they come from.
      first: how many are asked, from the first.
      measure: "accuracy" by the judge; of requests of the synthetic world "content" (whether it is
        right), "helpfulness" (content and style) and "safety" (no harm in thought or reply), which
        are its truth and no reward model; "preference" by the reward models named below.
    """

    source: SourceConfig
    split: Literal["validation", "test", "ood"]
    first: int
    measure: Literal["accuracy", "content", "helpfulness", "safety", "preference"]


@dataclasses.dataclass(frozen=True)
class AssessConfig:
    """How a model is measured.

    Attributes:
      seed: of the sampling.
      name: of the model, for the report.
      model: a model directory, a GGUF file, or "package:NAME".
      prompt: how a question becomes a prompt.
      exams: by name, which is a row of the table.
      form: the exam whose completions are measured for format, readability and language.
      samples: replies to each question.
      samples_at_once: of these, how many are drawn together, a divisor.
      batch: questions at a time; a multiple of mesh.data * mesh.expert.
      max_new_tokens: length cap of a reply, in tokens.
      prompt_buckets: prompt lengths that the sampler is compiled for, in tokens.
      reward: judges the replies; its parts `format` and `language` are rows of the table. Its
        format is the same for all models that are compared: the layout that readers are to get.
      own_format: the format that this model was trained for, a key of
        `rewards.parts.format.FORMATS`: a row of its own, since R1-Zero is not trained for R1's
        layout.
      preferences: reward models by name; their mean scores are rows of their own, to be
        compared with the truth.
      level: nominal coverage of the intervals, between 0 and 1.
    """

    pipeline: Literal["assess"]
    seed: Seed
    name: str
    model: str
    prompt: PromptConfig
    exams: dict[str, AssessExam]
    form: str
    samples: Count
    samples_at_once: Count
    batch: Count
    max_new_tokens: Count
    prompt_buckets: Counts
    sampler: SamplerConfig
    reward: RewardConfig
    own_format: str
    preferences: dict[str, PreferenceConfig]
    level: Within
    execution: ExecutionConfig
    mesh: MeshConfig

    def __post_init__(self):
        check_exam(
            self.ask,
            samples=self.samples,
            reward=self.reward,
            learned=self.preferences,
        )
        if self.own_format not in FORMATS:
            raise UserError(f"own_format: got {self.own_format!r}, wanted one of {list(FORMATS)}")
        if self.form not in self.exams:
            raise UserError(f"form: got {self.form!r}, wanted one of {sorted(self.exams)}")
        if clash := sorted({*FORM, *self.preferences} & set(self.exams)):
            raise UserError(f"exams: the names {clash} are those of other rows")
        if not self.preferences and any(e.measure == "preference" for e in self.exams.values()):
            raise UserError("exams: measure 'preference' wants preferences, got none")
        if few := {k: e.first for k, e in self.exams.items() if e.first < 2}:
            raise UserError(f"exams: first {few}: an interval needs 2 questions")

    @property
    def ask(self) -> AskConfig:
        """How the model is asked."""
        return ask_config(self)

    @property
    def measures(self) -> set[str]:
        """The rows of the table that it may fill."""
        exams = {name for name, exam in self.exams.items() if exam.measure != "preference"}
        return {*exams, *FORM, *self.preferences}
