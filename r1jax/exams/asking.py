"""Asks a model: the settings of that, and the open model with its sampler."""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

from jax.sharding import Mesh
from jaxtyping import Array, Key

from r1jax import keys
from r1jax.config import UserError
from r1jax.data.tasks.selection import filled
from r1jax.exams.reward_models import PreferenceConfig
from r1jax.hub.artifacts import open_model, warn_beyond_window
from r1jax.io.processes import to_host
from r1jax.model.config import ExecutionConfig, ModelConfig
from r1jax.rewards.combine import RewardConfig
from r1jax.sampling.config import SamplerConfig
from r1jax.sampling.sampler import Sampler
from r1jax.sharding import MeshConfig
from r1jax.text import templates
from r1jax.text.templates import Prompt, PromptConfig
from r1jax.text.tokenizer import Tokenizer
from r1jax.types import Rollout, Weights


@dataclasses.dataclass(frozen=True)
class AskConfig:
    """Which model answers, and how it is sampled.

    Attributes:
      seed: of all sampling.
      model: a model directory, a GGUF file, or "package:NAME".
      prompt: how a question becomes a prompt.
      samples_at_once: completions of a prompt that are drawn together.
      batch: prompts at a time; a multiple of mesh.data * mesh.expert.
      max_new_tokens: length cap of a completion.
      prompt_buckets: prompt lengths that the sampler is compiled for, in tokens.
    """

    seed: int
    model: str
    prompt: PromptConfig
    samples_at_once: int
    batch: int
    max_new_tokens: int
    prompt_buckets: tuple[int, ...]
    sampler: SamplerConfig
    execution: ExecutionConfig
    mesh: MeshConfig

    def __post_init__(self):
        shards = self.mesh.data * self.mesh.expert
        if self.batch % shards:
            raise UserError(f"batch {self.batch} does not divide by mesh data x expert = {shards}")


def ask_config(config: Any, **others: Any) -> AskConfig:
    """Returns the `AskConfig` of a run: the fields of its config, but for `others`.

    Raises:
      UserError: if the values do not fit together.
    """
    names = [f.name for f in dataclasses.fields(AskConfig) if f.name not in others]
    return AskConfig(**{name: getattr(config, name) for name in names}, **others)


def open_sampler(
    model: ModelConfig,
    tokenizer: Tokenizer,
    config: SamplerConfig,
    *,
    max_new_tokens: int,
    prompt_buckets: tuple[int, ...],
    routes: bool = False,
) -> Sampler:
    """Returns the sampler of a model, which ends completions where its tokenizer does."""
    return Sampler(
        model=model,
        config=config,
        max_new=max_new_tokens,
        stop_ids=tokenizer.stop_ids,
        pad_id=tokenizer.pad_id,
        buckets=prompt_buckets,
        routes=routes,
    )


class Asker:
    """An open model that answers batch after batch; `open_asker` makes one.

    Attributes:
      tokens, seconds: how many were sampled so far, and how long that took.
    """

    def __init__(self, config: AskConfig, weights: Weights, sampler: Sampler, tokenizer: Tokenizer):
        self.config, self.weights = config, weights
        self.sampler, self.tokenizer = sampler, tokenizer
        self.root: Key[Array, ""] = keys.root(config.seed)
        self.tokens, self.seconds = 0, 0.0

    def prompt(self, question: str) -> Prompt:
        """Returns the prompt of a question."""
        return templates.prompt(self.tokenizer, self.config.prompt, question)

    def draw(self, prompts: Sequence[list[int]], stream: str, number: int) -> Rollout:
        """Samples the completions of at most a batch of prompts.

        Args:
          prompts: ids of each; a short batch is filled up, so that it needs no program of its own.
          stream: name of the random stream.
          number: of the batch in it.

        Returns:
          Host arrays, `samples_at_once` rows a prompt.
        """
        c, start = self.config, time.monotonic()
        rollout = to_host(
            self.sampler(
                self.weights,
                filled(prompts, c.batch),
                keys.stream(self.root, stream, number),
                group=c.samples_at_once,
                cap=c.max_new_tokens,
            )
        )
        rows = len(prompts) * c.samples_at_once
        routes = rollout.routes_LBTK[:, :rows]
        cut = {name: array[:rows] for name, array in rollout._asdict().items()}
        rollout = Rollout(**{**cut, "routes_LBTK": routes})
        self.seconds += time.monotonic() - start
        self.tokens += int(rollout.mask_BC.sum())
        return rollout


