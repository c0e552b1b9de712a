"""JSON arrays and tables of text (CSV, TSV), plain or gzipped."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from r1jax.config import UserError
from r1jax.data.files.jsonl import lines


def numbered_json(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields (item, object) of a file that is one JSON array, items counted from 1.

    The file is held whole in memory.

    Raises:
      UserError: names file and cause if it is none, or the item that is no object.
    """
    data = b"".join(lines(path))
    try:
        items = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        hint = ""
        if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data":
            hint = "; one object on each line is the format 'jsonl'"
        raise UserError(
            f"{path}: got no JSON: {error}, wanted an array of objects{hint}"
        ) from error
    if not isinstance(items, list):
        there = f"an object with {sorted(items)[:8]}" if isinstance(items, dict) else "no list"
        raise UserError(f"{path}: got {there}, wanted an array of objects: [{{...}}, {{...}}]")
    for number, item in enumerate(items, start=1):
        if not isinstance(item, dict):
            raise UserError(f"{path}:{number}: got {type(item).__name__}, wanted an object")
        yield number, item


def _decoded(path: Path) -> Iterator[str]:
    for number, line in enumerate(lines(path), start=1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{path}:{number}: {error}, wanted UTF-8") from error


def numbered_table(path: Path, delimiter: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields (line, row) of a table whose first line names the columns; all cells are text.

    The line is the one where the row begins, counted from 1, the names' line among them; a cell in
    quotes may have line breaks. Blank lines count, but hold nothing.

    Raises:
      UserError: names file and line of a row with more or fewer cells than columns, or whose quotes
        do not close; or the file, if two columns share a name.
    """
    csv.field_size_limit(1 << 30)  # a cell may hold a long solution
    reader = csv.reader(_decoded(path), delimiter=delimiter, strict=True)
    names: list[str] = []
    begins = 1
    try:
        for cells in reader:
            at, begins = begins, reader.line_num + 1
            if not cells:
                continue
            if not names:
                names = cells
                if twice := sorted({name for name in names if names.count(name) > 1}):
                    raise UserError(f"{path}:{at}: columns {twice} stand there twice")
                continue
            if len(cells) != len(names):
                raise UserError(
                    f"{path}:{at}: got {len(cells)} cells, wanted {len(names)}: {_line(names)}"
                )
            yield at, dict(zip(names, cells, strict=True))
    except csv.Error as error:
        raise UserError(f"{path}:{begins}: {error}, wanted cells of {_line(names)}") from error


def _line(names: list[str]) -> str:
    """Names as the line of a CSV file, cut where they are many."""
    text = io.StringIO()
    csv.writer(text).writerow(names)
    return text.getvalue().strip()[:200]
