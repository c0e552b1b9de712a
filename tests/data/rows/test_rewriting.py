import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.data.rows.rewriting import clean, overlap, script, summarize, word_grams

SUMMARIES = {"en": "It is \\boxed{{answer}}.", "zh": "是\\boxed{{answer}}。"}


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("from 4 go +7, last digit?", "en"),
        ("从4起 +7，个位？", "zh"),
        ("3 + 4", "en"),
        ("小明有 apples 三个", "zh"),
        ("What does 你 mean in English?", "en"),
    ],
)
def test_the_language_is_that_of_most_words(text, want):
    assert script(text) == want


@pytest.mark.parametrize(
    ("thought", "want"),
    [
        ("  a  \t b \n\n\n\nc<think> d</answer> ", "a b\n\nc d"),
        ("def f():\n    return  1", "def f():\n    return 1"),
        ("</think>", ""),
    ],
)
def test_a_thought_loses_tags_and_spaces_only(thought, want):
    assert clean(thought) == want


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_cleaning_adds_nothing_and_is_done_once(thought):
    assert clean(clean(thought)) == clean(thought)


def test_the_summary_holds_the_answer_in_the_questions_language():
    assert summarize("7", "last digit?", SUMMARIES) == "It is \\boxed{7}."
    assert summarize("\\frac{1}{2}\n", "个位是几？", SUMMARIES) == "是\\boxed{\\frac{1}{2}}。"


def test_overlap_is_the_share_of_common_grams():
    one, two = word_grams("a b c d", n=2), word_grams("A b c x", n=2)
    assert overlap(one, two) == 2 / 4 and overlap(one, one) == 1
    assert word_grams("七加五", n=2) == {("七", "加"), ("加", "五")}
    assert word_grams("a", n=5) == {("a",)} and word_grams("", n=5) == {()}
