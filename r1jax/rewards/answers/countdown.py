"""Countdown: reach a target from given numbers with + - * /. No model text is executed."""

import ast
import operator
import unicodedata
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from r1jax.config import UserError
from r1jax.rewards.score import Verdict, wrong

MAX_CHARS = 200
MAX_DEPTH = 20

_OPERATIONS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_SYMBOLS = str.maketrans(
    {"\u00d7": "*", "\u00f7": "/", "\u00b7": "*", "\u22c5": "*", "\u2212": "-"}
)
_LATEX = {"\\times": "*", "\\cdot": "*", "\\div": "/", "\\left": "", "\\right": "", "$": ""}
_ALLOWED = frozenset("0123456789+-*/() ")


def _value(node: ast.AST, used: list[int], depth: int) -> Fraction:
    if depth > MAX_DEPTH:
        raise UserError(f"nested deeper than {MAX_DEPTH}")
    if isinstance(node, ast.Constant) and type(node.value) is int:
        used.append(node.value)
        return Fraction(node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        left = _value(node.left, used, depth + 1)
        right = _value(node.right, used, depth + 1)
        if isinstance(node.op, ast.Div) and right == 0:
            raise UserError("division by zero")
        return _OPERATIONS[type(node.op)](left, right)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, used, depth + 1)
    raise UserError("only numbers, + - * / and parentheses are allowed")


def evaluate(text: str) -> tuple[Fraction, list[int]]:
    """Returns the value of an expression and the numbers it uses, by a walk over its parse.

    A minus may stand before a number or a bracket, "-2 + 64": golds of reasoning-gym have it, which
    says no more than another order, 64 - 2. The number used is 2.

    Raises:
      UserError: if it is anything but whole numbers, + - * / and parentheses, divides by zero,
        passes 200 characters or nests deeper than 20.
    """
    if len(text) > MAX_CHARS:
        raise UserError(f"{len(text)} characters, at most {MAX_CHARS} are read")
    text = unicodedata.normalize("NFKC", text).translate(_SYMBOLS)
    for word, sign in _LATEX.items():
        text = text.replace(word, sign)
    text = " ".join(text.split()).rstrip(" .")
    # ** and // are made of allowed characters; digits that follow a 0 would be a SyntaxError
    if not set(text) <= _ALLOWED or len(text) > MAX_CHARS:
        raise UserError("only numbers, + - * / and parentheses are allowed")
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, MemoryError, RecursionError):
        raise UserError(f"cannot read {text[:60]!r}") from None
    used: list[int] = []
    return _value(tree.body, used, 0), used


def _reference(reference: Mapping[str, Any]) -> tuple[list[int], int, bool]:
    numbers: Any = reference.get("numbers")
    target, use_all = reference.get("target"), reference.get("use_all")
    whole = isinstance(numbers, list) and all(type(n) is int and n >= 0 for n in numbers)
    if not (whole and numbers and type(target) is int and isinstance(use_all, bool)):
        raise UserError(
            f"countdown: got numbers {numbers!r}, target {target!r}, use_all {use_all!r}, wanted "
            "a list of whole numbers from 0, a whole number and a bool"
        )
    return numbers, target, use_all


def check(gold: str, reference: Mapping[str, Any]) -> None:
    """Refuses a puzzle that cannot be judged; any solution is right, gold is one for people.

    Raises:
      UserError: unless reference holds "numbers", "target" (whole numbers) and "use_all" (bool).
    """
    _reference(reference)


def vote(answer: str, reference: Mapping[str, Any]) -> str:
    """Returns a key that expressions of equal value share: all that reach the target agree."""
    try:
        return f"number {evaluate(answer.partition('=')[0])[0]}"
    except ValueError:
        return f"text {answer}"


def quick(answer: str, gold: str, reference: Mapping[str, Any]) -> Verdict:
    """Returns 1 if an expression reaches the target with the given numbers, each used once.

    Args:
      answer: such as "(25 - 3) * 4"; "= 88" may follow and must then be the target.
      gold: not read.
      reference: "numbers"; "target"; "use_all": whether every number must be used.

    Raises:
      UserError: as `check`.
    """
    numbers, target, use_all = _reference(reference)
    expression, equals, stated = answer.partition("=")
    try:
        value, used = evaluate(expression)
        if equals and evaluate(stated)[0] != target:
            return wrong(f"it says = {stated.strip()[:60]}, wanted {target}")
    except ValueError as error:
        return wrong(str(error))
    surplus = Counter(used) - Counter(numbers)
    if surplus:
        return wrong(f"{', '.join(map(str, surplus.elements()))}: not given so often")
    unused = Counter(numbers) - Counter(used)
    if use_all and unused:
        return wrong(f"{', '.join(map(str, unused.elements()))}: not used")
    if value != target:
        return wrong(f"the value is {value}, wanted {target}")
    return Verdict(1.0, f"{expression.strip()[:60]} is {target}", False)
