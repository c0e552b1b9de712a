import json

import pytest

from configs import conversations
from r1jax import config as configs
from r1jax.config import UserError
from r1jax.data.rows.conversation_fields import read_conversations
from r1jax.pipelines.sft.config import DataConfig
from r1jax.text.conversations import Message

ASKED, SAID = Message("user", "2+3?"), Message("assistant", " It is 5.\n")
CHAT = [ASKED._asdict(), SAID._asdict()]


def write(tmp_path, *rows):
    path = tmp_path / "talk" / "a.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def read(block):
    config = configs.build(DataConfig, block)
    return read_conversations(
        config.path, format=config.format, fields=config.fields, limit=config.limit
    )


def test_messages_without_a_name_get_one_from_the_file(tmp_path):
    path = write(tmp_path, {"messages": CHAT, "uuid": 7, "source": "olympiads"}, {"messages": CHAT})
    first, second = read(conversations.openr1_math(path))
    assert (first.id, second.id, first.source) == ("talk/a:1", "talk/a:2", "a")
    assert first.messages == (ASKED, SAID)  # to the letter
    (named,) = read(conversations.fields(path, id="uuid", source="source", limit=1))
    assert (named.id, named.source) == ("7", "olympiads")


def test_turns_may_have_other_words_and_a_system(tmp_path):
    turns = [{"from": "human", "value": "2+3?"}, {"from": "gpt", "value": "5"}]
    path = write(
        tmp_path,
        {"system": "Be short.", "conversations": turns * 2},
        {"system": None, "conversations": json.dumps(turns)},
        {"conversations": [{"from": "user", "value": "2+3?"}, {"from": "assistant", "value": "5"}]},
    )
    first, second, third = read(conversations.sharegpt(path))
    assert [m.role for m in first.messages] == ["system", *["user", "assistant"] * 2]
    assert first.messages[0].content == "Be short."
    assert second.messages == third.messages == (Message("user", "2+3?"), Message("assistant", "5"))


def test_a_thought_of_its_own_comes_before_the_reply(tmp_path):
    row = {"q": "2+3?", "t": " 2 and 3 are 5.\n", "a": "5"}
    path = write(tmp_path, row, row | {"t": None})
    first, second = read(conversations.turn(path, "q", "a", thought="t?"))
    assert first.messages[1].content == "<think>\n2 and 3 are 5.\n</think>\n\n5"
    assert second.messages[1].content == "5"
    told = [CHAT[0], {**CHAT[1], "reasoning_content": "so"}]
    (row,) = read(conversations.reasoning_content(write(tmp_path, {"messages": told})))
    assert row.messages[1].content == "<think>\nso\n</think>\n\n It is 5.\n"


def test_filters_leave_names_alone_and_the_limit_follows(tmp_path):
    path = write(tmp_path, *[{"messages": CHAT, "n": n} for n in range(6)])
    some = (dict(field="n", op="at_least", value=2),)
    rows = read(conversations.fields(path, filters=some, limit=2))
    assert [row.id for row in rows] == ["talk/a:3", "talk/a:4"]
    none = (dict(field="n", op="at_least", value=9),)
    with pytest.raises(UserError, match=r"a\.jsonl: empty, or the filters leave none"):
        read(conversations.fields(path, filters=none))


@pytest.mark.parametrize(
    ("row", "fields", "why"),
    [
        ({}, {}, "messages: no field 'messages', got"),
        ({"messages": "[1]"}, {}, "messages: field 'messages' is .*list of objects"),
        ({"messages": [{"role": "human", "content": "x"}]}, {}, r"\[0\]: role 'human', wanted"),
        ({"messages": [{"role": "user"}]}, {}, r"messages\[0\]: no field 'content'"),
        ({"messages": CHAT[:1]}, {}, "row talk/a:1: got the roles"),
        ({"messages": CHAT}, {"id": "nix"}, "id: no field 'nix'"),
        ({"messages": CHAT}, {"thought": "why"}, r"messages\[1\]: no field 'why'"),
        ({"messages": CHAT, "s": ["x"]}, {"system": "s"}, "system: field 's' is a list"),
        (
            {"q": "x", "a": "<think>y</think>z", "t": "w"},
            dict(messages="", question="q", reply="a", thought="t"),
            "reply: there is a thought, and the reply .* has one too",
        ),
        ({"q": "x", "a": " "}, dict(messages="", question="q", reply="a"), "'a' is empty"),
    ],
)
def test_a_row_that_is_no_conversation_is_named(tmp_path, row, fields, why):
    path = write(tmp_path, row)
    with pytest.raises(UserError, match=rf"a\.jsonl:1: .*{why}.*; a right row: \{{"):
        read(conversations.fields(path, **fields))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (dict(question="q"), "wanted messages alone, or question and reply"),
        (dict(messages="", question="q"), "wanted messages alone"),
        (dict(role=""), "role '', content 'content': wanted both"),
        (dict(roles={"gpt": "bot"}), r"roles: got \['bot'\], wanted"),
    ],
)
def test_fields_that_do_not_go_together_are_refused(fields, why):
    with pytest.raises(UserError, match=why):
        read(conversations.fields("nowhere.jsonl", **fields))


def test_rows_of_ours_show_a_right_one(tmp_path):
    config = dict(path=write(tmp_path, {"messages": CHAT}), format="jsonl", fields=None)
    with pytest.raises(UserError, match=r'a\.jsonl:1: id is None.*a right row: \{"id": "a1"'):
        read(config | dict(limit=0, repeats=1))
