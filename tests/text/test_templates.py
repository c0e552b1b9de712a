import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.text.chat import ChatTemplate
from r1jax.text.templates import TEMPLATES, Example, PromptConfig, as_chat, prompt, render


@given(st.sampled_from(sorted(TEMPLATES)), st.text())
def test_the_question_stands_in_the_prompt_as_it_is(template, question):
    before, after = TEMPLATES[template].split("{question}")
    assert render(template, question) == before + question + after


@pytest.mark.parametrize("question", ["{question}", "{}", "{0} {x!r}", "\\frac{1}{2}"])
def test_braces_in_the_question_are_kept(question):
    assert render("plain", question) == f"User: {question}\nAssistant:"


def test_r1_zero_shows_both_tag_pairs_and_ends_at_assistant():
    prompt = render("r1_zero", "What is 6 times 7?")
    assert "<think> reasoning </think> <answer> reply </answer>. User: " in prompt
    assert prompt.endswith(" User: What is 6 times 7?. Assistant:")


def test_an_unknown_template_is_refused_with_the_known():
    with pytest.raises(ValueError, match=r"got 'zero', wanted one of \['chat', 'plain'"):
        render("zero", "?")


class Fake:
    """A tokenizer of one id per letter, but for some tokens."""

    size, pad_id, eos_id, stop_ids, fingerprint = 2_000, 0, 1, (1,), "fake"

    def __init__(self, *tokens: str, bos: int | None, chat: str | None):
        self.tokens, self.bos_id = tokens, bos
        self.chat = chat and ChatTemplate(chat, tokens={"bos_token": "<s>", "eos_token": "</s>"})

    def encode(self, text: str) -> list[int]:
        ids = []
        while text:
            whole = next((t for t in self.tokens if text.startswith(t)), text[0])
            ids.append(1_000 + self.tokens.index(whole) if whole in self.tokens else ord(whole))
            text = text[len(whole) :]
        return ids

    def decode(self, ids):
        raise NotImplementedError

    def is_byte(self, token):
        raise NotImplementedError

    def files(self):
        raise NotImplementedError


def style(template: str, *, instruction: str = "", examples=()) -> PromptConfig:
    return PromptConfig(template=template, instruction=instruction, examples=examples)


def test_bos_goes_before_a_text_where_the_tokenizer_wants_it():
    text = "User: ab\nAssistant:"
    for bos, first in ((7, [7]), (None, [])):
        got = prompt(Fake(bos=bos, chat=None), style("plain"), "ab")
        assert got == (text, [*first, *map(ord, text)])


def test_the_instruction_stands_behind_every_question():
    got = prompt(Fake(bos=None, chat=None), style("plain", instruction=" Go."), "ab")
    assert got.text == "User: ab Go.\nAssistant:"


def test_r1s_marks_must_be_tokens():
    marks = ("<｜User｜>", "<｜Assistant｜>", "<think>")
    got = prompt(Fake(*marks, bos=0, chat=None), style("r1_think"), "a")
    assert got.ids == [0, 1000, ord("a"), 1001, 1002, ord("\n")] and got.opens_thought
    assert not prompt(Fake(*marks, bos=0, chat=None), style("r1"), "a").opens_thought
    with pytest.raises(ValueError, match=r"needs the tokens \['<｜User｜>', '<｜Assistant｜>'\]"):
        prompt(Fake(bos=0, chat=None), style("r1"), "a")


CHATTING = "{% for m in messages %}[{{ m.role[0] }}]{{ m.content }}{% endfor %}[a]"


def test_a_chat_shows_its_examples_and_gets_no_bos_of_ours():
    shown = style("chat", instruction="!", examples=(Example("1", "one"), Example("2", "two")))
    got = prompt(Fake(bos=7, chat=CHATTING), shown, "3")
    assert got.text == "[u]1![a]one[u]2![a]two[u]3![a]" and got.ids == list(map(ord, got.text))


SHOWN = (Example("{1}", "one"), Example("2", "two"))


@pytest.mark.parametrize("template", ["plain", "r1_zero"])
def test_a_text_shows_its_examples_line_by_line_as_it_asks(template):
    got = prompt(Fake(bos=7, chat=None), style(template, instruction="!", examples=SHOWN), "3")
    texts = [render(template, question + "!") for question in ("{1}", "2", "3")]
    assert got.text == f"{texts[0]}one\n{texts[1]}two\n{texts[2]}"
    assert got.ids == [7, *map(ord, got.text)]


