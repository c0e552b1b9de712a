r"""Multiple choice: which letters an answer names, and whether they are gold's."""

import re
from collections.abc import Mapping
from typing import Any

from r1jax.config import UserError
from r1jax.rewards.answers import numbers, shapes
from r1jax.rewards.score import Verdict, wrong

MAX_CHARS = 2000
MAX_RUN = 80  # characters of an answer that names several letters

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MARKUP = re.compile(r"\\(?:text(?:bf|it|rm)?|mathrm|mathbf|mbox|boxed)\s*\{([^{}]*)\}")
_BOLD = re.compile(r"(?<![\w)])\*\*([^*]{1,80})\*\*")
_LEAD = re.compile(
    r"(?:i\s+(?:choose|pick|select)\s+)?(?:(?:the|my)\s+)?(?:correct\s+|right\s+|final\s+|best\s+)*"
    r"(?:answers?|options?|choices?|letters?)\s*(?:is|are)?\s*:?\s*|i\s+(?:choose|pick|select)\s+"
    r"|\u9009\u9879?\s*:?|\u7b54\u6848(?:\u662f|\u4e3a)?\s*:?\s*(?:\u9009\u9879?)?",
    re.IGNORECASE,
)
_PAIRS = {"(": ")", "[": "]", "{": "}", '"': '"', "'": "'"}
_PLAIN = str.maketrans(
    "\uff08\uff09\uff0e\uff0c\uff1a\u3010\u3011\u201c\u201d\u2018\u2019\uff1b\u2013\u2014",
    "().,:[]\"\"'';--",
) | {code + 0xFEE0: chr(code) for code in range(ord("A"), ord("Z") + 1)}
_AND = re.compile(r"\band\b")
_BETWEEN = re.compile(r"[\s,;&()\u3001\u548c]+")
_BEHIND = re.compile(r"[\s.,:;)-]*")
# what may follow a letter, or the text of its option, besides nothing
_TALK = re.compile(
    r"\s*(?:is (?:the )?(?:correct|right|best)\b|is the answer\b|[.,;:-]?\s*(?:because|since|as)\b"
    r"|[.,;:-]?\n)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+")
_LETTER = re.compile(r"(?<!\w)[A-Z](?![\w'])")
_HEDGE = re.compile(
    r"\b(?:or|nor|not|no|neither|either|maybe|perhaps|wrong|incorrect|false|unless|if)\b|n't\b",
    re.I,
)


def _bare(text: str) -> str:
    """Without markup around the whole and the words "option", "the answer is"; lines stay lines."""
    text = "\n".join(line for row in text.splitlines() if (line := " ".join(row.split())))
    for _ in range(4):
        before = text
        text = _BOLD.sub(r"\1", text).strip(" \n*$`_").removesuffix("\u3002")
        text = _MARKUP.sub(r"\1", text).replace("\\(", "(").replace("\\)", ")")
        text = text.translate(_PLAIN)
        if lead := _LEAD.match(text):
            text = text[lead.end() :]
        if text == before:
            break
    return text


def _alike(text: str, option: str) -> bool:
    a, b = shapes.read(_bare(text)), shapes.read(_bare(option))
    if a.number and b.number:
        return numbers.equal(a.number, b.number) and not numbers.other_unit(a.number, b.number)
    return a.key == b.key


def letters(answer: str, reference: Mapping[str, Any]) -> tuple[str, str]:
    """Returns the letters that an answer names, sorted, "" for none, and why there are none.

    Args:
      answer: "B", "(B)", "B.", "**B**", "option B", "B) 600", "BD", "B, D", "B because ..." or the
        text of one option. "B or D" names none, and so does a B with another option behind it.
      reference: may hold "options", their texts in order.
    """
    if len(answer) > MAX_CHARS:
        return "", f"answer of {len(answer)} characters refused, at most {MAX_CHARS}"
    options = list(reference.get("options") or [])
    text = _bare(answer)
    letter, behind = _head(text)
    bracketed = text[:1] in _PAIRS
    # what is worded like an option is that option, even if it begins with a letter
    same = [i for i, option in enumerate(options) if _alike(text, option)]
    if same and (not letter or _BEHIND.sub("", behind)):
        named = "".join(_LETTERS[i] for i in same) if len(same) == 1 else ""
        return named, "" if named else f"{shapes.short(text)} is the text of {len(same)} options"
    if letter and _agrees(behind, letter, options, bracketed=bracketed):
        found = letter
    elif len(found := _run(text)) > len(set(found)):
        return "", f"{shapes.short(text)} names a letter twice"
    elif not found:
        why = f"is not option {letter}" if letter else "names no option"
        return "", f"{shapes.short(text)} {why}"
    allowed = _LETTERS[: len(options)] if options else _LETTERS
    if strange := sorted(set(found) - set(allowed)):
        return "", f"no option {', '.join(strange)}"
    return found, ""


