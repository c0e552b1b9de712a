"""Judges of pairs of replies: one who knows the synthetic world, and a model that is asked."""

import dataclasses
from typing import Protocol

from jax.sharding import Mesh

from r1jax import keys
from r1jax.data.rows import verdicts
from r1jax.data.rows.candidates import CandidatePair
from r1jax.data.rows.verdicts import Judgement
from r1jax.data.tasks.selection import filled
from r1jax.data.world import replies
from r1jax.hub.artifacts import open_model
from r1jax.model.config import ExecutionConfig
from r1jax.sampling.config import SamplerConfig
from r1jax.sampling.sampler import Sampler
from r1jax.sharding import MeshConfig
from r1jax.text import templates
from r1jax.text.templates import PromptConfig
from r1jax.text.thought import split_completion
from r1jax.train.processes import to_host


@dataclasses.dataclass(frozen=True)
class RulesJudge:
    """A judge who knows how helpful replies of the synthetic world are (`data.world.replies`).

    Attributes:
      scale: levels between a reply worth 0 and one worth 1.
      noise: standard deviation of what is added, in levels.
      position_bias: levels by which the reply shown first is preferred for that.
    """

    scale: float
    noise: float
    position_bias: float


@dataclasses.dataclass(frozen=True)
class ModelJudge:
    """A model of ours that is asked which reply is better.

    Attributes:
      model: a directory of ours or of Hugging Face's, a GGUF file, or "package:NAME".
      prompt: how it is put to the model.
      max_new_tokens: length cap of what it writes.
      prompt_buckets: prompt lengths that the sampler is compiled for, in tokens.
    """

    model: str
    prompt: PromptConfig
    sampler: SamplerConfig
    max_new_tokens: int
    prompt_buckets: tuple[int, ...]
    execution: ExecutionConfig
    mesh: MeshConfig


class Judge(Protocol):
    """Judges a batch of pairs; `number` is that of the batch."""

    def __call__(self, batch: list[CandidatePair], number: int) -> list[list[Judgement]]: ...


class KnowingJudge:
    """The judge who knows."""

    def __init__(self, rules: RulesJudge, *, judgements: int, seed: int):
        self.rules, self.judgements, self.seed = rules, judgements, seed

    def __call__(self, batch: list[CandidatePair], number: int) -> list[list[Judgement]]:
        del number
        return [[self._look(pair, j) for j in range(self.judgements)] for pair in batch]

    def _look(self, pair: CandidatePair, number: int) -> Judgement:
        rng = verdicts.stream(self.seed, pair.id, number)
        swapped = bool(rng.random() < 0.5)
        values = truths(pair)
        first, second = values[::-1] if swapped else values
        verdict = verdicts.noisy(first, second, rng, **dataclasses.asdict(self.rules))
        return Judgement(swapped, verdict, "")


class AskedJudge:
    """The judge that is asked."""

    def __init__(
        self, model: ModelJudge, mesh: Mesh | None, *, judgements: int, batch: int, seed: int
    ):
        self.judgements, self.batch, self.seed = judgements, batch, seed
        self.style, self.cap, self.root = model.prompt, model.max_new_tokens, keys.root(seed)
        self.weights, network, self.tokenizer = open_model(
            model.model, how=model.execution, mesh=mesh
        )
        self.sampler = Sampler(
            model=network, config=model.sampler, max_new=model.max_new_tokens,
            stop_ids=self.tokenizer.stop_ids, pad_id=self.tokenizer.pad_id,
            buckets=model.prompt_buckets,
        )  # fmt: skip

    def _prompts(self, pair: CandidatePair) -> list[tuple[bool, templates.Prompt]]:
        """Of each judgement whether the replies are swapped, and the prompt."""
        found = []
        for number in range(self.judgements):
            rng = verdicts.stream(self.seed, pair.id, number)
            swapped = bool(rng.random() < 0.5)
            shown = (pair.one.seen, pair.two.seen)
            first, second = shown[::-1] if swapped else shown
            asked = verdicts.ask(pair.one.question, first, second)
            found.append((swapped, templates.prompt(self.tokenizer, self.style, asked)))
        return found

    def check(self, found: list[CandidatePair]) -> None:
        """Raises ValueError, naming the pair, if a prompt fits no bucket."""
        for pair in found:
            try:
                self.sampler.bucket([prompt.ids for _, prompt in self._prompts(pair)])
            except ValueError as error:
                raise ValueError(f"pair {pair.id}: {error}") from error

    def __call__(self, batch: list[CandidatePair], number: int) -> list[list[Judgement]]:
        put = [asked for pair in filled(batch, self.batch) for asked in self._prompts(pair)]
        rollout = to_host(
            self.sampler(
                self.weights, [prompt.ids for _, prompt in put],
                keys.stream(self.root, "judge", number), group=1, cap=self.cap,
            )
        )  # fmt: skip
        found = []
        for (swapped, prompt), ids, mask in zip(
            put, rollout.completion_BC, rollout.mask_BC, strict=True
        ):
            said = self.tokenizer.decode(ids[mask].tolist())
            # a verdict that is only weighed in the thought is none
            answer = split_completion(said, opened=prompt.opens_thought).answer
            found.append(Judgement(swapped, verdicts.parse(answer or ""), said))
        n = self.judgements
        return [found[i * n : (i + 1) * n] for i in range(len(batch))]


def truths(pair: CandidatePair) -> tuple[float, float]:
    one, two = (replies.helpfulness(c.question, c.seen) for c in (pair.one, pair.two))
    return one, two
