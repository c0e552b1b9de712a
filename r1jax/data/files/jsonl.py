"""JSON lines, one object a line, plain or gzipped."""

import codecs
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from r1jax.config import UserError


def lines(path: Path) -> Iterator[bytes]:
    """Yields the lines of a file, which is gzipped if its name ends in .gz.

    Raises:
      UserError: if the gzip is broken.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        try:
            yield from file
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise UserError(f"{path}: broken gzip: {error}") from error


def parse(line: bytes, where: str) -> dict[str, Any]:
    """Returns the object that a line holds.

    Raises:
      UserError: if it holds none; begins with `where`.
    """
    try:
        row = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # or nested too deep
        raise UserError(f"{where}: {error}") from error
    if not isinstance(row, dict):
        raise UserError(f"{where}: got {type(row).__name__}, wanted an object")
    return row


def numbered_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields (line, object) of a file, lines counted from 1; blank ones count, but hold nothing.

    A byte order mark, as editors on Windows write it, is passed over.

    Raises:
      UserError: names file, line and cause of a line that holds no object.
    """
    begun = False
    for number, line in enumerate(lines(path), start=1):
        text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        if text.strip():
            try:
                row = parse(text, f"{path}:{number}")
            except UserError as error:
                if not begun and text.lstrip().startswith(b"["):
                    raise UserError(
                        f"{error}: wanted an object on each line; a file that is one JSON array is "
                        "the format 'json'"
                    ) from error
                raise
            begun = True
            yield number, row


def iter_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the objects alone, as `numbered_jsonl`."""
    return (row for _, row in numbered_jsonl(path))


def read_jsonl(path: str | Path) -> list[dict[str, Any]]:
    """Returns the objects of a file, as `iter_jsonl` yields them.

    Raises:
      UserError: as `numbered_jsonl`; also if there is no object.
    """
    rows = list(iter_jsonl(Path(path)))
    if not rows:
        raise UserError(f"{path}: empty, wanted at least one line")
    return rows
