r"""Sets of real numbers in their many spellings, as unions of intervals.

x > 2, |x| < 3, x \ne 1, \mathbb{R}\setminus\{1\}, \{x \mid 1 \le x < 4\} and ]2,5[ are all read;
the ends stay texts.
"""

import itertools
import re
from typing import NamedTuple

from r1jax.config import UserError
from r1jax.rewards.answers import numbers


class Interval(NamedTuple):
    """An interval: two of ()[] and its ends."""

    brackets: str
    left: str
    right: str


ALL = Interval("()", "-\\infty", "\\infty")
_ORDER = re.compile(r"(<=|>=|<|>|\\(?:le|ge|lt|gt)(?![A-Za-z]))")
_VARIABLE = re.compile(r"(?:\\[a-z]+|[A-Za-z])(?:_\{?\w+\}?)?")
_UNEQUAL = re.compile(r"((?:\\[a-z]+|[A-Za-z])(?:_\{?\w+\}?)?)\s*\\ne(?![A-Za-z])\s*(.+)")
_ABSOLUTE = re.compile(r"\|([A-Za-z])\s*(?:([-+])\s*([^|]+))?\|")
_BUILDER = re.compile(
    r"\\?\{\s*([A-Za-z])\s*(?:\\in\s*\\mathbb\{R\}\s*)?(?:\||:|\\mid(?![A-Za-z]))\s*(.+?)\s*\\?\}"
)
_REALS = re.compile(r"(?:[A-Za-z]\s*\\in\s*)?\\mathbb\{R\}")
_WITHOUT = re.compile(r"(?:[A-Za-z]\s*\\in\s*)?\\mathbb\{R\}\s*(?:\\setminus|-)\s*\\\{(.+)\\\}")
_DOMAIN = re.compile(r"^[A-Za-z]\s*\\in\s*\\mathbb\{R\}\s*(?:,|\\text\{,? ?and\}|and)\s*(?=\S)")
_DOMAIN_BEHIND = re.compile(r"(?<=\S)\s*,\s*[A-Za-z]\s*\\in\s*\\mathbb\{R\}(?=\s*\\?\}|\s*\Z)")
_EUROPEAN = re.compile(r"([\[\]])([^\[\]]+)([\[\]])")
_AND = re.compile(r",|;|\\text\{[ ,]*and[ ,]*\}|\band\b|\\land(?![A-Za-z])")
_OR = re.compile(r"\\text\{[ ,]*(?:or|或)[ ,]*\}|\bor\b|\\lor(?![A-Za-z])|或")


def read(text: str) -> list[Interval]:
    """Returns the intervals of a set that is told by a condition or by what it lacks, else [].

    Plain intervals and their unions are left to the reader of brackets.
    """
    text = _DOMAIN_BEHIND.sub("", _DOMAIN.sub("", text))
    if builder := _BUILDER.fullmatch(text):
        return read(builder[2])
    if _REALS.fullmatch(text):
        return [ALL]
    if lacking := _WITHOUT.fullmatch(text):
        return _without(re.split("[,;]", lacking[1]))
    if "\\ne" in text:
        return _unequal(_AND.split(text))
    if _OR.search(text):
        pieces = [read(piece.strip()) for piece in _OR.split(text)]
        return [interval for piece in pieces for interval in piece] if all(pieces) else []
    return _inequality(text)


def european(text: str) -> str:
    """A text with ]2,5[ written as (2,5)."""
    if not text.startswith("]") and not text.endswith("["):
        return text
    return _EUROPEAN.sub(
        lambda m: f"{'[' if m[1] == '[' else '('}{m[2]}{']' if m[3] == ']' else ')'}", text
    )


def _unequal(pieces: list[str]) -> list[Interval]:
    points, names = [], set()
    for piece in pieces:
        found = _UNEQUAL.fullmatch(piece.strip())
        if found:
            names.add(found[1])
        elif not points:
            return []
        points.append(found[2] if found else piece)  # x \ne 1, 2
    return _without(points) if len(names) == 1 else []


def _without(points: list[str]) -> list[Interval]:
    """The real numbers without some; several have to be plain numbers, to be put in order."""
    points = [sign for point in points for sign in _signs(point.strip())]
    if not all(points):
        return []
    if len(points) > 1:
        try:
            points.sort(key=lambda point: numbers.read(point).value)
        except UserError:
            return []
    ends = [ALL.left, *points, ALL.right]
    return [Interval("()", a, b) for a, b in itertools.pairwise(ends)]


def _signs(point: str) -> list[str]:
    if point.startswith("\\pm"):
        bare = point.removeprefix("\\pm").strip()
        return [f"-{bare}", bare]
    return [point]


def _inequality(text: str) -> list[Interval]:
    """The interval of x > 2, 1 < x < 3 or |x - 1| < 3."""
    pieces = [piece.strip() for piece in _ORDER.split(text)]
    if len(pieces) not in (3, 5) or not all(pieces):
        return []
    less = [sign in ("<", "<=", "\\le", "\\lt") for sign in pieces[1::2]]
    equal = [sign in ("<=", ">=", "\\le", "\\ge") for sign in pieces[1::2]]
    if len(pieces) == 5:
        if less[0] != less[1] or not _VARIABLE.fullmatch(pieces[2]):
            return []
        ends, closed = [pieces[0], pieces[4]], equal
        if not less[0]:
            ends, closed = ends[::-1], closed[::-1]
        return [_interval(ends, closed)]
    left, right, below = pieces[0], pieces[2], less[0]
    if _is_unknown(right) and not _is_unknown(left):
        left, right, below = right, left, not below
    if absolute := _ABSOLUTE.fullmatch(left):
        return _around(absolute, right, below=below, closed=equal[0])
    if not _VARIABLE.fullmatch(left):
        return []
    if below:
        return [_interval([ALL.left, right], [False, equal[0]])]
    return [_interval([right, ALL.right], [equal[0], False])]


def _is_unknown(text: str) -> bool:
    return bool(_VARIABLE.fullmatch(text) or _ABSOLUTE.fullmatch(text))


def _around(absolute: re.Match[str], radius: str, *, below: bool, closed: bool) -> list[Interval]:
    """What |x - a| < r or > r says; r, and a if there is one, have to be numbers to be added."""
    low, high = f"-{radius}", radius
    try:
        size = numbers.read(radius).value
        middle = numbers.read(absolute[3]).value if absolute[3] else 0
    except UserError:
        if absolute[3] or not re.fullmatch(r"\\?\w+(?:\{[^{}]*\})*", radius):
            return []
    else:
        if size <= 0:
            return []
        middle = middle if absolute[2] == "-" else -middle
        low, high = str(middle - size), str(middle + size)
    if below:
        return [_interval([low, high], [closed, closed])]
    return [
        _interval([ALL.left, low], [False, closed]),
        _interval([high, ALL.right], [closed, False]),
    ]


def _interval(ends: list[str], closed: list[bool]) -> Interval:
    return Interval(("[" if closed[0] else "(") + ("]" if closed[1] else ")"), *ends)
