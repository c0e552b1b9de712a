import json

import pytest

from configs import cold_start as cold_config
from configs import data
from r1jax import config as configs
from r1jax.data.files.jsonl import read_jsonl
from r1jax.data.rows.training_rows import iter_training_rows
from r1jax.data.tasks.decontamination import Evaluation
from r1jax.pipelines.cold_start import run as cold_start
from r1jax.pipelines.cold_start.rewriter import requested
from r1jax.rewards.judge import Judge
from r1jax.rewards.score import Verdict

EN, ZH = "from 4 go +7 -2, last digit?", "从4起 +7 -2，个位？"
TASK = data.task(world=data.world(train=1, validation=2, test=2, ood=0, seed=0, search_share=0.0))


def row(sample: int, thought: str, *, question=EN, answer="9", value=1.0, opened=False) -> dict:
    completion = f"{'' if opened else '<think>'}{thought}</think><answer>{answer}</answer>"
    name = dict(id="q-zh" if question == ZH else "q", sample=sample, domain="world")
    problem = dict(question=question, kind="maths", gold="9", opened=opened)
    sampled = dict(completion=completion, tokens=9, truncated=False)
    parts = {"format": 1.0, "language": 1.0, "repetition": 0.0}
    judged = dict(answer=answer, value=value, error=False, parts=parts)
    return {**name, **problem, **sampled, **judged}


ROWS = [
    row(0, "4+7≡1;  1-2≡9"),
    row(1, "4+7≡1; 1-2≡8", value=0.0, answer="8"),  # wrong
    row(2, "4+7≡1; 1-2≡9"),  # equal once it is cleaned
    row(3, "4+7≡1; 1-2≡9 ok"),  # nearly equal
    row(4, "4+7-2≡9", opened=True),
    row(5, "2+7≡9 and so"),  # one too many
    row(6, " "),
    row(0, "4+7≡1; 1-2≡9", question=ZH, answer="9.0"),
    {**row(7, "x", answer="}{"), "id": "q2", "question": "another one?"},
]


def settings(path, **changes):
    c = cold_config.get_config()
    c.inputs = dict(zero=cold_config.given(str(path)))
    c.task, c.per_question, c.near = TASK, 2, dict(n=2, threshold=0.6)
    if "inputs" in changes:
        c.inputs = changes.pop("inputs")
    c.update(changes)
    return configs.build(cold_start.ColdStartConfig, c.to_dict())


@pytest.fixture
def answers(tmp_path):
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in ROWS))
    return path


def replies(workdir):
    return {
        made["id"]: made["messages"][1]["content"]
        for _, made in iter_training_rows(workdir / "sft")
    }


def test_each_step_drops_what_it_should_and_the_rest_is_laid_out(answers, tmp_path):
    cold_start.run(settings(answers), tmp_path / "run")
    assert replies(tmp_path / "run") == {
        "zero/q#0": "<think>4+7≡1; 1-2≡9</think>The answer is \\boxed{9}.",
        "zero/q#4": "<think>4+7-2≡9</think>The answer is \\boxed{9}.",
        "zero/q-zh#0": "<think>4+7≡1; 1-2≡9</think>答案是\\boxed{9.0}。",
    }
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    reasons = ("filter correct", "no thought", "answer does not fit a box")
    reasons += ("equal reply", "nearly equal reply", "more than per_question")
    assert summary["counts"] == {"read": 9, "kept": 3, "dropped": dict.fromkeys(reasons, 1)}
    assert summary["inputs"]["zero"] == summary["counts"]
    report = (tmp_path / "run" / "report.md").read_text()
    assert "| rows read | 9 | 9 |" in report and "| kept | 3 | 3 |" in report
    assert "2+7≡9 and so" in report and "The answer is \\boxed{9}." in report


def test_a_request_has_one_result_and_another_is_refused(answers, tmp_path):
    runs = (tmp_path / "one", tmp_path / "two", tmp_path / "two")
    for run in runs:
        cold_start.run(settings(answers), run)
    for name in ("sft/00000.jsonl", "report.md", "request.json", "summary.json"):
        assert (runs[0] / name).read_bytes() == (runs[1] / name).read_bytes()
    with pytest.raises(ValueError, match=r"another request: \['per_question'\] differ"):
        cold_start.run(settings(answers, per_question=1), runs[0])
    answers.write_text(answers.read_text() + "\n")
    with pytest.raises(ValueError, match=r"another request: \['inputs_sha256'\] differ"):
        cold_start.run(settings(answers), runs[0])


def test_evaluation_questions_are_dropped_or_caught_at_the_end(answers, tmp_path, monkeypatch):
    planted = Evaluation(said={"exam": {"e": EN.upper()}}, asked={})
    monkeypatch.setattr(cold_start, "evaluation_questions", lambda *_: planted)
    cold_start.run(settings(answers), tmp_path / "run")
    assert [*replies(tmp_path / "run")] == ["zero/q-zh#0"]
    # the check of what was written does not rely on the step

    def untouched(candidates, *_, **__):
        return candidates

    monkeypatch.setattr(cold_start.steps, "without_evaluation_questions", untouched)
    with pytest.raises(ValueError, match="training rows hold an evaluation question, first zero/q"):
        cold_start.run(settings(answers), tmp_path / "planted")


