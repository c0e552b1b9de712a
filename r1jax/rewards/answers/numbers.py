r"""Exact numbers as people write them: a small parser of our own, so model text is never executed.

Read: 1,234.5, 10,\!080, .5, 6.02e23, -3/4, \frac12, 1\frac{4}{5}, 2^{10}, (2+3)*4, $18, \$18, 50%,
145^\circ, 1.5 \times 10^{3}, 70 000, USD 18, 5 cm, 18 \text{ dollars}, 12元. Not read: roots, pi,
letters, factorials. `latex.tidy` comes first.
"""

import operator
import re
from fractions import Fraction
from typing import NamedTuple

from r1jax.config import UserError
from r1jax.rewards.answers import measures, units

MAX_DEPTH = 30
MAX_NUMBER = 10**60

_END = "the end"
_CLOSING = {"(": ")", "{": "}"}
_OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
_WORDS = {"times": "*", "cdot": "*", "div": "/"}
_WORD = re.compile(r"\\(times|cdot|div)(?![A-Za-z])")
_TOKEN = re.compile(
    r"\s*([1-9]\d{0,2}(?:(?:,\d{3})+|(?: \d{3})+)(?!\d)(?:\.\d+)?"
    r"|[1-9]\d?(?:,\d\d)+,\d{3}(?![\d,])(?:\.\d+)?"
    r"|\d+(?:\.\d+)?(?:[eE][-+]?\d\d?)?|\.\d+"
    r"|\*\*|\\frac|[-+*/^(){}])",
    re.ASCII,
)
_MIXED = re.compile(r"([-+]?\s*\d+)\s+(\d+)\s*/\s*(\d+)")


_SCIENTIFIC = re.compile(
    r"([-+]?)\s*(?:(\d+(?:\.\d+)?)\s*\*\s*)?10\s*\^\s*(?:\{\s*([-+]?\d\d?)\s*\}|([-+]?\d\d?))",
    re.ASCII,
)


class Number(NamedTuple):
    """An exact number.

    Attributes:
      value: without its percent sign: 50 for 50%.
      operations: how many of them are still to do: 0 for 42, -3/4, 1\\frac{4}{5} and
        1.5 \\times 10^3, 1 for 6/3.
      percent: it has the sign.
      unit: what is behind the number, or the currency in front of it, "" for none.
    """

    value: Fraction
    operations: int
    percent: bool
    unit: str


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
            raise UserError(f"wanted {token}, got {self.tokens[self.at]}")

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
            raise UserError(f"nested deeper than {MAX_DEPTH}")
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
            raise UserError(f"wanted a number, got {token}")
        self.at += 1
        whole = _Term(_bounded(Fraction(token.replace(",", "").replace(" ", ""))), 0, True)
        return self.mixed(whole) if self.tokens[self.at] == "\\frac" else whole

    def mixed(self, whole: _Term) -> _Term:
        part = self.atom()
        if whole.value.denominator != 1 or not 0 <= part.value < 1:
            raise UserError("a number before a fraction is no mixed number")
        return _Term(_bounded(whole.value + part.value), part.operations, False)

    def group(self, opening: str) -> _Term:
        self.expect(opening)
        term = self.sum()
        self.expect(_CLOSING[opening])
        return term


def _bounded(value: Fraction) -> Fraction:
    if abs(value.numerator) > MAX_NUMBER or value.denominator > MAX_NUMBER:
        raise UserError("a number passes 10**60")
    return value


def _combine(sign: str, left: _Term, right: _Term) -> _Term:
    todo = left.operations + right.operations
    if sign == "^":
        return _Term(_power(left.value, right.value), todo + 1, False)
    if sign == "/" and right.value == 0:
        raise UserError("division by zero")
    value = _bounded(_OPERATIONS[sign](left.value, right.value))
    # 3/4 and 3/-4 are numbers; 6/3, 6/8 and -3/-4 still have something to work out
    signs = left.value < 0 and right.value < 0
    reduced = sign == "/" and value.denominator == abs(right.value) > 1 and not signs
    return _Term(value, todo + (not (left.literal and right.literal and reduced)), False)


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        raise UserError(f"exponent {exponent} is no integer")
    if base == 0 and exponent <= 0:
        raise UserError(f"0 to the power {exponent}")
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if abs(exponent) * bits > 2 * MAX_NUMBER.bit_length():
        raise UserError("a power passes 10**60")
    return _bounded(base**exponent.numerator)


def _evaluate(text: str) -> _Term:
    text = _WORD.sub(lambda match: _WORDS[match[1]], text)
    if powers := _SCIENTIFIC.fullmatch(text):
        size = Fraction(powers[2] or 1) * Fraction(10) ** int(powers[3] or powers[4])
        return _Term(_bounded(-size if powers[1] == "-" else size), 0, True)
    if mixed := _MIXED.fullmatch(text):
        text = f"{mixed[1]}\\frac{{{mixed[2]}}}{{{mixed[3]}}}"
    tokens, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise UserError(f"cannot read {text[at:].strip()[:60]!r}")
        tokens.append(match[1])
        at = match.end()
    parser = _Parser(tokens)
    term = parser.sum()
    parser.expect(_END)
    return term


def read(text: str) -> Number:
    """Returns the number that a tidied text is (`latex.tidy`); a percent sign or unit may follow.

    Raises:
      UserError: if it is no number, passes 10**60 or nests deeper than 30; the message says why.
    """
    currency, unit, factor = "", "", None
    if not text[:1].isdigit():
        text, currency = units.split_currency(text)
    if not text[-1:].isdigit() or " " in text or "^" in text:
        if text[:1].isdigit() and (pieces := units.compound(text)) is not None:
            return Number(_bounded(pieces[0]), 0, False, pieces[1])
        text, unit = units.split(text)
    if unit:
        factor, unit = units.multiplier(unit)
        unit = measures.plain(unit)
    if currency and unit and measures.ratio(unit, currency) is None:
        raise UserError(f"{currency} and {unit}")
    percent = text.endswith("%") or unit.casefold() in ("percent", "per cent")
    term = _evaluate(text.removesuffix("%").strip())
    value, todo = term.value, term.operations
    if factor is not None and factor != 1:
        value = _bounded(value * factor)
        # 3 eighths is a number; 6 thirds still have something to work out, 50 permille have not
        todo += 1 < factor.denominator < 1000 and value.denominator != factor.denominator
    return Number(value, todo, percent, unit or currency)


def equal(answer: Number, gold: Number) -> bool:
    """Returns whether the values are equal; a percent sign may be left off or added.

    50% equals 50 and 0.5, which do not equal each other: questions ask "what percent", and some
    references have the sign and some have not. Measures of one kind are converted: 2 h is 120 min.
    """
    ratio = measures.ratio(answer.unit, gold.unit) if answer.unit != gold.unit else 1
    if (answer.value if ratio in (1, None) else answer.value * ratio) == gold.value:
        return True
    exact = [n.value / 100 if n.percent else n.value for n in (answer, gold)]
    return exact[0] == exact[1] and ratio in (1, None)


def other_unit(answer: Number, gold: Number) -> bool:
    """Returns whether both name a measure, and of different kinds: 3 hours, 3 km and 3%."""
    if answer.percent != gold.percent and measures.read((gold if answer.percent else answer).unit):
        return True
    return answer.unit != gold.unit and measures.ratio(answer.unit, gold.unit) is None
