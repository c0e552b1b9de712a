"""Whether two trees are equal: by their values at several points, to as many digits as it takes.

Rational expressions are compared exactly. Others are different as soon as their difference keeps
its value when the precision doubles; they are equal where it has not done so at the precision that
their size calls for (`_size`): e^{-50} and e^{-60} differ, however small both are.
"""

import math
import random
import zlib
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

from r1jax.rewards.answers.algebra.tree import Tree, heads, negative, node, number, symbols
from r1jax.rewards.answers.algebra.values import Undefined, Value, context, evaluate, inexact

POINTS = 6
FIRST_DIGITS, MAX_DIGITS = 25, 12_000
_QUADRATURE = 1e-12  # relative error of an integral
# these have values at whole points only
_WHOLE = {"factorial", "double factorial", "binomial", "modulo", "every", "gcd", "lcm"}


class TooLarge(ArithmeticError):
    """Values too large or too close to be told apart at a price that can be afforded."""


def equal(one: Tree, other: Tree) -> bool:
    """Returns whether two expressions have the same value wherever they have one.

    Raises:
      TooLarge: if that would take more than 12,000 digits.
    """
    if one == other:
        return True
    compared = False
    complex_too = "i" in heads(one) | heads(other)
    skipped = []
    for point in _points(one, other):
        verdict = _same_at(point, one, other, complex_too)
        if verdict is False:
            return False
        if verdict is None:
            skipped.append(point)
        compared = compared or verdict is True
    # where no real number is, complex ones have to do
    return compared or any(_same_at(point, one, other, True) for point in skipped)


def proportional(one: Tree, other: Tree, *, positive: bool) -> bool:
    """Returns whether one expression is a multiple of the other by a constant, maybe positive."""
    points = _points(one, other)
    ratios: list[tuple[Value, Value]] = []
    for point in points:
        if _vanishes(lambda floats, p=point: evaluate(other, p, floats), one, other, point):
            return False
        first = points[0]

        def crossed(floats: Any, p=point, q=first) -> Value:
            a, b = evaluate(one, p, floats), evaluate(other, p, floats)
            c, d = evaluate(one, q, floats), evaluate(other, q, floats)
            return _minus(_times(a, d, floats), _times(b, c, floats), floats)

        if not _vanishes(crossed, one, other, point, first):
            return False
        floats = context(FIRST_DIGITS)
        ratios.append((evaluate(one, point, floats), evaluate(other, point, floats)))
    if any(a == 0 for a, _ in ratios):
        return False
    return not positive or all((a > 0) == (b > 0) for a, b in ratios)


def _times(a: Value, b: Value, floats: Any) -> Value:
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a * b
    return inexact(a, floats) * inexact(b, floats)


def _minus(a: Value, b: Value, floats: Any) -> Value:
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a - b
    return inexact(a, floats) - inexact(b, floats)


def numerator(tree: Tree) -> Tree:
    """The tree times all that its terms are divided by: zero where the tree is."""
    return _fraction(tree)[0]


def _fraction(tree: Tree) -> tuple[Tree, Tree]:
    one = number(1)
    if tree.head == "multiply":
        pairs = [_fraction(arg) for arg in tree.args]
        above, below = ([p[side] for p in pairs if p[side] != one] for side in (0, 1))
        return _multiply(above), _multiply(below)
    if tree.head == "divide":
        (a, b), (c, d) = map(_fraction, tree.args)
        return _multiply([a, d]), _multiply([b, c])
    if tree.head == "power" and tree.args[1].head == "number":
        base, exponent = tree.args
        (a, b), n = _fraction(base), exponent.value
        if n < 0 and n.denominator == 1:
            a, b, exponent = b, a, number(-n)
        return node("power", a, exponent), b if b == one else node("power", b, exponent)
    if tree.head == "add":
        pairs = [_fraction(arg) for arg in tree.args]
        below = list(dict.fromkeys(b for _, b in pairs if b != one))
        terms = [_multiply([a, *(d for d in below if d != b)]) for a, b in pairs]
        return node("add", *terms), _multiply(below)
    return tree, one


def _multiply(factors: list[Tree]) -> Tree:
    factors = [factor for factor in factors if factor != number(1)]
    return node("multiply", *factors) if len(factors) > 1 else [*factors, number(1)][0]


def difference(left: Tree, right: Tree) -> Tree:
    return node("add", left, negative(right))


@lru_cache(maxsize=4096)
def _letter_value(name: str, at: int, whole: bool) -> Fraction:
    draw = random.Random(zlib.crc32(f"{name} {at}".encode()))
    if whole:
        return Fraction(draw.randrange(6, 40))
    return Fraction(draw.randrange(2001, 8000, 2), 1024)


