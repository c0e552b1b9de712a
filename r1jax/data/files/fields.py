"""Fields of a row: where they stand, as text, and conditions on them."""

import dataclasses
import re
from typing import Any, Literal

from r1jax.config import UserError


def lookup(row: dict[str, Any], path: str, where: str) -> Any:
    """Returns what stands at a dotted path: keys of objects, indices of lists from 0, -1 the last.

    A key that is itself the whole path comes first.

    Raises:
      UserError: if nothing stands there; begins with `where`.
    """
    value: Any = row
    for part in [path] if path in row else path.split("."):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and re.fullmatch(r"-?\d+", part):
            if not -len(value) <= int(part) < len(value):
                raise UserError(f"{where}: no field {path!r}: a list of {len(value)} there")
            value = value[int(part)]
        else:
            there = sorted(value) if isinstance(value, dict) else type(value).__name__
            raise UserError(f"{where}: no field {path!r}, got {there}")
    return value


def as_text(value: Any, field: str, where: str, *, joint: str) -> str:
    """Returns a value as text, not stripped; a number too, since some data sets store answers so.

    Args:
      value: text, a number, or a list of these.
      field: its name, for the error.
      where: the row, for the error.
      joint: stands between the items of a list.

    Raises:
      UserError: if it is something else, or blank.
    """
    parts = value if isinstance(value, list) else [value]
    for part in parts:
        if isinstance(part, bool) or not isinstance(part, str | int | float):
            raise UserError(
                f"{where}: field {field!r} {'is' if part is value else 'holds'} "
                f"{type(part).__name__}, wanted text or a number"
            )
    text = joint.join(str(part) for part in parts)
    if not text.strip():
        raise UserError(f"{where}: field {field!r} is empty")
    return text


_PLACEHOLDER = re.compile(r"\{([^{}?]+)(\??)\}")


def bare(spec: str) -> str:
    """Returns a template without its own words: its fields, a line each."""
    return "\n".join(match[0] for match in _PLACEHOLDER.finditer(spec)) or spec


def filled(spec: str, row: dict[str, Any], where: str) -> str:
    """Returns a field of the row, or a template with its {fields} filled in, stripped.

    Args:
      spec: a path, or a template: "{Body} {Question}". The items of a list stand on lines of their
        own. A field with a question mark, {context?}, may be absent, null or empty.
      row: as read.
      where: the row, for the error.

    Raises:
      UserError: if a field is missing, of a wrong type or empty.
    """
    if not _PLACEHOLDER.search(spec):
        return as_text(lookup(row, spec, where), spec, where, joint="\n").strip()

    def fill(match: re.Match) -> str:
        field, optional = match[1], bool(match[2])
        if optional:
            try:
                value = lookup(row, field, where)
            except ValueError:
                return ""
            if value is None or value in ("", []):
                return ""
        return as_text(lookup(row, field, where), field, where, joint="\n").strip()

    text = _PLACEHOLDER.sub(fill, spec).strip()
    if not text:
        raise UserError(f"{where}: {spec!r} gives an empty text")
    return text


@dataclasses.dataclass(frozen=True)
class Filter:
    """A condition on a row; rows that do not meet it are left out.

    Attributes:
      field: dotted path; a row without it is an error, not a row that fails.
      op: "one_of" and "not_one_of" compare with each of a list, as JSON does (5 is not "5");
        "at_least" and "at_most" compare numbers, or texts that are numbers; "matches" searches a
        regular expression in the text; "max_chars" counts the text's characters.
      value: a list, a number, or a regular expression, as `op` asks.
    """

    field: str
    op: Literal["one_of", "not_one_of", "at_least", "at_most", "matches", "max_chars"]
    value: object

    def __post_init__(self):
        numeric = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        wanted, good = {
            "one_of": ("a list", isinstance(self.value, list | tuple)),
            "not_one_of": ("a list", isinstance(self.value, list | tuple)),
            "at_least": ("a number", numeric),
            "at_most": ("a number", numeric),
            "matches": ("a regular expression", isinstance(self.value, str)),
            "max_chars": ("a number", numeric),
        }[self.op]
        if not good:
            raise UserError(f"{self.field} {self.op}: got {self.value!r}, wanted {wanted}")
        if self.op == "matches":
            compiled(str(self.value), f"{self.field} matches")


def compiled(pattern: str, what: str) -> re.Pattern:
    """Returns the compiled expression.

    Raises:
      UserError: if it is none; `what` says whose.
    """
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UserError(f"{what} {pattern!r}: no regular expression: {error}") from error


def _number(value: Any, field: str, where: str) -> float:
    try:
        return float(as_text(value, field, where, joint=", "))
    except ValueError as error:
        raise UserError(f"{where}: field {field!r} is {value!r}, wanted a number") from error


def _equal(a: Any, b: Any) -> bool:
    """Whether JSON values are equal; Python takes True for 1."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def passes(condition: Filter, row: dict[str, Any], where: str) -> bool:
    """Whether a row meets the condition.

    Raises:
      UserError: if the field is missing or cannot be compared.
    """
    field, wanted = condition.field, condition.value
    value = lookup(row, field, where)
    if condition.op in ("one_of", "not_one_of"):
        assert isinstance(wanted, list | tuple)
        return any(_equal(value, w) for w in wanted) == (condition.op == "one_of")
    if condition.op in ("at_least", "at_most"):
        assert isinstance(wanted, int | float)
        number = _number(value, field, where)
        return number >= wanted if condition.op == "at_least" else number <= wanted
    text = as_text(value, field, where, joint="\n")
    if condition.op == "max_chars":
        assert isinstance(wanted, int | float)
        return len(text) <= wanted
    return re.search(str(wanted), text) is not None
