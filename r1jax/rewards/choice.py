r"""Multiple choice: which letters an answer names, and whether they are gold's."""

import re
from collections.abc import Mapping
from typing import Any

from r1jax.rewards import shapes
from r1jax.rewards.score import Verdict, wrong

MAX_CHARS = 2000

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MARKUP = re.compile(r"\\(?:text(?:bf|it|rm)?|mathrm|mathbf|mbox|boxed)\s*\{([^{}]*)\}")
_LEAD = re.compile(
    r"(?:the\s+)?(?:correct\s+|right\s+|final\s+|best\s+)*(?:answers?|options?|choices?)\s*"
    r"(?:is|are)?\s*:?\s*|\u9009\u9879?\s*:?|\u7b54\u6848(?:\u662f|\u4e3a)?\s*:?\s*(?:\u9009\u9879?)?",
    re.IGNORECASE,
)
_ONE = re.compile(r"\(?\s*([A-Z])\s*\)?[.:]?")
_FIRST = re.compile(r"(?:\(([A-Z])\)|([A-Z])\s*[).:])\s*(\S.*)", re.DOTALL)
_MANY = re.compile(r"\(?[A-Z]\)?(?:\s*(?:,|;|&|and|\u3001|\u548c)?\s*\(?[A-Z]\)?)*", re.IGNORECASE)


def _bare(text: str) -> str:
    """Without markup around the whole and the words "option", "the answer is"."""
    text = " ".join(text.split())
    for _ in range(4):
        before = text
        text = text.strip(" *$`_").removesuffix("\u3002")
        text = _MARKUP.sub(r"\1", text).replace("\\(", "(").replace("\\)", ")")
        text = text.translate({0xFF08: "(", 0xFF09: ")", 0xFF0E: ".", 0xFF0C: ",", 0xFF1A: ":"})
        if lead := _LEAD.match(text):
            text = text[lead.end() :]
        if text == before:
            break
    return text


def _wording(text: str) -> str:
    return shapes.read(_bare(text)).key


def letters(answer: str, reference: Mapping[str, Any]) -> tuple[str, str]:
    """Returns the letters that an answer names, sorted, "" for none, and why there are none.

    Args:
      answer: "B", "(B)", "B.", "**B**", "option B", "B) 600", "BD", "B, D" or the text of one
        option. "B or D" names none.
      reference: may hold "options", their texts in order.
    """
    if len(answer) > MAX_CHARS:
        return "", f"answer of {len(answer)} characters refused, at most {MAX_CHARS}"
    options = list(reference.get("options") or [])
    allowed = _LETTERS[: len(options)] if options else _LETTERS
    text = _bare(answer)
    # what is worded like an option is that option, even if it begins with a letter
    same = [i for i, option in enumerate(options) if _wording(option) == _wording(text)]
    if same and not _ONE.fullmatch(text):
        named = "".join(_LETTERS[i] for i in same) if len(same) == 1 else ""
        return named, "" if named else f"{shapes.short(text)} is the text of {len(same)} options"
    if one := _ONE.fullmatch(text.upper() if len(text) == 1 else text):
        found = one[1]
    elif (first := _FIRST.fullmatch(text)) and _says(first[3], first[1] or first[2], options):
        found = first[1] or first[2]
    elif _MANY.fullmatch(text) and text.upper() == text.replace("and", "AND"):
        found = "".join(sorted(re.findall("[A-Z]", text.replace("and", ","))))
        if len(set(found)) < len(found):
            return "", f"{shapes.short(text)} names a letter twice"
    elif first:
        return "", f"{shapes.short(text)} is not option {first[1] or first[2]}"
    else:
        return "", f"{shapes.short(text)} names no option"
    if strange := sorted(set(found) - set(allowed)):
        return "", f"no option {', '.join(strange)}"
    return found, ""


def _says(wording: str, letter: str, options: list[str]) -> bool:
    """Whether the text behind a letter is its option's, or names no other letter if unknown."""
    at = _LETTERS.index(letter)
    if options:
        return at < len(options) and _wording(wording) == _wording(options[at])
    return not re.search(r"(?<![A-Za-z])[A-Z](?![A-Za-z'])|\bor\b", wording)


def vote(answer: str, reference: Mapping[str, Any]) -> str:
    """Returns a key that answers share when they name the same letters, else their wording."""
    return letters(answer, reference)[0] or f"text {_bare(answer[:MAX_CHARS])}"


def check(gold: str, reference: Mapping[str, Any]) -> None:
    """Refuses a gold that names no option.

    Raises:
      ValueError: if gold is not one letter or more, or one has no option.
    """
    found, why = letters(gold, {})
    options = list(reference.get("options") or [])
    outside = options and set(found) - set(_LETTERS[: len(options)])
    if not found or outside or not _MANY.fullmatch(gold.strip()):
        raise ValueError(
            f"gold choice: got {gold!r} of {len(options)} options, wanted letters{why}"
        )


def quick(answer: str, gold: str, reference: Mapping[str, Any]) -> Verdict:
    """Returns 1 if an answer names exactly gold's letters, else 0; their order does not count.

    Raises:
      ValueError: if gold names no option.
    """
    check(gold, reference)
    wanted = letters(gold, {})[0]
    found, why = letters(answer, reference)
    if not found:
        return wrong(why)
    if len(found) > 1 and len(wanted) == 1:
        return wrong(f"{len(found)} options named, wanted one")
    verb = "equals" if found == wanted else "is not"
    return Verdict(float(found == wanted), f"{found} {verb} {wanted}", False)
