import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.text import wording

ONES = [*wording._VALUES][:20]  # zero to nineteen
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
HAN = "零一二三四五六七八九"


def english(n: int) -> str:
    if n < 20:
        return ONES[n]
    if n < 100:
        return TENS[n // 10 - 2] + (f"-{ONES[n % 10]}" if n % 10 else "")
    size, word = next(
        p for p in [(10**6, "million"), (1000, "thousand"), (100, "hundred")] if n >= p[0]
    )
    rest = f" {english(n % size)}" if n % size else ""
    return f"{english(n // size)} {word}{rest}"


@given(st.integers(0, 10**9 - 1))
def test_english_numbers_are_read(n):
    assert wording.spelled(english(n)) == str(n)
    assert wording.spelled(english(n).capitalize()) == str(n)
    assert wording.spelled(f"minus {english(n)}") == f"-{n}"
    assert wording.spelled(f"{english(n)} thirds") == f"{n} thirds"


@given(st.integers(10, 99))
def test_chinese_numbers_are_read(n):
    tens = "" if n < 20 else HAN[n // 10]
    assert wording.spelled(f"{tens}十{HAN[n % 10] if n % 10 else ''}") == str(n)


@given(st.text(alphabet="one twohudrdfiyx零一二十分之又-,12/", max_size=40) | st.text(max_size=40))
def test_any_text_is_read(text):
    assert isinstance(wording.spelled(text), str)


@pytest.mark.parametrize(
    "text",
    ["", "one two", "one of them", "twenty-zero", "hundred", "and one", "someone", "oneself"],
)
def test_english_that_is_no_number_stays(text):
    assert wording.spelled(text) == text


@pytest.mark.parametrize(
    "text",
    ["三角形", "分之", "五又", "第一", "not five", "five or six", "one-to-one", "minus", "th"],
)
def test_what_is_no_number_stays(text):
    assert wording.spelled(text) == text