def test_r1_ends_its_examples_with_the_end_token():
    marks = ("<｜User｜>", "<｜Assistant｜>")
    got = prompt(Fake(*marks, bos=0, chat=None), style("r1", examples=SHOWN[1:]), "3")
    user, assistant, end = 1000, 1001, 1
    assert got.ids == [0, user, ord("2"), assistant, *map(ord, "two"), end, user, ord("3"), 1001]
    assert (
        got.text == "<｜User｜>2<｜Assistant｜>two<｜end▁of▁sentence｜><｜User｜>3<｜Assistant｜>"
    )
    assert not got.opens_thought


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(ValueError, match=r"'r1_think' opens a thought, so its 1 examples .* 'r1'"):
        style("r1_think", examples=(Example("1", "one"),))
    with pytest.raises(ValueError, match="template: got 'zero'"):
        style("zero")
    with pytest.raises(ValueError, match="this tokenizer has no chat template"):
        prompt(Fake(bos=7, chat=None), style("chat"), "a")


@pytest.mark.parametrize("bos", [True, False])
@given(
    template=st.sampled_from(sorted(TEMPLATES)),
    question=st.text(st.characters(exclude_categories=("Cs",))),
)
def test_as_a_chat_a_template_says_the_same(template, bos, question):
    chat = ChatTemplate(as_chat(template, bos=bos), tokens={"bos_token": "<s>", "eos_token": ""})
    turn = [{"role": "user", "content": question}]
    want = ("<s>" if bos else "") + render(template, question)
    assert chat.render(turn, add_generation_prompt=True) == want


def chat_of(template: str, messages, *, generate=True) -> str:
    chat = ChatTemplate(
        as_chat(template, bos=True), tokens={"bos_token": "<s>", "eos_token": "</s>"}
    )
    return chat.render(messages, add_generation_prompt=generate)


TALK = [
    {"role": "user", "content": "1?"},
    {"role": "assistant", "content": "<think>hm</think> one"},
    {"role": "user", "content": "2?"},
]


@pytest.mark.parametrize("template", ["plain", "r1_zero"])
def test_a_second_turn_is_put_as_behind_an_example(template):
    shown = (Example("1?", " one"),)
    want = prompt(Fake(bos=7, chat=None), style(template, examples=shown), "2?").text
    assert chat_of(template, TALK) == f"<s>{want}"


def test_a_second_turn_of_r1_ends_the_first_and_opens_a_thought():
    first = "<s><｜User｜>1?<｜Assistant｜> one</s><｜User｜>2?<｜Assistant｜>"
    assert chat_of("r1", TALK) == first
    assert chat_of("r1_think", TALK) == f"{first}<think>\n"


def test_without_a_generation_prompt_the_last_turn_ends_it():
    assert chat_of("plain", TALK[:1], generate=False) == "<s>User: 1?"
    assert chat_of("r1_think", TALK[:1], generate=False) == "<s><｜User｜>1?"


def test_a_system_message_stands_before_the_first_turn():
    system = [{"role": "system", "content": "Be brief."}]
    assert chat_of("plain", system + TALK[:1]) == "<s>Be brief.\nUser: 1?\nAssistant:"
    assert chat_of("r1", system + TALK[:1]) == "<s>Be brief.<｜User｜>1?<｜Assistant｜>"


@pytest.mark.parametrize(
    "reply",
    [
        {"role": "assistant", "content": "<think>hm</think> one"},
        {"role": "assistant", "content": " one", "reasoning_content": "hm"},
    ],
)
def test_the_last_thought_is_shown_and_an_earlier_one_dropped(reply):
    shown = chat_of("plain", [TALK[0], reply], generate=False)
    assert shown == "<s>User: 1?\nAssistant:<think>hm</think> one"
    assert "hm" not in chat_of("plain", [TALK[0], reply, TALK[2]])


@pytest.mark.parametrize(
    "messages",
    [[*TALK, {"role": "system", "content": "x"}], [{"role": "tool", "content": "x"}], TALK[1:]],
)
def test_a_chat_that_the_model_has_no_form_for_is_refused(messages):
    with pytest.raises(ValueError, match="wanted one of the user or the assistant in turn"):
        chat_of("plain", messages)
