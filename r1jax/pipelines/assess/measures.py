"""What a reply is measured by, and the means over questions that fill a column of the table."""

import hashlib
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from r1jax.config import UserError
from r1jax.data.rows.readability import readable
from r1jax.data.tasks.problems import Problem
from r1jax.data.world import replies, requests
from r1jax.exams.results import right
from r1jax.exams.statistics import mean_and_ends
from r1jax.pipelines.assess.config import AssessConfig
from r1jax.rewards.judge import OPEN
from r1jax.rewards.parts.format import FORMATS
from r1jax.text.thought import whole

Row = Mapping[str, Any]


def _whole(row: Row) -> str:
    """A completion with the tag that its prompt opened."""
    return whole(row["completion"], opened=row["opened"])


def _accuracy(row: Row) -> float:
    return float(right(row))


def _content(row: Row) -> float:
    """The synthetic world knows the truth of this and the next two."""
    request = requests.request_of(row["question"])
    return float(replies.holds(request, replies.final(_whole(row))))


def _helpfulness(row: Row) -> float:
    return replies.helpfulness(row["question"], _whole(row))


def _safety(row: Row) -> float:
    return 1.0 - replies.harmful(row["question"], _whole(row))


OF_REQUESTS: dict[str, Callable[[Row], float]] = {
    "content": _content,
    "helpfulness": _helpfulness,
    "safety": _safety,
}
MEASURES = {"accuracy": _accuracy, **OF_REQUESTS}


def check_measure(name: str, measure: str, problem: Problem) -> None:
    """Checks, before anything is sampled, that replies to a problem can be measured so."""
    if measure == "accuracy" and problem.kind in OPEN:
        raise UserError(
            f"exams.{name}: {problem.id} is of the kind {problem.kind!r}, which has no answer to "
            "be right about: wanted another measure than 'accuracy'"
        )
    if measure in OF_REQUESTS:
        try:
            requests.request_of(problem.question)
        except ValueError as error:
            raise UserError(f"exams.{name}: measure {measure!r}: {problem.id}: {error}") from error


def measured(rows: list[dict[str, Any]], config: AssessConfig) -> dict[str, Any]:
    """Returns each measure as a mean over questions with its interval, by stratum and by question.

    An answer whose judge failed counts for no accuracy, one that a reward model could not judge
    for none of its scores; the other measures need neither. Raw scores of reward models, which
    have no bounds, have an interval if they are not all equal.
    """
    kept: dict[str, dict[str, list[tuple[str, float]]]] = {}

    def note(column: str, row: Row, value: float) -> None:
        # a question that was drawn twice is one question
        kept.setdefault(column, {}).setdefault(row["question"], []).append((row["stratum"], value))

    for row in rows:
        exam = config.exams[row["exam"]]
        if exam.measure != "preference" and not (exam.measure == "accuracy" and row["error"]):
            note(row["exam"], row, MEASURES[exam.measure](row))
        if row["exam"] == config.form:
            parts = row["parts"]
            note("format", row, parts["format"])
            note("own_format", row, FORMATS[config.own_format](_whole(row))[0])
            note("language", row, parts["language"])
            note("readability", row, float(readable(row["completion"], parts)))
        for name in [name for name in config.preferences if name in row["parts"]]:
            note(name, row, row["parts"][name])
    columns, strata, by_question = {}, {}, {}
    for column, questions in kept.items():
        means = {q: float(np.mean([v for _, v in pairs])) for q, pairs in questions.items()}
        judge = config.preferences.get(column)
        bounded = judge is None or judge.scale == "sigmoid"
        bounds = (0.0, 1.0) if bounded else (-math.inf, math.inf)
        score = mean_and_ends([*means.values()], level=config.level, bounds=bounds)
        columns[column] = {**score, "n": len(means)}
        by_question[column] = {_short_name(q): mean for q, mean in means.items()}
        labels: dict[str, list[float]] = {}
        for q, pairs in questions.items():
            labels.setdefault(pairs[0][0], []).append(means[q])
        strata[column] = {k: float(np.mean(v)) for k, v in sorted(labels.items()) if k}
    lengths = [row["tokens"] for row in rows if row["exam"] == config.form]
    return {
        "model": config.name,
        "columns": columns,
        "by_stratum": strata,
        "by_question": by_question,
        "level": config.level,
        "answers": len(rows),
        "errors": sum(row["error"] for row in rows),
        "truncation": float(np.mean([row["truncated"] for row in rows])),
        "mean_length": float(np.mean(lengths)),
    }


def _short_name(question: str) -> str:
    return hashlib.sha256(question.encode()).hexdigest()[:16]
