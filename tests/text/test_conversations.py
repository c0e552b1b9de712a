import json

import pytest

from r1jax.data.rows.training_rows import read_training_rows
from r1jax.text.chat import ChatTemplate
from r1jax.text.conversations import encode, training_row
from r1jax.text.templates import Example, PromptConfig, prompt

# ChatML; with `deletes`, earlier replies lose what stands before </think>, as Qwen3's do
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if deletes and m.role == 'assistant' %}{{ m.content.split('</think>')[-1] }}"
    "{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
DELETING = CHATML.replace("{% for", "{% set deletes = true %}{% for", 1)
END = "<|im_end|>"
TOKENS = ("<|im_start|>", END, "<think>", "</think>", "<｜User｜>", "<｜Assistant｜>")


class Letters:
    """A tokenizer of one id per letter, but for some tokens; END ends a reply."""

    size, pad_id, eos_id, stop_ids, fingerprint = 2**17, 0, 2**16 + 1, (2**16 + 1,), "letters"

    def __init__(self, *, bos: int | None = None, chat: str | None = None):
        self.bos_id = bos
        self.chat = ChatTemplate(chat, tokens={"bos_token": "", "eos_token": END}) if chat else None

    def encode(self, text: str) -> list[int]:
        ids = []
        while text:
            token = next((t for t in TOKENS if text.startswith(t)), text[0])
            ids.append(2**16 + TOKENS.index(token) if token in TOKENS else ord(token))
            text = text[len(token) :]
        return ids

    def decode(self, ids) -> str:
        return "".join(TOKENS[i - 2**16] if i >= 2**16 else chr(i) for i in ids)

    def is_byte(self, token):
        raise NotImplementedError

    def files(self):
        raise NotImplementedError


def style(template: str, *, instruction: str = "", examples=()) -> PromptConfig:
    return PromptConfig(template=template, instruction=instruction, examples=examples)


def row(*contents: str, system: str = ""):
    turns = zip(("user", "assistant") * len(contents), contents, strict=False)
    messages = [{"role": role, "content": content} for role, content in turns]
    messages = [{"role": "system", "content": system}, *messages] if system else messages
    return training_row({"id": "a-1", "source": "s", "messages": messages}, "rows.jsonl:7")


def targets(tokenizer: Letters, example) -> str:
    return tokenizer.decode([i for i, t in zip(example.ids, example.targets, strict=True) if t])


def test_a_turn_is_the_samplers_prompt_then_the_reply_and_eos():
    for template, chat in (("plain", None), ("r1", None), ("chat", DELETING)):
        tokenizer, put = Letters(bos=3, chat=chat), style(template, instruction=" Go.")
        given = prompt(tokenizer, put, "6 x 7?").ids
        reply = "<think>6 x 7\n\n</think>It is \\boxed{42}."
        (example,) = encode(tokenizer, put, row("6 x 7?", reply))
        assert example.ids == [*given, *tokenizer.encode(reply), tokenizer.eos_id]
        assert example.targets == [False] * len(given) + [True] * (len(tokenizer.encode(reply)) + 1)


def test_behind_a_deleted_thought_a_turn_is_its_own_example():
    tokenizer = Letters(chat=DELETING)
    replies = ("<think>one</think>1", "<think>two</think>2", "3")
    whole = row("a", replies[0], "b", replies[1], "c", replies[2], system="S")
    first, second, third = encode(tokenizer, style("chat"), whole)
    start = (
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n"
    )
    assert tokenizer.decode(first.ids) == start + replies[0] + END
    then = start + "1<|im_end|>\n<|im_start|>user\nb<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.decode(second.ids) == then + replies[1] + END
    then += "2<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.decode(third.ids) == then + replies[2] + END
    got = [targets(tokenizer, e) for e in (first, second, third)]
    assert got == [reply + END for reply in replies]


def test_turns_share_an_example_while_nothing_is_deleted():
    replies = ("<think>one</think>1", "2", "3")
    whole = row("a", replies[0], "b", replies[1], "c", replies[2])
    tokenizer = Letters(chat=CHATML)
    (example,) = encode(tokenizer, style("chat"), whole)
    assert targets(tokenizer, example) == "".join(reply + END for reply in replies)
    tokenizer = Letters(chat=DELETING)
    parts = encode(tokenizer, style("chat"), whole)
    assert [targets(tokenizer, e) for e in parts] == [replies[0] + END, "2<|im_end|>3<|im_end|>"]
    assert tokenizer.decode(parts[1].ids).count("<|im_start|>assistant") == 3


def test_our_templates_put_turns_in_a_row_behind_one_bos():
    tokenizer = Letters(bos=3)
    (example,) = encode(tokenizer, style("plain"), row("a", "1", "b", "2"))
    text = f"User: a\nAssistant:1{END}User: b\nAssistant:2{END}"
    assert example.ids == [3, *tokenizer.encode(text)]
    assert targets(tokenizer, example) == f"1{END}2{END}"


def test_a_reply_loses_the_tag_that_its_prompt_ends_in():
    for reply in ("<think>w</think>1", "<think>\nw</think>1", "w</think>1"):
        tokenizer = Letters()
        (example,) = encode(tokenizer, style("r1_think"), row("a", reply))
        assert tokenizer.decode(example.ids).endswith(f"<think>\nw</think>1{END}")
        assert targets(tokenizer, example) == f"w</think>1{END}"
    with pytest.raises(ValueError, match=r"row a-1: the prompt opens the thought, but the reply"):
        encode(Letters(), style("r1_think"), row("a", "1"))


