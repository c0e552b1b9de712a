"""Rejection sampling on one page: the paper's table of domains, yields, filters, examples."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1jax.reports import page
from r1jax.reports.markdown import plain, span

Counts = Mapping[str, Any]

YIELDS = {
    "questions": "questions",
    "answered": "with a fit sample",
    "sampled": "sampled",
    "fit": "fit",
    "yield": "yield",
    "duplicates": "duplicates",
    "surplus": "surplus",
    "kept": "kept",
}


def _per(total: int | float, count: int) -> str:
    return f"{total / count:,.1f}" if count else "—"


def composition_table(domains: Mapping[str, Counts]) -> str:
    """Returns the table of domains of DeepSeek-R1 (arXiv:2501.12948v2, table 5), with its total.

    Args:
      domains: by name, `samples`, and of all of them together `rounds` and `tokens`.
    """
    keys = ("samples", "rounds", "tokens")
    total = {key: sum(domain[key] for domain in domains.values()) for key in keys}
    body = [
        [
            plain(name),
            f"{domain['samples']:,}",
            _per(domain["rounds"], domain["samples"]),
            _per(domain["tokens"], domain["samples"]),
        ]
        for name, domain in [*domains.items(), ("Total", total)]
    ]
    return page.table(["domain", "samples", "average rounds", "average tokens"], body)


def _yields(tallies: Mapping[str, Counts], level: float) -> list[str]:
    body = [
        [
            plain(name),
            *(span(tally[key]) if key == "yield" else f"{tally[key]:,}" for key in YIELDS),
        ]
        for name, tally in tallies.items()
    ]
    return [
        page.table(["domain", *YIELDS.values()], body),
        f"Yield: the share of a question's samples that all filters let pass, its mean over "
        f"questions, and the {level:.0%} interval. Duplicates and surplus are fit, but not kept.",
    ]


def _filters(tallies: Mapping[str, Counts]) -> list[str]:
    names = list(next(iter(tallies.values()))["rejected"])
    body = [
        [
            name,
            *(
                f"{tally['rejected'][name]:,} / {tally['rejected_overall'][name]:,}"
                for tally in tallies.values()
            ),
        ]
        for name in names
    ]
    return [
        page.table(["filter", *(plain(domain) for domain in tallies)], body),
        "Rejected as the first reason / by this filter at all. Correct answers alone, and no mixed "
        "languages, long paragraphs and blocks of code are the paper's filters; its "
        "thresholds and samples per question are not published.",
    ]


def _mixture(mixture: Mapping[str, Counts]) -> list[str]:
    if not mixture:
        return []
    body = [
        [plain(name), *(f"{part[key]:,}" for key in ("rows", "contaminated", "wanted"))]
        for name, part in mixture.items()
    ]
    header = ["mixed in", "rows there", "hold an evaluation question", "written"]
    return ["## Mixture", page.table(header, body)]


def _example(label: str, row: Mapping[str, Any]) -> list[str]:
    return [f"### {plain(label)}", *page.answer(row, question=row["question"], value="")]


def write_sample_report(
    workdir: str | Path,
    *,
    title: str,
    domains: Mapping[str, Counts],
    tallies: Mapping[str, Counts],
    mixture: Mapping[str, Counts],
    examples: Sequence[tuple[str, Mapping[str, Any]]],
    level: float,
    facts: Mapping[str, Any],
) -> Path:
    """Writes `report.md`.

    Args:
      workdir: where to.
      title: of the page.
      domains: what was written, by name: the arguments of `composition_table`.
      tallies: by domain of the task, what became of the samples.
      mixture: by name, `rows` that were there, `contaminated` ones, those `wanted`.
      examples: sampled rows under what they are examples of.
      level: of the intervals.
      facts: of the run, nested.

    Returns:
      Its path.
    """
    blocks = [
        composition_table(domains),
        "Rounds are questions with their replies; tokens those of the replies, by the sampled "
        "model's tokenizer, each with its end.",
        "## Yield",
        *_yields(tallies, level),
        "## Filters",
        *_filters(tallies),
        *_mixture(mixture),
        "## Examples",
        *(block for label, row in examples for block in _example(label, row)),
        "## The run",
        page.facts(facts, "fact"),
    ]
    return page.write_page(workdir, plain(title), blocks)
