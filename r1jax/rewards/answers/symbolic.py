r"""Equality of expressions by computer algebra, for a worker that can be killed.

math-verify 0.9 reads the LaTeX and simplifies the difference. It may take minutes and gigabytes,
and it swallows every `Exception`: limits must raise a `BaseException`. It sees single expressions
only, since it reads lists, boxes and words its own lenient ways.
"""

import logging
import re
from functools import lru_cache
from typing import Any

from r1jax.rewards.answers import shapes
from r1jax.rewards.score import Verdict, wrong

MAX_DEPTH = 12  # the deepest reference in MATH has 3; 40 fractions in one another take minutes

_LONE_I = re.compile(r"(?<![A-Za-z\\])i(?![A-Za-z])")
_DECIMAL = re.compile(r"(\d*)\.(\d+)")
# arithmetic that a worked-out answer has behind it
_UNDONE = re.compile(
    r"\\(?:[dt]?binom|choose|sum|prod|int|lim|det|gcd|bmod|pmod|mod)(?![A-Za-z])|!|\\text\{(?:lcm|gcd)\}"
)
_TOWER = re.compile(r"\d\s*\^\s*\{?\s*\d+\s*\^")
_POWER = re.compile(r"\^\s*\{?\s*-?\s*\d{5}")
_EXPONENT = re.compile(r"[{}^]|\\[A-Za-z]+|\w+|\S")
_FACTORIAL = re.compile(r"[)}!]\s*!|\d{3}\s*!")
_REFUSED = {"a tower of powers": _TOWER, "a huge power": _POWER, "a huge factorial": _FACTORIAL}


@lru_cache(maxsize=1)
def prepare() -> None:
    """Loads the algebra, which takes a second or two, before anybody counts the time."""
    # it would warn that nobody limits its time; the caller does
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    right = equal(r"\sqrt{20}", r"2\sqrt{5}")
    assert right.value == 1.0, right


def refusal(answer: str, gold: str) -> str:
    r"""Returns why an answer is wrong without a look at its value, "" if it must be looked at.

    It may not pass 500 characters or 12 brackets deep, hold powers of powers or huge ones, or leave
    \binom, \sum, n! and their like undone, unless gold does so too.
    """
    if len(answer) > shapes.MAX_CHARS:
        return f"answer of {len(answer)} characters refused, at most {shapes.MAX_CHARS}"
    if shapes.depth(answer) > max(MAX_DEPTH, shapes.depth(gold)):
        return f"nested deeper than {MAX_DEPTH} refused"
    if _exponents(answer) > max(2, _exponents(gold)):
        return "a tower of powers refused"
    for what, pattern in _REFUSED.items():
        if pattern.search(answer) and not pattern.search(gold):
            return f"{what} refused"
    undone = set(_UNDONE.findall(answer)) - set(_UNDONE.findall(gold))
    return f"not worked out: {', '.join(sorted(undone))}" if undone else ""


def _exponents(text: str) -> int:
    """How many powers stand in each other's exponents: 2 in e^{x^2}, 3 in x^{y^{z^2}}."""
    deepest, raised, after = 0, [0], False
    for mark in _EXPONENT.findall(text):
        if mark == "^":
            after = True
            continue
        if mark == "{":
            raised.append(raised[-1] + after)
            deepest = max(deepest, raised[-1])
        elif mark == "}" and len(raised) > 1:
            raised.pop()
        elif mark not in "{}":
            deepest = max(deepest, raised[-1] + after)
        after = False
    return deepest


def equal(answer: str, gold: str) -> Verdict:
    r"""Returns whether an answer equals gold, as expressions, sets, tuples, intervals or matrices.

    Equal in value is not enough: 2\cdot 3\sqrt{5} has more arithmetic between numbers left than
    6\sqrt{5} and earns nothing; \sqrt{20} for 2\sqrt{5} has none. Decimals are exact.

    It takes CPU time and memory without bound: the caller limits them.
    """
    if why := refusal(answer, gold):
        return wrong(why)
    right = shapes.compare(shapes.read(answer), shapes.read(gold), _same)
    verb = "equals" if right else "is not"
    return Verdict(float(bool(right)), f"{shapes.short(answer)} {verb} {shapes.short(gold)}", False)


def _same(answer: str, gold: str) -> bool:
    # a = b = 3 is no value but its working
    if answer.count("=") > max(1, gold.count("=")):
        return False
    given, wanted = _parse(answer), _parse(gold)
    if given is None or wanted is None or _undone(given) > _undone(wanted):
        return False
    # simplifying (x+1)^{9999} takes for ever, its value somewhere takes no time
    there, here = _value(answer), _value(gold)
    if there is not None and here is not None:
        scale = max(1, abs(there), abs(here))
        if abs(there - here) > scale * 1e-6:
            return False
    from math_verify import verify

    # the order matters: gold first
    return verify(wanted, given, timeout_seconds=None)


@lru_cache(maxsize=4096)
def _value(text: str) -> Any:
    """A number of 15 digits, each letter being some whole number; None if it has no value."""
    import sympy

    expression = _parse(text)
    if not isinstance(expression, sympy.Expr):
        return None
    # whole, since some expressions are equal only for whole n
    point: dict[Any, Any] = {x: 2 + sum(map(ord, str(x))) % 23 for x in expression.free_symbols}
    try:
        value = expression.evalf(15, subs=point)
    except (TypeError, ValueError, ArithmeticError, AttributeError, NotImplementedError):
        return None
    return value if value.is_number and value.is_finite else None


@lru_cache(maxsize=4096)
def _parse(text: str) -> Any:
    """The sympy object, None if it cannot be read."""
    from latex2sympy2_extended.latex2sympy2 import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse

    # its units include t, m and o, which would cut the last letter off x + m; ours are gone already
    tidy = NormalizationConfig(
        basic_latex=True,
        units=False,
        malformed_operators=True,
        nits=True,
        boxed="none",
        equations=False,
    )
    config = LatexExtractionConfig(boxed_match_priority=-1, normalization_config=tidy)
    # it takes i for a variable in 9i, for the unit in 9 i
    exact = _LONE_I.sub(" i ", _DECIMAL.sub(_fraction, text)).replace("°", "^\\circ ")
    # a bare 2\sqrt{5} would be read as 2: math-verify wants its dollars
    found = parse(f"${exact}$", [config], "no_fallback", parsing_timeout=None)  # pyright: ignore
    return found[0] if found else None


def _fraction(match: re.Match[str]) -> str:
    return f"\\frac{{{int(match[1] + match[2])}}}{{{10 ** len(match[2])}}}"


def _undone(expression: Any) -> int:
    """Operations between plain numbers: 2*3*sqrt(5) has one, sqrt(9) and sin(0) one."""
    import sympy

    count = 0
    for node in sympy.preorder_traversal(expression):
        if isinstance(node, sympy.Add | sympy.Mul):
            plain = [arg for arg in node.args if arg.is_Rational and arg not in (-1, 1)]
            count += max(0, len(plain) - 1)
        elif isinstance(node, sympy.Pow) and node.base.is_Rational and node.exp.is_Rational:
            # 1/5 and sqrt(5) are numbers; 5^2 and sqrt(9) are work
            count += node.exp != -1 and bool((node.base**node.exp).is_Rational)
        elif isinstance(node, sympy.Function):
            count += all(arg.is_number for arg in node.args)
    return count
