from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.rewards.answers import latex, numbers, units


def read(text):
    return numbers.read(latex.tidy(text))


@pytest.mark.parametrize(
    ("text", "value", "operations", "percent", "unit"),
    [
        ("42", 42, 0, False, ""),
        ("1,234.50", "1234.5", 0, False, ""),
        ("-3/4", "-3/4", 0, False, ""),
        ("6/3", 2, 1, False, ""),
        ("6/8", "3/4", 1, False, ""),
        ("17 + 25", 42, 1, False, ""),
        ("2^{10}", 1024, 1, False, ""),
        ("1\\frac{4}{5}", "9/5", 0, False, ""),
        ("1\\frac{2}{4}", "3/2", 1, False, ""),
        ("-1 4/5", "-9/5", 0, False, ""),
        ("\\frac{-3}{4}", "-3/4", 0, False, ""),
        ("6.02e23", 602 * 10**21, 0, False, ""),
        ("\\$32,\\!348", 32348, 0, False, "$"),
        ("\u00a55", 5, 0, False, "\u00a5"),
        ("12.5\\%", "12.5", 0, True, ""),
        ("20 \\%", 20, 0, True, ""),
        ("50 percent", 50, 0, True, "percent"),
        ("145^\\circ", 145, 0, False, "\u00b0"),
        ("90\\text{ square\nunits}", 90, 0, False, "square units"),
        ("144 \\mbox{ m}^3", 144, 0, False, "m^3"),
        ("60\u5343\u7c73/\u5c0f\u65f6", 60, 0, False, "\u5343\u7c73/\u5c0f\u65f6"),
        ("18 dollars per day", 18, 0, False, "dollars per day"),
    ],
)
def test_numbers_are_read_with_what_follows_them(text, value, operations, percent, unit):
    assert read(text) == (Fraction(value), operations, percent, unit)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x",
        "5!",
        "\\sqrt{4}",
        "2\\pi",
        "1,23",
        "0,123",
        "1 2",
        "1.2.3",
        "3/0",
        "0^0",
        "5 or six",
        "5m",
        "2 xyz",
        "5\u62166",
        "(5",
        "5)",
        "1\\frac{5}{4}",
        "2.5\\frac{1}{2}",
        "4343_6",
        "\u2460",
        "5%%",
        "--",
        "1e999",
        "10^61",
        "e",
        "%",
        "\\%",
        "cm",
        "\\text{5}x",
    ],
)
def test_what_is_no_number_says_why(text):
    with pytest.raises(ValueError, match=r"."):
        read(text)


@given(st.fractions(max_denominator=10**6, min_value=-(10**9), max_value=10**9))
def test_a_percent_sign_may_be_left_out_or_added(a):
    plain, percent, hundredth = read(str(a)), read(f"{a}\\%"), read(str(a / 100))
    assert numbers.equal(plain, percent) and numbers.equal(percent, plain)
    assert numbers.equal(hundredth, percent) and numbers.equal(percent, hundredth)
    assert numbers.equal(plain, hundredth) == (a == 0)


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("3 hours", "3 km", True),
        ("3 hours", "3 minutes", False),
        ("3 hours", "3 hrs", False),
        ("3 cm", "3 square centimeters", False),
        ("3 cm", "3", False),
        ("3 dogs", "3 animals", False),
        ("3 dogs", "3 cm", False),
        ("3\u5206\u949f", "3 min", False),
        ("3\u5143", "3 dollars", True),
        ("\\$7", "7 euros", True),
        ("\u00a37", "7 pounds", False),
        ("US\\$7", "C\\$7", True),
        ("\\$7", "C\\$7", False),
        ("7 N", "7 J", True),
        ("30^\\circ", "30 radians", True),
    ],
)
def test_only_two_known_measures_can_clash(one, other, clash):
    assert numbers.other_unit(read(one), read(other)) == clash
    assert numbers.other_unit(read(other), read(one)) == clash


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("4 hours", "240 min", True),
        ("4 hours", "4 min", False),
        ("1.5 km", "1500 m", True),
        ("36 km/h", "10 m/s", True),
        ("3 m^2", "30000 cm^2", True),
        ("\\$6", "600 cents", True),
        ("\\$6", "6 cents", False),
        ("3\u5143", "30\u89d2", True),
        ("2 kW", "2000 W", True),
        ("1 h 45 min", "105 minutes", True),
        ("5 ft 6 in", "66 inches", True),
        ("14^\\circ 15'", "14.25^\\circ", True),
        ("2 kg", "2000 grams", True),
        ("\u00a36", "6 pounds", True),
        ("7.5\\ \\mathrm{m/s^2}", "7.5 m/s\u00b2", True),
        ("15^\\circ C", "15 degrees Celsius", True),
    ],
)
def test_measures_of_one_kind_are_converted(one, other, same):
    assert numbers.equal(read(one), read(other)) == same
    assert numbers.equal(read(other), read(one)) == same


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5 million", 5_000_000),
        ("\\$2.5 \\text{ million}", 2_500_000),
        ("2.5 million dollars", 2_500_000),
        ("3\u4e07", 30_000),
        ("1.5\u4ebf\u5143", 150_000_000),
        ("7 lakh", 700_000),
        ("4 dozen", 48),
        ("5 eighths", "5/8"),
        ("70 permille", "7/100"),
        ("3 hundredths", "3/100"),
        ("0.\\overline{27}", "3/11"),
        ("1.2\\overline{6}", "19/15"),
        ("0.(6)", "2/3"),
        ("0.\\dot{4}", "4/9"),
        ("\\frac{3}{-8}", "-3/8"),
        ("\u20b9650", 650),
        ("Rs. 650", 650),
        ("\\pounds 65", 65),
        ("C\\$65", 65),
    ],
)
def test_multipliers_and_other_notations_are_numbers(text, value):
    number = read(text)
    assert (number.value, number.operations) == (Fraction(value), 0)


@pytest.mark.parametrize(
    ("unit", "context", "right"),
    [
        ("km/h", "", True),
        ("square feet", "", True),
        ("\u4e2a", "", True),
        ("pears", "How many pears?", True),
        ("berry", "two berries", True),
        ("red pears", "a red pear", True),
        ("\u672c\u4e66", "\u591a\u5c11\u672c\u4e66", True),
        ("pears", "", False),
        ("red pears", "a pear", False),
        ("nonsense", "How many pears?", False),
        ("\u5934\u50cf", "\u591a\u5c11\u672c\u4e66", False),
    ],
)
def test_a_noun_counts_where_the_question_has_it(unit, context, right):
    assert units.allowed(unit, context) == right


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("5 cm", "5"),
        ("5cm^2", "5"),
        ("2\\pi", "2\\pi"),
        ("x^2 y", "x^2 y"),
        ("7 \\text{no way}", "7"),
    ],
)
def test_units_are_cut_off_and_nothing_else(text, head):
    assert units.split(text)[0] == head


@given(st.text(max_size=300))
def test_tidying_twice_changes_nothing_that_is_read(text):
    once = latex.tidy(text)
    try:
        value = numbers.read(once).value
    except ValueError:
        return
    assert numbers.read(latex.tidy(once)).value == value
