r"""The shape of an answer: a number, a text, an expression, or several of them.

Lists ("1, 2 and 3", \{1,2\}, 1\pm\sqrt{2}) have no order; tuples, intervals and matrices have one.
An inequality is its interval. Only single expressions are left to computer algebra, so that what
an answer may look like is decided here, exactly.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from r1jax.rewards.answers import latex, numbers, units

MAX_CHARS = 500
MAX_DEPTH = 50

_OPEN, _CLOSE = frozenset(["(", "[", "{", "\\{"]), frozenset([")", "]", "}", "\\}"])
_COMMAS = re.compile(r"[,;\u3001\u6216\u548c]|and|or|\\text\{[ ,]*(?:and|or)[ ,]*\}")
_MARK = re.compile(
    r"\\text\{[ ,]*(?:and|or)[ ,]*\}|\\[{}]|\\[A-Za-z]+|\\\\|\\.|[()\[\]{},;&=\u3001\u6216\u548c]"
    r"|(?<![A-Za-z])(?:and|or)(?![A-Za-z])"
)
_NAME = re.compile(
    r"\\?[A-Za-z][A-Za-z' ]{0,12}(?:_\{?[\\A-Za-z0-9 ]{1,12}\}?)?(?:\([A-Za-z0-9]{1,3}\))?"
    r"(?:\s*\+\s*[A-Za-z]){0,4}\s*(?:=|\\in(?![a-z]))\s*"
    r"|\([A-Za-z](?:, *[A-Za-z]){1,4}\)\s*(?:=|\\in(?![a-z]))\s*"
)
_RELATION = re.compile(r"<=|>=|[=<>]|\\(?:le|ge|lt|gt|in|ne|neq)(?![A-Za-z])")
_ORDER = re.compile(r"(<=|>=|<|>|\\(?:le|ge|lt|gt)(?![A-Za-z]))")
_VARIABLE = re.compile(r"[A-Za-z](?:_\{?\w+\}?)?")
_MATRIX = re.compile(r"\\begin\{([pb]?matrix)\}(.*)\\end\{\1\}")
_BASE = re.compile(r"\(?([0-9A-Z]+(?:\.[0-9A-Z]+)?|\.[0-9A-Z]+)\)?_\{?(\d+)\}?")
_WORD = re.compile(r"[A-Za-z]{3}|[:\u4e00-\u9fff]|\A[A-Za-z]*\Z")
_SPACE = re.compile(r"(\\[A-Za-z]+ (?=[A-Za-z]))|\s+")
_TEXT = re.compile(r"\\text\{([^{}]*)\}")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_COLON = re.compile(r"\s*:\s*")
_NOON = re.compile(r"(?<=\d) ?([ap])\.? ?m\b\.?")
_PLUS_MINUS = re.compile(r"\\pm(?![A-Za-z])")
_LONE_BRACES = re.compile(r"(?<=[\^_])\{(\w)\}")


class Shape(NamedTuple):
    """What an answer looks like.

    Attributes:
      kind: "number", "text", "expression", "list", "union", or "tuple" and "matrix", whose kinds
        include their brackets: "tuple (]".
      key: equal for equal spellings.
      name: "x" of "x = 5", else "".
      text: without the name.
      whole: with it.
      number: of a number, else None.
      parts: of a list, union, tuple or matrix.
    """

    kind: str
    key: str
    name: str
    text: str
    whole: str
    number: numbers.Number | None
    parts: tuple["Shape", ...]


def _single(kind: str, key: str, text: str) -> Shape:
    return Shape(kind, f"{kind} {key}", "", text, text, None, ())


def _several(kind: str, parts: list[Shape], text: str) -> Shape:
    keys = [part.key for part in parts]
    key = "; ".join(sorted(keys) if kind in ("list", "union") else keys)
    return Shape(kind, f"{kind} {key}", "", text, text, None, tuple(parts))


def read(text: str) -> Shape:
    """Returns the shape of an answer; past 500 characters or 50 brackets deep it is mere text.

    Pieces are read once for each bracket around them, so the work grows with length times depth.
    """
    if len(text) > MAX_CHARS:
        return _single("text", f"of {len(text)} characters: {text}", text)
    return _read_short(text)


@lru_cache(maxsize=8192)
def _read_short(text: str) -> Shape:
    tidied = latex.tidy(text)
    if depth(tidied) > MAX_DEPTH or len(tidied) > 4 * MAX_CHARS:
        return _single("text", tidied.casefold(), tidied)
    return _read(tidied)


def depth(text: str) -> int:
    """Returns how deep brackets are nested."""
    deepest = now = 0
    for mark in _MARK.finditer(text):
        now += (mark[0] in _OPEN) - (mark[0] in _CLOSE)
        deepest = max(deepest, now)
    return deepest


def short(text: str) -> str:
    """Returns a text cut to 60 characters, for a reason."""
    return text if len(text) <= 60 else text[:57] + "..."


def _number(text: str) -> Shape | None:
    try:
        number = numbers.read(text)
    except ValueError:
        return None  # something else
    return _single("number", str(number.value), text)._replace(number=number)


def _read(text: str) -> Shape:
    """What is read of a part must be returned: read and dropped at every depth, it is 2^depth."""
    if number := _number(text):
        return number
    named = _NAME.match(text)
    if named and (rest := text[named.end() :]) and not _RELATION.search(rest):
        name = "".join(named[0].rstrip().removesuffix("=").removesuffix("\\in").split())
        return _read(rest)._replace(name=name, whole=text)
    if (chain := _split(text, re.compile("="))) and (last := _equal_numbers(chain)):
        return last
    if pieces := _split(text, _COMMAS):
        pieces = [sign for piece in pieces for sign in _signs(piece)]
        return _several("list", [_read(piece) for piece in pieces], text)
    if pieces := _split(text, re.compile(r"\\cup")):
        return _several("union", [_read(piece) for piece in pieces], text)
    if (interval := _interval(text)) is not None:
        return interval
    if (bracketed := _bracketed(text)) is not None:
        return bracketed
    if matrix := _MATRIX.fullmatch(text):
        rows = _split(matrix[2], re.compile(r"\\\\")) or [matrix[2]]
        cells = [[_read(x) for x in _split(row, re.compile("&")) or [row]] for row in rows]
        return _several("matrix", [_several("row", row, "") for row in cells], text)
    if len(signs := _signs(text)) > 1:
        return _several("list", [_read(sign) for sign in signs], text)
    return _leaf(text)


def _leaf(text: str) -> Shape:
    if base := _BASE.fullmatch(text):
        return _single("text", f"{base[1]}_{base[2]}", text)
    bare = units.split(text)[0] if "\\text{" in text else units.split_constant(text)[0]
    if "\\text" in bare or "\\approx" in bare or _WORD.search(_COMMAND.sub(" ", bare)):
        words = " ".join(_TEXT.sub(r"\1", text).casefold().split())
        words = _NOON.sub(r" \1m", _COLON.sub(":", words))
        return _single("text", words.rstrip(" .,;:"), text)
    squeezed = _SPACE.sub(lambda match: match[1] or "", bare).lstrip("+")
    return _single("expression", _LONE_BRACES.sub(r"\1", squeezed), bare)


def _split(text: str, separator: re.Pattern[str]) -> list[str]:
    """The non-empty pieces between separators outside all brackets; [] if there are none."""
    pieces, start, depth = [], 0, 0
    for mark in _MARK.finditer(text):
        depth += (mark[0] in _OPEN) - (mark[0] in _CLOSE)
        if depth < 0:
            return []
        if depth == 0 and separator.fullmatch(mark[0]):
            pieces.append(text[start : mark.start()].strip())
            start = mark.end()
    if not pieces or depth:
        return []
    pieces = [piece for piece in [*pieces, text[start:].strip()] if piece]
    return pieces if len(pieces) > 1 else []


def _equal_numbers(chain: list[str]) -> Shape | None:
    """The last of numbers that are all equal: 42 of "17 + 25 = 42"."""
    # only as numbers: what is no chain of them is read again, as something else
    last = _number(chain[-1])
    if last is None or last.number is None:
        return None
    for piece in chain[:-1]:
        other = _number(piece)
        if other is None or other.number is None or not numbers.equal(other.number, last.number):
            return None
    return last


def _signs(text: str) -> list[str]:
    return [_PLUS_MINUS.sub(s, text) for s in "+-"] if _PLUS_MINUS.search(text) else [text]


def _bracketed(text: str) -> Shape | None:
    r"""(a, b), [a, b) and their like, \{a, b\}, or (a), which is a."""
    depth = 0
    marks = [mark for mark in _MARK.finditer(text) if mark[0] in _OPEN or mark[0] in _CLOSE]
    if not marks or marks[0].start() or marks[-1].end() != len(text):
        return None
    for mark in marks[:-1]:
        depth += 1 if mark[0] in _OPEN else -1
        if depth == 0:
            return None
    opening, closing = marks[0][0], marks[-1][0]
    inner = text[len(opening) : len(text) - len(closing)].strip()
    pieces = _split(inner, _COMMAS)
    if opening in ("\\{", "{") and inner:
        pieces = [sign for piece in pieces or [inner] for sign in _signs(piece)]
        parts = [_read(piece) for piece in pieces]
        return parts[0] if len(parts) == 1 else _several("list", parts, text)
    if len(pieces) > 1:
        return _several(f"tuple {opening}{closing}", [_read(piece) for piece in pieces], text)
    return _read(inner) if opening == "(" and closing == ")" and inner else None


def _interval(text: str) -> Shape | None:
    """The interval of x > 2 or 1 < x < 3."""
    pieces = [piece.strip() for piece in _ORDER.split(text)]
    if len(pieces) not in (3, 5) or not all(pieces):
        return None
    less = [sign in ("<", "<=", "\\le", "\\lt") for sign in pieces[1::2]]
    equal = [sign in ("<=", ">=", "\\le", "\\ge") for sign in pieces[1::2]]
    if len(pieces) == 3:
        left, _, right = pieces
        if _VARIABLE.fullmatch(right) and not _VARIABLE.fullmatch(left):
            left, right, less = right, left, [not less[0]]
        if not _VARIABLE.fullmatch(left):
            return None
        ends = ["-\\infty", right] if less[0] else [right, "\\infty"]
        closed = [False, equal[0]] if less[0] else [equal[0], False]
    elif less[0] == less[1] and _VARIABLE.fullmatch(pieces[2]):
        ends, closed = [pieces[0], pieces[4]], equal
        if not less[0]:
            ends, closed = ends[::-1], closed[::-1]
    else:
        return None
    brackets = ("[" if closed[0] else "(") + ("]" if closed[1] else ")")
    return _several(f"tuple {brackets}", [_read(end) for end in ends], text)


def compare(answer: Shape, gold: Shape, same: Callable[[str, str], bool | None]) -> bool | None:
    """Returns whether an answer is gold's equal and no less worked out; None if `same` cannot tell.

    A number of gold's wants a number with no more operations left: "17 + 25" is no answer to 42.

    Args:
      answer: what was given.
      gold: what was wanted.
      same: tells whether two single expressions, (answer, gold), are the same.
    """
    # "x + y = 5" is an equation as a gold; only an answer may name a sum: "m + n = 5" for 5
    if "+" in gold.name and answer.name != gold.name:
        return same(answer.whole, gold.whole) if "=" in answer.whole else False
    if answer.name and gold.name and answer.name.casefold() != gold.name.casefold():
        return False
    if gold.number is not None:
        given = answer.number
        return (
            given is not None
            and numbers.equal(given, gold.number)
            and given.operations <= gold.number.operations
            and not numbers.other_unit(given, gold.number)
        )
    if gold.kind in ("list", "union"):
        return _unordered(answer, gold, same)
    if gold.parts:
        if answer.kind != gold.kind or len(answer.parts) != len(gold.parts):
            return False
        verdicts = [compare(a, g, same) for a, g in zip(answer.parts, gold.parts, strict=True)]
        return False if False in verdicts else None if None in verdicts else True
    if answer.key == gold.key:
        return True
    if gold.kind == "text" or answer.kind not in ("expression", "number"):
        return False
    relation = "=" in answer.text or "=" in gold.text
    return same(answer.whole, gold.whole) if relation else same(answer.text, gold.text)


def _unordered(answer: Shape, gold: Shape, same: Callable[[str, str], bool | None]) -> bool | None:
    if answer.kind != gold.kind or len(answer.parts) != len(gold.parts):
        return False
    left, unsure = list(answer.parts), False
    for wanted in gold.parts:
        verdicts = [compare(given, wanted, same) for given in left]
        if True in verdicts:
            left.pop(verdicts.index(True))
        elif None in verdicts:
            unsure = True
        else:
            return False
    return None if unsure else True
