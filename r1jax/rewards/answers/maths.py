r"""Accuracy of a final answer: whether it equals the reference, exactly and in bounded time.

R1-Zero pays 1 for a match, else 0 (DeepSeek-R1, arXiv:2501.12948, section 2.2.2). Numbers, units,
percent, lists, intervals and texts are decided here in microseconds (`shapes`, `numbers`); what
holds roots, pi or letters and is not spelt alike goes to `symbolic.equal` in a worker. Model text
is never executed.

A gold that is a number wants a number: \\sqrt{4}, 5! and \\binom{8}{2} are not worked out and earn
nothing, whatever their value. A unit may be left out, but not be another one; a percent sign may
be left out or added; the base of 4343_6 belongs to it.
"""

from collections.abc import Mapping
from typing import Any

from r1jax.config import UserError
from r1jax.rewards.answers import numbers, shapes, symbolic
from r1jax.rewards.score import Verdict, wrong

MAX_CHARS = shapes.MAX_CHARS


def canonical(answer: str) -> str:
    """Returns a key that answers share when they are equal numbers, else the same text: for votes.

    Units, percent signs, names ("x =") and the order of lists do not count; past 500 characters
    the text counts as it stands.
    """
    return shapes.read(answer).key


def is_number(answer: str) -> bool:
    """Returns whether an answer is an exact number, with or without a unit."""
    return shapes.read(answer).number is not None


def check_gold(gold: str) -> None:
    """Refuses a reference answer that no answer could match.

    Raises:
      UserError: if it is empty or longer than 500 characters: bad data, not a wrong answer.
    """
    if len(gold) > MAX_CHARS or shapes.read(gold).key == "text ":
        raise UserError(f"gold answer {shapes.short(gold)!r}: wanted 1 to {MAX_CHARS} characters")


def check(gold: str, reference: Mapping[str, Any]) -> None:
    """Refuses a gold that no answer could match; nothing of the reference is read.

    Raises:
      UserError: if gold is empty or longer than 500 characters.
    """
    check_gold(gold)


def quick(answer: str, gold: str, reference: Mapping[str, Any]) -> Verdict | None:
    """Returns the verdict where it is exact, None where computer algebra must tell.

    An answer may have no more operations left than gold has: repeating the sum of the question
    would else be a perfect policy, "17 + 25" for 42.

    Raises:
      UserError: if gold is empty or longer than 500 characters.
    """
    check_gold(gold)
    given, wanted = shapes.read(answer), shapes.read(gold)
    right = shapes.compare(given, wanted, lambda *_: None)
    if right:
        return Verdict(1.0, f"{shapes.short(answer)} equals {shapes.short(gold)}", False)
    why = symbolic.refusal(answer, gold) if right is None else _why_not(answer, given, wanted)
    if right is None and not why:
        return None
    why = f" ({why})" if why else ""
    return wrong(f"{shapes.short(answer)} is not {shapes.short(gold)}{why}")


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
        clash = numbers.other_unit(given.number, wanted.number)
        return "another unit" if clash else "not worked out"
    return ""