def open_asker(config: AskConfig, mesh: Mesh | None) -> Asker:
    """Reads the model that a config names, laid out on the mesh.

    Raises:
      UserError: names the file that is missing or damaged.
    """
    longest = max(config.prompt_buckets) + config.max_new_tokens
    warn_beyond_window(config.model, longest=longest, keys="prompt_buckets and max_new_tokens")
    weights, model, tokenizer = open_model(config.model, how=config.execution, mesh=mesh)
    sampler = open_sampler(
        model,
        tokenizer,
        config.sampler,
        max_new_tokens=config.max_new_tokens,
        prompt_buckets=config.prompt_buckets,
    )
    return Asker(config, weights, sampler, tokenizer)


def check_stages(config: Any) -> int:
    """Checks how a run samples, and that a best checkpoint can have a score.

    Args:
      config: of a run that samples its policy: it has stages, prompt_buckets, length_buckets,
        updates, evaluation and checkpoint.

    Returns:
      Tokens of the longest prompt and completion.

    Raises:
      UserError: says what is wrong.
    """
    starts = [stage.from_update for stage in config.stages]
    if not starts or starts[0] != 0 or starts != sorted(set(starts)):
        raise UserError(f"stages must start at 0 and rise, got from_update {starts}")
    longest = max(stage.max_new_tokens for stage in config.stages) + max(config.prompt_buckets)
    if longest > max(config.length_buckets):
        raise UserError(
            f"the longest prompt and completion are {longest} tokens, the largest length bucket "
            f"{max(config.length_buckets)}"
        )
    exams, questions = config.evaluation.every_updates, config.evaluation.validation
    if config.checkpoint.keep_best and not (exams and questions):
        raise UserError(
            f"checkpoint.keep_best {config.checkpoint.keep_best}: no checkpoint would have a score "
            f"(evaluation.every_updates {exams}, evaluation.validation {questions})"
        )
    return longest


def beyond(config: Any) -> str:
    """Returns what a run is too short for, in a line; "" if nothing is.

    The last update is examined and saved in any case, so that a run can be cut short by its
    `updates` alone.
    """
    rare = [
        f"{group}.every_updates {every}"
        for group in ("evaluation", "checkpoint")
        if (every := getattr(config, group).every_updates) > config.updates
    ]
    late = [stage.from_update for stage in config.stages if stage.from_update >= config.updates]
    texts = [f"{' and '.join(rare)}: done after the last update alone"] if rare else []
    texts += [f"stages from update {late} on: not reached"] if late else []
    return f"{config.updates} updates are fewer than {'; '.join(texts)}" if texts else ""


def check_preferences(learned: Mapping[str, PreferenceConfig], *, longest: int) -> None:
    """Checks that each reward model has a bucket for the longest text, in tokens, and its EOS.

    Raises:
      UserError: names the reward model that has none.
    """
    for name, preference in learned.items():
        if max(preference.buckets) <= longest:
            raise UserError(
                f"preferences.{name}: the largest bucket is {max(preference.buckets)}, wanted "
                f"more than the {longest} tokens of the longest prompt and completion"
            )


def check_exam(
    ask: AskConfig,
    *,
    samples: int,
    reward: RewardConfig,
    learned: Mapping[str, PreferenceConfig],
) -> None:
    """Checks that rules can judge the answers, and that the numbers of an exam fit together.

    Args:
      ask: how the model is asked.
      samples: answers to each question.
      reward: judges the answers.
      learned: the reward models that judge too, by name.

    Raises:
      UserError: names the value that does not fit.
    """
    if samples % ask.samples_at_once:
        raise UserError(
            f"samples {samples} are no multiple of samples_at_once {ask.samples_at_once}"
        )
    reward.check(cap=ask.max_new_tokens, learned=learned)
    check_preferences(learned, longest=max(ask.prompt_buckets) + ask.max_new_tokens)
    if reward.kind != "rule":
        raise UserError(f"reward.kind {reward.kind!r}: answers are judged by rules")
