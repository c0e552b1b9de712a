"""An exam's answers turned into its results: pass@k, cons@k, rates, lengths, tables.

It makes no difference whether a model is examined alone or while it is trained. An answer whose
judge failed (`error`) is neither right nor wrong. It is left out of every mean of correctness and
counted, and the results say what pass@1 would be had all such answers been wrong, and had all been
right. Questions that have no answer (`rewards.judge.OPEN`) count for rates and lengths alone.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from r1jax.config import UserError
from r1jax.exams import statistics
from r1jax.rewards.judge import OPEN

Row = Mapping[str, Any]
Questions = dict[str, list[Row]]

FIELDS = (
    *("id", "sample", "stratum", "subject", "kind", "gold"),
    *("answer", "value", "error", "format", "tokens", "truncated", "vote"),
)
BINS = 24  # of the histogram of lengths


def by_question(rows: Sequence[Row]) -> Questions:
    """Returns the samples of each question, in order; questions as they first occur.

    Raises:
      UserError: if there is no row, a field is missing, a value or length is out of range, a
        sample is there twice, one question has two labels, or some questions lack samples that
        others have.
    """
    if not rows:
        raise UserError("exam: no answers")
    questions: Questions = {}
    for row in rows:
        missing = [field for field in FIELDS if field not in row]
        if missing:
            raise UserError(f"exam: answer of {row.get('id')!r}: missing fields {missing}")
        if not 0 <= row["value"] <= 1 or row["tokens"] < 0:
            raise UserError(
                f"exam: sample {row['sample']} of {row['id']!r}: got value {row['value']}, tokens "
                f"{row['tokens']}, wanted 0 to 1, and at least 0"
            )
        questions.setdefault(row["id"], []).append(row)
    wanted = sorted({row["sample"] for row in rows})
    short = []
    for name, samples in questions.items():
        samples.sort(key=lambda row: row["sample"])
        numbers = [row["sample"] for row in samples]
        if len(set(numbers)) < len(numbers):
            raise UserError(f"exam: {name!r} has a sample twice: {numbers}")
        if len({(row["stratum"], row["subject"]) for row in samples}) > 1:
            raise UserError(f"exam: {name!r} has more than one stratum or subject")
        short += [(name, numbers)] if numbers != wanted else []
    if short:
        name, numbers = short[0]
        raise UserError(
            f"exam: {len(short)} of {len(questions)} questions lack samples that others have, the "
            f"first: {name!r} has {len(numbers)} of {len(wanted)}"
        )
    return questions


def judged(samples: Sequence[Row]) -> list[Row]:
    """Returns the answers that are right or wrong: their judge did its work."""
    return [row for row in samples if not row["error"] and row["kind"] not in OPEN]


def right(row: Row) -> bool:
    """Whether an answer is right: a fraction of a program's tests is not."""
    return row["value"] >= 1


def _interval(means: Sequence[float], level: float) -> dict[str, float | int | None]:
    """How many questions, the mean over them and its ends."""
    return {"questions": len(means), **statistics.mean_and_ends(means, level=level)}


def accuracies(questions: Questions) -> dict[str, float]:
    """Returns the share of right answers of each question that has a judged one."""
    known = {name: judged(samples) for name, samples in questions.items()}
    return {name: float(np.mean([right(r) for r in rows])) for name, rows in known.items() if rows}


def _pass_at(questions: Questions, k: int) -> list[float]:
    """pass@k of each question with k judged samples or more."""
    kept = [rows for rows in map(judged, questions.values()) if len(rows) >= k]
    return [statistics.pass_at_k(len(rows), sum(map(right, rows)), k) for rows in kept]


def _cons_at(questions: Questions, k: int) -> list[float]:
    """cons@k of each question, as far as it is known."""
    shares = [
        statistics.consensus(
            [row["vote"] for row in rows],
            [None if row["error"] else right(row) for row in rows],
            k=k,
        )
        for rows in questions.values()
    ]
    return [share for share in shares if share is not None]


def _lengths(rows: Sequence[Row]) -> dict[str, float | int | None]:
    tokens = [row["tokens"] for row in rows]
    median = float(np.median(tokens)) if tokens else None
    return {"answers": len(tokens), "mean": statistics.mean(tokens), "median": median}


def _histogram(kinds: Mapping[str, Sequence[Row]]) -> dict[str, list[float] | list[int]]:
    """How many answers of each kind fall between which lengths; wide ranges in equal ratios."""
    tokens = [row["tokens"] for row in kinds["all"]]
    low, high = min(tokens), max(tokens) + 1
    spread = np.geomspace if high > 20 * max(low, 1) else np.linspace
    inner = np.unique(np.round(spread(max(low, 1), high, min(BINS, high - max(low, 1)) + 1)))
    edges = np.unique([low, *inner[1:-1], high])
    counts = {
        name: np.histogram([row["tokens"] for row in kinds[name]], edges)[0].tolist()
        for name in ("right", "wrong")
    }
    return {"edges": edges.tolist(), **counts}


def _natural(text: str) -> list[tuple[int, str]]:
    """Sorts "level 10" after "level 9"."""
    return [(int(p), "") if p.isdecimal() else (0, p) for p in re.split(r"(\d+)", text)]


def _table(questions: Questions, field: str, level: float) -> dict[str, dict[str, Any]]:
    """A row for each label, if there is any: questions, pass@1 with interval, mean length."""
    labels = {name: samples[0][field] for name, samples in questions.items()}
    if set(labels.values()) == {""}:
        return {}
    table = {}
    for label in sorted(set(labels.values()), key=_natural):
        labelled = {name: samples for name, samples in questions.items() if labels[name] == label}
        tokens = [row["tokens"] for samples in labelled.values() for row in samples]
        table[label] = {
            **_interval(list(accuracies(labelled).values()), level),
            "questions": len(labelled),
            "mean_length": statistics.mean(tokens),
        }
    return table


