"""A cold start on one page: what each step dropped, and samples before and after."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1jax.reports import page
from r1jax.reports.markdown import fenced, plain


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
        "read": sum(count["read"] for count in counts.values()),
        "kept": sum(count["kept"] for count in counts.values()),
        "dropped": {r: sum(count["dropped"][r] for count in counts.values()) for r in reasons},
    }
    columns = [*counts.values(), sums]
    body = [["rows read", *(f"{count['read']:,}" for count in columns)]]
    body += [[plain(r), *(f"-{count['dropped'][r]:,}" for count in columns)] for r in reasons]
    body += [["kept", *(f"{count['kept']:,}" for count in columns)]]
    blocks = [
        page.table(["step", *(plain(name) for name in counts), "all"], body),
        "The paper has thousands of R1-Zero's samples filtered, then rewritten by V3; neither its "
        "thresholds nor how many samples that took is published.",
        "## Before and after",
    ]
    for example in examples:
        blocks += [f"### {plain(example['label'])}", fenced(example["question"])]
        blocks += ["Before:", fenced(example["before"])]
        blocks += ["After:", fenced(example["after"])] if example["after"] else []
    blocks += ["## The run", page.facts(facts, "fact")]
    return page.write_page(workdir, "Cold start", blocks)
