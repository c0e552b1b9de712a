r"""What stands behind a number: a measure, a multiplier, a noun: 5 cm, 1.5 million, 21 dogs.

A measure is known (`measures`). A multiplier belongs to the number: 3 eighths is 3/8. Any other
noun counts only where gold or the question has it: 42 dogs may be 42, 42 wrong is nothing.
"""

import re
from fractions import Fraction
from functools import lru_cache

from r1jax.config import UserError
from r1jax.rewards.answers import measures

_HEAD = re.compile(
    r"(?:[-+*/^(){}\d.,% ]|\\(?:frac|times|cdot|div)(?![A-Za-z])|(?<=\d)[eE](?=[-+]?\d))*", re.ASCII
)
_MULTIPLIERS = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_MULTIPLIERS |= {"trillion": 10**12, "lakh": 10**5, "crore": 10**7, "dozen": 12}
_PARTS = """half third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"""
_SMALL = {"quarter": 4, "fifteenth": 15, "sixteenth": 16, "twentieth": 20, "hundredth": 100}
_SMALL |= {"thousandth": 1000, "millionth": 10**6, "halve": 2, "permille": 1000, "permil": 1000}
_SMALL |= {part: n for n, part in enumerate(_PARTS.split(), 2)} | {"‰": 1000}
_HAN = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8}
_HAN_NUMBER = re.compile(r"\s*([十百千万亿]+)(?![米克瓦卡])\s*")
_FIRST_WORD = re.compile(r"\s*(?:\\text\{\s*)?([A-Za-z]+\b|‰) ?(?=[^{}]*)")
_LONE_LETTERS = frozenset("gmshlLNJWVAKCTΩ")
# nouns too short to be told from products of letters
_SHORT_NOUNS = """men man boy kid cat dog cow pig hen bee ant egg car bus van box bag cup can jar
    pot pen cap hat toy pie nut bed key job row tie bat pts"""
_SHORT = frozenset(_SHORT_NOUNS.split())
_FREE = frozenset({"square", "sq", "cubic", "of", "per", "a", "an", "the", "each", "in", "total"})
# these change a number, add another one, or take it back
_NOT_NOUNS = """or nor not but and either between than minus plus times over factorial cubed squared
    dozens score point mod modulo root sqrt log sine cosine tangent theta alpha beta gamma lambda
    infinity infty zero one two three four five six seven eight nine ten eleven twelve thirteen
    fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy
    eighty ninety wrong incorrect undefined invalid false maybe perhaps unless if"""
_CHANGING = frozenset(_NOT_NOUNS.split())
_COUNTERS = frozenset(
    "个只条本人名张辆块颗棵头匹件次倍页道题枝支瓶箱袋包朵把座台位户间家排行组班种号层级段根双对份株盒"
    "副桶筐篮盘碗杯片粒滴圈步趟遍回场节课元朵堆串首幅架艘列扇顶盏束捆篇套部册岁分秒"
)
_NOT_HAN = frozenset("或和与到至比加减乘除不非点又")
_HAN_WORDS = re.compile(r"[\u4e00-\u9fff]{1,8}")
_WORDS = re.compile(r"[A-Za-z.][A-Za-z.' -]*")
# a lone measure behind a root, a fraction, a bracket or pi
_CONSTANT = re.compile(
    r"(.*(?:[})\d]|\\pi)) ?((?:(?:square|sq|cubic) )?[A-Za-z/]{2,12}(?:\^(?:\{[23]\}|[23]))?)",
    re.DOTALL,
)
_COMMAND = re.compile(r"\\[A-Za-z]+")
_LETTERS = re.compile(r"([A-Za-z\u03a9](?: [A-Za-z\u03a9])*)(\^\{?-?\d\}?)?")
_LETTER = re.compile("[A-Za-z]")
_CURRENCY = re.compile(
    r"([-+]?) ?(?:\\text\{ ?)?((?:US|CA?|CAN|AU?|NZ|HK|S|R)?\$"
    r"|[\u20ac\u00a3\u00a5\u20b9\u20a9\u20bd]"
    r"|\\(?:pounds|euro|yen)(?![A-Za-z])|Rs\.?|(?:USD?|EUR|GBP|CNY|RMB|JPY|INR|CAD|AUD|HKD)\b)"
    r" ?\}? ?(?=[-.\d\\])|(US)(?=\d)"
)
_NAMES = {"\\pounds": "\u00a3", "\\euro": "\u20ac", "\\yen": "\u00a5", "US": "USD"}


def split_currency(text: str) -> tuple[str, str]:
    """Returns a text without the currency in front of its number, and the currency, "" for none."""
    found = _CURRENCY.match(text)
    if found is None:
        return text, ""
    sign = found[2] or found[3]
    return (found[1] or "") + text[found.end() :], _NAMES.get(sign, sign)


def split(text: str) -> tuple[str, str]:
    r"""Returns a number's text and what stands behind it, "" for nothing; `latex.tidy` comes first.

    In \text{} that may be any words. Bare it must be a known measure, of 2 letters or more or
    behind a space, or behind a space a noun of 4 letters or a short one of our list; abcd, wxyz
    and their like are products. Words that change the number ("or six") are none.
    """
    found = _HEAD.match(text)
    at = found.end() if found else 0
    head, tail = text[:at].rstrip(), text[at:]
    if not head or not tail or head[-1] in "+*^({,":
        return text, ""
    return (head, tail) if _is_unit(tail, spaced=text[at - 1] == " ") else (text, "")


