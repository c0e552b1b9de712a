"""Held-out evaluation: k samples a question, pass@1 with an interval, cons@k, rates and lengths."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from jaxtyping import Array, Key

from r1jax import keys
from r1jax.data.tasks.problems import ProblemSource
from r1jax.exams import statistics
from r1jax.exams.examiner import Answered, Examiner, known_to_all, mean, rates
from r1jax.rewards.judge import OPEN
from r1jax.sampling.config import SamplerConfig
from r1jax.types import Weights


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


def _sampled(
    examiner: Examiner,
    weights: Weights,
    source: ProblemSource,
    key: Key[Array, ""],
    *,
    split: str,
    count: int,
    config: EvalConfig,
    cap: int,
) -> Answered:
    """All batches, each judged while the next is sampled."""
    with ThreadPoolExecutor(1) as beside:
        judging = []
        for start in range(0, count, config.batch):
            problems = [source[i] for i in range(start, start + config.batch)]
            rollout = examiner.draw(
                weights, problems, keys.stream(key, split, start), group=config.samples, cap=cap
            )
            judging.append(
                beside.submit(
                    examiner.read, rollout, problems, group=config.samples, step=start, cap=cap
                )
            )
        parts = [known_to_all(j.result()) for j in judging]
    return Answered(
        problems=[x for p in parts for x in p.problems],
        prompts=[x for p in parts for x in p.prompts],
        completions=[x for p in parts for x in p.completions],
        scores=[x for p in parts for x in p.scores],
        lengths=np.concatenate([p.lengths for p in parts]),
        truncated=np.concatenate([p.truncated for p in parts]),
        seconds=sum(p.seconds for p in parts),
    )


def _consensus(examiner: Examiner, whole: Answered, samples: int, votes: int) -> float | None:
    """cons@k over all questions that have an answer, k = `votes`."""
    shares = []
    for start in range(0, len(whole.scores), samples):
        if whole.problems[start].kind in OPEN:
            continue
        scores = whole.scores[start : start + samples]
        cast = examiner.rewarder.votes([s.answer for s in scores], whole.problems[start])
        right = [None if s.error else s.parts["accuracy"] == 1 for s in scores]
        shares.append(statistics.consensus(cast, right, k=votes))
    return mean(share for share in shares if share is not None)


def _too_few_judged(split: str, whole: Answered, judged_Q: np.ndarray) -> str:
    """Says why fewer than two questions count, where an interval takes two."""
    failures = [s.reason for s in whole.scores if s.error]
    reason = "the others have no answer to judge by"
    if failures:
        reason = f"first failure: {failures[0]}"
    return (
        f"{split}: {judged_Q.sum()} of {len(judged_Q)} questions could be judged, wanted at "
        f"least 2; {reason}"
    )


def evaluate(
    examiner: Examiner,
    weights: Weights,
    source: ProblemSource,
    key: Key[Array, ""],
    *,
    split: str,
    count: int,
    config: EvalConfig,
    reflective: tuple[str, ...],
    cap: int,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Examines the policy on the first `count` problems of a split.

    Returns:
      A row for eval.jsonl (split, pass_at_1 and its interval, cons_at_K, rates, lengths,
      by_stratum), and the first samples of the first questions, to be read. What could not be
      judged is left out of pass@1, and told as error_rate; questions that have no answer are left
      out too, and are no errors.
    """
    whole = _sampled(
        examiner, weights, source, key, split=split, count=count, config=config, cap=cap
    )
    k = config.samples
    judged = [
        not s.error and p.kind not in OPEN
        for s, p in zip(whole.scores, whole.problems, strict=True)
    ]
    right = [s.parts["accuracy"] == 1 for s in whole.scores]
    correct_QK = np.where(judged, right, np.nan).reshape(count, k)
    judged_Q = np.asarray(~np.isnan(correct_QK).all(axis=1))
    if judged_Q.sum() < 2:
        raise RuntimeError(_too_few_judged(split, whole, judged_Q))
    means_Q = np.nanmean(correct_QK[judged_Q], axis=1)
    center, low, high = statistics.mean_interval(means_Q, level=config.level)
    strata = np.array([p.stratum for p in whole.problems[::k]])[judged_Q]
    row = {
        "split": split,
        "questions": count,
        "samples": k,
        "pass_at_1": center,
        "pass_at_1_low": low,
        "pass_at_1_high": high,
        f"cons_at_{config.consensus}": _consensus(examiner, whole, k, config.consensus),
        **rates(whole, reflective),
        "by_stratum": {s: float(means_Q[strata == s].mean()) for s in sorted(set(strata) - {""})},
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
