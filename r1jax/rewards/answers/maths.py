r"""Accuracy of a final answer: whether it equals the reference, exactly and in bounded time.

R1-Zero pays 1 for a match, else 0 (DeepSeek-R1, arXiv:2501.12948, section 2.2.2). Numbers,
measures, percent, lists, intervals and texts are decided here in microseconds (`shapes`, `numbers`,
`compare`); what holds roots, pi or letters and is not spelt alike goes to `symbolic.equal` in a
worker. Model text is never executed.

A gold that is a number wants a number: \\sqrt{4}, 5! and \\binom{8}{2} are not worked out and earn
nothing, whatever their value. A unit may be left out, but not be of another kind; a percent sign
may be left out or added; the base of 4343_6 belongs to it. A gold that is a formula wants none that
the question holds.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from r1jax.config import UserError
from r1jax.rewards.answers import numbers, shapes, symbolic, units
from r1jax.rewards.answers.compare import compare
from r1jax.rewards.score import Verdict, wrong

MAX_CHARS = shapes.MAX_CHARS
# how tables say that an answer is missing
_MISSING = frozenset(["text nan", "text none", "text null", "text nat", "expression <NA>"])
# how Python prints a list, a tuple or a dict of texts, or a list of nothing
_PRINTED = re.compile(
    r"""\s*(?:[\[(]\s*(?:'[^']*'|None|nan|null)\s*[,\])]|\{\s*(['"])[^'"]*\1\s*:|\[\s*\]\s*\Z)"""
)
# what stands between the formulas of a question
_PROSE = re.compile(
    r"\$+|\\[()\[\]]|(?<![\\A-Za-z])(?!(?:sqrt|frac|sin|cos|tan|log|ln|exp|pi)\b)[A-Za-z]{2,}"
    r"|[?;:=\u4e00-\u9fff\uff0c\u3002\uff1a\uff1f]|\.(?!\d)"
)

_MARKED = re.compile(r"\$+([^$]{1,500})\$|\\\((.{1,500}?)\\\)|\\\[(.{1,500}?)\\\]", re.DOTALL)


def canonical(answer: str, reference: Mapping[str, Any]) -> str:
    """Returns a key that answers share when they are equal numbers, else the same text: for votes.

    Measures, nouns of the question, percent signs, names ("x =") and the order of lists do not
    count; past 500 characters the text counts as it stands.
    """
    shape = shapes.read(answer)
    if shape.number and not units.allowed(shape.number.unit, str(reference.get("question", ""))):
        return f"text {shape.text}"
    return shape.key


def is_number(answer: str) -> bool:
    """Returns whether an answer is an exact number, with or without a unit."""
    return shapes.read(answer).number is not None


def check_gold(gold: str) -> None:
    """Refuses a reference answer that no answer could match.

    Raises:
      UserError: if it is empty, longer than 500 characters, a word for a missing one (nan, None,
        null), or a list printed as text (['7', '8']): bad data, not a wrong answer.
    """
    key = "" if len(gold) > MAX_CHARS else shapes.read(gold).key
    if key in ("", "text "):
        raise UserError(f"gold answer {shapes.short(gold)!r}: wanted 1 to {MAX_CHARS} characters")
    if key in _MISSING:
        raise UserError(f"gold answer {gold!r}: the answer is missing")
    if _PRINTED.match(gold):
        raise UserError(f"gold answer {shapes.short(gold)!r}: printed as text, wanted its items")


def check(gold: str, reference: Mapping[str, Any]) -> None:
    """Refuses a gold that no answer could match; nothing of the reference is read.

    Raises:
      UserError: as `check_gold`.
    """
    check_gold(gold)


def context(gold: str, reference: Mapping[str, Any]) -> str:
    """Returns the text whose nouns may stand behind an answer's numbers."""
    return f"{gold} {reference.get('question', '')}"


def quick(answer: str, gold: str, reference: Mapping[str, Any]) -> Verdict | None:
    """Returns the verdict where it is exact, None where algebra must tell.

    An answer may have no more operations left than gold has: repeating the sum of the question
    would else be a perfect policy, "17 + 25" for 42.

    Args:
      answer: what was given.
      gold: what was wanted.
      reference: may hold "question", the text of the question.

    Raises:
      UserError: if no answer could match gold (`check_gold`).
    """
    check_gold(gold)
    given, wanted = shapes.read(answer), shapes.read(gold)
    right = compare(given, wanted, lambda *_: None, context(gold, reference))
    if right:
        return Verdict(1.0, f"{shapes.short(answer)} equals {shapes.short(gold)}", False)
    if right is None:
        why = symbolic.refusal(answer, gold)
        if not why and _restates(given, wanted, str(reference.get("question", ""))):
            why = "the question holds it"
    else:
        why = _why_not(answer, given, wanted)
    if right is None and not why:
        return None
    why = f" ({why})" if why else ""
    return wrong(f"{shapes.short(answer)} is not {shapes.short(gold)}{why}")


def _restates(given: shapes.Shape, wanted: shapes.Shape, question: str) -> bool:
    """Whether a formula is one of the question's, and gold is none of them."""
    if given.kind != "expression" or not question:
        return False
    formulas = _formulas(question)
    return given.key in formulas and wanted.key not in formulas


@lru_cache(maxsize=1024)
def _formulas(question: str) -> frozenset[str]:
    marked = [next(filter(None, found)) for found in _MARKED.findall(question)]
    pieces = (piece.strip(" ,\n") for piece in [*_PROSE.split(question), *marked])
    return frozenset(shapes.read(piece).key for piece in pieces if len(piece) > 2)


def _why_not(answer: str, given: shapes.Shape, wanted: shapes.Shape) -> str:
    if len(answer) > MAX_CHARS:
        return f"{len(answer)} characters refused, at most {MAX_CHARS}"
    if wanted.number is None:
        return ""
    if given.number is None:
        try:
            numbers.read(given.text)
        except ValueError as error:
            return str(error)
    elif given.name and wanted.name and given.name != wanted.name:
        return f"{given.name}, wanted {wanted.name}"
    elif numbers.equal(given.number, wanted.number):
        if given.number.operations > wanted.number.operations:
            return "not worked out"
        return f"unit {given.number.unit!r}"
    elif numbers.other_unit(given.number, wanted.number):
        return "another unit"
    return ""
