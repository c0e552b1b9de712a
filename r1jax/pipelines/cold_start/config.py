"""What a cold start is made of; the values are in configs/."""

import dataclasses
from typing import Annotated, Literal

from r1jax.config import Count, Counts, Range, Seed, Size, UserError
from r1jax.data.rows.filters import FilterConfig
from r1jax.data.tasks.tasks import TaskConfig
from r1jax.exams.asking import AskConfig, ask_config
from r1jax.model.config import ExecutionConfig
from r1jax.rewards.combine import RewardConfig
from r1jax.sampling.config import SamplerConfig
from r1jax.sharding import MeshConfig
from r1jax.text.templates import PromptConfig

PLACES = ("{question}", "{thought}", "{answer}")


@dataclasses.dataclass(frozen=True)
class InputConfig:
    """Sampled completions, such as R1-Zero's, or those of a base that was shown examples.

    Attributes:
      path: answers.jsonl of `sample` or of `evaluate`.
      questions: questions.jsonl beside it, where the rows do not hold their questions, as an exam's
        do not; "" where they do.
      limit: rows taken, the first; 0 for all.
    """

    path: str
    questions: str
    limit: Size


@dataclasses.dataclass(frozen=True)
class ModelRewriterConfig:
    """A model of ours that rewrites.

    Attributes:
      model: a model directory, a GGUF file, or "package:NAME".
      prompt: how it is asked; its examples show what is wanted.
      request: what it is asked, a text with {question}, {thought} and {answer}.
      tries: rewrites drawn of each; the first that is right and passes the filters is kept.
      batch: prompts at a time; a multiple of mesh.data * mesh.expert.
      max_new_tokens: length cap of a rewrite.
      prompt_buckets: prompt lengths that the sampler is compiled for; what is longer is dropped.
      reward: judges the rewrites by the samples' golds.
    """

    model: str
    prompt: PromptConfig
    request: str
    tries: Count
    batch: Count
    max_new_tokens: Count
    prompt_buckets: Counts
    sampler: SamplerConfig
    reward: RewardConfig
    execution: ExecutionConfig
    mesh: MeshConfig

    def __post_init__(self):
        if missing := [place for place in PLACES if place not in self.request]:
            raise UserError(f"request: got no {missing}, wanted {list(PLACES)}")
        _ = self.ask(seed=0)
        self.reward.check(cap=self.max_new_tokens, learned=())

    def ask(self, *, seed: int) -> AskConfig:
        """How the model is asked, with the run's seed."""
        return ask_config(self, seed=seed, samples_at_once=self.tries)


@dataclasses.dataclass(frozen=True)
class RewriterConfig:
    r"""How a sample becomes a training reply.

    Attributes:
      kind: "layout" leaves the thought as it was and writes the summary by a template; "world" also
        puts a thought of the synthetic world into the question's language; "model" asks a model.
      summaries: by language, "en" and "zh", a sentence with {answer}, such as
        "The answer is \boxed{{answer}}."; "model" reads none of it.
      model: of the kind "model", else None.
    """

    kind: Literal["layout", "world", "model"]
    summaries: dict[str, str]
    model: ModelRewriterConfig | None

    def __post_init__(self):
        if set(self.summaries) != {"en", "zh"} or not all(
            r"\boxed{{answer}}" in sentence for sentence in self.summaries.values()
        ):
            raise UserError(
                f"summaries: got {self.summaries}, wanted en and zh, each with a box, "
                r"\boxed{{answer}}"
            )
        if (self.kind == "model") != (self.model is not None):
            raise UserError(f"kind {self.kind!r} with model {self.model}: wanted both or neither")


@dataclasses.dataclass(frozen=True)
class NearConfig:
    """Replies to one question whose thoughts are nearly the same.

    Attributes:
      n: words of the n-grams that are compared.
      threshold: share of common n-grams (Jaccard) from which the later reply is dropped, above 0.
    """

    n: Count
    threshold: Annotated[float, Range(0, 1, inside="low")]


@dataclasses.dataclass(frozen=True)
class ColdStartConfig:
    """How sampled completions become the rows of a cold start.

    Attributes:
      seed: of the sampling of a rewriter of the kind "model".
      inputs: by name, which becomes the rows' source.
      filters: what a sample must be; a rewriter of the kind "model" must write such ones too.
      rewriter: how it is rewritten.
      near: which replies to a question are too alike; None for equal ones alone.
      per_question: most rows of a question, however it is asked; the first, inputs sorted by name.
      task: whose evaluation questions no row may hold, by the rule of its `decontamination`; None
        for no comparison.
      shard_rows: training rows of an output file.
    """

    pipeline: Literal["cold_start"]
    seed: Seed
    inputs: dict[str, InputConfig]
    filters: FilterConfig
    rewriter: RewriterConfig
    near: NearConfig | None
    per_question: Count
    task: TaskConfig | None
    shard_rows: Count

    def __post_init__(self):
        if not self.inputs:
            raise UserError("inputs: got none")
