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
        ("\\$32,\\!348", 32348, 0, False, ""),
        ("\u00a55", 5, 0, False, ""),
        ("12.5\\%", "12.5", 0, True, ""),
        ("20 \\%", 20, 0, True, ""),
        ("50 percent", 50, 0, True, "percent"),
        ("145^\\circ", 145, 0, False, "\u00b0"),
        ("90\\text{ square\nunits}", 90, 0, False, "square units"),
        ("144 \\mbox{ m}^3", 144, 0, False, "m"),
        ("60\u5343\u7c73/\u5c0f\u65f6", 60, 0, False, "\u5343\u7c73/\u5c0f\u65f6"),
        ("18 dollars per day", 18, 0, False, "dollars per day"),
    ],
)
def test_numbers_are_read_with_what_follows_them(text, value, operations, percent, unit):
    assert read(text) == (Fraction(value), operations, percent, unit)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "x", "5!", "\\sqrt{4}", "2\\pi", "1,23", "0,123", "1 2", "1.2.3", "3/0", "0^0",
        "5 or six", "5 million", "5m", "2 xyz", "3\u4e07", "5\u62166", "(5", "5)", "1\\frac{5}{4}",
        "2.5\\frac{1}{2}", "4343_6", "\u2460", "5%%", "--", "1e999", "10^61", "e", "%", "\\%",
        "cm", "\\text{5}x",
    ],
)  # fmt: skip
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
        ("3 hours", "3 minutes", True),
        ("3 cm", "3 \\text{ m}", True),
        ("3 dollars", "3 cents", True),
        ("3 hours", "3 hrs", False),
        ("3 cm", "3 square centimeters", False),
        ("3 cm", "3", False),
        ("3 dogs", "3 animals", False),
        ("3 dogs", "3 cm", False),
        ("3\u5206\u949f", "3 min", False),
        ("3\u5143", "3 dollars", True),
    ],
)
def test_only_two_known_measures_can_clash(one, other, clash):
    assert numbers.other_unit(read(one), read(other)) == clash
    assert numbers.other_unit(read(other), read(one)) == clash


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
