"""Accuracy of a final answer: whether it equals the reference, exactly and in bounded time.

R1-Zero pays 1 for a match, else 0 (DeepSeek-R1, arXiv:2501.12948, section 2.2.2). Numbers are
compared by a small parser of our own: model text is never executed. Not read as numbers, hence
compared as text: percent signs, units, scientific notation, mixed numbers, roots.
"""

import operator
import re
import unicodedata
from fractions import Fraction
from typing import NamedTuple

from r1jax.rewards.format import extract_answer

MAX_CHARS = 500
MAX_DEPTH = 30
MAX_NUMBER = 10**60

_END = "the end"
_CLOSING = {"(": ")", "{": "}"}
_OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
_SYMBOLS = str.maketrans(
    {"\u00d7": "*", "\u00f7": "/", "\u00b7": "*", "\u22c5": "*", "\u2215": "/", "\u2044": "/"}
)
_WORDS = {"times": "*", "cdot": "*", "div": "/", "left": "", "right": "", "dfrac": "\\frac"}
_WORD = re.compile(r"\\(times|cdot|div|left|right|dfrac)(?![A-Za-z])")
_CURRENCY = re.compile(r"^([-+]?)\s*\\?[$\u20ac\u00a3\u00a5]\s*")
_TOKEN = re.compile(
    r"\s*([1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+|\*\*|\\frac|[-+*/^(){}])", re.ASCII
)


class _Term(NamedTuple):
    """An exact value, the operations still to do in it, and whether it is a bare decimal number."""

    value: Fraction
    operations: int
    literal: bool


class _Parser:
    """Recursive descent: sum of products of signed powers of atoms. Every cycle passes `signed`."""

    def __init__(self, tokens: list[str]):
        self.tokens = [*tokens, _END]
        self.at = 0
        self.depth = 0

    def take(self, *wanted: str) -> str:
        token = self.tokens[self.at]
        if token not in wanted:
            return ""
        self.at += 1
        return token

    def expect(self, token: str) -> None:
        if not self.take(token):
            raise ValueError(f"wanted {token}, got {self.tokens[self.at]}")

    def sum(self) -> _Term:
        left = self.product()
        while sign := self.take("+", "-"):
            left = _combine(sign, left, self.product())
        return left

    def product(self) -> _Term:
        left = self.signed()
        while sign := self.take("*", "/"):
            left = _combine(sign, left, self.signed())
        return left

    def signed(self) -> _Term:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
        if self.take("-"):
            inner = self.signed()
            todo = inner.operations + (inner.operations > 0 or inner.value < 0)
            term = _Term(-inner.value, todo, inner.literal)
        else:
            term = self.signed() if self.take("+") else self.power()
        self.depth -= 1
        return term

    def power(self) -> _Term:
        base = self.atom()
        return _combine("^", base, self.signed()) if self.take("^", "**") else base

    def atom(self) -> _Term:
        if self.take("\\frac"):
            return _combine("/", self.group("{"), self.group("{"))
        token = self.tokens[self.at]
        if token in _CLOSING:
            return self.group(token)
        if not (token[0].isdigit() or token[0] == "."):
            raise ValueError(f"wanted a number, got {token}")
        self.at += 1
        return _Term(_bounded(Fraction(token.replace(",", ""))), 0, True)

    def group(self, opening: str) -> _Term:
        self.expect(opening)
        term = self.sum()
        self.expect(_CLOSING[opening])
        return term


def _bounded(value: Fraction) -> Fraction:
    if abs(value.numerator) > MAX_NUMBER or value.denominator > MAX_NUMBER:
        raise ValueError("a number passes 10**60")
    return value


def _combine(sign: str, left: _Term, right: _Term) -> _Term:
    todo = left.operations + right.operations
    if sign == "^":
        return _Term(_power(left.value, right.value), todo + 1, False)
    if sign == "/" and right.value == 0:
        raise ValueError("division by zero")
    value = _bounded(_OPERATIONS[sign](left.value, right.value))
    # 3/4 is a number; 6/3 and 6/8 still have something to work out
    reduced = sign == "/" and value.denominator == right.value > 1
    return _Term(value, todo + (not (left.literal and right.literal and reduced)), False)


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        raise ValueError(f"exponent {exponent} is no integer")
    if base == 0 and exponent <= 0:
        raise ValueError(f"0 to the power {exponent}")
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if abs(exponent) * bits > 2 * MAX_NUMBER.bit_length():
        raise ValueError("a power passes 10**60")
    return _bounded(base**exponent.numerator)