def _if_errors_were(questions: Questions, value: bool) -> float | None:
    """pass@1 had every errored answer been right, or wrong."""
    return statistics.mean(
        [
            float(np.mean([value if row["error"] else right(row) for row in rows]))
            for rows in questions.values()
        ]
    )


def results(rows: Sequence[Row], *, ks: Sequence[int], level: float) -> dict[str, Any]:
    """Returns an exam's results, ready for JSON.

    An answer is right if its value is 1. Means are of questions, each weighing the same; intervals
    are `statistics.mean_interval` over one number a question, also for pass@k, whose unbiased
    estimates of the questions are independent, and cons@k, each question's mean over its blocks.

    Args:
      rows: of the stored answers, one a sample, with `FIELDS`: value 0 to 1, format 0 or 1, vote
        a key that equivalent answers share, or None.
      ks: samples allowed, or voting; there is a cons@k for those that divide the samples of a
        question.
      level: nominal coverage of the intervals, such as 0.95.

    Returns:
      questions, samples (of each), answers, level; pass_at_1, pass_at and cons_at by str(k), and
      mean_value (fractions count), each with questions, mean, low and high: fewer than all
      questions where errors left too few answers, None for the ends of a single question;
      errors: answers, the ids of unjudged questions, and pass@1 had they been wrong and right;
      rates of truncation, format and error; lengths in tokens of all, right, wrong and truncated,
      and their histogram; by_stratum, by_subject; accuracies by question.

    Raises:
      UserError: if rows are incomplete (see `by_question`), or a k is not 1 to samples.
    """
    questions = by_question(rows)
    samples = len(next(iter(questions.values())))
    if any(not 1 <= k <= samples for k in ks):
        raise UserError(f"exam: got k of {list(ks)}, wanted 1 to the {samples} samples there are")
    known = judged(rows)
    # of what has an answer to be right about; a question is of one kind
    answerable = {name: s for name, s in questions.items() if s[0]["kind"] not in OPEN}
    right_of = accuracies(answerable)
    kinds = {
        "all": rows,
        "right": [row for row in known if right(row)],
        "wrong": [row for row in known if not right(row)],
        "truncated": [row for row in rows if row["truncated"]],
    }
    values = [[r["value"] for r in judged(s)] for s in answerable.values()]
    return {
        "questions": len(questions),
        "samples": samples,
        "answers": len(rows),
        "level": level,
        "pass_at_1": _interval(list(right_of.values()), level),
        "mean_value": _interval([float(np.mean(v)) for v in values if v], level),
        "pass_at": {str(k): _interval(_pass_at(answerable, k), level) for k in sorted({1, *ks})},
        "cons_at": {
            str(k): _interval(_cons_at(answerable, k), level)
            for k in sorted({*ks})
            if samples % k == 0
        },
        "errors": {
            "answers": sum(bool(row["error"]) for row in rows),
            "unjudged": [name for name in answerable if name not in right_of],
            "pass_at_1_if_wrong": _if_errors_were(answerable, False),
            "pass_at_1_if_right": _if_errors_were(answerable, True),
        },
        "rates": {
            "truncation": statistics.mean([bool(row["truncated"]) for row in rows]),
            "format": statistics.mean([float(row["format"]) for row in rows]),
            "error": statistics.mean([bool(row["error"]) for row in rows]),
        },
        "lengths": {name: _lengths(kind) for name, kind in kinds.items()},
        "length_histogram": _histogram(kinds),
        "by_stratum": _table(answerable, "stratum", level),
        "by_subject": _table(answerable, "subject", level),
        "accuracies": right_of,
    }


def compare(
    ours: Mapping[str, Any],
    theirs: Mapping[str, Any],
    *,
    against: str,
    level: float,
    draws: int,
    seed: int,
) -> dict[str, Any]:
    """Returns how two exams on the same questions differ, ready for JSON.

    Args:
      ours: `results`, model a of the comparison.
      theirs: `results` of model b.
      against: what the report calls model b.
      level: nominal coverage of the interval.
      draws: sign patterns of the sign-flip test.
      seed: of those.

    Returns:
      The fields of the comparison, `against`, `level`, and `left_out`, how many questions one of
      the judges could say nothing about.

    Raises:
      UserError: if the exams are not of the same questions, or fewer than 2 remain.
    """
    whole = [{*exam["accuracies"], *exam["errors"]["unjudged"]} for exam in (ours, theirs)]
    statistics.check_same_questions(*whole)
    both = ours["accuracies"].keys() & theirs["accuracies"].keys()
    # in our order, so that the same signs fall on the same questions each time
    a, b = (
        {q: exam["accuracies"][q] for q in ours["accuracies"] if q in both}
        for exam in (ours, theirs)
    )
    left_out = len(whole[0]) - len(both)
    comparison = statistics.compare(a, b, level=level, draws=draws, seed=seed)
    return {**comparison._asdict(), "against": against, "level": level, "left_out": left_out}


def examples(rows: Sequence[Row]) -> dict[str, Row | None]:
    """Returns the first right, wrong, truncated and errored answer; None where there is none.

    Wrong means finished and wrong: most truncated answers are wrong too.
    """
    known = judged(rows)
    kinds = {
        "right": [row for row in known if right(row)],
        "wrong": [row for row in known if not right(row) and not row["truncated"]],
        "truncated": [row for row in known if row["truncated"] and not right(row)],
        "errored": [row for row in rows if row["error"]],
    }
    return {name: next(iter(kind), None) for name, kind in kinds.items()}
