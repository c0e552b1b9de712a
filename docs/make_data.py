"""Writes docs/data.md: a row of each data set that configs/ knows, its block, and what comes of it.

python docs/make_data.py

The rows stand in docs/data_rows.py and are our own; the blocks are those of configs/data.py and
configs/conversations.py. Each row is written to a file of the block's format and read by the block.
tests/docs/test_data.py compares the result with the file that is committed.
"""

import csv
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import data_rows  # noqa: E402  # below the path

from configs import conversations, data  # noqa: E402
from r1jax import config as configs  # noqa: E402
from r1jax.data.files.mapping import load_problems  # noqa: E402
from r1jax.data.files.source import FileSource  # noqa: E402
from r1jax.data.rows.conversation_fields import read_conversations  # noqa: E402
from r1jax.pipelines.sft.config import DataConfig  # noqa: E402

PAGE = ROOT / "docs" / "data.md"
COMMAND = "python docs/make_data.py"
Block = dict[str, Any]


def write_row(path: Path, format: str, row: dict[str, Any]) -> None:
    """Writes a file of one row in a format."""
    if format == "parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), path)
    elif format in ("csv", "tsv"):
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter="," if format == "csv" else "\t")
            writer.writerows([row.keys(), row.values()])
    else:
        text = json.dumps([row] if format == "json" else row, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _options(block: Block, usual: Block) -> str:
    """The keys of a block that differ from the usual ones, as a call has them."""
    given = {key: value for key, value in block.items() if key != "path" and value != usual[key]}
    lines = (f"    {key}={value!r},\n" for key, value in given.items())
    return "".join(['    "FILE",\n', *lines])


def _section(name: str, make: Callable[..., Block], call: str, *parts: tuple[str, str]) -> str:
    what = " ".join((make.__doc__ or "").split("\n\n")[0].split())
    lines = [f"### {name}", "", f"`{call}`" + (f": {what}" if what else ""), ""]
    for language, text in parts:
        lines += [f"```{language}", text.rstrip("\n"), "```", ""]
    return "\n".join(lines)


def question_section(name: str, folder: Path) -> str:
    """The section of a set of questions."""
    make, (suffix, row) = getattr(data, name), data_rows.QUESTIONS[name]
    path = folder / f"{name}.{suffix}"
    block = make(str(path))
    write_row(path, block["format"], row)
    (problem,) = load_problems(configs.build(FileSource, block))
    made = {"question": problem.question, "answer": problem.answer}
    made |= {"reference": problem.reference} if problem.reference else {}
    labels = {"stratum": problem.stratum, "subject": problem.subject}
    made |= {key: label for key, label in labels.items() if label}
    result = "\n".join(f"{key}: {_shown(value)}" for key, value in made.items())
    options = f"data.rows(\n{_options(block, data.rows(block['path']))})"
    parts = (("json", _shown(row)), ("text", options), ("text", result))
    return _section(name, make, f'data.{name}("{name}.{suffix}")', *parts)


def conversation_section(name: str, folder: Path) -> str:
    """The section of a set of conversations."""
    make, (suffix, row) = getattr(conversations, name), data_rows.CONVERSATIONS[name]
    path = folder / f"{name}.{suffix}"
    block = make(str(path))
    write_row(path, block["format"], row)
    config = configs.build(DataConfig, block)
    (made,) = read_conversations(path, format=config.format, fields=config.fields, limit=0)
    turns = "\n".join(f"{message.role}: {_shown(message.content)}" for message in made.messages)
    usual = conversations.fields(str(path))
    given = {k: v for k, v in block["fields"].items() if v != usual["fields"][k]}
    lines = "".join(f"    {key}={value!r},\n" for key, value in given.items())
    options = f'conversations.fields(\n    "FILE",\n{lines})'
    result = f"id: {_shown(made.id)}\nsource: {_shown(made.source)}\n{turns}"
    parts = (("json", _shown(row)), ("text", options), ("text", result))
    return _section(name, make, f'conversations.{name}("{name}.{suffix}")', *parts)


def make() -> str:
    """Returns the page."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "data"
        place.mkdir()
        questions = [question_section(name, place) for name in data_rows.QUESTIONS]
        talks = [conversation_section(name, place) for name in data_rows.CONVERSATIONS]
    text = data_rows.INTRO.replace("COMMAND", COMMAND)
    return "\n".join([text, "## Questions\n", *questions, data_rows.BETWEEN, *talks])


if __name__ == "__main__":
    PAGE.write_text(make(), encoding="utf-8")
