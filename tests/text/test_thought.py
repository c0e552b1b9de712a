import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs import rewards
from r1jax import config as configs
from r1jax.data.rows.filters import FilterConfig, rejections
from r1jax.data.rows.preferences import seen
from r1jax.data.rows.readability import readable, summary
from r1jax.data.tasks.problems import Problem
from r1jax.data.world import replies
from r1jax.rewards.judge import Judge, JudgeConfig
from r1jax.rewards.parts import format
from r1jax.text.thought import CLOSE, TAGS, Splitter, cut, laid_out, split_completion, whole


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think> a </think> <answer> b </answer>", "a", "b"),
        ("a </think> b", "a", "b"),
        ("Sure. <think>a</think>b", "Sure. a", "b"),
        ("Sure. <think>a", "Sure. a", None),
        ("<think>x</think> So: <answer>5</answer>.", "x", "So: 5."),
        ("<think>a</think>b", "a", "b"),
        ("<think>a</think> c </think> b", "a c", "b"),
        ("<think>a</think>b<think>c", "abc", None),
        ("<think>a<think>b</think>c</think>d", "abc", "d"),
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
    assert split_completion(text, opened=False) == (reasoning, answer)


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [("a", "a", None), ("a</think>b", "a", "b"), ("</think>b", None, "b"), ("", None, None)],
)
def test_a_thought_that_the_prompt_opened_goes_on(text, reasoning, answer):
    assert split_completion(text, opened=True) == (reasoning, answer)


@given(st.text(), st.booleans())
def test_a_cut_loses_no_letter(text, opened):
    text = whole(text, opened=opened)
    thought, answer = cut(text)
    assert thought + (answer or "") == text


@given(st.text(st.characters(exclude_characters="<"), min_size=1).filter(str.strip))
def test_a_layout_splits_into_its_halves(text):
    assert split_completion(laid_out(text, "c"), opened=False) == (text.strip(), "c")
    assert laid_out("", text) == text


BOX = r"\boxed{4}"
# text, whether its prompt opened the thought, its thought and answer for every reader
READINGS = [
    (f"<think>a</think>{BOX}", False, "a", BOX),
    (f"a</think>{BOX}", True, "a", BOX),
    (f"a</think>{BOX}", False, "a", BOX),
    (f"</think>{BOX}", True, None, BOX),
    (f"<think>a</think>b {BOX}</think>c", False, "ab " + BOX, "c"),
    (f"<think>a</think>b</think>c {BOX}", False, "ab", "c " + BOX),
    (f"a</think>b</think>c {BOX}", True, "ab", "c " + BOX),
    (f"<think>a<think>b</think>c</think>{BOX}", False, "abc", BOX),
    (f"<think>a<think>b</think>{BOX}", False, "ab", BOX),
    (f"<think>a</think>{BOX}<think>b", False, f"a{BOX}b", None),
    (f"<think>a</think>b<think>c</think>{BOX}", False, "abc", BOX),
    (f"{BOX}<think>a</think>", False, BOX + "a", None),
    (f"so <think>a</think>{BOX}", False, "so a", BOX),
    (f"<think>a {BOX}", False, "a " + BOX, None),
    (f"a {BOX}", True, "a " + BOX, None),
    (f"<think>a <answer>{BOX}</answer>", False, f"a <answer>{BOX}</answer>", None),
    (f"<think>a</think><answer>{BOX}</answer>", False, "a", BOX),
    (f"so {BOX}", False, None, "so " + BOX),
    ("", True, None, None),
]
OFF = FilterConfig(
    finished=False,
    correct=False,
    format=False,
    language=None,
    repetition=None,
    paragraph=None,
    no_code=False,
    tokens=None,
    thought=1_000,
)
PARTS = {"format": 1.0, "language": 1.0, "repetition": 0.0}


def question(kind: str) -> Problem:
    return Problem("q", "?", "4", "", "", kind, {})


def bare(text: str) -> str:
    """A text without tags and spaces: the readers differ in what they leave between two tags."""
    for tag in TAGS:
        text = text.replace(tag, "")
    return "".join(text.split())


@pytest.fixture(scope="module")
def judge():
    with Judge(configs.build(JudgeConfig, rewards.get_judge().to_dict())) as made:
        yield made


def readers_of_answers(text: str, judge: Judge) -> dict[str, str]:
    """What each reader takes for the answer, "" for none."""
    return {
        "reply": judge.extract(text, question("helpful")).answer or "",
        "readability": summary(text),
        "preferences": seen(text, "summary"),
        "world": replies.final(text),
    }


@pytest.mark.parametrize(("text", "opened", "thought", "answer"), READINGS)
def test_every_reader_finds_the_same_halves(judge, text, opened, thought, answer):
    text_whole = whole(text, opened=opened)
    assert split_completion(text, opened=opened) == (thought, answer)
    answers = readers_of_answers(text_whole, judge)
    assert {name: bare(said) for name, said in answers.items()} == dict.fromkeys(
        answers, bare(answer or "")
    )
    # judges of numbers and programs
    has_box = BOX in (answer or "")
    assert judge.extract(text_whole, question("maths")).answer == ("4" if has_box else None)
    fenced = text_whole.replace(BOX, "\n```\n4\n```\n")
    assert judge.extract(fenced, question("code")).answer == ("4\n" if has_box else None)
    # readers of the thought
    row = {
        "completion": text,
        "opened": opened,
        "value": 1.0,
        "error": False,
        "parts": PARTS,
        "tokens": 1,
        "truncated": False,
    }
    length = len(thought or "")
    assert rejections(row | {"completion": text or " "}, OFF)["thought"].startswith(
        f"a thought of {length} characters"
    )
    if thought:
        assert bare(format.thought(text_whole)) == bare(thought)
    # what pays or pleases has both halves
    assert format.think(text_whole)[0] <= (thought is not None and answer is not None)
    assert readable(text_whole, PARTS) <= (CLOSE in text_whole and answer is not None)


def streamed(text: str, cuts: list[int], *, opened: bool) -> tuple[str, str]:
    splitter, pieces = Splitter(opened=opened), []
    for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        pieces += splitter.push(text[begin:end])
    pieces += splitter.finish()
    thought, answer = ("".join(p.text for p in pieces if p.is_thought is w) for w in (True, False))
    return thought, answer


TEXTS = st.lists(
    st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", "<", "a", " b", "</", "think"])
).map("".join)


@given(TEXTS, st.booleans())
def test_any_text_is_read_alike_by_all(judge, text, opened):
    reasoning, answer = split_completion(text, opened=opened)
    text = whole(text, opened=opened)
    answers = {bare(said) for said in readers_of_answers(text, judge).values()}
    assert answers == {bare(answer or "")}
    assert not reasoning or bare(format.thought(text)) == bare(reasoning)


@given(TEXTS, st.booleans())
def test_a_stream_ends_within_the_thought_as_the_whole_does(text, opened):
    splitter = Splitter(opened=opened)
    splitter.push(text)
    splitter.finish()
    (last,) = splitter.push("x")
    assert last.is_thought == (cut(whole(text, opened=opened))[1] is None)


@given(TEXTS, st.booleans(), st.data())
def test_where_a_stream_is_cut_changes_nothing(text, opened, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    whole = streamed(text, [], opened=opened)
    assert streamed(text, cuts, opened=opened) == whole


@pytest.mark.parametrize("opened", [False, True])
def test_a_stream_with_one_thought_splits_like_the_whole(opened):
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