def _head(text: str) -> tuple[str, str]:
    """The letter that a text begins with and what is behind it; "" where it begins with a word."""
    if text[:1] in _PAIRS:
        inner, closing, behind = text[1:].partition(_PAIRS[text[0]])
        letter = inner.strip().upper() if closing else ""
    else:
        letter, behind = text[:1], text[1:]
        # a small letter may be the article "a"
        alone = behind[:1] == ")" or not _BEHIND.sub("", behind, count=1)
        letter = letter.upper() if alone else letter
        if behind[:1].isalnum() or behind[:1] in ("'", "_"):
            letter = ""
    return (letter, behind) if len(letter) == 1 and letter in _LETTERS else ("", "")


def _run(text: str) -> str:
    """The letters of "BD", "B, D" and "B and D", sorted; "" for anything else."""
    if len(text) > MAX_RUN:
        return ""
    pieces = [piece for piece in _BETWEEN.split(_AND.sub(" ", text).rstrip(".:")) if piece]
    found = "".join(sorted("".join(pieces)))
    return found if set(found) <= set(_LETTERS) else ""


def _agrees(behind: str, letter: str, options: list[str], *, bracketed: bool) -> bool:
    """Whether what is behind a letter is nothing, its option's text or talk of no other option."""
    at = _LETTERS.index(letter)
    start = _BEHIND.match(behind)
    rest = behind[start.end() if start else 0 :]
    if not rest or (options and at >= len(options)):
        return not rest
    inner = rest[1:-1] if _PAIRS.get(rest[0]) == rest[-1] else rest
    if not options:
        # only "(B) some text", "B) some text", "B. some text" and talk
        plain = bracketed or behind.lstrip()[:1] in (")", ".", ":") or _TALK.match(behind)
        return bool(plain) and not _names_another(rest, letter, _LETTERS, [])
    if _alike(rest, options[at]) or _alike(inner, options[at]):
        return True
    talk, own = behind, " ".join(_bare(options[at]).split()).casefold()
    if own and rest.casefold().startswith(own):
        talk = rest[len(own) :]
    others = [option for i, option in enumerate(options) if i != at]
    allowed = _LETTERS[: len(options)]
    return bool(_TALK.match(talk)) and not _names_another(talk, letter, allowed, others)


def _names_another(text: str, letter: str, allowed: str, others: list[str]) -> bool:
    """Whether a text hedges, or holds another letter or another option's text."""
    if _HEDGE.search(text) or set(_LETTER.findall(text)) & set(allowed) - {letter}:
        return True
    found = [_words(_bare(other)) for other in others]
    return any(other.strip() and other in _words(text) for other in found)


def _words(text: str) -> str:
    return f" {' '.join(_WORD.findall(text.casefold()))} "


def vote(answer: str, reference: Mapping[str, Any]) -> str:
    """Returns a key that answers share when they name the same letters, else their wording."""
    return letters(answer, reference)[0] or f"text {_bare(answer[:MAX_CHARS])}"


def check(gold: str, reference: Mapping[str, Any]) -> None:
    """Refuses a gold that names no option.

    Raises:
      UserError: if gold is not one letter or more, one has no option, or options are no texts.
    """
    given = reference.get("options") or []
    if not isinstance(given, list | tuple) or not all(isinstance(text, str) for text in given):
        raise UserError(f"options: got {given!r:.60}, wanted a list of texts")
    found, why = letters(gold, {})
    bare = _bare(gold)
    options = list(given)
    outside = options and set(found) - set(_LETTERS[: len(options)])
    if not found or outside or not (_run(bare) or len(bare) == 1):
        raise UserError(
            f"gold choice: got {gold!r}, wanted letters of {len(options)} options"
            + (f": {why}" if why else "")
        )


def quick(answer: str, gold: str, reference: Mapping[str, Any]) -> Verdict:
    """Returns 1 if an answer names exactly gold's letters, else 0; their order does not count.

    Raises:
      UserError: if gold names no option.
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
