"""A right row for the fields that a config names, to stand in errors about wrong ones."""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from r1jax.config import MissingPackage, UserError
from r1jax.data.files.fields import Filter, placeholders
from r1jax.data.files.paths import parts_of

_LONGEST = 1000  # characters of a row in an error
# by what a judge calls them
REFERENCES: Mapping[str, Any] = {
    "inputs": ["2 3\n"],
    "outputs": ["5\n"],
    "types": ["stdin_stdout"],
    "fn_name": "add",
    "starter": "",
    "asserts": ["assert add(2, 3) == 5"],
    "setup": "",
    "pytest": "from solution import add\n\ndef test_add():\n    assert add(2, 3) == 5\n",
    "prompt": "def add(a, b):\n",
    "test": "def check(candidate):\n    assert candidate(2, 3) == 5\n",
    "entry_point": "add",
    "numbers": [2, 3],
    "target": 5,
    "use_all": True,
    "names": ["Ann", "Ben"],
    "knights": [True, False],
}


def put(tree: Any, parts: Sequence[str], value: Any) -> Any:
    """Returns a tree with a value at the steps of a path; "*" spreads a list over items."""
    if not parts:
        return value
    part, rest = parts[0], parts[1:]
    if part == "*":
        values = value if isinstance(value, list) else [value]
        items = tree if isinstance(tree, list) else [{} for _ in values]
        return [put(item, rest, one) for item, one in zip(items, values, strict=False)]
    if re.fullmatch(r"-?\d+", part):
        items = list(tree) if isinstance(tree, list) else []
        at = int(part)
        items += [{} for _ in range((at + 1 if at >= 0 else -at) - len(items))]
        items[at] = put(items[at], rest, value)
        return items
    inside = tree if isinstance(tree, dict) else {}
    return {**inside, part: put(inside.get(part), rest, value)}


def with_fields(row: dict[str, Any], spec: str, value: Any) -> dict[str, Any]:
    """Returns a row whose first field of a template has a value, other needed ones some text."""
    for i, (field, may_lack) in enumerate(placeholders(spec)):
        if not may_lack:
            row = put(row, parts_of(field), value if i == 0 else "...")
    return row


def passing(row: dict[str, Any], filters: Sequence[Filter]) -> dict[str, Any]:
    """Returns a row that meets conditions on values; texts to match are not made up."""
    done = set()
    for condition in filters:
        wanted = condition.value
        if condition.field in done or condition.op not in ("one_of", "at_least", "at_most"):
            continue
        done.add(condition.field)
        value = wanted[0] if isinstance(wanted, list | tuple) and wanted else wanted
        row = put(row, parts_of(condition.field), value)
    return row


@contextlib.contextmanager
def shown_with(row: dict[str, Any]) -> Iterator[None]:
    """Adds a right row to the errors about wrong ones."""
    try:
        yield
    except MissingPackage:
        raise
    except UserError as error:
        text = json.dumps(row, ensure_ascii=False)
        text = text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
        raise UserError(f"{error}; a right row: {text}") from error
