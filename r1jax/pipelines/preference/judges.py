"""Judges of pairs of replies: one knows the synthetic world, the other asks a model."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from r1jax.config import Count, Counts, NonNegative, UserError
from r1jax.data.rows import verdicts
from r1jax.data.rows.candidates import CandidatePair
from r1jax.data.rows.verdicts import Judgement
from r1jax.data.world import replies
from r1jax.exams.asking import Asker
from r1jax.model.config import ExecutionConfig
from r1jax.sampling.config import SamplerConfig
from r1jax.sharding import MeshConfig
from r1jax.text import templates
from r1jax.text.templates import PromptConfig
from r1jax.text.thought import split_completion


@dataclasses.dataclass(frozen=True)
class RulesJudge:
    """A judge who knows how helpful replies of the synthetic world are (`data.world.replies`).

    Attributes:
      scale: levels between a reply worth 0 and one worth 1.
      noise: standard deviation of what is added, in levels.
      position_bias: levels by which the reply shown first is preferred for that.
    """

    scale: NonNegative
    noise: NonNegative
    position_bias: float


@dataclasses.dataclass(frozen=True)
class ModelJudge:
    """A model that says which reply is better.

    Attributes:
      model: a model directory, a GGUF file, or "package:NAME".
      prompt: how a pair becomes a prompt.
      max_new_tokens: length cap of what it writes.
      prompt_buckets: prompt lengths that the sampler is compiled for, in tokens.
    """

    model: str
    prompt: PromptConfig
    sampler: SamplerConfig
    max_new_tokens: Count
    prompt_buckets: Counts
    execution: ExecutionConfig
    mesh: MeshConfig


class Judge(Protocol):
    """Judges a batch of pairs; `number` is that of the batch."""

    def __call__(self, batch: Sequence[CandidatePair], number: int) -> list[list[Judgement]]: ...


class KnowingJudge:
    """A judge that knows the truth, up to its noise."""

    def __init__(self, rules: RulesJudge, *, judgements: int, seed: int):
        self.rules, self.judgements, self.seed = rules, judgements, seed

    def __call__(self, batch: Sequence[CandidatePair], number: int) -> list[list[Judgement]]:
        del number
        return [[self._look(pair, j) for j in range(self.judgements)] for pair in batch]

    def _look(self, pair: CandidatePair, number: int) -> Judgement:
        rng = verdicts.stream(self.seed, pair.id, number)
        swapped = bool(rng.random() < 0.5)
        values = truths(pair)
        first, second = values[::-1] if swapped else values
        verdict = verdicts.noisy(first, second, rng, **dataclasses.asdict(self.rules))
        return Judgement(swapped, verdict, "")


class AskingJudge:
    """A judge that asks a model."""

    def __init__(self, asker: Asker, *, judgements: int):
        self.asker, self.judgements = asker, judgements

    def _prompts(self, pair: CandidatePair) -> list[tuple[bool, templates.Prompt]]:
        """Of each judgement whether the replies are swapped, and the prompt."""
        prompts = []
        for number in range(self.judgements):
            rng = verdicts.stream(self.asker.config.seed, pair.id, number)
            swapped = bool(rng.random() < 0.5)
            shown = (pair.one.seen, pair.two.seen)
            first, second = shown[::-1] if swapped else shown
            request = verdicts.ask(pair.one.question, first, second)
            prompts.append((swapped, self.asker.prompt(request)))
        return prompts

    def check(self, candidates: list[CandidatePair]) -> None:
        """Checks that each prompt fits a bucket; UserError names the pair."""
        for pair in candidates:
            try:
                self.asker.sampler.bucket([prompt.ids for _, prompt in self._prompts(pair)])
            except ValueError as error:
                raise UserError(f"pair {pair.id}: {error}") from error

    def __call__(self, batch: Sequence[CandidatePair], number: int) -> list[list[Judgement]]:
        prompts = [prompt for pair in batch for prompt in self._prompts(pair)]
        rollout = self.asker.draw([prompt.ids for _, prompt in prompts], "judge", number)
        judgements = []
        for (swapped, prompt), ids, mask in zip(
            prompts, rollout.completion_BC, rollout.mask_BC, strict=True
        ):
            reply = self.asker.tokenizer.decode(ids[mask].tolist())
            # a verdict that is only weighed in the thought is none
            answer = split_completion(reply, opened=prompt.opens_thought).answer
            judgements.append(Judgement(swapped, verdicts.parse(answer or ""), reply))
        n = self.judgements
        return [judgements[i * n : (i + 1) * n] for i in range(len(batch))]


def truths(pair: CandidatePair) -> tuple[float, float]:
    one, two = (replies.helpfulness(c.question, c.seen) for c in (pair.one, pair.two))
    return one, two
