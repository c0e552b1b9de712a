"""A cold start on one page: what each step dropped, and samples before and after."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1jax.reports.markdown import fenced, plain
from r1jax.reports.page import facts_table, markdown_table


def write_cold_start_report(
    workdir: str | Path,
    *,
    counts: Mapping[str, Mapping[str, Any]],
    examples: Sequence[Mapping[str, str]],
    facts: Mapping[str, Any],
) -> Path:
    """Writes `report.md`.

    Args:
      workdir: where to.
      counts: by input, rows `read`, those `dropped` by reason, in the order of the steps, `kept`.
      examples: texts of a `label`, the `question`, the completion `before`, the reply `after`; ""
        where there is none.
      facts: of the run, nested.

    Returns:
      Its path.
    """
    reasons = list(next(iter(counts.values()))["dropped"])
    sums = {
        "read": sum(told["read"] for told in counts.values()),
        "kept": sum(told["kept"] for told in counts.values()),
        "dropped": {r: sum(told["dropped"][r] for told in counts.values()) for r in reasons},
    }
    columns = [*counts.values(), sums]
    body = [["rows read", *(f"{told['read']:,}" for told in columns)]]
    body += [[plain(r), *(f"-{told['dropped'][r]:,}" for told in columns)] for r in reasons]
    body += [["kept", *(f"{told['kept']:,}" for told in columns)]]
    text = [
        "# Cold start",
        "",
        *markdown_table(["step", *(plain(name) for name in counts), "all"], body),
        "",
        "The paper has thousands of R1-Zero's samples filtered, then rewritten by V3; neither its "
        "thresholds nor how many samples that took is published.",
        "",
        "## Before and after",
        "",
    ]
    for example in examples:
        text += [f"### {plain(example['label'])}", "", *fenced(example["question"]), ""]
        text += ["Before:", "", *fenced(example["before"]), ""]
        if example["after"]:
            text += ["After:", "", *fenced(example["after"]), ""]
    text += ["## The run", "", *markdown_table(["fact", "value"], facts_table(facts, ""))]
    path = Path(workdir) / "report.md"
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path