def test_thoughts_of_the_world_come_in_the_questions_language(answers, tmp_path):
    mixed = [row(0, "4+7≡1; one minus two is nine"), row(1, "bonjour")]
    mixed += [row(0, "four plus seven is one; 1-2≡9", question=ZH)]
    answers.write_text("".join(json.dumps(r) + "\n" for r in mixed))
    cold_start.run(settings(answers, rewriter={"kind": "world"}), tmp_path / "run")
    said = replies(tmp_path / "run")
    assert said["zero/q#0"].startswith("<think>four plus seven is one; one minus two is nine</thi")
    assert said["zero/q-zh#0"].startswith("<think>4+7≡1; 1-2≡9</think>答案是")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["counts"]["dropped"] == {"not translated": 1} and len(said) == 2


def test_programs_keep_what_followed_their_thought(answers, tmp_path):
    program = {**row(0, "f"), "kind": "code", "completion": "<think>f</think>```python\n1\n```"}
    answers.write_text(json.dumps(program) + "\n")
    cold_start.run(settings(answers), tmp_path / "run")
    assert [*replies(tmp_path / "run").values()] == ["<think>f</think>```python\n1\n```"]


def test_inputs_are_joined_with_their_questions_and_limited(answers, tmp_path):
    fields = ("question", "opened")
    bare = [{k: v for k, v in r.items() if k not in fields} for r in ROWS[:2]]
    answers.write_text("".join(json.dumps(r) + "\n" for r in bare))
    with pytest.raises(ValueError, match=r"answers.jsonl:1: missing fields \['question', 'opened'"):
        cold_start.run(settings(answers), tmp_path / "run")
    questions = tmp_path / "questions.jsonl"
    questions.write_text(json.dumps({"id": "q", "question": EN, "opened": False}) + "\n")
    inputs = {"exam": cold_config.given(str(answers), questions=str(questions), limit=1)}
    cold_start.run(settings(answers, inputs=inputs), tmp_path / "run")
    assert [*replies(tmp_path / "run")] == ["exam/q#0"]


def test_nothing_left_is_an_error_that_names_the_report(answers, tmp_path):
    with pytest.raises(ValueError, match=r"none of 9 rows is left; .*report.md"):
        cold_start.run(settings(answers, filters={"thought": 999}), tmp_path / "run")


def test_braces_in_a_thought_are_no_places():
    got = requested(
        "{question}|{thought}|{answer}|{x}", question="q", thought="{answer}", answer="7"
    )
    assert got == "q|{answer}|7|{x}"


@pytest.fixture
def by_nano(nano_base, answers, monkeypatch):
    """A rewriter that knows nothing; its answers are right if their length is even."""
    made = cold_config.rewrite_by(model=str(nano_base), request="{question}{thought}{answer}")
    made.update(tries=2, batch=2, max_new_tokens=6, prompt_buckets=(64,))
    made["prompt"] = dict(template="plain", instruction="", examples=())
    made["sampler"].update(cache_segments=1)
    made["execution"].update(block_size=4)
    call = Judge.__call__

    def judged(self, texts, questions):
        right = [Verdict(float(len(text) % 2 == 0), "by its length", False) for text in texts]
        before = call(self, texts, questions)
        return [j._replace(verdict=v) for j, v in zip(before, right, strict=True)]

    monkeypatch.setattr(Judge, "__call__", judged)
    rows = [row(i, f"{i}+7≡1") for i in range(4)] + [row(9, "9" * 99)]
    answers.write_text("".join(json.dumps(r) + "\n" for r in rows))
    filters = dict(format=False, finished=False, language=None, repetition=None)
    return settings(
        answers,
        rewriter={"kind": "model", "model": made},
        filters=filters,
        per_question=9,
        near={"threshold": 1.0},
    )


def test_only_right_rewrites_are_kept_after_a_kill_too(by_nano, tmp_path):
    cold_start.run(by_nano, tmp_path / "one")
    stored = read_jsonl(tmp_path / "one" / "rewritten.jsonl")
    assert [(r["id"], r["sample"]) for r in stored] == [("q", i) for i in range(4)]
    said = replies(tmp_path / "one")
    for rewrite in stored:
        fit = [t["completion"].strip() for t in rewrite["tries"] if t["value"] == 1]
        assert len(rewrite["tries"]) == 2 and rewrite["reply"] == (fit[0] if fit else None)
        if fit:
            assert said[f"zero/q#{rewrite['sample']}"] == fit[0]
    counts = json.loads((tmp_path / "one" / "summary.json").read_text())["counts"]
    assert counts["dropped"]["too long to rewrite"] == 1
    assert counts["read"] == counts["kept"] + sum(counts["dropped"].values()) == 5
    assert counts["kept"] > 0
    lines = (tmp_path / "one" / "rewritten.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "rewritten.jsonl").write_bytes(b"".join(lines[:3])[:-9])
    cold_start.run(by_nano, tmp_path / "two")
    for name in ("rewritten.jsonl", "sft/00000.jsonl", "report.md"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"per_question": 0}, "per_question: got 0"),
        ({"near": {"threshold": 0.0}}, "threshold: got 0.0, wanted"),
        ({"rewriter": {"kind": "model"}}, "kind 'model' with model None: wanted both or neither"),
        ({"rewriter": {"summaries": {"en": "It is {answer}."}}}, "wanted en and zh, each with a b"),
        ({"inputs": {"zero": cold_config.given("x", limit=-1)}}, "limit: got -1"),
        ({"inputs": {}}, "inputs: got none"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        settings("x", **changes)
