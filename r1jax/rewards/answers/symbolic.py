r"""Equality of expressions by algebra, for a worker that can be killed.

A strict parser (`algebra.parser`) reads them, and their values decide, exactly or to as many digits
as it takes (`algebra.equality`). It sees single expressions and relations only; what it cannot read
equals nothing but itself.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from r1jax.rewards.answers import latex, shapes
from r1jax.rewards.answers.algebra import equality
from r1jax.rewards.answers.algebra.parser import parse
from r1jax.rewards.answers.algebra.tree import Tree, node
from r1jax.rewards.answers.algebra.work import undone
from r1jax.rewards.answers.compare import compare
from r1jax.rewards.score import Verdict, wrong

MAX_DEPTH = 12  # the deepest reference in MATH has 3

# arithmetic that a worked-out answer has behind it; of one kind, any way to write it will do
_UNDONE = {
    "a factorial or binomial": re.compile(r"\\(?:[dt]?binom|choose)(?![A-Za-z])|!"),
    "a sum or product": re.compile(r"\\(?:sum|prod)(?![A-Za-z])"),
    "an integral": re.compile(r"\\int(?![A-Za-z])"),
    "a limit": re.compile(r"\\lim(?![A-Za-z])"),
    "a determinant": re.compile(r"\\det(?![A-Za-z])"),
    "a common divisor or multiple": re.compile(r"\\(?:gcd|lcm)(?![A-Za-z])"),
    "a remainder": re.compile(r"\\(?:bmod|pmod|mod)(?![A-Za-z])"),
    "a derivative": re.compile(r"\\frac\s*\{\s*(?:d|\\partial)(?![A-Za-z]*\})"),
}
_TOWER = re.compile(r"\d\s*\^\s*\{?\s*\d+\s*\^")
_POWER = re.compile(r"\^\s*\{?\s*-?\s*\d{5}")
_EXPONENT = re.compile(r"[{}^]|\\[A-Za-z]+|\w+|\S")
_FACTORIAL = re.compile(r"!\s*[)}]\s*!|\d{5}\s*!")
_REFUSED = {"a tower of powers": _TOWER, "a huge power": _POWER, "a huge factorial": _FACTORIAL}
_MARK = re.compile(r"<=|>=|[=<>]|\\(?:le|ge|lt|gt|ne|neq)(?![A-Za-z])|\\?[({\[]|\\?[)}\]]")
_SIGNS = {"\\le": "<=", "\\ge": ">=", "\\lt": "<", "\\gt": ">", "\\neq": "\\ne"}


class Relation(NamedTuple):
    """What must hold: left sign right, where the sign is =, \\ne, < or <=."""

    sign: str
    left: Tree
    right: Tree


@lru_cache(maxsize=1)
def prepare() -> None:
    """Loads the floats, which takes a while, before anybody counts the time."""
    right = equal(r"\sqrt{20}", r"2\sqrt{5}", "")
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
    answer, gold = latex.tidy(answer), latex.tidy(gold)
    for what, pattern in _REFUSED.items():
        if pattern.search(answer) and not pattern.search(gold):
            return f"{what} refused"
    left = [kind for kind, sign in _UNDONE.items() if sign.search(answer) and not sign.search(gold)]
    return f"not worked out: {', '.join(left)}" if left else ""


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


def equal(answer: str, gold: str, context: str) -> Verdict:
    r"""Returns whether an answer equals gold, as expressions, sets, tuples, intervals or matrices.

    Equal in value is not enough: 2\cdot 3\sqrt{5} has more left to do than 6\sqrt{5} and earns
    nothing (`algebra.work`); \sqrt{20} for 2\sqrt{5} has not. Decimals are exact.

    It takes CPU time and memory that the caller limits.

    Args:
      answer: what was given.
      gold: what was wanted.
      context: gold's text and the question's, whose nouns may stand behind numbers.
    """
    if why := refusal(answer, gold):
        return wrong(why)
    reasons: list[str] = []

    def same(one: str, other: str) -> bool:
        reasons.append(_difference(one, other))
        return not reasons[-1]

    right = compare(shapes.read(answer), shapes.read(gold), same, context)
    verb = "equals" if right else "is not"
    why = f" ({reasons[-1]})" if not right and reasons and reasons[-1] != "another value" else ""
    reason = f"{shapes.short(answer)} {verb} {shapes.short(gold)}{why}"
    return Verdict(float(bool(right)), reason, False)


def _difference(answer: str, gold: str) -> str:
    """Why an expression or relation is not gold's; "" if it is."""
    given, wanted = _relation(answer), _relation(gold)
    if given is None or wanted is None:
        return "not understood"
    if isinstance(given, Relation) and isinstance(wanted, Relation):
        sides = (node("relation", *given[1:]), node("relation", *wanted[1:]))
        work = undone(*sides, relation=True)
        same = _same_relation
    elif isinstance(given, Relation) or isinstance(wanted, Relation):
        return "another value"
    else:
        work = undone(given, wanted, relation=False)
        same = equality.equal
    if work:
        return f"not worked out: {work}"
    try:
        return "" if same(given, wanted) else "another value"  # pyright: ignore[reportArgumentType]
    except equality.TooLarge:
        return "too large to compare"


def _same_relation(given: Relation, wanted: Relation) -> bool:
    if given.sign != wanted.sign:
        return False
    ordered = given.sign in ("<", "<=")
    sides = [equality.difference(r.left, r.right) for r in (given, wanted)]
    if not ordered:
        sides = [equality.numerator(side) for side in sides]
    return equality.proportional(*sides, positive=ordered)


@lru_cache(maxsize=4096)
def _relation(text: str) -> Tree | Relation | None:
    """The tree of an expression, the relation of two, or None for what is not understood."""
    pieces, signs, start, depth = [], [], 0, 0
    for mark in _MARK.finditer(text):
        depth += (mark[0][-1] in "({[") - (mark[0][-1] in ")}]")
        if depth == 0 and mark[0][-1] not in "({[)}]":
            pieces.append(text[start : mark.start()])
            signs.append(_SIGNS.get(mark[0], mark[0]))
            start = mark.end()
    trees = [parse(piece.strip()) for piece in [*pieces, text[start:]]]
    if len(trees) == 1:
        return trees[0]
    left, right = trees[0], trees[-1]
    if len(trees) != 2 or left is None or right is None:
        return None  # a = b = 3 is no value but its working
    sign = signs[0]
    if ">" in sign:
        return Relation(sign.replace(">", "<"), right, left)
    return Relation(sign, left, right)
