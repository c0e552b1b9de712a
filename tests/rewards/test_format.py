import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.rewards.format import extract_answer, think_answer

ALL = ("answer_tag", "boxed", "answer_line")
words = st.text(alphabet="abc 123\n+=", min_size=1).filter(str.strip)


@given(words, words, st.sampled_from(["", " ", "\n", "\n\n  "]))
def test_a_thought_and_a_reply_pass(thought, reply, gap):
    text = f"{gap}<think>{thought}</think>{gap}<answer>{reply}</answer>{gap}"
    assert think_answer(text) == (1.0, "a thought, then a reply")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no <think>"),
        ("42", "no <think>"),
        ("<think>a</think> 42", "no <answer>"),
        ("<think>a <answer>42</answer>", "no </think>"),
        ("<think>a</think><answer>42", "no </answer>"),
        ("<think></think><answer>42</answer>", "empty thought"),
        ("<think> \n </think><answer>42</answer>", "empty thought"),
        ("<think>\u200b\u00a0\x07</think><answer>42</answer>", "empty thought"),
        ("<think>a</think><answer> </answer>", "empty reply"),
        ("<think>a</think><answer>42</answer> more", "text after </answer>"),
        ("so <think>a</think><answer>42</answer>", "text before <think>"),
        ("<think>a</think> so <answer>42</answer>", "no <answer> right after </think>"),
        ("<answer>42</answer><think>a</think>", "text before <think>"),
        ("<think>a<answer>42</answer></think>", "no <answer> right after </think>"),
        ("</think><think>a<answer>42</answer>", "text before <think>"),
        ("<think><think>a</think></think><answer>42</answer>", "2 <think>"),
        ("<think>a</think><answer>1</answer><answer>2</answer>", "2 <answer>"),
        ("<think>a</think><answer>1</answer></answer>", "2 </answer>"),
        ("<THINK>a</THINK><answer>1</answer>", "no <think>"),
    ],
)
def test_anything_else_fails_with_its_reason(text, why):
    assert think_answer(text) == (0.0, why)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>x</think><answer> 42 </answer>", "42"),
        ("<answer>42</answer> and again <answer>42</answer>", "42"),
        ("\\boxed{1}, wait, \\boxed{2}", "2"),
        ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("\\boxed {\\{1, 2\\}}", "\\{1, 2\\}"),
        ("\\boxed{3} and then \\boxed{4 was cut", "3"),
        ("a { lone brace, \\boxed{5}", "5"),
        ("} \\boxed{5}}", "5"),
        ("Answer: 1\nAnswer: 2\n", "2"),
        ("so\n  answer:  7 ", "7"),
        ("\u7b54\u6848: 7", "7"),
        ("\u7b54\u6848\uff1a 7", "7"),
        ("<answer>1</answer> \\boxed{2}", "1"),
        ("\\boxed{2}\nAnswer: 3", "2"),
        ("<think>\\boxed{1}</think> Answer: 3", "3"),
        ("</think>\\boxed{1}</think> \\boxed{2}", "2"),
    ],
)
def test_the_answer_is_found_in_its_place(text, answer):
    assert extract_answer(text, ALL).answer == answer


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("42", "no answer in answer_tag, boxed, answer_line"),
        ("<answer>1</answer><answer>2</answer> \\boxed{1}", "2 contradictory <answer>s"),
        ("<answer> </answer> \\boxed{1}", "empty <answer>"),
        ("\\boxed{ }", "empty \\boxed"),
        ("Answer:", "empty line"),
        ("\\boxed{4", "no answer in answer_tag, boxed, answer_line"),
        ("<answer>42", "no answer in answer_tag, boxed, answer_line"),
        ("The Answer: 42", "no answer in answer_tag, boxed, answer_line"),
        ("<answer>42</answer></think>", "no answer in answer_tag, boxed, answer_line"),
    ],
)
def test_no_answer_has_a_reason(text, why):
    assert extract_answer(text, ALL) == (None, why)


def test_places_are_tried_in_the_order_given():
    text = "<answer>1</answer> \\boxed{2}\nAnswer: 3"
    assert extract_answer(text, ("answer_line", "boxed")).answer == "3"
    assert extract_answer(text, ("boxed", "answer_tag")).answer == "2"


@pytest.mark.parametrize("places", [(), ("box",), ("boxed", "anywhere")])
def test_unknown_places_are_refused(places):
    with pytest.raises(ValueError, match="wanted one or more of"):
        extract_answer("42", places)


@pytest.mark.parametrize(
    "text",
    [
        "<answer>" * 125_000,
        "<answer></answer>" * 60_000,
        "\\boxed{" * 140_000,
        "\\boxed" + " " * 1_000_000,
        "{" * 1_000_000,
        "Answer:\n" * 120_000,
        "</think>" * 120_000,
    ],
)
def test_a_megabyte_of_tags_takes_linear_time(text):
    start = time.perf_counter()
    assert extract_answer(text, ALL).answer is None
    assert think_answer(text)[0] == 0.0
    # 0.2 s were measured; quadratic time would be minutes
    assert time.perf_counter() - start < 5
