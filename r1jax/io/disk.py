"""Files that are written whole or not at all; disks and files that fail or are gone."""

import contextlib
import errno
import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TextIO

from absl import logging as absl_logging


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


def check_there(file: IO[Any]) -> None:
    """Raises unless an open file is still the one that its name stands for.

    Raises:
      OSError: ESTALE: what is written to a file that was removed is lost without any error.
    """
    try:
        there = os.path.samestat(os.stat(file.name), os.fstat(file.fileno()))
    except FileNotFoundError:
        there = False
    if not there:
        what = "removed or replaced while the run wrote to it"
        raise OSError(errno.ESTALE, what, file.name)


def _is_told(record: logging.LogRecord) -> bool:
    """Whether a log record is of an error that a save or restore raises besides."""
    return record.levelno >= logging.ERROR and (
        record.name == "asyncio" or "orbax" in Path(record.pathname).parts
    )


def quiet_orbax() -> None:
    """Drops what orbax and its event loop print of a failed save or restore: the error is raised.

    On a full disk these were a thousand lines of traces above the one that says so.
    """
    absl_logging.get_absl_handler().addFilter(lambda record: not _is_told(record))
    others = sys.unraisablehook

    def hook(told: Any) -> None:
        error = str(told.exc_value)
        if not error.startswith(("Event loop is closed", "Encountered error while reading array")):
            others(told)

    sys.unraisablehook = hook
