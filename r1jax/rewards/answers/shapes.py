r"""The shape of an answer: a number, a text, an expression, or several of them.

Lists ("1, 2 and 3", \{1,2\}, 1\pm\sqrt{2}) have no order; tuples, intervals and matrices have one.
An inequality is its interval (`sets`). Only single expressions are left to algebra, so that what an
answer may look like is decided here, exactly.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from r1jax.rewards.answers import latex, numbers, qualifiers, sets, units

MAX_CHARS = 500
MAX_DEPTH = 50

_OPEN, _CLOSE = frozenset(["(", "[", "{", "\\{"]), frozenset([")", "]", "}", "\\}"])
_COMMAS = re.compile(
    r"[,;\u3001\u6216\u548c]|and|or|\\text\{[ ,]*(?:and|or|或|和)[ ,]*\}|\\(?:lor|vee)"
)
_MARK = re.compile(
    r"\\text\{[ ,]*(?:and|or|或|和)[ ,]*\}|\\[{}]|\\[A-Za-z]+|\\\\|\\."
    r"|[()\[\]{},;&=\u3001\u6216\u548c]|(?<![A-Za-z])(?:and|or)(?![A-Za-z])"
)
_NAME = re.compile(
    r"\\?[A-Za-z\u03bc\u03a9][A-Za-z' ]{0,12}(?:_(?:\{[\\A-Za-z0-9 ]{1,12}\}|[A-Za-z0-9]{1,12}))?"
    r"(?:\^\{-1\})?(?:\([A-Za-z0-9]{1,3}\))?"
    r"(?:\s*\+\s*[A-Za-z]){0,4}\s*(?:=|\\in(?![a-z]))\s*"
    r"|\\(?:vec|overrightarrow) ?\{?[A-Za-z]{1,2}\}?\s*=\s*"
    r"|\([A-Za-z](?:, *[A-Za-z]){1,4}\)\s*(?:=|\\in(?![a-z]))\s*"
)
_RELATION = re.compile(r"<=|>=|[=<>]|\\(?:le|ge|lt|gt|in|ne)(?![A-Za-z])")
_IN_BRACES = re.compile(r"\\\{.*\\\}")
_OF_REALS = re.compile(r"[<>\u6216]|\\(?:le|ge|lt|gt|ne|mathbb)(?![A-Za-z])")
_POINT = re.compile(r"([A-Z])(?:'|_\{?\w\}?)? ?(?=\()")
_CHOICE = re.compile(
    r"(?:\\text\{ ?)?\(([A-J])\) ?\}?(?! ?[-+*/^=<>&|_'!(\[,]) ?(?!\\text\{ ?(?:or|and)\b)(?=\S)"
    r"|\\text\{ ?\(?([A-J])[.):] ?\} ?(?=[^,])|([A-J])[.)] (?=[^,])"
)
# an option that names another letter, or takes its own back
_ANOTHER = re.compile(
    r"(?:or|and|not|,|;|或|和)\W*[A-J]\W*\Z|(?<![A-Za-z\\(])\(?[A-J]\)|(?<![A-Za-z])[A-J]\. "
    r"|(?<![A-Za-z])not?(?![A-Za-z])"
)
_LONE_LETTER = re.compile(r"[A-J]")
_MATRIX = re.compile(r"\\begin\{([pb]?matrix)\}(.*)\\end\{\1\}")
_BASE = re.compile(r"\(?([0-9A-Z]+(?:\.[0-9A-Z]+)?|\.[0-9A-Z]+)\)?_\{?(\d+)\}?")
_VARIABLE = re.compile(r"\\[a-z]{2,7}|[A-Za-z](?:_\{?\w\}?)?")
_NO_FORMULA = re.compile(r"[:\u4e00-\u9fff]|\A[A-Za-z]*\Z")
_RUN = re.compile(r"[A-Za-z]{3,}")
_OPERATION = re.compile(r"[/^=+]|\\(?:frac|sqrt)(?![A-Za-z])")
_SPACE = re.compile(r"(\\[A-Za-z]+ (?=[A-Za-z]))|\s+")
_TEXT = re.compile(r"\\text\{([^{}]*)\}")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_COLON = re.compile(r"\s*:\s*")
_NOON = re.compile(r"(?<=\d) ?([ap])\.? ?m\b\.?")
_PLUS_MINUS = re.compile(r"\\(pm|mp)(?![A-Za-z])")
_LONE_BRACES = re.compile(r"(?<=[\^_])\{(\w)\}")


class Shape(NamedTuple):
    """What an answer looks like.

    Attributes:
      kind: "number", "text", "expression", "choice" (a letter and its option), "list", "union",
        "matrix", "row", or "tuple" with its brackets: "tuple (]".
      key: equal for equal spellings.
      name: "x" of "x = 5", else "".
      text: without the name.
      whole: with it.
      number: of a number, else None.
      parts: of a list, union, tuple, matrix or choice.
      unit: behind an expression, else "".
      qualifier: the condition behind it all.
    """

    kind: str
    key: str
    name: str
    text: str
    whole: str
    number: numbers.Number | None
    parts: tuple["Shape", ...]
    unit: str
    qualifier: qualifiers.Qualifier


def _single(kind: str, key: str, text: str) -> Shape:
    return Shape(kind, f"{kind} {key}", "", text, text, None, (), "", qualifiers.NONE)


def _several(kind: str, parts: list[Shape], text: str) -> Shape:
    keys = [part.key for part in parts]
    key = "; ".join(sorted(keys) if kind in ("list", "union") else keys)
    return _single(kind, key, text)._replace(parts=tuple(parts))


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
    if (tidied[:1] in ("(", "\\") or tidied[1:2] in (".", ")")) and (
        choice := _CHOICE.match(tidied)
    ):
        letter, option = choice[1] or choice[2] or choice[3], _read(tidied[choice.end() :])
        if _ANOTHER.search(tidied, choice.end()) or _LONE_LETTER.fullmatch(option.text):
            return _single("text", tidied.casefold(), tidied)
        return _several("choice", [option], tidied)._replace(name=letter)
    bare, qualifier = qualifiers.split(tidied)
    shape = _read(bare)
    return shape if qualifier is qualifiers.NONE else shape._replace(qualifier=qualifier)


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
    text = sets.european(text)
    named = _NAME.match(text)
    if named and (rest := text[named.end() :]) and not _RELATION.search(_IN_BRACES.sub("", rest)):
        name = "".join(named[0].rstrip().removesuffix("=").removesuffix("\\in").split())
        return _read(rest)._replace(name=name, whole=text)
    if _OF_REALS.search(text) and (intervals := sets.read(text)):
        parts = [_several(f"tuple {i.brackets}", [*map(_read, i[1:])], text) for i in intervals]
        return parts[0] if len(parts) == 1 else _several("union", parts, text)
    if (chain := _split(text, re.compile("="))) and (last := _equal_numbers(chain)):
        return last
    if len(chain) > 2 and all(map(_VARIABLE.fullmatch, chain[:-1])):  # x = y = 0
        parts = [_read(f"{name} = {chain[-1]}") for name in chain[:-1]]
        return _several("list", parts, text)
    if pieces := _split(text, _COMMAS):
        pieces = [sign for piece in pieces for sign in _signs(piece)]
        return _several("list", [_read(piece) for piece in pieces], text)
    if pieces := _split(text, re.compile(r"\\cup")):
        return _several("union", [_read(piece) for piece in pieces], text)
    if (bracketed := _bracketed(text)) is not None:
        return bracketed
    if (point := _point(text)) is not None:
        return point
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
    bare, unit = units.split_constant(text)
    if bare == "i":
        return _single("expression", bare, bare)  # the imaginary unit
    if "\\text" in bare or "\\approx" in bare or _is_wording(bare):
        words = _TEXT.sub(r"\1", text)
        # r is not R nor Rt rT, but yes is Yes
        short = len(words) < 3 and words.casefold() not in ("no", "ok")
        words = " ".join((words if short else words.casefold()).split())
        words = _NOON.sub(r" \1m", _COLON.sub(":", words))
        return _single("text", words.rstrip(" .,;:"), text)
    return _single("expression", squeezed(bare), bare)._replace(unit=unit)


def _is_wording(text: str) -> bool:
    """Whether it holds words; mgh, GMm and xyz are products, ABC/BCD only in a formula."""
    letters = _COMMAND.sub(" ", text)
    runs = _RUN.findall(letters)
    formula = _OPERATION.search(text) is not None
    if not all(len(run) < 5 and (formula or _is_product(run)) for run in runs):
        return True
    return (not runs and _NO_FORMULA.search(letters) is not None) or ":" in letters


def _is_product(run: str) -> bool:
    codes = sorted(map(ord, run))
    if run.islower() and codes == [*range(codes[0], codes[0] + len(run))]:  # abc, zyx
        return True
    return not run.isupper() and {*run.casefold()}.isdisjoint("aeiou")


def squeezed(text: str) -> str:
    """A formula without spaces and needless braces."""
    text = _SPACE.sub(lambda match: match[1] or "", text.replace("\\mid", "|")).lstrip("+")
    return _LONE_BRACES.sub(r"\1", text)


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
    if not _PLUS_MINUS.search(text):
        return [text]
    return [
        _PLUS_MINUS.sub(lambda sign, s=signs: s[sign[1] == "mp"], text) for signs in ("+-", "-+")
    ]


def _point(text: str) -> Shape | None:
    """P(3, -4): a tuple of numbers with a name; C(n, 2) is none."""
    named = _POINT.match(text)
    if not named or re.search("[A-Za-z]", _COMMAND.sub("", text[named.end() :])):
        return None
    point = _bracketed(text[named.end() :])
    if point is None or point.kind != "tuple ()":
        return None
    return point._replace(name=named[0].strip(), whole=text)


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
    if opening in ("\\{", "{") and inner and inner != "\\emptyset":
        pieces = [sign for piece in pieces or [inner] for sign in _signs(piece)]
        parts = [_read(piece) for piece in pieces]
        return parts[0] if len(parts) == 1 else _several("list", parts, text)
    if len(pieces) > 1:
        return _several(f"tuple {opening}{closing}", [_read(piece) for piece in pieces], text)
    return _read(inner) if opening == "(" and closing == ")" and inner else None
