r"""Answers in words that numbers and symbols stand for: twelve, 3rd, 二分之一, "no solution"."""

import re

_ONES = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_TEENS = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"]
_TEENS += ["eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_VALUES = {word: n for n, word in enumerate(["zero", *_ONES, *_TEENS])}
_VALUES |= {word: 10 * n for n, word in enumerate(_TENS, 2)}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_ONE, _TEN = "|".join(_ONES), "|".join(_TENS)
_BELOW_100 = rf"(?:(?:{_TEN})(?:[ -](?:{_ONE}))?|{'|'.join(_TEENS)}|{_ONE})"
_BELOW_1000 = rf"(?:(?:{_ONE}) hundred(?: (?:and )?{_BELOW_100})?|{_BELOW_100})"
_ENGLISH = re.compile(
    rf"(?:zero|(?:{_BELOW_1000} (?:{'|'.join(_SCALES)})(?:,? and |, | |(?![a-z])))*"
    rf"(?:{_BELOW_1000})?)(?![a-z])"
)
_MINUS = re.compile(r"(?:minus|negative) ")
_ARTICLE = re.compile(
    r"\Aan? (?=(?:hundred|thousand|million|billion|trillion|dozen|half|third|quarter|fourth|fifth"
    r"|sixth|seventh|eighth|ninth|tenth)(?![a-z]))"
)
_BEHIND = re.compile(r"(?:[ -][a-z]{3,15})?")
_HAN = {char: n for n, char in enumerate("零一二三四五六七八九")} | {"两": 2}
_HAN_SCALES = {"十": 10, "百": 100, "千": 1000}
_HAN_NUMBER = re.compile("[零一二三四五六七八九两十百千]{1,9}")
_PART = r"([\d零一二三四五六七八九两十百千]{1,9})"
_HAN_FRACTION = re.compile(rf"(?:{_PART}又)?{_PART}分之{_PART}")
_HAN_MIXED = re.compile(r"(\d+)又(?:\\frac\{(\d+)\}\{(\d+)\}|(\d+)/(\d+))")
_ORDINAL = re.compile(
    r"(\d+) ?(?:\^?\{?(?:\\text\{ ?(?:st|nd|rd|th) ?\}|(?:st|nd|rd|th))\}?)"
    r"|第(\d+)[天个项层行列年题组]?"
)
_NONE = """no solution|no solutions|no real solution|no real solutions|no real roots
    |there is no solution|there are no solutions|the equation has no solution|无解|无实数解|方程无解
    |无实根|空集|empty set|the empty set"""
_REALS = """all real numbers|all reals|all real x|all real values|any real number|the real numbers
    |全体实数|一切实数|任意实数|实数集"""
_MEANINGS = {word.strip(): "\\emptyset" for word in _NONE.split("|")}
_MEANINGS |= {word.strip(): "\\mathbb{R}" for word in _REALS.split("|")}
_MEANINGS |= {"infinity": "\\infty", "positive infinity": "\\infty", "dne": "does not exist"}
_MEANINGS |= {"negative infinity": "-\\infty", "minus infinity": "-\\infty"}


def spelled(text: str) -> str:
    """Returns a tidied answer with its words for numbers and sets as signs, if it is all words.

    "three eighths" is 3 eighths, whose noun is for `units`; "one of two" stays.
    """
    if text[:1].isdigit():
        ordinal = _ORDINAL.fullmatch(text) if not text.isdigit() else None
        mixed = _HAN_MIXED.fullmatch(text) if "又" in text else None
        if mixed:
            whole, above, below = mixed[1], mixed[2] or mixed[4], mixed[3] or mixed[5]
            return f"{whole}\\frac{{{above}}}{{{below}}}"
        return ordinal[1] if ordinal else text
    if not text or len(text) > 120:
        return text
    if not text.isascii():
        return _MEANINGS.get(text) or _han(text)
    folded = text.casefold()
    if folded in _MEANINGS:
        return _MEANINGS[folded]
    sign = "-" if (minus := _MINUS.match(folded)) else ""
    folded = _ARTICLE.sub("one ", folded[minus.end() :] if minus else folded)
    if folded in ("half", "one half"):
        return f"{sign}\\frac{{1}}{{2}}"
    half = folded.endswith(" and a half")
    folded = folded.removesuffix(" and a half")
    found = _ENGLISH.match(folded)
    if not found or not found[0].strip() or not _BEHIND.fullmatch(folded[found.end() :]):
        return text
    rest = folded[found.end() :].replace("-", " ")
    if rest.strip() in _VALUES:
        return text
    if half:
        return text if rest else f"{sign}{_english(found[0])}\\frac{{1}}{{2}}"
    return f"{sign}{_english(found[0])}{rest}"


def _english(words: str) -> int:
    total = current = 0
    for word in re.findall("[a-z]+", words):
        if word == "hundred":
            current *= 100
        elif word in _SCALES:
            total, current = total + current * _SCALES[word], 0
        elif word != "and":
            current += _VALUES[word]
    return total + current


def _han(text: str) -> str:
    if ordinal := _ORDINAL.fullmatch(text):
        return ordinal[2]
    if _HAN_NUMBER.fullmatch(text):
        return str(_han_number(text))
    if not (fraction := _HAN_FRACTION.fullmatch(text)):
        return text
    whole, below, above = (part and _han_number(part) for part in fraction.groups())
    if None in (below, above):
        return text
    return f"{'' if whole is None else whole}\\frac{{{above}}}{{{below}}}"


def _han_number(text: str) -> int | None:
    if text.isdigit() and text.isascii():
        return int(text)
    if not _HAN_NUMBER.fullmatch(text):
        return None
    total, digit = 0, None
    for char in text:
        if char in _HAN_SCALES:
            total += (1 if digit is None else digit) * _HAN_SCALES[char]
            digit = None
        else:
            digit = _HAN[char] if digit is None else 10 * digit + _HAN[char]
    return total + (digit or 0)
