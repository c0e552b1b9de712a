import pytest
from judging import paid

RIGHT = {
    "64": [
        "64 cm",
        "64 kJ/mol",
        "64个",
        r"64\,\text{N}",
        "₹64",
        "Rs. 64",
        r"C\$64",
        "64%",
        "64 °C",
    ],
    r"\$64": ["64", "64 dollars", "6400 cents", r"C\$64", "USD 64", r"\$64.00"],
    "€64": ["64", "64 euros", "EUR 64"],
    "₹64": ["64", "64 rupees", r"\text{Rs. }64"],
    r"\$2.5 \text{ million}": ["2500000", "2.5 million dollars", r"\$2,500,000", "2.5 million"],
    "90000": ["9万", "90 thousand", "9万元"],
    "3 hours": ["3", "180 min", "3 h", r"3\text{ hrs}"],
    "95 minutes": ["1 h 35 min", "1 hour 35 minutes", "1小时35分钟", "95"],
    r"31^\circ 30'": [r"31.5^\circ", "31.5", "31°30′"],
    r"4.5\ \mathrm{m/s^2}": [
        "4.5",
        "4.5 m/s²",
        r"4.5\text{ m/s}^2",
        r"4.5\,\mathrm{m\cdot s^{-2}}",
    ],
    r"40^\circ C": ["40", "40 °C", r"40^\circ\mathrm{C}", "40 degrees Celsius"],
    "6 t^2": ["6t^2", "6*t**2"],
    "6 m^2": ["6", "60000 cm^2"],
    "7 kW": ["7", "7000 W", "7 kilowatts"],
    "0.064": ["64 permille", "64‰"],
    "7 dm^3": ["7 L", "7000 mL", "7000 cm³"],
    "30 mpg": ["30", "30 miles per gallon", r"30\text{ miles/gallon}"],
    "30 Hz": ["30 s^{-1}", r"30\ \mathrm{s^{-1}}", "30"],
    "7 m/s": ["7 m s^{-1}", "700 cm/s"],
    "400 kPa": [r"4\cdot 10^5 Pa", "400000 Pa"],
    "100000": ["10^5", "10^{5}"],
    r"1.7\times 10^{-8}\text{ C}": ["1.7e-8 C", "1.7e-8"],
    "260 seconds": ["4 minutes and 20 seconds", "4 min, 20 s", "4分20秒"],
    r"25\text{ min}": ["25 min", "1500 s", "25"],
    "7 square units": ["7 units", "7", "7 cm^2"],
    "360000": ["3,60,000", "₹3,60,000"],
    r"5\pi \text{ cm}^2": [r"5\pi", r"5\pi cm^2"],
}
WRONG = {
    "64": ["64 eggs", "64 wrong", "64 undefined", "64 thousand", "64 permille", "64 lakh", "64万"],
    "3": ["3 eighths", "3 halves", "3 dozen", "3 nonsense"],
    r"\$64": ["64 cents", "64 euros", "£64", r"\$6400"],
    r"US\$64": [r"C\$64", "64 pounds"],
    "64 cents": [r"\$64"],
    "3 hours": ["3 min", "180", "3 km"],
    "95 minutes": ["1 h 36 min", "95 hours"],
    r"4.5\ \mathrm{m/s^2}": ["4.5 kg", "4.5 km/s^2"],
    "7 kW": ["7 W", "7 kg"],
    "7 m/s^2": ["7 m/s", "7 m s^{-1}"],
    "7 m/s": ["7 m/s^2"],
    "7 m^3": ["7 m^2", "7平方米"],
    "7平方米": ["7立方米"],
    "7 square units": ["7 cubic units"],
    r"7\pi\text{ square units}": [r"7\pi\text{ cubic units}"],
    "7\\%": ["7 min", "7 cm"],
    "7 cm": ["7%"],
    "7 L": ["7 kg", "7 m^3"],
    "100000": ["10^4", "100^2"],
    r"25\text{ min}": ["25 h", "26 min"],
    "36000": ["3,60,00", "3,60,000"],
    r"5\pi": [r"5\pi \text{ nonsense}"],
    "6": ["6 t^2", "6 t", "6 m n", "6 h^2"],
}
NOUNS = [
    ("12 eggs", "12", "How many eggs are left?", True),
    ("12 eggs", "12 eggs", "", True),
    ("12 egg", "12", "How many eggs are left?", True),
    ("12 women", "12", "Each woman has a hat.", True),
    (r"12 \text{ brown eggs}", "12", "How many brown eggs are left?", True),
    ("12本书", "12", "一共有多少本书？", True),
    ("12 red eggs", "12", "How many red eggs are left?", True),
    ("12 red eggs", "12", "How many eggs are left?", False),
    ("12 hats", "12", "How many eggs are left?", False),
    ("12 not", "12", "Why not?", False),
    ("12 or eggs", "12", "One or more eggs?", False),
]


def pairs(answers_by_gold):
    return [(answer, gold) for gold, answers in answers_by_gold.items() for answer in answers]


@pytest.mark.parametrize(("answer", "gold"), pairs(RIGHT))
def test_measures_and_money_are_the_same_in_other_words(answer, gold):
    assert paid(answer, gold)


@pytest.mark.parametrize(("answer", "gold"), pairs(WRONG))
def test_other_measures_and_mere_words_are_wrong(answer, gold):
    assert not paid(answer, gold)


@pytest.mark.parametrize(("answer", "gold", "question", "right"), NOUNS)
def test_nouns_count_where_gold_or_question_has_them(answer, gold, question, right):
    assert paid(answer, gold, question) == right
