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
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ./° "


def split(text: str) -> tuple[str, str]:
    r"""Returns a number's text and the unit behind it, "" for none; `latex.tidy` comes first.

    In \text{} a unit may be any words, such as "right triangles"; bare it must be a known measure
    of 2 letters, or words of 4. Words that change the number (million, or, six) are no units: then
    the text comes back whole.
    """
    bare = _POWER.sub("", text)
    if bare.endswith("}") and (at := bare.rfind("\\text{")) > 0:
        words = bare[at + len("\\text{") : -1]
        return (bare[:at].rstrip(), words) if _is_unit(words, in_text=True) else (text, "")
    head = bare.rstrip(_LETTERS)
    while head and "\u4e00" <= head[-1] <= "\u9fff":
        head = head[:-1].rstrip("/")
    words = bare[len(head) :].strip()
    if not head or head[-1] == "\\" or not words or not _is_unit(words, in_text=False):
        return text, ""
    return head.rstrip(), words


def _is_unit(words: str, *, in_text: bool) -> bool:
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
    return all((p in _KNOWN and len(p) > 1) or p in _FREE or len(p) > 3 for p in parts)


def _plain(words: str) -> str:
    return " ".join(words.casefold().replace(".", "").split())


def measure(unit: str) -> str:
    """Returns the one name of a known measure without square or cubic, "" for any other noun."""
    parts = [part for part in _plain(unit).split() if part not in _FREE]
    return _KNOWN.get(parts[0], "") if len(parts) == 1 else ""
