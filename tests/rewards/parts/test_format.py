import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.rewards.parts.format import (
    FORMATS,
    soft_think_answer,
    tag_count,
    think,
    think_answer,
    thought,
)
from r1jax.text.thought import TAGS

words = st.text(alphabet="abc 123\n+=", min_size=1).filter(str.strip)
gaps = st.sampled_from(["", " ", "\n", "\n\n  "])
pieces = st.lists(st.sampled_from([*TAGS, "a", " ", "\n", "\u200b", "<", "</", ">"])).map("".join)


@given(words, words, gaps)
def test_a_thought_and_a_reply_pass(inside, reply, gap):
    text = f"{gap}<think>{inside}</think>{gap}<answer>{reply}</answer>{gap}"
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
        ("<think>\u3164\u2800\u0301</think><answer>42</answer>", "empty thought"),
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


@given(words, words, gaps)
def test_a_thought_and_plain_text_pass_without_answer_tags(inside, reply, gap):
    text = f"{gap}<think>{inside}</think>{gap}{reply}"
    assert think(text) == (1.0, "a thought, then a reply")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("42", "no <think>"),
        ("<think>a", "no </think>"),
        ("<think>a</think> \n", "empty reply"),
        ("<think>a</think>\u200b", "empty reply"),
        ("<think> </think>42", "empty thought"),
        ("so <think>a</think>42", "text before <think>"),
        ("<think>a</think>42</think>", "2 </think>"),
        ("<think>a</think><answer>42</answer>", "a tag <answer>"),
        ("<think>a</answer></think>42", "a tag </answer>"),
    ],
)
def test_plain_replies_fail_with_their_reason(text, why):
    assert think(text) == (0.0, why)


@pytest.mark.parametrize(
    ("text", "value", "why"),
    [
        ("so</think>42", 1.0, "a thought, then a reply"),
        ("</think>42", 0.0, "empty thought"),
        ("\n</think>42", 0.0, "empty thought"),
        ("so</think>", 0.0, "empty reply"),
        ("so 42", 0.0, "no </think>"),
        ("<think>so</think>42", 0.0, "2 <think>"),
        ("so</think></think>42", 0.0, "2 </think>"),
        ("so</think><answer>42</answer>", 0.0, "a tag <answer>"),
    ],
)
def test_a_prompt_may_open_the_thought(text, value, why):
    assert think("<think>" + text) == (value, why)


@pytest.mark.parametrize(
    ("text", "value", "why"),
    [
        ("", 0.0, "no <think>, no </think>, no <answer>, no </answer>"),
        ("<think>a", 0.25, "no </think>, no <answer>, no </answer>"),
        ("<think>a</think>", 0.5, "no <answer>, no </answer>"),
        ("<think>a</think><answer>1", 0.75, "no </answer>"),
        ("<think>a</think><answer>1</answer></answer>", 0.75, "2 </answer>"),
        ("<think>a</think><answer>1</answer>", 1.0, "each tag once"),
    ],
)
def test_each_tag_that_occurs_once_is_worth_a_quarter(text, value, why):
    assert tag_count(text) == (value, why)


@given(st.permutations(TAGS), st.lists(words, min_size=5, max_size=5))
def test_the_tag_count_knows_neither_order_nor_content(tags, between):
    text = "".join(w + tag for w, tag in zip(between, [*tags, ""], strict=True))
    assert tag_count(text)[0] == 1.0


@pytest.mark.parametrize(
    ("text", "value", "why"),
    [
        ("42", 0.0, "no <think>, no </think>, no <answer>, no </answer>"),
        ("<think>a</think>", 0.25, "no <answer>, no </answer>"),
        ("<think></think><answer>1</answer>", 0.5, "empty thought"),
        ("</answer><answer></think><think>", 0.5, "text before <think>"),
        ("<think>a</think><answer>1</answer>", 1.0, "a thought, then a reply"),
    ],
)
def test_half_of_the_soft_reward_is_for_the_strict_form_alone(text, value, why):
    assert soft_think_answer(text) == (value, why)


@given(pieces)
def test_every_form_is_worth_0_to_1_and_only_one_form_at_a_time(text):
    values = {name: form(text)[0] for name, form in FORMATS.items()}
    assert all(0 <= value <= 1 for value in values.values())
    strict = ("think_answer", "think")
    assert sum(values[name] for name in strict) <= 1
    assert (values["soft_think_answer"] == 1) == (values["think_answer"] == 1)
    assert values["think_answer"] <= values["tag_count"]


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("<think>so</think><answer>42</answer>", " so"),
        ("so</think>42", "so"),
        ("<think>a</think>b</think><answer>42</answer>", " a b"),
        ("<think>cut off", " cut off"),
        ("so\n<answer>42</answer>", "so\n"),
        ("so, 42", "so, 42"),
        ("<think></think>42", " "),
        ("a<answer>b</think><answer>c", "a b"),
        ("", ""),
    ],
)
def test_the_thought_is_all_that_no_answer_is_read_from(text, inside):
    assert thought(text) == inside


@pytest.mark.parametrize(
    "text",
    [
        *(tag * 120_000 for tag in TAGS),
        "<think>" * 70_000 + "</think>" * 60_000,
        "<answer></answer>" * 60_000,
        "<think>" + "\u200b" * 1_000_000 + "</think><answer>42</answer>",
        "<think>a</think><answer>" + "\u3164" * 1_000_000 + "</answer>",
        "<" * 1_000_000,
        " " * 1_000_000,
    ],
)
def test_a_megabyte_of_tags_takes_linear_time(text):
    # about 0.1 s; quadratic time would be minutes
    for form in FORMATS.values():
        assert form(text)[0] in (0.0, 0.25, 0.5) or form is tag_count
    assert len(thought(text)) <= len(text)
