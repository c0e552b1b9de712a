"""Where a value stands in a row: dotted paths into objects, lists and JSON inside a text."""

import ast
import functools
import json
import re
from typing import Any

from r1jax.config import UserError

_INDEX = re.compile(r"-?\d+")
_BRACKETS = re.compile(r"\[(-?\d+|\*)\]")
_LONGEST_LITERAL = 100_000  # characters of a Python literal; JSON may be longer


class Missing(UserError):
    """Nothing stands at a path; what is marked with a question mark may do so."""


def parts_of(path: str) -> list[str]:
    """Returns the steps of a path; "prompt[0].content" is "prompt.0.content"."""
    return _BRACKETS.sub(r".\1", path).lstrip(".").split(".")


@functools.lru_cache(maxsize=4)  # several fields of a row may lie in one text
def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if len(text) > _LONGEST_LITERAL:
            raise
    return ast.literal_eval(text)


def opened(text: str, where: str) -> Any:
    """Returns what a text holds as JSON or, failing that, as a Python literal: {'a': 1}.

    Raises:
      UserError: if it holds neither; begins with `where`.
    """
    try:
        return _parsed(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise UserError(f"{where}: got the text {text[:60]!r}, wanted JSON in it") from error


def _step(value: Any, part: str, path: str, where: str) -> Any:
    if isinstance(value, dict) and part in value:
        return value[part]
    if isinstance(value, list) and _INDEX.fullmatch(part):
        if not -len(value) <= int(part) < len(value):
            raise Missing(f"{where}: no field {path!r}: a list of {len(value)} there")
        return value[int(part)]
    there = sorted(map(str, value)) if isinstance(value, dict) else type(value).__name__
    raise Missing(f"{where}: no field {path!r}, got {there}")


def _descend(value: Any, parts: list[str], path: str, where: str, *, may_lack: bool = False) -> Any:
    """What the steps lead to; where they may lead nowhere, None, or None among others' values."""
    for i, part in enumerate(parts):
        if isinstance(value, str):
            value = opened(value, f"{where}: no field {path!r}: before {part!r}")
        if part == "*" and isinstance(value, list):
            rest = parts[i + 1 :]
            return [_descend(item, rest, path, where, may_lack=may_lack) for item in value]
        try:
            value = _step(value, part, path, where)
        except Missing:
            if may_lack:
                return None
            raise
    return value


def lookup(row: dict[str, Any], path: str, where: str) -> Any:
    """Returns what stands at a dotted path.

    Its steps are keys of objects, indices of lists from 0, -1 the last, and "*", which goes on in
    each item of a list and gives a list. Where a path goes on into a text, the text is opened as
    JSON. A key that is itself the whole path comes first.

    Raises:
      Missing: if nothing stands there; begins with `where`.
      UserError: if a text on the way holds no JSON.
    """
    return row[path] if path in row else _descend(row, parts_of(path), path, where)


def optional(row: dict[str, Any], path: str, where: str) -> Any:
    """Returns what stands at a path, or None: a path that ends in "?" may lead nowhere.

    Of a list with "*", items that lack the field have None, and a list of nothing else is None.

    Raises:
      Missing: if nothing stands at a path without "?".
      UserError: as `lookup`.
    """
    if path in row or not path.endswith("?"):
        return lookup(row, path, where)
    path = path[:-1]
    if path in row:
        return row[path]
    value = _descend(row, parts_of(path), path, where, may_lack=True)
    nothing = isinstance(value, list) and bool(value) and not any(v is not None for v in value)
    return None if nothing and "*" in path else value
