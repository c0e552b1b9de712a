r"""Measures that people put behind numbers, what they measure, and how large they are.

A spelling may have several readings: a pound is money or a weight. Two measures are alike if some
reading of each is of the same kind; then their sizes tell how to convert: 5 km is 5000 m.
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

# kind: the powers of its base measures; size; spellings. Derived ones come after their parts
_TABLE = """
m 1: m meter meters metre metres 米
m 1609344/1000: mi mile miles 英里
m 9144/10000: yd yard yards
m 3048/10000: ft foot feet 英尺 '
m 254/10000: in inch inches 英寸 ''
m 1852: nmi
g 1: g gm gram grams gramme grammes 克
g 1000: kilo kilos 公斤 千克
g 500: 斤
g 1000000: t ton tons tonne tonnes 吨
g 45359237/100000: lb lbs pound pounds 磅
g 45359237/1600000: oz ounce ounces 盎司
s 1: s sec secs second seconds 秒 秒钟
s 60: min mins minute minutes 分钟 分 m
s 3600: h hr hrs hour hours 时 小时
s 86400: d day days 天 日
s 604800: week weeks wk wks 周 星期
month 1: month months 月 个月
month 12: year years yr yrs 年
month 12: 岁
gal 1: gal gallon gallons 加仑
gal 1/4: qt quart quarts
gal 1/8: pt pint pints
gal 1/16: cup cups
degree 1: ° degree degrees deg 度
degree 1/60: ' arcminute arcminutes
degree 1/3600: '' arcsecond arcseconds
celsius 1: °c celsius 摄氏度 ℃ degree degrees ° 度
fahrenheit 1: °f fahrenheit 华氏度 degree degrees °
K 1: K kelvin kelvins
am 1: am a.m
pm 1: pm p.m
radian 1: rad radian radians 弧度
A 1: A amp amps ampere amperes 安 安培
mol 1: mol mole moles 摩尔
cd 1: candela
byte 1: byte bytes
byte 1/8: bit bits
dB 1: dB decibel decibels
point 1: point points pts 分
piece 1: piece pieces pc pcs
pair 1: pair pairs
person 1: person persons people 人
time 1: time times 次
USD 1: dollar dollars usd $ us$ 美元 buck bucks
USD 1/100: cent cents ¢ 美分
USD 5/100: nickel nickels
USD 10/100: dime dimes
CAD 1: cad c$ ca$ can$ dollar dollars $
CAD 1/100: cent cents ¢
AUD 1: aud a$ au$ dollar dollars $
AUD 1/100: cent cents ¢
NZD 1: nzd nz$ dollar dollars $
HKD 1: hkd hk$ dollar dollars $ 港元
SGD 1: sgd s$ dollar dollars $
EUR 1: euro euros eur € 欧元
EUR 1/100: cent cents
GBP 1: pound pounds gbp £ quid 英镑
GBP 1/100: penny pennies pence
USD 1/100: penny pennies
JPY 1: yen jpy ¥ 日元
CNY 1: yuan rmb cny 元 块 ¥ 人民币 块钱 元钱
CNY 1/10: jiao 角 毛
CNY 1/100: fen 分
INR 1: rupee rupees inr rs rs. ₹ 卢比
INR 1/100: paise paisa
KRW 1: won krw ₩
RUB 1: ruble rubles rub ₽
BRL 1: brl r$ reais
MXN 1: peso pesos mxn
CHF 1: franc francs chf
"""
_DERIVED = """
m^3 1/1000: l liter liters litre litres 升
m^3 1/1000000: cc
m^2 10000: ha hectare hectares 公顷
m^2 4046856422/1000000: acre acres
m^2 10000/15: 亩
s^-1 1: Hz hertz 赫兹
g*m*s^-2 1000: N newton newtons 牛 牛顿
g*m^-1*s^-2 1000: Pa pascal pascals 帕
g*m^2*s^-2 1000: J joule joules 焦 焦耳
g*m^2*s^-2 3600000: Wh
g*m^2*s^-2 4184: cal calorie calories 卡
g*m^2*s^-3 1000: W watt watts 瓦 瓦特
g*m^2*s^-3*A^-1 1000: V volt volts 伏 伏特
g*m^2*s^-3*A^-2 1000: Ω ω ohm ohms 欧 欧姆
A*s 1: coulomb coulombs 库仑
g*m^2*s^-2 1.602176634e-16: eV
A^2*s^4*g^-1*m^-2 1/1000: farad farads
g*s^-2*A^-1 1000: T tesla teslas
m*s^-1 1609344/3600000: mph
m*s^-1 1000/3600: kmh kph kmph
m*s^-1 1852/3600: knot knots
m*gal^-1 1609344/1000: mpg
"""
_PREFIXES = {"k": 3, "M": 6, "G": 9, "T": 12, "d": -1, "c": -2, "m": -3, "μ": -6, "u": -6}
_PREFIXES |= {"n": -9, "p": -12}
_PREFIXED = (
    "m",
    "g",
    "s",
    "l",
    "L",
    "A",
    "K",
    "V",
    "Ω",
    "N",
    "J",
    "W",
    "mol",
    "Hz",
    "Pa",
    "eV",
    "Wh",
)
_LONG = {"kilo": 3, "mega": 6, "giga": 9, "tera": 12, "deci": -1, "centi": -2, "milli": -3}
_LONG |= {"micro": -6, "nano": -9, "千": 3, "分": -1, "厘": -2, "毫": -3, "微": -6, "兆": 6}
_LONG_PREFIXED = """meter meters metre metres gram grams second seconds liter liters litre litres
    amps ampere amperes volt volts watt watts joule joules newton newtons pascal pascals hertz
    ohm ohms calorie calories byte bytes bit bits mole moles 米 克 秒 升 瓦 伏 安 焦 牛 帕"""


class Measure(NamedTuple):
    """A reading of a measure.

    Attributes:
      kind: its base measures and their powers, sorted: (("m", 1), ("s", -1)).
      size: in those base measures.
      names: its spellings, whatever their powers: "cm" of square centimetres.
    """

    kind: tuple[tuple[str, int], ...]
    size: Fraction
    names: tuple[str, ...]


def _kind(text: str) -> tuple[tuple[str, int], ...]:
    pairs = (part.partition("^") for part in text.split("*"))
    return tuple(sorted((base, int(power or 1)) for base, _, power in pairs))


def _table() -> dict[str, list[Measure]]:
    table: dict[str, list[Measure]] = {}
    for line in filter(None, (_TABLE + _DERIVED).splitlines()):
        head, _, spellings = line.rpartition(": ")
        kind, size = head.split(" ")
        names = spellings.split()
        for name in names:
            table.setdefault(name, []).append(Measure(_kind(kind), Fraction(size), (names[0],)))
    short = [(p + name, name, power) for name in _PREFIXED for p, power in _PREFIXES.items()]
    # alone they are letters
    single = {"C": "coulomb", "F": "farad", "T": "tesla", "B": "byte"}
    short += [(p + n, long, power) for n, long in single.items() for p, power in _PREFIXES.items()]
    long = [(p + n, n, power) for n in _LONG_PREFIXED.split() for p, power in _LONG.items()]
    table["L"] = table["l"]
    for spelling, name, power in [*short, *long]:
        if spelling in table:
            continue  # min is no milli-inch, 分 no prefix of its own
        ten = Fraction(10) ** power
        first = _PREFIX_LETTER.get(power, "") + table[name][0].names[0]
        table[spelling] = [m._replace(size=m.size * ten, names=(first,)) for m in table[name][:1]]
    return table


_PREFIX_LETTER = {power: letter for letter, power in _PREFIXES.items() if letter != "μ"}
_MEASURES = _table()
# capitals do not matter where they cannot be meant: KM, Dollars, USD
_FOLDED = {name.casefold(): found for name, found in reversed(_MEASURES.items()) if len(name) > 1}
_TEXT = re.compile(r"\\text\{((?:[^{}]|\{[^{}]*\})*)\}")
_TIMES = re.compile(r"\\cdot(?![A-Za-z])|\\times(?![A-Za-z])|[*·]|(?<=[A-Za-z])-(?=[A-Za-z])")
_PER = re.compile(r"/|\bper\b|每(?!个)")
_FACTOR = re.compile(
    r"(?:(square|sq\.?|cubic|cu\.?) |(平方|立方))?(\S+?)(?:\^?\{?(-?\d)\}?)?( squared| cubed)?"
)
_POWERS = {"square": 2, "sq": 2, "平方": 2, "cubic": 3, "cu": 3, "立方": 3}
_POWERS |= {"squared": 2, "cubed": 3}
_NOTHING = {"unit", "units"}
_UNIT = Measure((("unit", 1),), Fraction(1), ())


def known(word: str) -> tuple[Measure, ...]:
    """The readings of one word, none for a word that is no measure."""
    found = _MEASURES.get(word)
    if not found and (len(word) > 2 or not word[0].islower()):  # mv^2 is no millivolt
        found = _FOLDED.get(word.casefold())
    return tuple(found or _MEASURES.get(word.rstrip("."), []))


def plain(unit: str) -> str:
    r"""A unit without \text{} and with single spaces."""
    text = _TEXT.sub(r" \1", unit).replace("\u03bc ", "\u03bc").replace(" ^", "^")
    text = text.replace("° ", "°").replace("/(", "/").removesuffix(")")
    return " ".join(text.split())


@lru_cache(maxsize=4096)
def read(unit: str) -> tuple[Measure, ...]:
    """Returns the readings of a measure such as km/h, m/s^2 or square feet; () for no measure."""
    text = plain(unit)
    if not text.strip("/ ") or len(text) > 60:
        return ()
    readings = [Measure((), Fraction(1), ())]
    for place, part in enumerate(_PER.split(text)):
        for factor in _factors(part.strip()):
            match = _FACTOR.fullmatch(factor)
            if match is None:
                return ()
            power = _POWERS.get((match[1] or match[2] or "").rstrip("."), 1) * int(match[4] or 1)
            power *= _POWERS.get((match[5] or "").strip(), 1) * (-1 if place else 1)
            found = (_UNIT,) if match[3].casefold() in _NOTHING else known(match[3])
            readings = [_times(a, b, power) for a in readings for b in found][:16]
            if not readings:
                return ()
    return tuple(readings)


def _factors(part: str) -> list[str]:
    """The measures that are multiplied: "N" and "m" of "N m", but "square feet" is one."""
    factors: list[str] = []
    for word in _TIMES.sub(" ", part).split():
        if factors and (factors[-1].rstrip(".") in _POWERS or word in ("squared", "cubed")):
            factors[-1] += f" {word}"
        elif word not in ("of", "a", "an", "the", "each", "one"):
            factors.append(word)
    return factors


def _without_power(one: Measure, other: Measure) -> bool:
    """Whether both are of one measure alone, and one of them without a power."""
    powers = [measure.kind[0][1] for measure in (one, other) if len(measure.kind) == 1]
    return one.names == other.names and len(powers) == 2 and 1 in powers


def _times(left: Measure, right: Measure, power: int) -> Measure:
    powers = dict(left.kind)
    for base, n in right.kind:
        powers[base] = powers.get(base, 0) + n * power
    kind = tuple(sorted((base, n) for base, n in powers.items() if n))
    return Measure(kind, left.size * right.size**power, tuple(sorted({*left.names, *right.names})))


def ratio(unit: str, other: str) -> Fraction | None:
    """Returns how many of another unit one of a unit is; None if they measure unlike things.

    Without a unit on one side, or with a mere noun, it is 1. A lone measure may lack its power, as
    5 cm is said for 5 cm^2, but not have another one; m/s is no m/s^2.
    """
    readings, others = unit and read(unit), other and read(other)
    if not readings or not others:
        return Fraction(1)
    alike = [(a, b) for a in readings for b in others if a.kind == b.kind]
    if alike:
        a, b = alike[0]
        return a.size / b.size
    named = any(_without_power(a, b) for a in readings for b in others)
    # units of some length fit any measure, but square units are no cubic ones
    empty = any(bool(a.names) != bool(b.names) for a in readings for b in others)
    return Fraction(1) if named or empty else None
