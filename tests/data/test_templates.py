import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.data.templates import TEMPLATES, render, split_completion


@given(st.sampled_from(sorted(TEMPLATES)), st.text())
def test_the_question_stands_in_the_prompt_as_it_is(template, question):
    before, after = TEMPLATES[template].split("{question}")
    assert render(template, question) == before + question + after


@pytest.mark.parametrize("question", ["{question}", "{}", "{0} {x!r}", "\\frac{1}{2}"])
def test_braces_in_the_question_are_kept(question):
    assert render("plain", question) == f"User: {question}\nAssistant:"


def test_r1_zero_shows_both_tag_pairs_and_ends_where_the_assistant_speaks():
    prompt = render("r1_zero", "What is 6 times 7?")
    assert "<think> reasoning </think> <answer> reply </answer>. User: " in prompt
    assert prompt.endswith(" User: What is 6 times 7?. Assistant:")


def test_an_unknown_template_is_refused_with_the_known():
    with pytest.raises(ValueError, match=r"got 'r1', wanted one of \['plain', 'r1_zero'\]"):
        render("r1", "?")


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think> a </think> <answer> b </answer>", "a", "b"),
        ("a </think> b", "a", "b"),
        ("<think>a</think>b", "a", "b"),
        ("<think>a</think> c </think> b", "a</think> c", "b"),
        ("<think>a", "a", None),
        (" <think>a <answer>b</answer>", "a <answer>b</answer>", None),
        ("<think></think>b", None, "b"),
        ("<think>a</think>", "a", None),
        ("<think>a</think><answer> </answer>", "a", None),
        ("b", None, "b"),
        ("<answer>b</answer>", None, "b"),
        ("", None, None),
    ],
)
def test_completions_split_at_the_last_closing_think(text, reasoning, answer):
    assert split_completion(text) == (reasoning, answer)
