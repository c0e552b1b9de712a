"""Knights and knaves: who is said to be what."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from r1jax.rewards.score import Verdict, wrong

MAX_CHARS = 4000

_CLAIM = re.compile(
    r"([^\W\d_]+(?:[-' ][^\W\d_]+)??)\s*(?:is|=|:|->)\s*(?:(?:an?|the)\s+)?(knight|knave)\b", re.I
)
_DENIAL = re.compile(r"\bnot\b|n't\b|\bneither\b|\bnor\b|\bor\b|\bif\b|\beither\b", re.I)


def roles(answer: str, names: list[str]) -> tuple[dict[str, bool], str]:
    """Returns who is said to be a knight (True) or a knave, {} and the reason if it is not clear.

    Every name must have one role, no other name any, and nothing may be denied or conditional.
    "(1) Zoey is a knight" and "Zoey is a knight, and Owen is a knave." are read alike.
    """
    if len(answer) > MAX_CHARS:
        return {}, f"answer of {len(answer)} characters refused, at most {MAX_CHARS}"
    text = " ".join(unicodedata.normalize("NFKC", answer).replace("*", "").split())
    if denial := _DENIAL.search(text):
        return {}, f"not plain: it says {denial[0]!r}"
    known = {name.casefold(): name for name in names}
    said: dict[str, bool] = {}
    for claim in _CLAIM.finditer(text):
        name = known.get(claim[1].split()[-1].casefold()) or known.get(claim[1].casefold())
        if name is None:
            return {}, f"{claim[1]} is nobody here"
        knight = claim[2].casefold() == "knight"
        if said.setdefault(name, knight) != knight:
            return {}, f"{name} is said to be both"
    if len(re.findall(r"\bkn(?:ight|ave)s?\b", text, re.I)) != len(_CLAIM.findall(text)):
        return {}, "not plain: a role has no name"
    if missing := [name for name in names if name not in said]:
        return {}, f"nothing is said of {', '.join(missing)}"
    return said, ""


def _reference(reference: Mapping[str, Any]) -> dict[str, bool]:
    names: Any = reference.get("names")
    knights: Any = reference.get("knights")
    usable = (
        isinstance(names, list)
        and isinstance(knights, list)
        and 0 < len(names) == len(knights)
        and all(isinstance(name, str) and name for name in names)
        and all(isinstance(knight, bool) for knight in knights)
        and len({name.casefold() for name in names}) == len(names)
    )
    if not usable:
        raise ValueError(
            f"knights_knaves: got names {names!r}, knights {knights!r}, wanted unlike names and a "
            "bool for each"
        )
    return dict(zip(names, knights, strict=True))


def vote(answer: str, reference: Mapping[str, Any]) -> str:
    """Returns a key that answers share when they give everybody the same role."""
    names = list(_reference(reference))
    said, _ = roles(answer, names)
    return " ".join(f"{name}:{said[name]}" for name in names) if said else f"text {answer}"


def check(gold: str, reference: Mapping[str, Any]) -> None:
    """Refuses a puzzle that no answer could solve; the text of gold is for people, not read.

    Raises:
      ValueError: unless reference holds "names" (unlike texts) and "knights" (a bool for each).
    """
    _reference(reference)


def quick(answer: str, gold: str, reference: Mapping[str, Any]) -> Verdict:
    """Returns 1 if everybody has the right role, else 0.

    Raises:
      ValueError: as `check`.
    """
    wanted = _reference(reference)
    said, why = roles(answer, list(wanted))
    if not said:
        return wrong(why)
    mistaken = [name for name in wanted if said[name] != wanted[name]]
    if mistaken:
        return wrong(f"{', '.join(mistaken)}: wrong role")
    return Verdict(1.0, "everybody has the right role", False)
