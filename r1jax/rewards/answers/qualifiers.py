r"""Conditions behind an answer: "for all n \ge 1", k \in \mathbb{Z}.

They are set aside: an answer may leave them out. Where both have one, they must be of the same set
of numbers, and the letter that runs over it may have another name.
"""

import re
from typing import NamedTuple


class Qualifier(NamedTuple):
    """The letter that a condition is about and its set of numbers, "" where it names none."""

    letter: str
    numbers: str


NONE = Qualifier("", "")
_START = re.compile(
    r"[\s,;]*\(?\s*(?:"
    r"\\text\{\s*,?\s*(?:for|where|with)\b|(?<![A-Za-z\\])(?:for|where|with)\b"
    r"|\\forall(?![A-Za-z])"
    r"|(?:(?<=\s)|(?<=[,;(])\s*(?:[A-Za-z]\s*,\s*)*)[A-Za-z]\s*\\in\s*\\mathbb\{[NZQRC]\}(?:\^[+*]|_\+)?\s*\)?\s*\Z)"
)
_MEANT = re.compile(r"\\(?:in|ge|le|ne|forall)(?![A-Za-z])|[<>]|integer|real|natural|positive|all")
_SET = re.compile(r"\\mathbb\{([NZQRC])\}")
_LETTER = re.compile(r"(?<![A-Za-z\\{])([A-Za-z])(?:\s*\\(?:in|ge|le)(?![a-z])|\s*[<>]|\}|\s+is\b)")
_OPEN = re.compile(r"\\[A-Za-z]+|\\?[({\[]|\\?[)}\]]")


def split(text: str) -> tuple[str, Qualifier]:
    """Returns a tidied answer without the condition behind it, and that condition."""
    if "\\in" not in text and "for" not in text and "w" not in text:
        return text, NONE
    start = _START.search(text)
    if start is None or not (head := text[: start.start()].strip(" ,;")):
        return text, NONE
    tail = text[start.start() :]
    if not _MEANT.search(tail) or _depth(head):
        return text, NONE
    named = _SET.search(tail)
    kinds = {"natural": "N", "positive integer": "N", "integer": "Z", "real": "R"}
    numbers = named[1] if named else next((kinds[k] for k in kinds if k in tail), "")
    letter = _LETTER.search(tail)
    return head, Qualifier(letter[1] if letter else "", numbers)


def _depth(text: str) -> int:
    depth = 0
    for mark in _OPEN.finditer(text):
        depth += (mark[0][-1] in "({[") - (mark[0][-1] in ")}]")
    return depth


def renamed(text: str, given: Qualifier, wanted: Qualifier) -> str:
    """A text with the letter of its own condition replaced by that of gold's."""
    if not (given.letter and wanted.letter) or given.letter == wanted.letter:
        return text
    return with_letter(text, given.letter, wanted.letter)


def with_letter(text: str, old: str, new: str) -> str:
    """A formula with one letter in place of another; commands keep theirs."""
    return re.sub(rf"(\\[A-Za-z]+)|{old}", lambda match: match[1] or new, text)


def clash(given: Qualifier, wanted: Qualifier) -> bool:
    """Whether both name a set of numbers, and not the same one."""
    return bool(given.numbers and wanted.numbers) and given.numbers != wanted.numbers
