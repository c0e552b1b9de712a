"""A fine-tuning run on one page: losses, exam, what it read, its picture, and facts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1jax.reports.curves import plot_sft, rows_of
from r1jax.reports.page import facts, picture, table, write_page
from r1jax.reports.panels import Rows
from r1jax.reports.training import before_after, sample_texts

COUNTS = {
    "read": "rows read",
    "rows": "trained on",
    "held_out": "held out",
    "dropped": "too long, dropped",
    "examples": "examples an epoch",
    "tokens": "tokens an epoch",
    "target_tokens": "of them targets",
}


def _loss(row: Mapping[str, Any], name: str) -> str:
    return "—" if row.get(name) is None else f"{row[name]:.4f}"


def _losses(held_out: Rows) -> list[str]:
    """Returns a table of the held-out loss before and after, by source, and its unit."""
    if not held_out:
        return ["No row was held out."]
    first, last = held_out[0], held_out[-1]
    body = [
        [
            "all" if name == "loss" else name.removeprefix("loss_"),
            *(_loss(r, name) for r in (first, last)),
        ]
        for name in first
        if name.startswith("loss")
    ]
    header = ["source", f"before (update {first['update']})", f"after (update {last['update']})"]
    return [table(header, body), "Nats per target token of the held-out rows."]


def _counts(counts: Mapping[str, Any]) -> str:
    by_source = {**counts["by_source"], "all": counts}
    body = [[source, *(f"{of[name]:,}" for name in COUNTS)] for source, of in by_source.items()]
    return table(["source", *COUNTS.values()], body)


def write_sft_report(
    workdir: str | Path,
    *,
    summary: Mapping[str, Any],
    counts: Mapping[str, Any],
    samples_before: Sequence[Mapping[str, Any]],
    samples_after: Sequence[Mapping[str, Any]],
) -> Path:
    """Writes `report.md` and its picture `report.png`.

    Args:
      workdir: a run's directory with its jsonl files.
      summary: facts of the run, nested as they are in summary.json.
      counts: `SftData.counts`: of rows and tokens, summed and "by_source".
      samples_before: of an exam: dicts of prompt, completion, score and reason.
      samples_after: the same, after training.

    Returns:
      The path of report.md.

    Raises:
      UserError: if a sample lacks a key or a line of a jsonl file is broken.
    """
    workdir = Path(workdir)
    evals = rows_of(workdir, "eval")
    held_out = [row for row in evals if row["split"] == "held_out"]
    exams = [row for row in evals if row["split"] != "held_out"]
    blocks = [
        "## Loss",
        *_losses(held_out),
        picture("The run in panels"),
        "## Exam",
        *(before_after(exams) or ["No exam."]),
        *(sample_texts("Before", samples_before) if exams else []),
        *(sample_texts("After", samples_after) if exams else []),
        "## Data",
        _counts(counts),
        "## The run",
        facts(summary, "fact"),
    ]
    plot_sft(workdir, workdir / "report.png", sources=tuple(counts["by_source"]))
    return write_page(workdir, workdir.resolve().name, blocks)
