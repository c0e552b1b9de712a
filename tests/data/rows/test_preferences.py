import gzip
import json

import numpy as np
import pytest

from r1jax.data.rows import preferences
from r1jax.data.rows.preferences import Encoded, Preference
from r1jax.hub.artifacts import load_model
from r1jax.text import templates
from r1jax.text.templates import PromptConfig

PLAIN = PromptConfig("plain", "", ())


@pytest.fixture(scope="module")
def tokenizer(nano_base):
    return load_model(str(nano_base))[2]


def written(tmp_path, *rows, name="rows.jsonl"):
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return path


def encoded(position: int, chosen: int, rejected: int, question: str | None = None) -> Encoded:
    row = Preference("f:1", position, "", question or f"q{position}", ("a", "b"), 1.0)
    return Encoded(row, ([1] * chosen, [1] * rejected), (chosen, rejected))


def test_pairs_and_labels_are_read(tmp_path):
    pair = {"id": "a", "question": "1+1?", "chosen": "2", "rejected": "3", "delta": 2}
    path = written(tmp_path, pair, name="pairs.jsonl.gz")
    (got,) = preferences.read_preferences(path, "pairs")
    assert got == Preference(f"{path}:1", 0, "a", "1+1?", ("2", "3"), 1.0)
    rows = [{"question": "q", "response": "r", "safe": safe} for safe in (True, False)]
    labelled = preferences.read_preferences(written(tmp_path, *rows), "labels")
    assert [(r.id, r.replies, r.label) for r in labelled] == [
        ("1", ("r",), 1.0),
        ("2", ("r",), 0.0),
    ]


def test_dialogues_are_split_at_the_last_reply_that_differs(tmp_path):
    one = "\n\nHuman: hi\n\nAssistant: "
    two = f"{one}yes?\n\nHuman: bye\n\nAssistant: "
    rows = [
        {"chosen": one + "hello ", "rejected": one + "hey"},
        {"chosen": two + "bye", "rejected": two + "by all means"},
        {"chosen": two + "bye", "rejected": one + "go away"},  # parts earlier, as a few do
        {"chosen": two, "rejected": two + "x"},
    ]
    got = preferences.read_preferences(written(tmp_path, *rows), "pairs")
    assert [(r.question, r.replies) for r in got] == [
        ("hi", ("hello", "hey")),
        ("Human: hi\n\nAssistant: yes?\n\nHuman: bye", ("bye", "by all means")),
        ("hi", ("yes?\n\nHuman: bye\n\nAssistant: bye", "go away")),
        ("Human: hi\n\nAssistant: yes?\n\nHuman: bye", ("", "x")),
    ]


@pytest.mark.parametrize(
    ("kind", "row", "told"),
    [
        ("pairs", {"question": "q", "chosen": "a"}, r"rows.jsonl:2: rejected: got None"),
        ("pairs", {"chosen": "hi", "rejected": "ho"}, r"rows.jsonl:2: no question, and no"),
        ("labels", {"question": "q", "response": "a", "safe": 1}, r"rows.jsonl:2: safe: got 1"),
    ],
)
def test_a_row_that_is_none_is_named(kind, row, told, tmp_path):
    good = {"question": "q", "chosen": "a", "rejected": "b", "response": "r", "safe": True}
    with pytest.raises(ValueError, match=told):
        preferences.read_preferences(written(tmp_path, good, row), kind)


def test_the_summary_is_what_follows_the_thought():
    text = "<think>6 * 7</think> It is 42."
    assert preferences.seen(text, "summary") == "It is 42."
    assert preferences.seen(text, "all") == text
    assert preferences.seen("<think>6 *", "summary") == ""
    assert preferences.seen("Hello.", "summary") == "Hello."


def test_ids_are_prompt_reply_and_end(tokenizer):
    row = Preference("f:1", 0, "", "1+1?", ("<think>x</think>2", "3"), 1.0)
    knobs = {"style": PLAIN, "longest": 99, "too_long": "error"}
    (got,), told = preferences.encode([row], tokenizer, sees="summary", **knobs)
    prompt = [tokenizer.bos_id, *tokenizer.encode("User: 1+1?\nAssistant:")]
    assert got.ids[0] == [*prompt, *tokenizer.encode("2"), tokenizer.eos_id]
    assert got.lengths == (len(tokenizer.encode("2")), len(tokenizer.encode("3")))
    assert told == {"dropped": 0, "cut": 0, "same": 0}
    same = row._replace(replies=("<think>x</think>2", "<think>y</think>2"))
    assert preferences.encode([same], tokenizer, sees="summary", **knobs)[1]["same"] == 1
    assert len(preferences.encode([same], tokenizer, sees="all", **knobs)[0]) == 1


