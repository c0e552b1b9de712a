"""Held-out evaluation: k samples a question, pass@1 with an interval, cons@k, rates and lengths."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Key

from r1jax import keys
from r1jax.config import SamplerConfig
from r1jax.data import templates
from r1jax.data.completions import OPEN
from r1jax.data.problems import Problem, ProblemSource
from r1jax.data.templates import PromptConfig
from r1jax.data.tokenizer import Tokenizer
from r1jax.rewards.maths import extract_answer
from r1jax.rewards.score import Score
from r1jax.sampling.sampler import Sampler
from r1jax.train import statistics
from r1jax.types import Rollout, Weights


@dataclasses.dataclass(frozen=True)
class EvalConfig:
    """How a model is examined.

    Attributes:
      every_updates: updates between evaluations on the validation split; 0 never.
      validation, test, ood: questions of each split; test and ood only before and after the run.
      samples: answers per question, k.
      consensus: answers that vote together, a divisor of `samples`.
      batch: questions sampled for at a time.
      sampler: how answers are drawn.
      level: nominal coverage of the intervals.
    """

    every_updates: int
    validation: int
    test: int
    ood: int
    samples: int
    consensus: int
    batch: int
    sampler: SamplerConfig
    level: float

    def __post_init__(self):
        if not 0 < self.level < 1:
            raise ValueError(f"level {self.level} is not within 0 and 1")
        if min(self.samples, self.consensus, self.batch) < 1 or self.every_updates < 0:
            raise ValueError(
                f"samples {self.samples}, consensus {self.consensus}, batch {self.batch}, "
                f"every_updates {self.every_updates}: need at least 1, 1, 1 and 0"
            )
        if self.samples % self.consensus:
            raise ValueError(
                f"samples {self.samples} are no multiple of consensus {self.consensus}"
            )
        for split in ("validation", "test", "ood"):
            questions = getattr(self, split)
            if questions % self.batch:
                raise ValueError(f"{split} {questions} is no multiple of batch {self.batch}")
            if questions == 1:
                raise ValueError(f"{split} 1: an interval needs 2 questions, or 0 for no exam")


class Answered(NamedTuple):
    """One rollout in text: row b belongs to problems[b // group]."""

    problems: list[Problem]
    prompts: list[str]
    completions: list[str]
    scores: list[Score]
    lengths: np.ndarray
    truncated: np.ndarray


Judge = Callable[[list[str], list[Problem], int], list[Score]]


class Examiner:
    """Puts questions to a policy and judges what comes back.

    Args:
      sampler: draws the completions.
      tokenizer: of the policy.
      style: how its questions are put.
      judge: completions and their problems (row by row) and a step -> scores.
    """

    def __init__(
        self, *, sampler: Sampler, tokenizer: Tokenizer, style: PromptConfig, judge: Judge
    ):
        self.sampler, self.tokenizer = sampler, tokenizer
        self.style, self.judge = style, judge

    def prompt_ids(self, problem: Problem) -> list[int]:
        """The prompt that puts the question."""
        return templates.prompt(self.tokenizer, self.style, problem.question).ids

    def check(self, source: ProblemSource, indices: Iterable[int], split: str) -> None:
        """Raises if one of these prompts fits no bucket, or its answer cannot be judged.

        Raises:
          ValueError: names the split and the problem.
        """
        for i in indices:
            problem = source[i]
            try:
                self.sampler.bucket([self.prompt_ids(problem)])
                self.judge([""], [problem], 0)
            except ValueError as error:
                raise ValueError(f"{split}: problem {problem.id}: {error}") from error

    def draw(
        self,
        weights: Weights,
        problems: list[Problem],
        key: Key[Array, ""],
        *,
        group: int,
        cap: int,
    ) -> Rollout:
        """Samples `group` completions of every problem; returns host arrays."""
        prompts = [self.prompt_ids(p) for p in problems]
        return jax.device_get(self.sampler(weights, prompts, key, group=group, cap=cap))

    def read(self, rollout: Rollout, problems: list[Problem], *, group: int, step: int) -> Answered:
        """Turns a rollout into text and judges it."""
        rows = [p for p in problems for _ in range(group)]
        texts = [
            self.tokenizer.decode(ids[mask].tolist())
            for ids, mask in zip(rollout.completion_BC, rollout.mask_BC, strict=True)
        ]
        prompts = [
            prompt
            for p in problems
            for prompt in [templates.prompt(self.tokenizer, self.style, p.question)] * group
        ]
        # a thought that the prompt opened counts as if the policy had opened it
        whole = [
            OPEN + text if prompt.opens_thought else text
            for prompt, text in zip(prompts, texts, strict=True)
        ]
        return Answered(
            rows,
            [prompt.text for prompt in prompts],
            texts,
            self.judge(whole, rows, step),
            np.asarray(rollout.mask_BC).sum(1),
            np.asarray(rollout.truncated_B),
        )


def rates(answered: Answered, reflective: tuple[str, ...]) -> dict[str, float | None]:
    """Mean lengths of all, right, wrong completions; shares of format, truncation, reflection."""
    correct = np.array([s.parts["accuracy"] for s in answered.scores]) > 0
    mean = lambda x: float(np.mean(x)) if len(x) else None
    return {
        "format_rate": mean([s.parts["format"] for s in answered.scores]),
        "mean_length": mean(answered.lengths),
        "mean_length_correct": mean(answered.lengths[correct]),
        "mean_length_wrong": mean(answered.lengths[~correct]),
        "truncation_rate": mean(answered.truncated),
        "reflective_rate": mean([any(w in t for w in reflective) for t in answered.completions]),
    }


def evaluate(
    examiner: Examiner,
    weights: Weights,
    source: ProblemSource,
    key: Key[Array, ""],
    *,
    split: str,
    count: int,
    config: EvalConfig,
    places: tuple[str, ...],
    reflective: tuple[str, ...],
    cap: int,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Examines the policy on the first `count` problems of a split.

    Returns:
      A row for eval.jsonl (split, pass_at_1 and its interval, cons_at_K, rates, lengths,
      by_stratum), and the first samples of the first questions, to be read.
    """
    parts: list[Answered] = []
    for start in range(0, count, config.batch):
        problems = [source[i] for i in range(start, start + config.batch)]
        rollout = examiner.draw(
            weights, problems, keys.stream(key, split, start), group=config.samples, cap=cap
        )
        parts.append(examiner.read(rollout, problems, group=config.samples, step=start))
    whole = Answered(
        problems=[x for p in parts for x in p.problems],
        prompts=[x for p in parts for x in p.prompts],
        completions=[x for p in parts for x in p.completions],
        scores=[x for p in parts for x in p.scores],
        lengths=np.concatenate([p.lengths for p in parts]),
        truncated=np.concatenate([p.truncated for p in parts]),
    )
    k = config.samples
    correct_QK = np.array([s.parts["accuracy"] for s in whole.scores]).reshape(count, k) > 0
    answers = [
        [extract_answer(t, places).answer for t in whole.completions[q * k : (q + 1) * k]]
        for q in range(count)
    ]
    golds = [p.answer for p in whole.problems[::k]]
    mean, low, high = statistics.clustered_interval(correct_QK, level=config.level)
    strata = np.array([p.stratum for p in whole.problems[::k]])
    row = {
        "split": split,
        "questions": count,
        "samples": k,
        "pass_at_1": mean,
        "pass_at_1_low": low,
        "pass_at_1_high": high,
        f"cons_at_{config.consensus}": statistics.cons_at_k(answers, golds, k=config.consensus),
        **rates(whole, reflective),
        "by_stratum": {
            s: float(correct_QK[strata == s].mean()) for s in sorted(set(strata) - {""})
        },
    }
    shown = [
        {
            "prompt": whole.prompts[i],
            "completion": whole.completions[i],
            "score": whole.scores[i].total,
            "reason": whole.scores[i].reason,
        }
        for i in range(0, min(count, 3) * k, k)
    ]
    return row, shown
