"""Problems from JSON lines, one object a line, plain or gzipped."""

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from r1jax.data.problems import Problem


def _lines(path: Path) -> Iterator[bytes]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        try:
            yield from file
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path}: broken gzip: {error}") from error


def read_jsonl(path: str | Path) -> list[dict[str, Any]]:
    """Returns the objects of a file, one a line, so row i stands on line i + 1.

    Raises:
      ValueError: names file, line (from 1) and cause of a line that holds no object; also if there
        is no line.
    """
    path, rows = Path(path), []
    for number, line in enumerate(_lines(path), start=1):
        try:
            row = json.loads(line.decode("utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f"{path}:{number}: got {type(row).__name__}, wanted an object")
        rows.append(row)
    if not rows:
        raise ValueError(f"{path}: empty, wanted at least one line")
    return rows


def _text(row: dict[str, Any], field: str, where: str) -> str:
    """The field as text; numbers are taken, since some data sets store answers so."""
    if field not in row:
        raise ValueError(f"{where}: no field {field!r}, got {sorted(row)}")
    value = row[field]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(
            f"{where}: field {field!r} is {type(value).__name__}, wanted text or a number"
        )
    text = str(value).strip()
    if not text:
        raise ValueError(f"{where}: field {field!r} is empty")
    return text


def load_problems(
    path: str | Path,
    *,
    question_field: str,
    answer_field: str,
    answer_pattern: str,
    stratum_field: str,
) -> list[Problem]:
    r"""Returns the problems of a file of JSON lines; ids are FOLDER/FILE:LINE.

    Args:
      path: .jsonl or .jsonl.gz.
      question_field: its name.
      answer_field: its name.
      answer_pattern: regular expression with one group, searched in the answer field; "" takes all
        of it. GSM8K ends its solutions in "#### 18": r"####\s*(.+)$".
      stratum_field: the field with the difficulty label; "" for none.

    Raises:
      ValueError: names the line whose field is missing, empty or does not match; or a pattern
        without one group.
    """
    pattern = re.compile(answer_pattern or r"(?s)(.+)")
    if pattern.groups != 1:
        raise ValueError(f"answer_pattern {answer_pattern!r}: {pattern.groups} groups, wanted 1")
    path, problems = Path(path).resolve(), []
    name = path.name.removesuffix(".gz").removesuffix(".jsonl")
    for number, row in enumerate(read_jsonl(path), start=1):
        where = f"{path}:{number}"
        field = _text(row, answer_field, where)
        match = pattern.search(field)
        if match is None or not match[1].strip():
            raise ValueError(f"{where}: {answer_pattern!r} finds nothing in ...{field[-60:]!r}")
        problems.append(
            Problem(
                id=f"{path.parent.name}/{name}:{number}",
                question=_text(row, question_field, where),
                answer=match[1].strip(),
                stratum=_text(row, stratum_field, where) if stratum_field else "",
            )
        )
    return problems