def test_too_long_rows_are_refused_dropped_or_cut_and_counted(tokenizer):
    rows = [
        Preference(f"f:{i + 1}", i, "", "1+1?", (text, "3"), 1.0)
        for i, text in enumerate(["2", "2 " * 40])
    ]
    short = preferences.encode(
        rows[:1], tokenizer, style=PLAIN, sees="all", longest=99, too_long="error"
    )[0][0].longest
    knobs = {"style": PLAIN, "sees": "all", "longest": short}
    with pytest.raises(ValueError, match=rf"f:2: \d+ tokens, the longest bucket has {short}"):
        preferences.encode(rows, tokenizer, too_long="error", **knobs)
    kept, told = preferences.encode(rows, tokenizer, too_long="drop", **knobs)
    assert [r.row.position for r in kept] == [0] and told["dropped"] == 1
    kept, told = preferences.encode(rows, tokenizer, too_long="cut_left", **knobs)
    assert [len(r.ids[0]) for r in kept] == [short, short] and told["cut"] == 1
    assert kept[1].ids[0][-1] == tokenizer.eos_id


def test_a_template_that_opens_a_thought_is_refused(tokenizer, monkeypatch):
    monkeypatch.setitem(templates.TEMPLATES, "plain", "User: {question}\nAssistant: <think>\n")
    with pytest.raises(ValueError, match="ends in <think>"):
        preferences.ids_of(tokenizer, PLAIN, "1+1?", "2")


def test_no_question_is_on_both_sides():
    rows = [encoded(i, 5, 6, f"q{i % 20}") for i in range(60)]
    train, held_out = preferences.hold_out(rows, 7)
    assert {r.row.question for r in train}.isdisjoint(r.row.question for r in held_out)
    assert len(held_out) == 9 and len(train) == 51  # whole questions of three rows
    more = preferences.hold_out(rows, 12)[1]
    assert {r.row.position for r in held_out} <= {r.row.position for r in more}
    with pytest.raises(ValueError, match="leave nothing to train on"):
        preferences.hold_out(rows, 60)


def test_balanced_pairs_tell_nothing_by_length():
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 200, size=(4000, 2))
    # the longer one is chosen four times of five
    swap = (lengths[:, 0] < lengths[:, 1]) == (rng.random(4000) < 0.8)
    lengths[swap] = lengths[swap][:, ::-1]
    rows = [encoded(i, int(a), int(b)) for i, (a, b) in enumerate(lengths)]
    kept = preferences.balance_lengths(rows)
    ahead = np.array([r.lengths[0] - r.lengths[1] for r in kept])
    assert (ahead > 0).sum() == (ahead < 0).sum() and len(kept) > 1000
    chosen, rejected = (np.sort([r.lengths[i] for r in kept]) for i in (0, 1))
    assert abs(chosen.mean() - rejected.mean()) < 3 < (lengths[:, 0] - lengths[:, 1]).mean()
    assert abs(np.quantile(chosen, 0.8) - np.quantile(rejected, 0.8)) < 8
    equal = encoded(9999, 7, 7)
    assert preferences.balance_lengths([equal]) == [equal]


def test_turns_of_one_conversation_stay_on_one_side():
    def begun(n):
        return f"\n\nHuman: Q{n}\n\nAssistant:"

    dialogues = [text for n in range(20) for text in (begun(n), f"{begun(n)} a{begun('more')}")]
    told = [{"chosen": f"{text} yes", "rejected": f"{text} no"} for text in dialogues]
    questions = [preferences.pair_of(row, "")[0] for row in told]
    assert questions[:2] == ["Q0", "Human: Q0\n\nAssistant: a\n\nHuman: Qmore"]
    assert [preferences.turns_of_user(q) for q in questions[:2]] == [["Q0"], ["Q0", "Qmore"]]
    rows = [encoded(i, 3, 4, question) for i, question in enumerate(questions)]
    train, held_out = preferences.hold_out(rows, 8)

    def numbers(rows):
        return {row.row.position // 2 for row in rows}

    assert len(held_out) >= 8 and not numbers(train) & numbers(held_out)