def _points(one: Tree, other: Tree) -> list[dict[str, Fraction]]:
    """Values for all letters: positive ones, negative ones, then mixed, as roots may ask for."""
    names = sorted(symbols(one) | symbols(other))
    whole = bool(_WHOLE & (heads(one) | heads(other)))
    points = []
    for at in range(POINTS if names else 1):
        point = {}
        for place, name in enumerate(names):
            minus = not whole and at > 0 and (at == 1 or (at + place) % 2 == 1)
            point[name] = (-1 if minus else 1) * _letter_value(name, at, whole)
        points.append(point)
    return points


def _same_at(point: dict[str, Fraction], one: Tree, other: Tree, complex_too: bool) -> bool | None:
    """Whether the values at a point agree; None where there is nothing real to compare."""
    floats = context(FIRST_DIGITS)
    values = []
    for tree in (one, other):
        try:
            values.append(evaluate(tree, point, floats))
        except Undefined:
            values.append(None)
    if None in values:
        return None if values == [None, None] else False
    if point and not complex_too and all(_imaginary(value, floats) for value in values):
        return None
    return _vanishes(
        lambda f: _minus(evaluate(one, point, f), evaluate(other, point, f), f),
        one,
        other,
        point,
    )


def _imaginary(value: Value, floats: Any) -> bool:
    if isinstance(value, Fraction):
        return False
    return abs(floats.im(value)) > abs(value) * floats.mpf(10) ** (5 - FIRST_DIGITS)


def _frozen(points: tuple[dict[str, Fraction], ...]) -> list[tuple[tuple[str, Fraction], ...]]:
    return [tuple(sorted(point.items())) for point in points]


def _vanishes(
    value: Callable[[Any], Value], one: Tree, other: Tree, *points: dict[str, Fraction]
) -> bool:
    """Whether a difference of two expressions at some points is zero."""
    digits, before = FIRST_DIGITS, None
    needed = max(_size(one, at) + _size(other, at) for at in _frozen(points)) + 2 * FIRST_DIGITS
    rough = "integral" in heads(one) | heads(other)
    while True:
        floats = context(digits)
        try:
            now = value(floats)
        except Undefined:
            return False
        if isinstance(now, Fraction):
            return now == 0
        if rough:
            scale = abs(inexact(evaluate(one, {}, floats), floats)) if not symbols(one) else 1
            return abs(now) <= _QUADRATURE * (scale + abs(now))
        if before is not None and now != 0 and abs(now - before) <= abs(now) / 4:
            return False
        if digits >= needed:
            return True
        if digits >= MAX_DIGITS:
            raise TooLarge
        before, digits = now, min(2 * digits, max(int(needed) + 1, digits + 10), MAX_DIGITS)


@lru_cache(maxsize=8192)
def _size(tree: Tree, point: tuple[tuple[str, Fraction], ...]) -> float:
    """Decimal digits that are enough for a value and for how close to others it can come."""
    if tree.head == "number":
        bits = tree.value.numerator.bit_length() + tree.value.denominator.bit_length()
        return bits * math.log10(2)
    if tree.head in ("symbol", "constant"):
        return 4.0 if tree.head == "symbol" else 1.0
    sizes = [_size(arg, point) for arg in tree.args]
    if tree.head == "power":
        return (sizes[0] + 1) * 10 ** min(max(0.0, _magnitude(tree.args[1], point)), 9) + sizes[1]
    if tree.head in ("factorial", "binomial", "double factorial"):
        return 4 * 10 ** min(max(0.0, _magnitude(tree.args[0], point)), 4)
    return sum(sizes) + 1


@lru_cache(maxsize=8192)
def _magnitude(tree: Tree, point: tuple[tuple[str, Fraction], ...]) -> float:
    """About the decimal logarithm of the largest size that a value can have."""
    if tree.head != "number" and symbols(tree) <= {name for name, _ in point}:
        floats = context(FIRST_DIGITS)
        try:
            return float(floats.log10(abs(inexact(evaluate(tree, dict(point), floats), floats))))
        except (Undefined, ValueError, TypeError, OverflowError):
            pass  # zero, or none that can be afforded: by its parts
    if tree.head == "number":
        value = abs(tree.value)
        return math.log10(value.numerator or 1) - math.log10(value.denominator)
    if tree.head in ("symbol", "constant"):
        return {"e": 0.4343, "pi": 0.4972, "i": 0.0}.get(tree.name, 0.893)
    sizes = [_magnitude(arg, point) for arg in tree.args]
    if tree.head == "add":
        return max(sizes) + math.log10(len(sizes))
    if tree.head == "divide":
        below = tree.args[1]
        return sizes[0] + (-sizes[1] if below.head == "number" else _size(below, point))
    if tree.head == "root":
        return sizes[0] / max(1.0, 10 ** sizes[1])
    if tree.head == "power":
        return max(0.0, sizes[0]) * 10 ** min(max(0.0, sizes[1]), 9)
    return sum(sizes) if tree.head == "multiply" else _size(tree, point)
