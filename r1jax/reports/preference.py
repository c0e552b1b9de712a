"""Judgements on one page: agreement, position, length, and what was kept."""

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from r1jax.exams.calibration import over_questions
from r1jax.exams.statistics import mean
from r1jax.reports import page

LEVEL = 0.95  # of the intervals
Rows = Sequence[Mapping[str, Any]]


def deltas(row: Mapping[str, Any]) -> list[int]:
    """The verdicts that could be read, from the pair's first reply."""
    both = zip(row["verdicts"], row["swapped"], strict=True)
    return [-verdict if swapped else verdict for verdict, swapped in both if verdict is not None]


def _share(values: Sequence[float], questions: Sequence[str]) -> dict[str, Any]:
    return over_questions(np.array(values, np.float64), questions, level=LEVEL)


def _won(lead: int | float) -> float:
    """1 where the first of two is ahead, 0 where the second is, a tie half."""
    return (float(np.sign(lead)) + 1) / 2


def of_pairs(rows: Rows, good: Rows) -> dict[str, Any]:
    """Returns statistics of judgements of pairs, ready for JSON.

    Args:
      rows: of judgements.jsonl.
      good: those that are kept.

    Returns:
      Shares of judgements that could be read, and of pairs kept; how often two judgements of a pair
      agree, on the level and on who is better; how often the reply shown first is preferred (0.5
      is fair; a tie half) and its mean lead in levels; mean lengths of chosen and rejected replies,
      and how often the longer one is chosen, in characters of what the judge saw (tokens are those
      of the whole sample). Where the truth is known also how often the chosen reply is truly the
      better one.
    """
    verdicts = [(v, row) for row in rows for v in row["verdicts"] if v is not None]
    couples = [c for row in rows for c in itertools.combinations(deltas(row), 2)]
    names = [row["question_id"] for row in good]
    ahead = {key: [] for key in ("characters", "truths")}
    lengths: dict[str, list[float]] = defaultdict(list)
    for row in good:
        chosen, rejected = (0, 1) if row["delta"] > 0 else (1, 0)
        for key in ("tokens", "characters"):
            lengths[f"chosen_{key}"].append(float(row[key][chosen]))
            lengths[f"rejected_{key}"].append(float(row[key][rejected]))
        for key, values in ahead.items():
            if key in row:
                values.append(_won(row[key][chosen] - row[key][rejected]))
    results = {
        "judgements": sum(len(row["verdicts"]) for row in rows),
        "read": len(verdicts) / sum(len(row["verdicts"]) for row in rows),
        "kept": len(good) / len(rows),
        "same_level": mean([float(a == b) for a, b in couples]),
        "same_winner": mean([float(np.sign(a) == np.sign(b)) for a, b in couples]),
        "first_preferred": _share(
            [_won(v) for v, _ in verdicts], [row["question_id"] for _, row in verdicts]
        ),
        "first_leads": mean([float(v) for v, _ in verdicts]),
        "verdicts": {
            str(level): sum(v == level for v, _ in verdicts) for level in range(2, -3, -1)
        },
        "mean_lengths": {name: mean(values) for name, values in lengths.items()},
        "longer_chosen": _share(ahead["characters"], names),
    }
    if "truths" in rows[0]:
        results["chosen_is_truly_better"] = _share(ahead["truths"], names)
    return results


def of_labels(rows: Rows) -> dict[str, Any]:
    """Returns shares of safe replies and mean lengths, by domain."""
    by_domain: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_domain[row["domain"]].append(row)
    tokens = {
        kind: [float(row["tokens"]) for row in rows if row["safe"] is safe]
        for kind, safe in (("safe", True), ("unsafe", False))
    }
    return {
        "safe": _share([float(row["safe"]) for row in rows], [row["question"] for row in rows]),
        "safe_by_domain": {
            name: mean([float(row["safe"]) for row in some]) for name, some in by_domain.items()
        },
        "mean_tokens": {kind: mean(counts) for kind, counts in tokens.items()},
    }


def write(
    workdir: str | Path, *, task: str, counts: Mapping[str, int], results: Mapping[str, Any]
) -> Path:
    """Writes report.md and returns its path."""
    title = {"pairs": "Pairs of replies, judged", "labels": "Replies, labelled"}[task]
    notes = {
        "pairs": "Levels run from 2 (the reply shown first is much better) to -2; verdicts that "
        "could not be read count nowhere. `first_preferred` is 0.5 for a fair judge. Intervals "
        f"are over questions, at {LEVEL:.0%}.",
        "labels": "By the rules of the synthetic world, without noise.",
    }
    blocks = [page.counts(counts, "count"), page.facts(results, "found"), notes[task]]
    return page.write_page(workdir, title, blocks)
