"""Files that are written whole or not at all; disks and files that fail."""

import contextlib
import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[TextIO]:
    """Yields a text file that takes the place of `path` at the end of the block.

    A reader sees the old file or the new one, never half of it.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def write_json(path: Path, document: Any, *, indent: int) -> None:
    """Writes a JSON file, whole or not at all.

    Raises:
      ValueError: if a number is NaN or infinite: JSON has no word for it.
      TypeError: if a value is no JSON.
    """
    text = json.dumps(document, indent=indent, ensure_ascii=False, allow_nan=False)
    with replaced(path) as file:
        file.write(text + "\n")


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes JSON lines, one a row, whole or not at all."""
    with replaced(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")

# What orbax, tensorstore, json and we ourselves raised on damaged files. Not RuntimeError: a
# device out of memory is no damage, and falling back from it would hide it.
DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError)


@contextlib.contextmanager
def write_failures(directory: Path) -> Iterator[None]:
    """Makes an OSError of the ValueError that tensorstore raises where it cannot write.

    Args:
      directory: what is written, for the error.
    """
    try:
        yield
    except ValueError as error:
        cause = " ".join(str(error).split())[:300]
        raise OSError(errno.EIO, f"the save failed: {cause}", str(directory)) from error


@contextlib.contextmanager
def read_failures() -> Iterator[None]:
    """Raises what orbax hides in a bare Exception: only the cause tells whether it is `DAMAGE`."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception or error.__cause__ is None:
            raise
        raise error.__cause__ from None