def _plain(text: str) -> str:
    """The text as people read it: NFKC, one kind of minus, single spaces, no $, no final stop."""
    # NFKC would turn 10 with a superscript 2 into 102, and 2 with a small 1/2 into 21/2
    shifted = any(
        unicodedata.decomposition(char).startswith(("<super>", "<sub>", "<fraction>", "<circle>"))
        for char in text
    )
    text = unicodedata.normalize("NFC" if shifted else "NFKC", text).replace("\u2212", "-")
    text = " ".join(text.replace("\\!", "").split())
    return text.rstrip(" .,;:\u3002\u3001").strip("$").strip().rstrip(".")


def _parse(text: str) -> _Term:
    """The value of an expression; ValueError says why there is none."""
    if len(text) > MAX_CHARS:
        raise ValueError(f"{len(text)} characters, at most {MAX_CHARS} are read")
    text = _WORD.sub(lambda match: _WORDS[match[1]], _plain(text).translate(_SYMBOLS))
    text = _CURRENCY.sub(r"\1", text).strip()
    tokens, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"cannot read {_short(text[at:].strip())!r}")
        tokens.append(match[1])
        at = match.end()
    parser = _Parser(tokens)
    term = parser.sum()
    parser.expect(_END)
    return term


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _try_parse(text: str) -> tuple[_Term | None, str]:
    try:
        return _parse(text), ""
    except ValueError as error:
        return None, str(error)


def canonical(answer: str) -> str:
    """Returns a key that answers share exactly when they are equal numbers, else the same text.

    Text is compared in NFKC, without case, repeated spaces or a final stop; past 500 characters
    as it stands.
    """
    if len(answer) > MAX_CHARS:
        return "long " + answer
    term, _ = _try_parse(answer)
    return f"text {_plain(answer).casefold()}" if term is None else f"number {term.value}"


def check_gold(gold: str) -> None:
    """Refuses a reference answer that no answer could match.

    Raises:
      ValueError: if it is empty or longer than 500 characters: bad data, not a wrong answer.
    """
    if len(gold) > MAX_CHARS or not _plain(gold):
        raise ValueError(f"gold answer {_short(gold)!r}: wanted 1 to {MAX_CHARS} characters")


def equivalent(answer: str, gold: str) -> tuple[bool, str]:
    """Returns whether two answers are equal, as exact values or else as text, and why.

    Raises:
      ValueError: if gold is empty or longer than 500 characters.
    """
    check_gold(gold)
    if len(answer) > MAX_CHARS:
        return False, f"answer of {len(answer)} characters refused, at most {MAX_CHARS}"
    if canonical(answer) == canonical(gold):
        return True, f"{_short(answer)} equals {_short(gold)}"
    why = _try_parse(answer)[1] if _try_parse(gold)[0] is not None else ""
    return False, f"{_short(answer)} is not {_short(gold)}" + (f" ({why})" if why else "")


def judge(answer: str, gold: str) -> tuple[bool, str]:
    """Returns whether an answer earns its reward: equivalent, and no less worked out than gold.

    Without the second, repeating the sum of the question is a perfect policy: "17 + 25" has the
    value of 42. An answer may have no more operations left than gold has; a reduced fraction has
    none.

    Raises:
      ValueError: if gold is empty or longer than 500 characters.
    """
    right, reason = equivalent(answer, gold)
    given, wanted = _try_parse(answer)[0], _try_parse(gold)[0]
    if right and given and wanted and given.operations > wanted.operations:
        return False, f"{_short(answer)} is not worked out, wanted {_short(gold)}"
    return right, reason


def accuracy(text: str, gold: str, places: tuple[str, ...]) -> tuple[float, str]:
    """Returns R_acc of a completion, 1.0 or 0.0, and why (arXiv:2501.12948, section 2.2.2).

    Raises:
      ValueError: if gold is empty or longer than 500 characters, or a place is unknown.
    """
    check_gold(gold)
    answer, reason = extract_answer(text, places)
    if answer is None:
        return 0.0, reason
    right, reason = judge(answer, gold)
    return float(right), reason
