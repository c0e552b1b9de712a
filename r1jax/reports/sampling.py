"""Rejection sampling on one page: the paper's table of domains, yields, filters, examples."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1jax.reports.markdown import fenced, plain
from r1jax.reports.page import facts_table, markdown_table

Told = Mapping[str, Any]


def _per(total: int | float, count: int) -> str:
    return f"{total / count:,.1f}" if count else "—"


def composition_table(domains: Mapping[str, Told]) -> list[str]:
    """Returns the table of domains of DeepSeek-R1 (arXiv:2501.12948v2, table 5), with its total.

    Args:
      domains: by name, `samples`, and of all of them together `rounds` and `tokens`.
    """
    keys = ("samples", "rounds", "tokens")
    total = {key: sum(told[key] for told in domains.values()) for key in keys}
    body = [
        [plain(name), f"{told['samples']:,}", _per(told["rounds"], told["samples"]),
         _per(told["tokens"], told["samples"])]
        for name, told in [*domains.items(), ("Total", total)]
    ]  # fmt: skip
    return markdown_table(["domain", "samples", "average rounds", "average tokens"], body)


def _yields(tallies: Mapping[str, Told], level: float) -> list[str]:
    body = []
    for name, told in tallies.items():
        share = told["yield"]
        ends = "" if share["low"] is None else f" [{share['low']:.3f}, {share['high']:.3f}]"
        body.append(
            [plain(name), f"{told['questions']:,}", f"{told['answered']:,}", f"{told['sampled']:,}",
             f"{told['fit']:,}", f"{share['mean']:.3f}{ends}", f"{told['duplicates']:,}",
             f"{told['surplus']:,}", f"{told['kept']:,}"]
        )  # fmt: skip
    header = [
        "domain", "questions", "with a fit sample", "sampled", "fit", "yield", "duplicates",
        "surplus", "kept",
    ]  # fmt: skip
    return [
        *markdown_table(header, body),
        "",
        f"Yield: the share of a question's samples that all filters let pass, its mean over "
        f"questions, and the {level:.0%} interval. Duplicates and surplus are fit, but not kept.",
    ]


def _filters(tallies: Mapping[str, Told]) -> list[str]:
    names = list(next(iter(tallies.values()))["rejected"])
    header = ["filter", *(plain(domain) for domain in tallies)]
    count = lambda name, told: f"{told['rejected'][name]:,} / {told['rejected_overall'][name]:,}"
    body = [[name, *(count(name, told) for told in tallies.values())] for name in names]
    return [
        *markdown_table(header, body),
        "",
        "Rejected as the first reason / by this filter at all. Correct answers alone, and no mixed "
        "languages, long paragraphs and blocks of code are the paper's filters; its "
        "thresholds and samples per question are not published.",
    ]


def _example(label: str, row: Told) -> list[str]:
    answer = "no answer" if row["answer"] is None else f"answer {plain(row['answer'])}"
    return [
        f"### {plain(label)}",
        "",
        f"{plain(row['id'])}, sample {row['sample']}: {answer}, gold {plain(row['gold'])}, "
        f"{row['tokens']:,} tokens. {plain(row['reason'])}",
        "",
        *fenced(row["question"]),
        "",
        *fenced(row["completion"]),
        "",
    ]


def write_sample_report(
    workdir: str | Path,
    *,
    title: str,
    domains: Mapping[str, Told],
    tallies: Mapping[str, Told],
    mixture: Mapping[str, Told],
    examples: Sequence[tuple[str, Told]],
    level: float,
    facts: Told,
) -> Path:
    """Writes `report.md`.

    Args:
      workdir: where to.
      title: of the page.
      domains: what was written, as `composition_table` takes it.
      tallies: by domain of the task, what became of the samples.
      mixture: by name, `rows` that were there, `contaminated` ones, those `wanted`.
      examples: sampled rows under what they are examples of.
      level: of the intervals.
      facts: of the run, nested.

    Returns:
      Its path.
    """
    text = [
        f"# {plain(title)}", "", *composition_table(domains), "",
        "Rounds are questions with their replies; tokens those of the replies, by the sampled "
        "model's tokenizer, each with its end.", "",
        "## Yield", "", *_yields(tallies, level), "", "## Filters", "", *_filters(tallies), "",
    ]  # fmt: skip
    if mixture:
        body = [
            [plain(name), f"{told['rows']:,}", f"{told['contaminated']:,}", f"{told['wanted']:,}"]
            for name, told in mixture.items()
        ]
        header = ["mixed in", "rows there", "hold an evaluation question", "written"]
        text += ["## Mixture", "", *markdown_table(header, body), ""]
    text += ["## Examples", ""]
    for label, row in examples:
        text += _example(label, row)
    text += ["## The run", "", *markdown_table(["fact", "value"], facts_table(facts, ""))]
    path = Path(workdir) / "report.md"
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path
