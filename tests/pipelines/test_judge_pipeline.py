import dataclasses
import json

import pytest

from configs import judge as judge_config
from r1jax import config as configs
from r1jax.data.files.jsonl import read_jsonl
from r1jax.pipelines import judge
from r1jax.rewards.sandbox import run as sandbox

GOOD = "<think>six times seven</think><answer>{}</answer>"
ROWS = [
    {"kind": "maths", "completion": GOOD.format("42"), "answer": "42", "id": "a"},
    {"kind": "maths", "completion": GOOD.format(r"\sqrt{8}"), "answer": r"2\sqrt{2}"},
    {
        "kind": "choice",
        "completion": GOOD.format("C"),
        "answer": "B",
        "reference": {"options": ["1", "2", "3"]},
    },
    {"kind": "text", "completion": "no tags", "answer": "cat", "note": "kept"},
]


def judged(tmp_path, rows, **changes):
    source, workdir = tmp_path / "rows.jsonl", tmp_path / "run"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    c = judge_config.get_config()
    c.input, c.batch = str(source), 3
    c.update(changes)
    judge.run(configs.build(judge.JudgeRunConfig, c.to_dict()), workdir)
    return read_jsonl(workdir / "judged.jsonl")


def test_score_parts_and_reason_of_each_row_are_written(tmp_path, capsys):
    got = judged(tmp_path, ROWS)
    assert [row["score"] for row in got] == [2, 2, 1, 0]
    assert [row["parts"]["accuracy"] for row in got] == [1, 1, 0, 0]
    assert [row["judged_answer"] for row in got] == ["42", r"\sqrt{8}", "C", None]
    assert all(row["reason"] and row["error"] is False for row in got)
    assert got[3]["note"] == "kept" and got[0]["completion"] == ROWS[0]["completion"]
    assert "maths: 2 judged, 0 errors; mean accuracy 1.000" in capsys.readouterr().out
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["by_kind"]["choice"]["accuracy"] == 0


@pytest.mark.parametrize("cut", [0, 2, 3])
def test_a_killed_run_goes_on_to_the_same_bytes(cut, tmp_path):
    judged(tmp_path, ROWS)
    path = tmp_path / "run" / "judged.jsonl"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:cut]) + lines[cut][:9])
    judged(tmp_path, ROWS)
    assert path.read_bytes() == whole


def test_programs_run_in_the_sandbox(tmp_path):
    box = dataclasses.replace(judge_settings().reward.judge.sandbox, backend="bwrap")
    try:  # without bubblewrap it would go on, with a warning
        sandbox.choose(box)
    except ValueError as error:
        pytest.skip(str(error))
    code = "```python\ndef f(n):\n    return {}\n```"
    tests = {"asserts": ["assert f(2) == 4", "assert f(3) == 6"], "setup": ""}
    rows = [
        {"kind": "code", "completion": code.format(body), "tests": tests}
        for body in ("2 * n", "n + 2", "exit()")
    ]
    reward = {"judge": {"tests": "fraction"}}
    got = judged(tmp_path, rows, reward=reward)
    assert [row["parts"]["accuracy"] for row in got] == [1, 0.5, 0]


def judge_settings() -> judge.JudgeRunConfig:
    return configs.build(judge.JudgeRunConfig, judge_config.get_config().to_dict())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"completion": "x", "answer": "1"}, "rows.jsonl:2: kind: got None"),
        ({"kind": "maths", "answer": "1"}, "rows.jsonl:2: completion: got None, wanted str"),
        ({"kind": "maths", "completion": "x"}, "rows.jsonl:2: .*gold"),
        ({"kind": "maths", "completion": "x", "answer": None}, "rows.jsonl:2: answer: got None"),
        ({"kind": "maths", "completion": "\ud800", "answer": "1"}, "rows.jsonl:2: completion: "),
        ({"kind": "math", "completion": "x", "answer": "1"}, "rows.jsonl:2: kind: got 'math'"),
        ({"kind": "code", "completion": "x", "tests": [1]}, "rows.jsonl:2: reference: got"),
        ({"kind": "code", "completion": "x", "tests": {}}, "rows.jsonl:2: "),
        (
            {"kind": "maths", "completion": "x", "answer": "1", "tokens": "9"},
            "rows.jsonl:2: tokens: got '9', wanted int",
        ),
    ],
)
def test_a_row_that_cannot_be_judged_is_named(row, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        judged(tmp_path, [ROWS[0], row])
    assert not (tmp_path / "run" / "judged.jsonl").exists()


def test_a_thought_that_the_exams_prompt_opened_is_one(tmp_path):
    questions = tmp_path / "questions.jsonl"
    question = {"id": "a", "kind": "maths", "gold": "42", "opened": True}
    questions.write_text(json.dumps(question) + "\n")
    rows = [
        {"id": "a", "completion": r"it may be \boxed{42}, but let me check"},
        {"id": "a", "completion": r"steps </think> \boxed{42}"},
    ]
    reward = {"format": "think"}
    got = judged(tmp_path, rows, questions=str(questions), reward=reward)
    assert [row["parts"]["accuracy"] for row in got] == [0, 1]
    assert [row["parts"]["format"] for row in got] == [0, 1]


def test_several_golds_are_all_wanted(tmp_path):
    rows = [
        {"kind": "maths", "completion": rf"\boxed{{{said}}}", "answer": ["1", 2]}
        for said in ("2, 1", "1", "['1', 2]")
    ]
    assert [row["parts"]["accuracy"] for row in judged(tmp_path, rows)] == [1, 0, 0]


def test_an_id_without_a_question_is_named(tmp_path):
    questions = tmp_path / "questions.jsonl"
    questions.write_text(json.dumps({"id": "b", "kind": "maths", "gold": "1"}) + "\n")
    with pytest.raises(ValueError, match=r"rows.jsonl:1: id 'a' is not in .*questions.jsonl"):
        judged(tmp_path, ROWS[:1], questions=str(questions))


def test_a_length_part_needs_lengths(tmp_path):
    reward = judge_config.get_config().reward
    reward.overlong = {"buffer": 10}
    with pytest.raises(ValueError, match=r"rows.jsonl:1: tokens: got None, wanted int"):
        judged(tmp_path, ROWS[:1], reward=reward)
    with pytest.raises(ValueError, match="buffer 10: wanted 1 to the length cap 9"):
        judged(tmp_path, ROWS[:1], reward=reward, cap=9)
    got = judged(tmp_path, [ROWS[0] | {"tokens": 95}], reward=reward, cap=100)
    assert got[0]["parts"]["length"] == -0.5
