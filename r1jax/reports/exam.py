"""An exam on one page: its numbers with their doubt, its picture, answers to read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r1jax.config import UserError
from r1jax.reports import page
from r1jax.reports.exam_plots import plot_exam
from r1jax.reports.markdown import number, plain, span

Results = Mapping[str, Any]

SHOWN = ("id", "sample", "prompt", "completion", "gold", "answer", "value", "reason", "tokens")
FEW = 30  # with fewer questions the page advises the sign flips


def _length(value: float | None) -> str:
    return "—" if value is None else f"{value:,.1f}"


def _p(value: float | None) -> str:
    return "—" if value is None else f"{value:.2g}" if value >= 1e-4 else "< 0.0001"


def _headline(results: Results) -> str:
    questions = results["questions"]
    scores = [("pass@1", results["pass_at_1"])]
    scores += [(f"pass@{k}", score) for k, score in results["pass_at"].items() if k != "1"]
    scores += [(f"cons@{k}", score) for k, score in results["cons_at"].items() if k != "1"]
    if results["mean_value"]["mean"] != results["pass_at_1"]["mean"]:
        scores.append(("mean value, parts counted", results["mean_value"]))
    few = [score["questions"] < questions for _, score in scores]
    body = [
        [name, span(score) + (f" ({score['questions']} of {questions} questions)" if less else "")]
        for (name, score), less in zip(scores, few, strict=True)
    ]
    rates = results["rates"]
    body += [
        ["well-formed", f"{rates['format']:.1%}"],
        ["truncated", f"{rates['truncation']:.1%}"],
        ["not judged", f"{rates['error']:.1%}"],
        ["mean length (tokens)", _length(results["lengths"]["all"]["mean"])],
    ]
    return page.table(
        ["", f"{questions:,} questions, {results['samples']:,} answers to each"], body
    )


def _errors(results: Results) -> str:
    """What the judge's failures could hide; "" if it never failed."""
    errors = results["errors"]
    if not errors["answers"]:
        return ""
    lost = len(errors["unjudged"])
    return (
        f"**The judge failed on {errors['answers']:,} of {results['answers']:,} answers**, which "
        "no mean counts"
        + (f"; {lost:,} questions were lost altogether" if lost else "")
        + f". pass@1 would be {number(errors['pass_at_1_if_wrong'])} had they all been wrong, "
        f"{number(errors['pass_at_1_if_right'])} had they all been right."
    )


def _comparison(comparison: Mapping[str, Any] | None) -> list[str]:
    if comparison is None:
        return []
    c = comparison
    body = [
        ["pass@1, this", number(c["mean_a"])],
        ["pass@1, the other", number(c["mean_b"])],
        [
            f"difference, {c['level']:.0%} interval",
            f"{c['difference']:+.3f} [{c['low']:+.3f}, {c['high']:+.3f}]",
        ],
        ["p, paired t-test", _p(c["p_t"])],
        ["p, sign flips", _p(c["p_flip"])],
    ]
    blocks = [
        f"## Against {plain(c['against'])}",
        page.table(["", f"{c['questions']:,} questions that both answered"], body),
    ]
    if c["left_out"]:
        blocks.append(f"{c['left_out']:,} questions that a judge failed on are left out.")
    if c["p_t"] is None:
        blocks.append("Every question differs by the same amount: a t-test has nothing to say.")
    elif c["questions"] < FEW:
        blocks.append("With so few questions trust the sign flips: they assume no normal errors.")
    return blocks


def _groups(results: Results) -> list[str]:
    blocks = []
    for kind in ("stratum", "subject"):
        body = [
            [
                plain(name) or "(none)",
                f"{group['questions']:,}",
                span(group),
                _length(group["mean_length"]),
            ]
            for name, group in results[f"by_{kind}"].items()
        ]
        if body:
            header = [kind, "questions", "pass@1", "mean length"]
            blocks += [f"## By {kind}", page.table(header, body)]
    return blocks


def _lengths(results: Results) -> list[str]:
    body = [
        [kind, f"{lengths['answers']:,}", _length(lengths["mean"]), _length(lengths["median"])]
        for kind, lengths in results["lengths"].items()
    ]
    header = ["answers", "how many", "mean length (tokens)", "median"]
    return ["## Length", page.table(header, body)]


def _example(label: str, row: Mapping[str, Any] | None) -> list[str]:
    heading = f"### {label.capitalize()}"
    if row is None:
        return [heading, "None."]
    missing = [key for key in SHOWN if key not in row]
    if missing:
        raise UserError(f"report: example {label!r}: missing keys {missing}")
    value = f"value {row['value']:g}, "
    return [heading, *page.answer(row, question=row["prompt"], value=value)]


def write_exam_report(
    workdir: str | Path,
    *,
    title: str,
    results: Results,
    comparison: Mapping[str, Any] | None,
    examples: Mapping[str, Mapping[str, Any] | None],
    facts: Mapping[str, Any],
) -> Path:
    """Writes `report.md` and its picture `report.png`.

    Args:
      workdir: where to.
      title: of both: the exam and the model.
      results: of `exams.results.results`.
      comparison: of `exams.results.compare`, or None.
      examples: answers to show in full by what they are examples of, None where there is none;
        stored answers with the keys of `SHOWN`.
      facts: of the run, nested as they are in summary.json.

    Returns:
      The path of report.md.

    Raises:
      UserError: if an example lacks a key.
    """
    workdir = Path(workdir)
    blocks = [
        _headline(results),
        f"In brackets the {results['level']:.0%} interval: Student's t over questions, the rule of "
        "three where all of them are alike. A dash: nothing to tell it from.",
        _errors(results),
        page.picture("pass@k and cons@k, groups, lengths, questions"),
        *_comparison(comparison),
        *_groups(results),
        *_lengths(results),
        "## Answers",
        *(block for label, row in examples.items() for block in _example(label, row)),
        "## The run",
        page.facts(facts, "fact"),
    ]
    plot_exam(workdir / "report.png", title=title, results=results)
    return page.write_page(workdir, plain(title), blocks)
