"""Answers that are plain text: equal after NFKC, without case, and with single spaces."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from r1jax.config import UserError
from r1jax.rewards.score import Verdict

MAX_CHARS = 10_000
_MISSING = ("nan", "nat", "<na>")  # as tables print it; "none" and "null" are words
_COMMA = re.compile(r" ?([,;]) ?")


def canonical(answer: str) -> str:
    """Returns a key that equal texts share; past 10,000 characters the text as it stands.

    Case does not count: tasks with words for answers ("Yes") seldom mean it. Nor do spaces beside a
    comma or semicolon: "a, b" lists what "a,b" does. No stop is dropped, since tasks that move
    characters about do mean it.
    """
    if len(answer) > MAX_CHARS:
        return answer
    # casefold may undo NFKC, so once more
    folded = unicodedata.normalize("NFKC", answer).casefold()
    return _COMMA.sub(r"\1", " ".join(unicodedata.normalize("NFKC", folded).split()))


def check(gold: str, reference: Mapping[str, Any]) -> None:
    """Refuses a gold that no answer could match; nothing of the reference is read.

    Raises:
      UserError: if gold is empty, longer than 10,000 characters, or says that it is missing (nan).
    """
    key = canonical(gold)
    if len(gold) > MAX_CHARS or not key:
        raise UserError(f"gold text {gold[:60]!r}: wanted 1 to {MAX_CHARS} characters")
    if key in _MISSING:
        raise UserError(f"gold text {gold!r}: the answer is missing")


def quick(answer: str, gold: str, reference: Mapping[str, Any]) -> Verdict:
    """Returns 1 for the same text, else 0.

    Raises:
      UserError: as `check`.
    """
    check(gold, reference)
    right = canonical(answer) == canonical(gold)
    verb = "equals" if right else "is not"
    return Verdict(float(right), f"{answer[:60]!r} {verb} {gold[:60]!r}", False)
