"""Knights and knaves: who is said to be what."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from r1jax.config import UserError
from r1jax.rewards.score import Verdict, wrong

MAX_CHARS = 4000

_ROLE = re.compile(r"\bkn(ight|ave)(s?)\b", re.IGNORECASE)
# between a name and its role, at the end of the text before the role
_LINK = re.compile(
    r"(?: (?:is|must be)|\W?(?:=|:|->|=>|\u2192|-|\u2013|\u2014|\())(?: (?:an?|the))? ?\Z",
    re.IGNORECASE,
)
_NEAR = 80  # characters before a role in which its name must stand
_HEADING = re.compile(r"\s?:")
_STARTS = re.compile(r"(?:\A|[.,;)\n]|\b(?:and|the)) ?(?:the )?\Z", re.IGNORECASE)
_BETWEEN = re.compile(r"[,.;&()]|\b(?:and|the)\b", re.IGNORECASE)
_NOBODY = frozenset({"none", "nobody"})
_DENIAL = re.compile(
    r"\bnot\b|n't\b|\bneither\b|\bnor\b|\bor\b|\bif\b|\beither\b|\bunless\b|\bwhether\b|\bsuppose\b"
    r"|\bassum\w{1,4}\b|\bfalse\b|\bnever\b",
    re.IGNORECASE,
)


def roles(answer: str, names: list[str]) -> tuple[dict[str, bool], str]:
    """Returns who is said to be a knight (True) or a knave, {} and the reason if it is not clear.

    Every name must have one role, no other name any, and nothing may be denied or conditional.
    "(1) Zoey is a knight", "Zoey: knight, Owen (knave)" and "Knights: Zoey. Knaves: Owen." are read
    alike.
    """
    if len(answer) > MAX_CHARS:
        return {}, f"answer of {len(answer)} characters refused, at most {MAX_CHARS}"
    text = " ".join(unicodedata.normalize("NFKC", answer).replace("*", "").split())
    # some signs become 18 letters
    if len(text) > 2 * MAX_CHARS:
        return {}, f"answer of {len(text)} characters refused, at most {MAX_CHARS}"
    if denial := _DENIAL.search(text):
        return {}, f"not plain: it says {denial[0]!r}"
    found = list(_ROLE.finditer(text))
    first = found[0] if found else None
    listed = first and _HEADING.match(text, first.end()) and _STARTS.search(text, 0, first.start())
    try:
        claims = _listed(text, found, names) if listed else _claims(text, found, names)
    except ValueError as error:
        return {}, str(error)
    said: dict[str, bool] = {}
    for name, knight in claims:
        if said.setdefault(name, knight) != knight:
            return {}, f"{name} is said to be both"
    if missing := [name for name in names if name not in said]:
        return {}, f"nothing is said of {', '.join(missing)}"
    return said, ""


def _claims(text: str, found: list[re.Match[str]], names: list[str]) -> list[tuple[str, bool]]:
    """A name before each role: "Zoey is a knight"."""
    claims, at = [], 0
    for role in found:
        before = text[max(at, role.start() - _NEAR) : role.start()]
        at = role.end()
        link = None if role[2] else _LINK.search(before)
        words = re.findall(r"[^\W_]+", before[: link.start()]) if link else []
        if not words:
            raise UserError("not plain: a role has no name")
        subject = " ".join(words).casefold()
        own = [n for n in names if f" {subject}".endswith(f" {_words(n)}")]
        if not own:
            raise UserError(f"{words[-1]} is nobody here")
        claims.append((max(own, key=len), role[1].casefold() == "ight"))
    return claims


def _listed(text: str, found: list[re.Match[str]], names: list[str]) -> list[tuple[str, bool]]:
    """Names behind each role: "Knights: Zoey and Ann. Knaves: Owen."."""
    known = {_words(name): name for name in names}
    claims = []
    ends = [role.start() for role in found[1:]] + [len(text)]
    for role, end in zip(found, ends, strict=True):
        heading = _HEADING.match(text, role.end())
        if not heading:
            raise UserError("not plain: a role has no name")
        for piece in _BETWEEN.split(text[heading.end() : end]):
            word = _words(piece)
            if word in known:
                claims.append((known[word], role[1].casefold() == "ight"))
            elif word and word not in _NOBODY:
                raise UserError(f"{piece.strip()[:40]} is nobody here")
    return claims


def _words(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text)).casefold()


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
        raise UserError(
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
      UserError: unless reference holds "names" (unlike texts) and "knights" (a bool for each).
    """
    _reference(reference)


def quick(answer: str, gold: str, reference: Mapping[str, Any]) -> Verdict:
    """Returns 1 if everybody has the right role, else 0.

    Raises:
      UserError: as `check`.
    """
    wanted = _reference(reference)
    said, why = roles(answer, list(wanted))
    if not said:
        return wrong(why)
    mistaken = [name for name in wanted if said[name] != wanted[name]]
    if mistaken:
        return wrong(f"{', '.join(mistaken)}: wrong role")
    return Verdict(1.0, "everybody has the right role", False)
