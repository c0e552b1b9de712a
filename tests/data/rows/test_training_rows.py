import json

import pytest

from r1jax.data.rows.training_rows import (
    ShardWriter,
    iter_training_rows,
    questions_of,
    replies_of,
    rounds_of,
)


def row(i: int) -> dict:
    messages = [{"role": "user", "content": "1?"}, {"role": "assistant", "content": f"{i}"}]
    return {"id": f"r{i}", "source": "s", "messages": messages, "extra": [i]}


def test_shards_hold_all_rows_in_order(tmp_path):
    with ShardWriter(tmp_path / "sft", rows=2) as writer:
        for i in range(5):
            writer.write(row(i))
        assert not (tmp_path / "sft").exists()  # half of it must not be read
    assert sorted(p.name for p in (tmp_path / "sft").iterdir()) == [
        "00000.jsonl",
        "00001.jsonl",
        "00002.jsonl",
    ]
    got = list(iter_training_rows(tmp_path / "sft"))
    assert [r for _, r in got] == [row(i) for i in range(5)] and writer.written == 5
    assert got[3][0].endswith("00001.jsonl:2")


def test_a_killed_writer_leaves_the_older_shards(tmp_path):
    for rows in (3, 1):
        with ShardWriter(tmp_path / "sft", rows=1) as writer:
            for i in range(rows):
                writer.write(row(i))
        with pytest.raises(KeyboardInterrupt), ShardWriter(tmp_path / "sft", rows=1) as writer:
            writer.write(row(7))
            raise KeyboardInterrupt
        assert [r["id"] for _, r in iter_training_rows(tmp_path / "sft")] == [
            f"r{i}" for i in range(rows)
        ]


def test_a_line_that_is_no_training_row_is_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    lines = [row(0), {**row(1), "messages": row(1)["messages"][:1]}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ValueError, match=r"rows.jsonl:2"):
        list(iter_training_rows(path))


def test_rounds_are_questions_with_their_replies():
    turns = row(0)["messages"]
    system = {"role": "system", "content": "Be short."}
    whole = {**row(0), "messages": [system, *turns, *turns]}
    assert rounds_of(row(0)) == 1 and rounds_of(whole) == 2
    assert questions_of(whole) == ["1?", "1?"] and replies_of(whole) == ["0", "0"]