@pytest.mark.parametrize(
    "reply", ["<think>w</think>1", "\n<think>\nw</think>1", " \n <think>w</think>1", "w</think>1"]
)
@pytest.mark.parametrize("opening", ["<think>", "<think>\n", "<think>\n\n"])
def test_an_opened_thought_is_opened_once(opening, reply):
    tokenizer = Letters(chat=f"{{{{ messages[0].content + {':' + opening!r} }}}}")
    (example,) = encode(tokenizer, style("chat"), row("a", reply))
    text = tokenizer.decode(example.ids)
    assert (text.count("<think>"), text.count("</think>")) == (1, 1)
    assert text.startswith("a:<think>") and text.endswith(f"w</think>1{END}")


@pytest.mark.parametrize("reply", ["1", "</think>1", "<think>\n</think>\n\n1", " <think></think>1"])
def test_a_closed_thought_is_closed_once(reply):
    tokenizer = Letters(chat="{{ messages[0].content + ':<think>\\n\\n</think>\\n\\n' }}")
    (example,) = encode(tokenizer, style("chat"), row("a", reply))
    assert tokenizer.decode(example.ids) == f"a:<think>\n\n</think>\n\n1{END}"
    assert targets(tokenizer, example) == f"1{END}"


@pytest.mark.parametrize(
    ("ending", "reply", "message"),
    [
        ("<think>", "So: <think>w</think>1", "within it the reply .* opens another"),
        ("<think>\n", "<think>a<think>w</think>1", "within it the reply .* opens another"),
        ("<think></think>", "<think>w</think>1", "closes the thought, but the reply .* has one"),
        ("<think></think>", "w</think>1", "closes the thought, but the reply .* has one"),
        ("<think></think>", "1<think>", "closes the thought, but the reply .* has one"),
    ],
)
def test_two_thoughts_in_one_turn_are_refused(ending, reply, message):
    tokenizer = Letters(chat="{{ messages[0].content }}:" + ending)
    with pytest.raises(ValueError, match=rf"row a-1: the prompt .*{message}"):
        encode(tokenizer, style("chat"), row("a", reply))


def test_examples_follow_the_system_message_and_are_no_targets():
    tokenizer, shown = Letters(chat=CHATML), style("chat", examples=(Example("q", "r"),))
    (example,) = encode(tokenizer, shown, row("a", "1", system="S"))
    start = "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nq<|im_end|>\n"
    assert tokenizer.decode(example.ids).startswith(start + "<|im_start|>assistant\nr<|im_end|>")
    assert targets(tokenizer, example) == f"1{END}"


@pytest.mark.parametrize(
    ("template", "given", "message"),
    [
        ("plain", row("a", "1", system="S"), "'plain' has no place for a system message"),
        ("plain", row("a", f"1{END}2"), "spells the stop tokens"),
        ("chat", row("a", "1"), "this tokenizer has no chat template"),
    ],
)
def test_a_row_that_cannot_be_encoded_is_named(template, given, message):
    with pytest.raises(ValueError, match=rf"^rows\.jsonl:7: row a-1: .*{message}"):
        encode(Letters(), style(template), given)


def test_rows_of_one_question_share_what_was_asked():
    assert row("a", "1", "b", "2").asked == row("a", "3").asked == ("a",)
    assert row("a", "1", system="S").asked == ("S", "a")


def test_broken_rows_are_named(tmp_path):
    path, good = tmp_path / "rows.jsonl", {"id": "x", "source": "s"}

    def say(*turns):
        return [{"role": role, "content": content} for role, content in turns]

    for broken, message in (
        ({"source": "s", "messages": []}, "id is None, wanted a text"),
        ({"id": "x", "source": 3, "messages": []}, "source is 3"),
        ({**good, "messages": "hello"}, "row x: messages are 'hello'"),
        ({**good, "messages": []}, r"row x: got the roles \[\]"),
        ({**good, "messages": say(("user", "a"))}, r"row x: got the roles \['user'\]"),
        ({**good, "messages": say(("assistant", "a"), ("user", "b"))}, "row x: got the roles"),
        ({**good, "messages": say(("user", "a"), ("assistant", " "))}, "row x: message 1 says ' '"),
    ):
        path.write_text("\n" + json.dumps(broken) + "\n")
        with pytest.raises(ValueError, match=rf"rows\.jsonl:2: {message}"):
            read_training_rows(path, limit=0)
    path.write_text("\n")
    with pytest.raises(ValueError, match=r"rows\.jsonl: empty"):
        read_training_rows(path, limit=0)


def test_the_first_rows_are_taken_and_other_fields_passed_over(tmp_path):
    path = tmp_path / "rows.jsonl"
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "1", "x": 2}]
    lines = [{"id": str(i), "source": "s", "messages": messages, "extra": i} for i in range(3)]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    assert [r.id for r in read_training_rows(path, limit=0)] == ["0", "1", "2"]
    assert [r.id for r in read_training_rows(path, limit=2)] == ["0", "1"]
