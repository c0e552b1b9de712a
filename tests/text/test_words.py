import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.text.words import says_any


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("but no", ("but",), True),
        ("an attribute", ("but",), False),
        ("Wait, 3 is wrong", ("wait",), True),
        ("WAIT!", ("wait",), True),
        ("I waited", ("wait",), False),
        ("wait", ("Wait",), True),
        ("error_rate", ("error",), False),
        ("however", ("wait", "however"), True),
        ("hold on a second", ("hold on",), True),
        ("threshold on", ("hold on",), False),
        ("7≡2等等3", ("等等",), True),
        ("等一等", ("等等",), False),
        ("所以wait一下", ("wait",), True),
        ("a.b", ("a.b",), True),
        ("axb", ("a.b",), False),
        ("", ("wait",), False),
        ("wait", (), False),
    ],
)
def test_words_count_whole_in_any_case_and_chinese_anywhere(text, words, said):
    assert says_any(text, words) is said


@pytest.mark.parametrize("word", ["", " "])
def test_a_blank_word_is_refused(word):
    with pytest.raises(ValueError, match="wanted none of them blank"):
        says_any("wait", ("but", word))


@given(st.lists(st.sampled_from(["but", "attribute", "Wait", "waits", "ok"])))
def test_latin_words_are_those_that_a_split_at_spaces_finds(tokens):
    lowered = {token.lower() for token in tokens}
    assert says_any(" ".join(tokens), ("but", "wait")) == bool(lowered & {"but", "wait"})


def test_a_megabyte_takes_linear_time():
    start = time.monotonic()
    assert not says_any("attribute" * 120_000, ("but", "wait", "等等"))
    assert time.monotonic() - start < 5
