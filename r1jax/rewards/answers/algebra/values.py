"""Values of trees at a point: exact fractions where that is possible, else floats.

Powers and roots are principal, but odd roots of negative numbers are real, as schools have them.
Functions without a meaning of ours, f(x) and their like, take values of some smooth function.
"""

import math
import zlib
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

from r1jax.rewards.answers.algebra.parser import HYPERBOLIC, TRIGONOMETRIC
from r1jax.rewards.answers.algebra.tree import Tree, heads

MAX_BITS = 400_000  # of an exact number
MAX_EXPONENT = 10**7  # of 2, of a float
MAX_ANGLE = 10**12
MAX_FACTORIAL = 5000
MAX_TERMS, MAX_INNER_TERMS = 500, 30  # of a sum, and of a sum of sums or in an integral
_INTEGRAND = ""  # a letter of no formula: points inside an integral have it
_ODD = range(3, 100, 2)  # roots of which are real

Value = Any  # Fraction, or mpf or mpc of a context


class Undefined(ArithmeticError):
    """There is no value, or none that can be afforded."""


@lru_cache(maxsize=64)
def context(digits: int) -> Any:
    """Floats of so many decimal digits."""
    import mpmath

    floats = mpmath.MPContext()
    floats.dps = digits
    return floats


def evaluate(tree: Tree, point: Mapping[str, Value], floats: Any) -> Value:
    """Returns the value of a tree, its letters being those of the point.

    Raises:
      Undefined: if it has none, or is too large to work out.
    """
    try:
        value = _evaluate(tree, point, floats)
    except (ZeroDivisionError, ValueError, OverflowError, TypeError) as error:
        raise Undefined(str(error)) from None
    if not isinstance(value, Fraction) and not floats.isfinite(value):
        raise Undefined("not finite")
    return value


def _evaluate(tree: Tree, point: Mapping[str, Value], floats: Any) -> Value:
    if tree.head == "number":
        return tree.value
    if tree.head == "symbol":
        return point[tree.name]
    if tree.head == "constant":
        return _constant(tree.name, floats)
    if tree.head == "every":
        return _every(tree, point, floats)
    if tree.head == "integral":
        return _integral(tree, point, floats)
    args = [_evaluate(arg, point, floats) for arg in tree.args]
    if tree.head == "add":
        return _total(args, floats)
    if tree.head == "multiply":
        return _product(args, floats)
    if tree.head in _BINARY:
        first, second = args
        return _BINARY[tree.head](first, second, floats)
    if tree.head == "call":
        return _call(tree.name, args, floats)
    return _whole(tree.head, args, floats)


def inexact(value: Value, floats: Any) -> Any:
    """A value as a float."""
    if isinstance(value, Fraction):
        return floats.mpf(value.numerator) / value.denominator
    return value


def _constant(name: str, floats: Any) -> Value:
    if name == "infinity":
        raise Undefined("infinity")
    return {"pi": floats.pi, "e": floats.e, "i": floats.j}[name] * 1


def _same_kind(args: list[Value], floats: Any) -> list[Value]:
    if all(isinstance(arg, Fraction) for arg in args):
        return args
    return [inexact(arg, floats) for arg in args]


def _total(args: list[Value], floats: Any) -> Value:
    return _bounded(sum(_same_kind(args, floats), start=Fraction(0) if _exact(args) else 0))


def _product(args: list[Value], floats: Any) -> Value:
    return _bounded(math.prod(_same_kind(args, floats), start=Fraction(1) if _exact(args) else 1))


def _exact(args: list[Value]) -> bool:
    return all(isinstance(arg, Fraction) for arg in args)


def _bounded(value: Value) -> Value:
    if isinstance(value, Fraction) and _bits(value) > MAX_BITS:
        raise Undefined("a fraction of too many digits")
    return value


def _bits(value: Fraction) -> int:
    return value.numerator.bit_length() + value.denominator.bit_length()


def _quotient(above: Value, below: Value, floats: Any) -> Value:
    above, below = _same_kind([above, below], floats)
    if below == 0:
        raise Undefined("division by zero")
    return _bounded(above / below)


def power(base: Value, exponent: Value, floats: Any) -> Value:
    """A power; 0^0 is undefined."""
    if base == 0:
        if not floats.re(inexact(exponent, floats)) > 0:
            raise Undefined("zero to the power zero or less")
        return Fraction(0)
    if isinstance(exponent, Fraction):
        if exponent.denominator == 1 and isinstance(base, Fraction):
            if abs(exponent) * _bits(base) <= MAX_BITS:
                return base**exponent.numerator
        elif exponent.denominator == 1:
            _affordable(base, exponent, floats)
            return base**exponent.numerator
        elif exponent.denominator in _ODD and floats.im(inexact(base, floats)) == 0:
            return power(
                _root(base, Fraction(exponent.denominator), floats),
                Fraction(exponent.numerator),
                floats,
            )
    _affordable(base, exponent, floats)
    base, exponent = inexact(base, floats), inexact(exponent, floats)
    return floats.power(base, exponent)


def _affordable(base: Value, exponent: Value, floats: Any) -> None:
    size = abs(inexact(exponent, floats)) * (abs(floats.log(abs(inexact(base, floats)), 2)) + 1)
    if size > MAX_EXPONENT:
        raise Undefined("a power too large")


