"""A reward model on one page: accuracy with its doubt, calibration, and what length explains."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r1jax.io.metrics import read_jsonl
from r1jax.reports import page
from r1jax.reports.markdown import number, span
from r1jax.reports.reward_plots import plot_reward

Results = Mapping[str, Any]


def _span(score: Results) -> str:
    return f"{span(score)} ({score['rows']})"


def _rows(results: Results, kind: str) -> list[tuple[str, str]]:
    shared = [
        ("accuracy (rows)", _span(results["accuracy"])),
        ("ties, half right", f"{results['ties']:.1%}"),
        ("loss (nats)", number(results["loss"])),
        ("calibration error", number(results["calibration_error"])),
    ]
    lengths = [
        (f"mean length, {name} (tokens)", "—" if value is None else f"{value:.1f}")
        for name, value in results["mean_lengths"].items()
    ]
    r = ("correlation of score and length", number(results["score_length_correlation"]))
    if kind == "labels":
        return [
            *shared,
            ("always the more frequent label", number(results["most_frequent_label"])),
            ("AUC", number(results["auc"])),
            *lengths,
            ("AUC of length instead of score", number(results["auc_of_length"])),
            r,
        ]
    return [
        *shared,
        *lengths,
        *[
            (f"accuracy, chosen is {'of equal length' if side == 'equal' else side}", _span(value))
            for side, value in results["accuracy_where_chosen_is"].items()
        ],
        ('accuracy of "the longer one wins"', _span(results["longer_wins"])),
        r,
        ("correlation of differences in pairs", number(results["difference_correlation"])),
    ]


def _reliability(results: Results) -> str:
    body = [
        [
            f"{row['low']:.2f} to {row['high']:.2f}",
            str(row["rows"]),
            number(row["predicted"]),
            number(row["happened"]),
        ]
        for row in results["reliability"]
    ]
    return page.table(["predicted between", "rows", "mean predicted", "happened"], body)


def write_reward_report(
    workdir: str | Path,
    *,
    kind: str,
    level: float,
    counts: Mapping[str, int],
    before: Results,
    after: Results,
) -> Path:
    """Writes report.md and report.png from what a run left in its directory.

    Args:
      workdir: with metrics.jsonl, eval.jsonl and held_out.jsonl.
      kind: "pairs" or "labels".
      level: of the intervals.
      counts: rows read, left out and used.
      before, after: of `exams.calibration`, before and after the fit.

    Returns:
      The path of report.md.
    """
    workdir = Path(workdir)
    name = workdir.resolve().name
    both = zip(_rows(before, kind), _rows(after, kind), strict=True)
    blocks = [
        page.table(
            ["held out", "before", "after"], [[row, then, now] for (row, then), (_, now) in both]
        ),
        f"In brackets the {level:.0%} interval over questions, in parentheses rows. Before the fit "
        "the head is zero, so every score is 0 and every comparison a tie.",
        page.picture("Loss, accuracy, calibration, score against length"),
        "## Calibration after the fit",
        _reliability(after),
        "## Rows",
        page.counts(counts, "rows"),
    ]
    held_out = (workdir / "held_out.jsonl").read_text(encoding="utf-8").splitlines()
    plot_reward(
        workdir / "report.png",
        title=f"Reward model: {name}",
        kind=kind,
        metrics=read_jsonl(workdir / "metrics.jsonl"),
        evals=read_jsonl(workdir / "eval.jsonl"),
        held_out=[json.loads(line) for line in held_out],
    )
    return page.write_page(workdir, f"Reward model {name}", blocks)
