"""A training run on one page: before and after, its picture, samples, and facts."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from r1jax.config import UserError
from r1jax.io.metrics import consensus_of
from r1jax.reports.curves import flat, rows_of
from r1jax.reports.markdown import fenced
from r1jax.reports.page import facts, picture, table, write_page
from r1jax.reports.panels import Rows, ends_of

TABLE = {
    "pass_at_1.mean": "pass@1",
    "cons_at.{}.mean": "cons@{}",
    "rates.format": "format rate",
    "lengths.all.mean": "mean length (tokens)",
    "lengths.right.mean": "mean length, correct",
    "lengths.wrong.mean": "mean length, wrong",
    "rates.truncation": "truncated",
    "rates.reflective": "reflective words",
}
SAMPLES, SHOWN = 3, 2000  # samples per side, characters of each text


def _cell(row: Mapping[str, Any] | None, metric: str) -> str:
    if row is None or row.get(metric) is None:
        return "—"
    value = row[metric]
    text = f"{value:.1f}" if metric.startswith("lengths.") else f"{value:.3f}"
    if not metric.startswith("pass_at_1."):
        return text
    low, high = (row.get(end) for end in ends_of(metric))
    return text if low is None or high is None else f"{text} [{low:.3f}, {high:.3f}]"


def before_after(rows: Rows) -> list[str]:
    """Returns a table per split, of its first and last evaluation."""
    tables = []
    for split in dict.fromkeys(row["split"] for row in rows):
        evals = sorted((r for r in rows if r["split"] == split), key=lambda row: row["update"])
        strata = dict.fromkeys(
            name for row in (evals[0], evals[-1]) for name in row.get("by_stratum", ())
        )
        exams = flat(evals)
        first, last = exams[0], exams[-1] if len(exams) > 1 else None
        after = f"after (update {last['update']})" if last else "after (no later evaluation)"
        header = [split, f"before (update {first['update']})", after]
        votes = consensus_of(evals)
        labels = {metric.format(votes): label.format(votes) for metric, label in TABLE.items()}
        body = [
            [label, _cell(first, metric), _cell(last, metric)]
            for metric, label in labels.items()
            if any(row is not None and metric in row for row in (first, last))
        ]
        body += [
            [
                f"pass@1 of {name or '(none)'}",
                *(_cell(row, f"by_stratum.{name}.mean") for row in (first, last)),
            ]
            for name in strata
        ]
        tables.append(table(header, body))
    return tables


def _sums(timing: Rows) -> str:
    """Returns a table of the seconds and tokens of the whole run."""
    names = dict.fromkeys(k for row in timing for k in row if k.startswith(("seconds_", "tokens_")))
    totals = {k: sum(row.get(k) or 0 for row in timing) for k in names if k != "tokens_per_s"}
    body = [[name.replace("_", " "), f"{total:,.0f}"] for name, total in totals.items()]
    return table(["summed over updates", "total"], body)


def _start(text: str) -> str:
    more = f"\n[... {len(text) - SHOWN} more characters]" if len(text) > SHOWN else ""
    return text[:SHOWN] + more


def sample_texts(title: str, samples: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the blocks that show the first samples, each with its score.

    Raises:
      UserError: if one lacks a key.
    """
    blocks = [f"### {title}"]
    for number, sample in enumerate(samples[:SAMPLES], 1):
        missing = [k for k in ("prompt", "completion", "score", "reason") if k not in sample]
        if missing:
            raise UserError(f"report: sample {number} {title}: missing keys {missing}")
        blocks += [
            f"**{number}.** score {sample['score']:g}: {sample['reason']}",
            fenced(_start(sample["prompt"])),
            fenced(_start(sample["completion"])),
        ]
    return blocks if samples else [*blocks, "None."]


def write_report(
    workdir: str | Path,
    *,
    summary: Mapping[str, Any],
    samples_before: Sequence[Mapping[str, Any]],
    samples_after: Sequence[Mapping[str, Any]],
    plot: Callable[[Path, Path], None],
) -> Path:
    """Writes `report.md` and its picture `report.png`.

    Args:
      workdir: a run's directory with its jsonl files.
      summary: facts of the run, nested as they are in summary.json.
      samples_before: dicts of prompt, completion, score and reason; the first three are shown.
      samples_after: the same, after training.
      plot: draws the run of a directory into a file, such as `curves.plot_rl`.

    Returns:
      The path of report.md.

    Raises:
      UserError: if a sample lacks a key or a line of a jsonl file is broken.
    """
    workdir = Path(workdir)
    evals, timing = rows_of(workdir, "eval"), rows_of(workdir, "timing")
    blocks = [
        "## Before and after",
        *(before_after(evals) or ["No evaluation."]),
        "In brackets the interval of pass@1. A dash: not measured.",
        picture("The run in panels"),
        "## Samples",
        *sample_texts("before", samples_before),
        *sample_texts("after", samples_after),
        "## The run",
        facts(summary, "fact"),
        _sums(timing),
    ]
    plot(workdir, workdir / "report.png")
    return write_page(workdir, workdir.resolve().name, blocks)
