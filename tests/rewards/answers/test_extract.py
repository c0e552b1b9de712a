import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.rewards.answers.extract import extract_answer

ALL = ("answer_tag", "boxed", "answer_line")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>x</think><answer> 42 </answer>", "42"),
        ("<answer>42</answer> and again <answer>42</answer>", "42"),
        ("\\boxed{2} and once more \\boxed{ 2.0 }", "2.0"),
        ("I put it into \\boxed{}: \\boxed{2}", "2"),
        ("\\boxed{ \\boxed{5} }", "5"),
        ("<answer>The answer is \\boxed{5}.</answer>", "5"),
        ("<answer>42</answer> that is <answer>42.0</answer>", "42.0"),
        ("Answer: $\\boxed{7}$", "7"),
        ("**Answer:** 7", "7"),
        ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("\\boxed {\\{1, 2\\}}", "\\{1, 2\\}"),
        ("\\boxed{3} and then \\boxed{4 was cut", "3"),
        ("a { lone brace, \\boxed{5}", "5"),
        ("} \\boxed{5}}", "5"),
        ("so \\boxed 42.", "42"),
        ("\\boxed -1/2", "-1/2"),
        ("\\boxed{\\boxed 5}", "5"),
        ("\\fbox{42}", "42"),
        ("<answer>It is \\fbox{42}</answer>", "42"),
        ("what \\boxed takes: \\boxed{42}", "42"),
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
        ("\\boxed{1}, wait, \\boxed{2}", "2 contradictory \\boxeds"),
        ("\\boxed{A} \\boxed{B} \\boxed{C} \\boxed{D}", "4 contradictory \\boxeds"),
        ("<answer>\\boxed{1} \\boxed{2}</answer>", "2 contradictory \\boxeds"),
        ("\\boxed 42 and \\boxed{43}", "2 contradictory \\boxeds"),
        ("\\boxed 42x", "no answer in answer_tag, boxed, answer_line"),
        ("\\boxed 1/2\\pi", "no answer in answer_tag, boxed, answer_line"),
        ("\\boxed{2\\sqrt{5}} = \\boxed{\\sqrt{20}}", "2 contradictory \\boxeds"),
        ("Answer: \\boxed{1} or \\boxed{2}", "2 contradictory \\boxeds"),
        ("<answer><answer>42</answer></answer>", "nested <answer>"),
        ("<think>\\boxed{42}", "the thought does not end"),
        ("<answer>42</answer><think>so", "the thought does not end"),
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
        "\\boxed " + "1," * 500_000 + "1x",
        "\\boxed \\fbox " * 70_000,
        "{" * 1_000_000,
        "Answer:\n" * 120_000,
        "</think>" * 120_000,
        "\\boxed{" * 30_000 + "}" * 30_000,
        "".join(f"\\boxed{{{i}}}" for i in range(20_000)),
        "<answer>" * 60_000 + "</answer>",
    ],
)
def test_a_megabyte_of_tags_takes_linear_time(text):
    start = time.process_time()
    assert extract_answer(text, ALL).answer is None
    # 0.2 s were measured; quadratic time would be minutes
    assert time.process_time() - start < 5


@pytest.mark.parametrize("places", [("answer_tag",), ("boxed",), ("answer_line",), ALL])
def test_what_stands_in_the_thought_never_counts(places):
    thought = "<think><answer>42</answer> \\boxed{42}\nAnswer: 42\n"
    for text in (thought, thought + "</think>", thought + "</think> 42", thought * 2):
        assert extract_answer(text, places).answer is None
    assert (
        extract_answer(
            thought + "</think><answer>43</answer> \\boxed{43}\nAnswer: 43", places
        ).answer
        == "43"
    )


@given(st.lists(st.sampled_from("ABCD"), min_size=1, max_size=4))
def test_several_boxes_count_when_they_agree(letters):
    text = " ".join(f"\\boxed{{{letter}}}" for letter in letters)
    want = letters[0] if len(set(letters)) == 1 else None
    assert extract_answer(text, ALL).answer == want


@given(st.text(max_size=300) | st.text(alphabet="\\{}<>/answerboxdthik: \n", max_size=300))
def test_any_text_is_searched(text):
    for places in (ALL, ("boxed",), ("answer_line",)):
        answer, reason = extract_answer(text, places)
        assert reason
        assert answer is None or answer in text


def test_a_box_around_a_box_and_more_is_one_box():
    assert extract_answer("\\boxed{a \\boxed{5}}", ALL).answer == "a \\boxed{5}"
    assert extract_answer("\\boxed{4 \\boxed{3}", ALL).answer == "3"


def test_a_megabyte_of_boxes_is_no_answer_to_anything():
    start = time.process_time()
    boxes = ["\\boxed{ " * 20_000 + "} x" * 20_000, "<answer>" + "\\boxed{" * 100_000 + "</answer>"]
    for text in boxes:
        answer = extract_answer(text, ALL).answer
        assert answer is not None and len(answer) > 500  # no judge reads so much
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("**Answer**: 58", "58"),
        ("**Final Answer:** 58", "58"),
        ("**Final answer**: 58", "58"),
        ("### Answer: 58", "58"),
        ("ANSWER: 58", "58"),
        ("FINAL ANSWER: 58", "58"),
        ("Answer : 58", "58"),
        ("__Answer:__ 58", "58"),
        ("**Answer: 58**", "58"),
        ("**\u7b54\u6848**\uff1a58", "58"),
        ("\u6700\u7ec8\u7b54\u6848\uff1a58", "58"),
        ("\u7b54\u6848\u662f\uff1a58", "58"),
        ("**\u7b54\u6848\u4e3a**: 58", "58"),
        ("Answer:\n58", "58"),
        ("**Answer:**\n\n**58**", "58"),
        ("Answer:\n$$\n58\n$$", "58"),
        ("Answer: 57\nAnswer:\n58", "58"),
    ],
)
def test_an_answer_line_may_be_bold_capital_or_above(text, answer):
    assert extract_answer(text, ALL).answer == answer


@pytest.mark.parametrize(
    "text", ["Answering: 58", "answers: 58", "The answer is: 58", "Final: 58", "aNSWER: 58"]
)
def test_other_lines_are_no_answer_lines(text):
    assert extract_answer(text, ALL).answer is None