def split_constant(text: str) -> tuple[str, str]:
    r"""Returns an expression without letters and the measure behind it: 9\pi and cm^2.

    In \text{} there may be any words, behind any expression.
    """
    at = text.find("\\text{")
    if at > 0 and _is_unit(text[at:], spaced=True):
        return text[:at].rstrip(), measures.plain(text[at:])
    found = _CONSTANT.fullmatch(text)
    if found is None or _LETTER.search(_COMMAND.sub("", found[1])):
        return text, ""
    return (found[1], found[2]) if measures.read(found[2]) else (text, "")


def _is_unit(tail: str, *, spaced: bool) -> bool:
    in_text, words = "\\text{" in tail, measures.plain(tail)
    if len(words) > 60 or not words:
        return False
    if letters := _LETTERS.fullmatch(words):
        # 6 t^2 and 5 m n are products
        inverse = "-" in (letters[2] or "") and bool(measures.read(words))  # m s^{-1}, s^{-1}
        return in_text or (
            spaced and (inverse or letters[1] in ("m" if letters[2] else _LONE_LETTERS))
        )
    if multiplier(tail)[0] != 1 or measures.read(words):
        return True
    if _HAN_WORDS.fullmatch(words):
        return not _NOT_HAN & set(words)
    folded = [word.strip(".") for word in words.casefold().split()]
    if not _WORDS.fullmatch(words) or not _CHANGING.isdisjoint(folded):
        return False
    return in_text or all(
        (measures.known(word) and len(word) > 1)
        or word in _FREE
        or (spaced and (word in _SHORT or (len(word) > 3 and not _is_product(word))))
        or (spaced and len(word) == 3 and at < len(folded) - 1)  # red marbles
        for at, word in enumerate(folded)
    )


def _is_product(word: str) -> bool:
    """abcd, mnpq, wxyz: letters in order, the first two neighbours; no common noun is like that."""
    return list(word) == sorted(set(word)) and ord(word[1]) == ord(word[0]) + 1


def multiplier(tail: str) -> tuple[Fraction, str]:
    """Returns what the first words behind a number multiply it by, and what is left of the unit."""
    factor = Fraction(1)
    while han := _HAN_NUMBER.match(tail):
        for char in han[1]:
            factor *= _HAN[char]
        tail = tail[han.end() :]
    while (word := _FIRST_WORD.match(tail)) and (n := _multiple(word[1].casefold())):
        factor *= n
        tail = tail[: word.start(1)] + tail[word.end(1) :]
    return factor, "" if tail.strip() in ("\\text{}", "\\text{ }") else tail.strip()


def _multiple(word: str) -> Fraction | None:
    single = word.removesuffix("s")
    if single in _MULTIPLIERS:
        return Fraction(_MULTIPLIERS[single])
    return Fraction(1, _SMALL[single]) if single in _SMALL else None


_PIECE = re.compile(r"\s*(\d+(?:\.\d+)?) ?(\D+?)\s*(?=\d|\Z)", re.ASCII)
_JOINT = re.compile(r"\s*(?:,|\band\b|\\text\{ ?and ?\})\s*(?=\d)")


def compound(text: str) -> tuple[Fraction, str] | None:
    """Returns the value of 2 h 30 min in its first unit, and that unit; None for anything else."""
    text = _JOINT.sub(" ", text)
    pieces = _PIECE.findall(text)
    if len(pieces) < 2 or sum(len(n) + len(unit) for n, unit in pieces) < len(
        text.replace(" ", "")
    ):
        return None
    total, first = Fraction(0), measures.plain(pieces[0][1])
    for number, unit in pieces:
        if not any(measure.kind for measure in measures.read(unit)):
            return None
        ratio = measures.ratio(measures.plain(unit), first)
        if ratio is None or (total and ratio >= 1):
            raise UserError(f"{text[:60]!r} adds unlike measures")
        total += Fraction(number) * ratio
    return total, first


def allowed(unit: str, context: str) -> bool:
    """Returns whether a unit is a measure, or its nouns stand in the context: gold and question."""
    if not unit or unit.casefold() in ("percent", "per cent") or measures.read(unit):
        return True
    words = measures.plain(unit)
    if _HAN_WORDS.fullmatch(words):
        return words in context or all(char in _COUNTERS or char in context for char in words)
    stems = _stems(context)
    return all(
        measures.known(word) or word in _FREE or _stem(word) in stems
        for word in words.casefold().replace(".", "").split()
    )


_IRREGULAR = {"men": "man", "women": "woman", "people": "person", "children": "child"}
_IRREGULAR |= {"mice": "mouse", "geese": "goose", "teeth": "tooth", "feet": "foot"}


def _stem(word: str) -> str:
    single = _IRREGULAR.get(word, word.removesuffix("'s").rstrip("s")).rstrip("e")
    return single[:-1] + "i" if single.endswith("y") else single


@lru_cache(maxsize=1024)
def _stems(context: str) -> frozenset[str]:
    return frozenset(map(_stem, re.findall(r"[a-z']+", context.casefold())))
