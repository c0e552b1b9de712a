"""Fields of a row as text, templates of them, and conditions on them."""

import dataclasses
import decimal
import math
import re
from collections.abc import Callable
from typing import Any, Literal

from r1jax.config import UserError
from r1jax.data.files.paths import lookup, optional, parts_of


def is_absent(value: Any) -> bool:
    """Whether a value is none: null, NaN as pandas writes it, an empty text or list."""
    return value is None or value in ("", []) or (isinstance(value, float) and math.isnan(value))


def rendered(value: Any, what: str) -> str:
    """Returns a text as it is, a truth value as JSON has it, a number in digits.

    True is "true". Numbers have no exponent: 2.50 of a decimal column is "2.50", 145.0 is "145.0",
    1e-07 is "0.0000001".

    Raises:
      UserError: if it is something else, NaN or infinite; begins with `what`.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        value = decimal.Decimal(repr(value))
    if isinstance(value, decimal.Decimal):
        if not value.is_finite():
            raise UserError(f"{what} {value}, wanted text or a number")
        return format(value, "f")
    if not isinstance(value, str | int):
        kind = type(value).__name__
        hint = ""
        if isinstance(value, dict) and value:
            hint = f"; a dotted path names a field in it, such as .{next(iter(value))}"
        raise UserError(f"{what} {kind}, wanted text or a number{hint}")
    return str(value)


def as_text(value: Any, field: str, where: str, *, joint: str) -> str:
    """Returns a value as text, not stripped (`rendered`).

    Args:
      value: text, a number, a truth value, or a list of these.
      field: its name, for the error.
      where: the row, for the error.
      joint: stands between the items of a list.

    Raises:
      UserError: if it is something else, blank, or a number that is none (NaN).
    """
    many = isinstance(value, list)
    what = f"{where}: field {field!r} {'holds' if many else 'is'}"
    text = joint.join(rendered(part, what) for part in (value if many else [value]))
    if not text.strip():
        raise UserError(f"{where}: field {field!r} is empty")
    return text


_PLACEHOLDER = re.compile(r"\{([^{}?:]+)(\??)(?::([^{}]+))?\}")


def placeholders(spec: str) -> list[tuple[str, bool]]:
    """Returns the fields of a template, or the one that a path is, and which may be absent."""
    found = [(match[1], bool(match[2])) for match in _PLACEHOLDER.finditer(spec)]
    return found or [(spec, False)]


def bare(spec: str) -> str:
    """Returns a template without its own words: its fields, a line each."""
    return "\n".join(match[0] for match in _PLACEHOLDER.finditer(spec)) or spec


def filled(
    spec: str, row: dict[str, Any], where: str, *, change: Callable[[str], str] | None = None
) -> str:
    """Returns a field of the row, or a template with its {fields} filled in, stripped.

    Args:
      spec: a path, or a template: "{Body} {Question}". The items of a list stand on lines of their
        own, or with what follows a colon between them: {nums:, }. A field with a question mark,
        {context?}, may be absent, null or empty.
      row: as read.
      where: the row, for the error.
      change: what becomes of the text of each field.

    Raises:
      UserError: if a field is missing, of a wrong type or empty.
    """

    def text_of(field: str, joint: str) -> str:
        text = as_text(lookup(row, field, where), field, where, joint=joint)
        return (change(text) if change else text).strip()

    def fill(match: re.Match) -> str:
        field, may_lack, joint = match[1], match[2], match[3] or "\n"
        if may_lack and is_absent(optional(row, field + "?", where)):
            return ""
        return text_of(field, joint)

    if _PLACEHOLDER.search(spec):
        text = _PLACEHOLDER.sub(fill, spec).strip()
    else:
        text = text_of(spec, "\n")
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
        regular expression in the text; "max_chars" counts the text's characters. Of a path with
        "*" it must hold for each item.
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
    value = lookup(row, condition.field, where)
    each = value if "*" in parts_of(condition.field) and isinstance(value, list) else [value]
    return all(_meets(condition, item, where) for item in each)


def _meets(condition: Filter, value: Any, where: str) -> bool:
    field, wanted = condition.field, condition.value
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