def _root(radicand: Value, index: Value, floats: Any) -> Value:
    if not isinstance(index, Fraction) or index.denominator != 1 or not 0 < index < 100:
        return power(radicand, _quotient(Fraction(1), index, floats), floats)
    if isinstance(radicand, Fraction) and (root := exact_root(radicand, index.numerator)):
        return root
    x = inexact(radicand, floats)
    if floats.im(x) == 0 and floats.re(x) < 0 and index.numerator % 2:
        return -floats.root(-floats.re(x), index.numerator)
    return floats.root(x, index.numerator)


def exact_root(value: Fraction, index: int) -> Fraction | None:
    """The root of a fraction if it is a fraction, zero and even roots of negatives aside."""
    if value == 0 or (value < 0 and index % 2 == 0):
        return None
    if index == 1:
        return value
    roots = [_whole_root(part, index) for part in (abs(value.numerator), value.denominator)]
    if roots[0] is None or roots[1] is None:
        return None
    return Fraction(roots[0] if value > 0 else -roots[0], roots[1])


def _whole_root(value: int, index: int) -> int | None:
    root = math.isqrt(value) if index == 2 else _floor_root(value, index)
    return root if root**index == value else None


def _floor_root(value: int, index: int) -> int:
    """The largest whole number with a power of no more than a value: Newton's steps from above."""
    root = 1 << -(-value.bit_length() // index)
    while True:
        below = ((index - 1) * root + value // root ** (index - 1)) // index
        if below >= root:
            return root
        root = below


def _call(name: str, args: list[Value], floats: Any) -> Value:
    if name in ("gcd", "lcm"):
        return Fraction(getattr(math, name)(*map(_integer, args)))
    if name in ("max", "min"):
        reals = [_real(arg, floats) for arg in args]
        at = reals.index((max if name == "max" else min)(reals))
        return args[at]
    if name in ("sgn", "sign"):
        return Fraction(int(floats.sign(_real(args[0], floats))))
    floating = [inexact(arg, floats) for arg in args]
    x = floating[0]
    if name == "log":
        if x == 0:
            raise Undefined("the logarithm of zero")
        return floats.log(x) if len(args) == 1 else floats.log(x) / floats.log(floating[1])
    known = _FUNCTIONS.get(name)
    if known is None:
        return _some_function(name, floating, floats)
    if abs(x) > MAX_ANGLE:
        raise Undefined("an angle too large")
    return getattr(floats, known)(x)


_FUNCTIONS = {name: name for name in TRIGONOMETRIC | HYPERBOLIC}
_FUNCTIONS |= {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "arccot": "acot"}


def _some_function(name: str, args: list[Value], floats: Any) -> Value:
    """The value of a smooth function that its name alone determines."""
    total = floats.mpf(0)
    for place, arg in enumerate(args, 1):
        if abs(arg) > MAX_ANGLE:
            raise Undefined("an argument too large")
        factor = 1 + Fraction(zlib.crc32(f"{name}{place}".encode()) % 9973, 9973)
        total += place * floats.sin(arg * inexact(factor, floats) + place)
    return total


def _real(value: Value, floats: Any) -> Value:
    if not isinstance(value, Fraction) and floats.im(value) != 0:
        raise Undefined("not real")
    return inexact(value, floats)


def _integer(value: Value) -> int:
    if not isinstance(value, Fraction) or value.denominator != 1:
        raise Undefined("not whole")
    return value.numerator


def _whole(head: str, args: list[Value], floats: Any) -> Value:
    first = args[0]
    if head == "absolute":
        return abs(first)
    if head in ("floor", "ceiling"):
        if isinstance(first, Fraction):
            return Fraction(math.floor(first) if head == "floor" else math.ceil(first))
        real = _real(first, floats)
        if abs(real) > 10**12:
            raise Undefined("too large to round")
        return Fraction(int(floats.floor(real) if head == "floor" else floats.ceil(real)))
    n = _integer(first)
    if head == "modulo":
        return Fraction(n % _integer(args[1]))
    if not 0 <= n <= MAX_FACTORIAL:
        raise Undefined(f"the factorial of {n}")
    if head == "factorial":
        return Fraction(math.factorial(n))
    if head == "binomial":
        return Fraction(math.comb(n, _integer(args[1])))
    if head == "double factorial":
        return Fraction(math.prod(range(n, 0, -2)))
    raise Undefined(head)


def _every(tree: Tree, point: Mapping[str, Value], floats: Any) -> Value:
    letter, low, high, body = tree.args
    first, last = (_integer(_evaluate(end, point, floats)) for end in (low, high))
    inner = "every" in heads(body) or _INTEGRAND in point
    if last - first >= (MAX_INNER_TERMS if inner else MAX_TERMS):
        raise Undefined("too many terms")
    terms = [
        _evaluate(body, {**point, letter.name: Fraction(k)}, floats) for k in range(first, last + 1)
    ]
    return (_total if tree.name == "sum" else _product)(terms, floats)


def _integral(tree: Tree, point: Mapping[str, Value], floats: Any) -> Value:
    letter, low, high, body = tree.args
    ends = [inexact(_evaluate(end, point, floats), floats) for end in (low, high)]

    def integrand(x: Any) -> Any:
        return inexact(
            _evaluate(body, {**point, letter.name: x, _INTEGRAND: Fraction(1)}, floats), floats
        )

    return floats.quad(integrand, ends)


_BINARY = {"divide": _quotient, "power": power, "root": _root}
