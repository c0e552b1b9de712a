import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.text.thought import Splitter, split_completion


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think> a </think> <answer> b </answer>", "a", "b"),
        ("a </think> b", "a", "b"),
        ("Sure. <think>a</think>b", "a", "Sure. b"),
        ("Sure. <think>a", "a", "Sure."),
        ("<think>x</think> So: <answer>5</answer>.", "x", "So: 5."),
        ("<think>a</think>b", "a", "b"),
        ("<think>a</think> c </think> b", "a", "c  b"),
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
def test_completions_split_at_the_first_closing_think(text, reasoning, answer):
    assert split_completion(text, opened=False) == (reasoning, answer)


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [("a", "a", None), ("a</think>b", "a", "b"), ("</think>b", None, "b"), ("", None, None)],
)
def test_a_thought_that_the_prompt_opened_goes_on(text, reasoning, answer):
    assert split_completion(text, opened=True) == (reasoning, answer)


def streamed(text: str, cuts: list[int], *, opened: bool) -> tuple[str, str]:
    splitter, pieces = Splitter(opened=opened), []
    for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        pieces += splitter.push(text[begin:end])
    pieces += splitter.finish()
    return tuple("".join(p.text for p in pieces if p.is_thought is w) for w in (True, False))


TEXTS = st.lists(
    st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", "<", "a", " b", "</", "think"])
).map("".join)


@given(TEXTS, st.booleans(), st.data())
def test_where_a_stream_is_cut_changes_nothing(text, opened, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    whole = streamed(text, [], opened=opened)
    assert streamed(text, cuts, opened=opened) == whole


@pytest.mark.parametrize("opened", [False, True])
def test_a_stream_splits_like_the_whole_where_there_is_one_thought(opened):
    text = "a < b </think> <answer>c</answer>"
    text = text if opened else f"<think>{text}"
    thought, answer = streamed(text, [3, 4, 9, 12, 20], opened=opened)
    assert (thought.strip(), answer.strip()) == split_completion(text, opened=opened)


def test_certain_text_does_not_wait():
    splitter = Splitter(opened=False)
    assert splitter.push("ab <thi") == [("ab ", False)]
    assert splitter.push("s is") == [("<this is", False)]
    assert splitter.push("<think>x") == [("x", True)]
    assert splitter.push("</th") == [] and splitter.finish() == [("</th", True)]
