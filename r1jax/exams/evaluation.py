"""Held-out evaluation: k samples a question, pass@1 with an interval, cons@k, rates and lengths."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from jaxtyping import Array, Key

from r1jax import keys
from r1jax.config import Count, Size, UserError, Within
from r1jax.data.tasks.problems import ProblemSource
from r1jax.exams import results
from r1jax.exams.examiner import (
    Answered,
    Examiner,
    answer_rows,
    known_to_all,
    reflective_share,
)
from r1jax.sampling.config import SamplerConfig
from r1jax.types import Weights

# of the results, what is noted of an exam during training: nothing that grows with the questions
KEPT = (
    "questions",
    "samples",
    "pass_at_1",
    "pass_at",
    "cons_at",
    "rates",
    "lengths",
    "by_stratum",
)


@dataclasses.dataclass(frozen=True)
class EvalConfig:
    """How a model is examined.

    Attributes:
      every_updates: updates between evaluations on the validation split, and after the last; 0
        never.
      validation, test, ood: questions of each split; test and ood only before and after the run.
      samples: answers per question, k.
      consensus: answers that vote together, a divisor of `samples`.
      batch: questions sampled for at a time.
      sampler: how answers are drawn.
      level: nominal coverage of the intervals.
    """

    every_updates: Size
    validation: Size
    test: Size
    ood: Size
    samples: Count
    consensus: Count
    batch: Count
    sampler: SamplerConfig
    level: Within

    def __post_init__(self):
        if self.samples % self.consensus:
            raise UserError(f"samples {self.samples} are no multiple of consensus {self.consensus}")
        for split in ("validation", "test", "ood"):
            questions = getattr(self, split)
            if questions % self.batch:
                raise UserError(f"{split} {questions} is no multiple of batch {self.batch}")
            if questions == 1:
                raise UserError(f"{split} 1: an interval needs 2 questions, or 0 for no exam")


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
      A row for eval.jsonl: the split and, of `exams.results`, what `KEPT` names, with the share of
      reflective answers among the rates; and the first samples of the first questions, to be read.

    Raises:
      UserError: if the answers to fewer than two questions could be judged.
    """
    answered = _sampled(
        examiner, weights, source, key, split=split, count=count, config=config, cap=cap
    )
    k = config.samples
    # two problems of a split may have one id: here each is its place
    questions = [p._replace(id=str(i)) for i, p in enumerate(answered.problems[::k])]
    named = answered._replace(problems=[q for q in questions for _ in range(k)])
    rows = answer_rows(named, samples=k, first=0)
    examiner.vote(rows, questions)
    whole = results.results(rows, ks=(config.consensus,), level=config.level)
    judged = whole["pass_at_1"]["questions"]
    if judged < 2:
        reasons = [s.reason for s in answered.scores if s.error]
        rest = f"first failure: {reasons[0]}" if reasons else "the others have no answer"
        raise UserError(
            f"{split}: {judged} of {count} questions could be judged, wanted at least 2; {rest}"
        )
    row = {"split": split, **{name: whole[name] for name in KEPT}}
    row["rates"]["reflective"] = reflective_share(answered.completions, reflective)
    shown = [
        {
            "prompt": answered.prompts[i],
            "completion": answered.completions[i],
            "score": answered.scores[i].total,
            "reason": answered.scores[i].reason,
        }
        for i in range(0, min(count, 3) * k, k)
    ]
    return row, shown
