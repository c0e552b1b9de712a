"""Units and nouns behind numbers: 5 cm, 18 dollars, 145 degrees, 12 yuan, 21 dogs."""

import re

# spellings of measures that must not be taken for one another; other nouns are not compared
_SPELLINGS = {
    "mm": "mm millimeter millimeters millimetre millimetres 毫米",
    "cm": "cm centimeter centimeters centimetre centimetres 厘米 平方厘米 立方厘米",
    "dm": "dm decimeter decimeters decimetre decimetres 分米 平方分米 立方分米",
    "m": "m meter meters metre metres 米 平方米 立方米",
    "km": "km kilometer kilometers kilometre kilometres 千米 公里 平方千米 平方公里",
    "in": "in inch inches",
    "ft": "ft foot feet",
    "yd": "yd yard yards",
    "mi": "mi mile miles",
    "mg": "mg milligram milligrams",
    "g": "g gm gram grams 克",
    "kg": "kg kilogram kilograms 千克 公斤",
    "t": "t ton tons tonne tonnes 吨",
    "lb": "lb lbs pound pounds",
    "oz": "oz ounce ounces",
    "s": "s sec secs second seconds 秒",
    "min": "min mins minute minutes 分钟",
    "h": "h hr hrs hour hours 时 小时",
    "d": "d day days 天 日",
    "week": "week weeks 周 星期",
    "month": "month months 月 个月",
    "year": "year years yr yrs 年 岁",
    "dollar": "dollar dollars usd",
    "cent": "cent cents",
    "euro": "euro euros eur",
    "yuan": "yuan rmb cny 元 块",
    "jiao": "jiao 角",
    "ml": "ml milliliter milliliters millilitre millilitres 毫升",
    "l": "l liter liters litre litres 升",
    "gal": "gal gallon gallons",
    "degree": "° degree degrees deg 度",
    "radian": "rad radian radians",
    "mph": "mph",
    "km/h": "km/h kmh kph km/hr 千米/时 千米/小时 公里/小时",
    "m/s": "m/s 米/秒",
    "celsius": "°c celsius",
    "am": "am",
    "pm": "pm",
}
# spellings of one letter that are units behind a space; 5 M is 5 million, 3 t may be 3 times t
_LETTER_UNITS = frozenset("gmshlL")
# nouns too short to be told from products of letters
_SHORT_NOUNS = """men man boy kid cat dog cow pig hen bee ant egg car bus van box bag cup can jar
    pot pen cap hat toy pie nut bed key job row tie bat pts"""
_SHORT = frozenset(_SHORT_NOUNS.split())
_KNOWN = {spelling: unit for unit, names in _SPELLINGS.items() for spelling in names.split()}
_FREE = frozenset({"square", "sq", "cubic", "squared", "unit", "units", "of", "per", "a", "the"})
# these change a number or add another one: "5 million", "5 squared" alone, "5 or six"
_NOT_UNITS = """or nor not but and either between than minus plus times over factorial cubed hundred
    hundreds thousand thousands million millions billion billions trillion dozen dozens score
    half halves third thirds quarter quarters fourth fourths fifth fifths tenth tenths hundredth
    hundredths thousandth thousandths point mod modulo root sqrt log sine cosine tangent
    theta alpha beta gamma lambda infinity infty zero one two three four five six seven eight nine
    ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty
    forty fifty sixty seventy eighty ninety"""
_CHANGING = frozenset(_NOT_UNITS.split())
_NOT_HAN = frozenset("或和与到至比加减乘除不非万亿百十千点又")
_HAN = re.compile(r"[\u4e00-\u9fff/]{1,6}")
_POWER = re.compile(r"(?<=[A-Za-z}])\s*\^\s*(?:\{[23]\}|[23])$")
_WORDS = re.compile(r"[A-Za-z./°\u4e00-\u9fff][A-Za-z./° \u4e00-\u9fff]*")
# a lone measure behind a root, a fraction, a bracket or pi
_CONSTANT = re.compile(
    r"(.*(?:[})\d]|\\pi)) ?((?:(?:square|sq|cubic) )?[A-Za-z/]{2,12}(?:\^(?:\{[23]\}|[23]))?)",
    re.DOTALL,
)
_COMMAND = re.compile(r"\\[A-Za-z]+")
_LETTER = re.compile("[A-Za-z]")
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ./° "


def split(text: str) -> tuple[str, str]:
    r"""Returns a number's text and the unit behind it, "" for none; `latex.tidy` comes first.

    In \text{} a unit may be any words, such as "right triangles". Bare it must be a known measure
    of 2 letters or more, or behind a space a word of 4, a short noun of our list or one of g, m, s,
    h and l; abcd, wxyz and their like are products. Words that change the number (million, or, six)
    are no units: then the text comes back whole.
    """
    bare = _POWER.sub("", text)
    if bare.endswith("}") and (at := bare.rfind("\\text{")) > 0:
        words = bare[at + len("\\text{") : -1]
        return (
            (bare[:at].rstrip(), words)
            if _is_unit(words, in_text=True, spaced=True)
            else (text, "")
        )
    head = bare.rstrip(_LETTERS)
    while head and "\u4e00" <= head[-1] <= "\u9fff":
        head = head[:-1].rstrip("/")
    words = bare[len(head) :].strip()
    spaced = bare[len(head) : len(head) + 1] == " "
    if not head or head[-1] == "\\" or not words:
        return text, ""
    if not (spaced and words in _LETTER_UNITS) and not _is_unit(
        words, in_text=False, spaced=spaced
    ):
        return text, ""
    return head.rstrip(), words


def split_constant(text: str) -> tuple[str, str]:
    r"""Returns an expression without letters and the known measure behind it: 9\pi and cm^2."""
    found = _CONSTANT.fullmatch(text)
    if found is None or _LETTER.search(_COMMAND.sub("", found[1])):
        return text, ""
    return (found[1], found[2]) if measure(_POWER.sub("", found[2])) else (text, "")


def _is_unit(words: str, *, in_text: bool, spaced: bool) -> bool:
    if not _WORDS.fullmatch(words) or len(words) > 40:
        return False
    plain = _plain(words)
    if any("\u4e00" <= char <= "\u9fff" for char in plain):
        known = plain in _KNOWN
        return known or (bool(_HAN.fullmatch(plain)) and not _NOT_HAN & set(plain))
    parts = plain.split()
    if plain == "squared" or not parts or not _CHANGING.isdisjoint(parts):
        return False
    if in_text or plain == "°":
        return True
    return all(
        (p in _KNOWN and len(p) > 1)
        or p in _FREE
        or (spaced and (p in _SHORT or (len(p) > 3 and not _is_product(p))))
        for p in parts
    )


def _is_product(word: str) -> bool:
    """abcd, mnpq, wxyz: letters in order, the first two neighbours; no common noun is like that."""
    return list(word) == sorted(set(word)) and ord(word[1]) == ord(word[0]) + 1


def _plain(words: str) -> str:
    return " ".join(words.casefold().replace(".", "").split())


def measure(unit: str) -> str:
    """Returns the one name of a known measure without square or cubic, "" for any other noun."""
    parts = [part for part in _plain(unit).split() if part not in _FREE]
    return _KNOWN.get(parts[0], "") if len(parts) == 1 else ""
