"""A page of Markdown: blocks of text, one blank line between them. Every report is written here."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from r1jax.reports.markdown import fenced, plain


def _leaves(summary: Mapping[str, Any], prefix: str) -> list[list[str]]:
    """Returns a row [name, value] for each leaf of nested dicts, names joined by dots."""
    body = []
    for key, value in summary.items():
        if isinstance(value, Mapping):
            body += _leaves(value, f"{prefix}{key}.")
        else:
            body.append(
                [f"{prefix}{key}", f"{value:.6g}" if isinstance(value, float) else str(value)]
            )
    return body


def table(header: Sequence[str], body: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """Returns a Markdown table as a block: its first `words` columns flush left, others right."""
    escaped = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in body]
    rule = ["---"] * words + ["---:"] * (len(header) - words)
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *escaped])


def facts(summary: Mapping[str, Any], name: str) -> str:
    """Returns nested dicts as a table of two columns, `name` and value; floats have six digits."""
    return table([name, "value"], _leaves(summary, ""))


def counts(numbers: Mapping[str, int], name: str) -> str:
    """Returns whole numbers by what they count as a table; `name` heads the numbers."""
    return table(["", name], [[key.replace("_", " "), f"{n:,}"] for key, n in numbers.items()])


def picture(alt: str, file: str = "report.png") -> str:
    """Returns the link to a picture beside the page; `alt` says what it shows."""
    return f"![{alt}]({file})"


def answer(row: Mapping[str, Any], *, question: str, value: str) -> list[str]:
    """Returns the blocks of a stored answer: how it was judged, the question, the completion.

    Args:
      row: of answers.jsonl.
      question: what was asked, in full.
      value: words on the answer's value, such as "value 1, ", or "".
    """
    reply = "no answer" if row["answer"] is None else f"answer {plain(row['answer'])}"
    judged = (
        f"{plain(row['id'])}, sample {row['sample']}: {reply}, gold {plain(row['gold'])}, {value}"
        f"{row['tokens']:,} tokens. {plain(row['reason'])}"
    )
    return [judged, fenced(question), fenced(row["completion"])]


def write_page(workdir: str | Path, title: str, blocks: Iterable[str]) -> Path:
    """Writes `report.md` and returns its path.

    Args:
      workdir: where to.
      title: of the page, in Markdown.
      blocks: headings, paragraphs, tables and so on, in order; an empty one is left out.
    """
    path = Path(workdir) / "report.md"
    page = "\n\n".join([f"# {title}", *filter(None, blocks)])
    path.write_text(page + "\n", encoding="utf-8")
    return path
