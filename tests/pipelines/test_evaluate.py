import json
import os
import shutil
import signal

import pytest

from configs import data, eval_tiny
from configs import judge as judge_config
from r1jax import config as configs
from r1jax.data.files.jsonl import read_jsonl
from r1jax.data.tasks.problems import question_digest
from r1jax.io.digests import fingerprint
from r1jax.pipelines import judge
from r1jax.pipelines.evaluate import run as evaluate
from r1jax.reports import exam
from r1jax.rewards.answers.extract import Extracted
from r1jax.rewards.judge import Judge

FILES = ("answers.jsonl", "results.json", "pass_rates.jsonl", "questions.jsonl")


def settings(base, **changes):
    c = eval_tiny.get_config()
    c.model = str(base)
    c.first, c.samples, c.samples_at_once, c.ks, c.batch = 5, 4, 2, (1, 2, 4), 4
    c.max_new_tokens, c.prompt_buckets, c.draws = 6, (64,), 100
    c.sampler.update(cache_segments=1)
    c.execution.block_size = 4
    if "file" in changes and "source" in changes:
        c.file, c.source = changes.pop("file"), changes.pop("source")
    c.update(changes)
    return configs.build(evaluate.EvaluateConfig, c.to_dict())


@pytest.fixture(scope="module")
def examined(nano_base, tmp_path_factory):
    """The workdir of an exam of a model that knows nothing."""
    workdir = tmp_path_factory.mktemp("exam")
    with pytest.MonkeyPatch.context() as patch:
        # a picture costs more than the exam; another test looks at one
        patch.setattr(exam, "plot_exam", lambda *args, **kwargs: None)
        evaluate.run(settings(nano_base), workdir)
    return workdir


@pytest.fixture
def no_picture(monkeypatch):
    monkeypatch.setattr(exam, "plot_exam", lambda *args, **kwargs: None)


def test_every_question_has_all_its_answers(examined):
    rows = read_jsonl(examined / "answers.jsonl")
    questions = read_jsonl(examined / "questions.jsonl")
    assert [q["id"] for q in questions] == [f"world/0:test-{i}" for i in range(5)]
    want = {(q["id"], s) for q in questions for s in range(4)}
    assert {(row["id"], row["sample"]) for row in rows} == want and len(rows) == 20
    for row in rows:
        assert 1 <= row["tokens"] <= 6 and row["value"] in (0, 1) and not row["error"]
        assert row["truncated"] == (row["tokens"] == 6) or row["tokens"] == 6
        assert row["reason"] and row["parts"].keys() >= {"accuracy", "format", "language"}


def test_samples_of_a_question_differ(examined):
    rows = read_jsonl(examined / "answers.jsonl")
    said = {(row["id"], row["completion"]) for row in rows}
    assert len(said) > 10


def test_results_and_report_tell_of_the_answers(examined):
    rows = read_jsonl(examined / "answers.jsonl")
    results = json.loads((examined / "results.json").read_text())
    assert results["questions"] == 5 and results["samples"] == 4
    right = sum(row["value"] for row in rows) / len(rows)
    assert results["pass_at_1"]["mean"] == pytest.approx(right)
    assert set(results["pass_at"]) == {"1", "2", "4"}
    text = (examined / "report.md").read_text()
    assert "synthetic world" in text and "pass@1" in text
    summary = json.loads((examined / "summary.json").read_text())
    assert summary["tokens"]["sampled"] == sum(row["tokens"] for row in rows)
    assert summary["seconds"].keys() == {"sample", "judge", "judge_waited_for"}
    rates = {row["id"]: row["pass_rate"] for row in read_jsonl(examined / "pass_rates.jsonl")}
    assert rates == results["accuracies"]
    digests = {r["id"]: r["question_sha256"] for r in read_jsonl(examined / "pass_rates.jsonl")}
    questions = {q["id"]: q["question"] for q in read_jsonl(examined / "questions.jsonl")}
    assert digests == {name: question_digest(text) for name, text in questions.items()}


@pytest.mark.parametrize("cut", [0, 3, 11])
def test_a_killed_exam_goes_on_to_the_same_bytes(cut, examined, nano_base, tmp_path, no_picture):
    for name in ("answers.jsonl", "request.json"):
        whole = (examined / name).read_bytes()
        lines = whole.splitlines(keepends=True)
        kept = b"".join(lines[:cut]) + lines[cut][:20] if name == "answers.jsonl" else whole
        (tmp_path / name).write_bytes(kept)
    evaluate.run(settings(nano_base), tmp_path)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (examined / name).read_bytes(), name
    once, again = (json.loads((w / "summary.json").read_text()) for w in (examined, tmp_path))
    assert once["tokens"] == again["tokens"] and once["tokens"]["sampled"] > 0


def test_workers_killed_in_mid_exam_change_no_answer(nano_base, tmp_path, no_picture, monkeypatch):
    path = tmp_path / "roots.jsonl"
    rows = [{"question": f"root {n}", "answer": rf"{n}\sqrt{{5}}"} for n in range(2, 7)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    # the model knows no roots: whatever it says is taken for one

    def says(self, text, question):
        return Extracted(rf"\sqrt{{{len(text) + 10}}}", "")

    monkeypatch.setattr(Judge, "extract", says)
    changes = {"file": data.rows(str(path)), "source": None}
    evaluate.run(settings(nano_base, **changes), tmp_path / "calm")
    judge_work, killed = Judge._work, []

    def work(self, jobs):
        if self._pool is not None:
            for pid in self._pool.processes():
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
        return judge_work(self, jobs)

    monkeypatch.setattr(Judge, "_work", work)
    evaluate.run(settings(nano_base, **changes), tmp_path / "stormy")
    assert killed
    for name in FILES:
        calm, stormy = ((tmp_path / run / name).read_bytes() for run in ("calm", "stormy"))
        assert calm == stormy, name


def test_another_exam_is_refused_where_answers_are(examined, nano_base):
    with pytest.raises(ValueError, match=r"another request: \['seed'\] differ"):
        evaluate.run(settings(nano_base, seed=1), examined)


def test_two_exams_are_compared_question_by_question(
    examined, nano_base, tmp_path, no_picture, capsys
):
    evaluate.run(settings(nano_base, seed=1, compare=str(examined)), tmp_path)
    comparison = json.loads((tmp_path / "summary.json").read_text())["comparison"]
    assert comparison["questions"] == 5 and -1 <= comparison["difference"] <= 1
    assert "against" in capsys.readouterr().out


def test_a_comparison_of_other_questions_is_told_before_the_exam(examined, nano_base, tmp_path):
    source = {"world": {"seed": 7}}
    with pytest.raises(ValueError, match=r"compare: .* questions are not those of this exam"):
        evaluate.run(settings(nano_base, source=source, compare=str(examined)), tmp_path)
    assert not (tmp_path / "answers.jsonl").exists()


def test_another_model_at_the_same_place_is_noticed(examined, nano_base, tmp_path):
    model, workdir = tmp_path / "model", tmp_path / "run"
    shutil.copytree(nano_base, model)
    shutil.copytree(examined, workdir)
    request = json.loads((workdir / "request.json").read_text())
    request |= {"model": str(model), "model_fingerprint": fingerprint(model)}
    (workdir / "request.json").write_text(json.dumps(request))
    weights = model / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ValueError, match=r"another request: \['model_fingerprint'\] differ"):
        evaluate.run(settings(model), workdir)


def test_a_comparison_with_nothing_is_told_before_the_exam(nano_base, tmp_path):
    with pytest.raises(ValueError, match=r"compare: .*holds no results of an exam"):
        evaluate.run(settings(nano_base, compare=str(tmp_path / "none")), tmp_path / "run")
    assert not (tmp_path / "run" / "answers.jsonl").exists()


def test_stored_answers_are_judged_again_to_the_same_scores(examined, tmp_path):
    c = judge_config.get_config()
    c.reward = eval_tiny.get_config().reward
    c.input, c.questions = str(examined / "answers.jsonl"), str(examined / "questions.jsonl")
    c.batch = 7
    judge.run(configs.build(judge.JudgeRunConfig, c.to_dict()), tmp_path)
    for before, after in zip(
        read_jsonl(examined / "answers.jsonl"), read_jsonl(tmp_path / "judged.jsonl"), strict=True
    ):
        assert after["parts"] == before["parts"] and after["reason"] == before["reason"]
        assert after["judged_answer"] == before["answer"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ks": (1, 8)}, r"ks: got \(1, 8\), wanted some of 1 to 4"),
        ({"samples_at_once": 3}, "samples 4 are no multiple of samples_at_once 3"),
        ({"file": data.rows("x.jsonl")}, "got both or neither"),
        ({"level": 1.0}, "level: got 1.0"),
        ({"seed": -1}, "seed: got -1, wanted at least 0"),
        ({"reward": {"kind": "random"}}, "answers are judged by rules"),
        ({"batch": 3, "mesh": {"data": 2}}, "batch 3 does not divide by mesh data x expert = 2"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message, nano_base):
    with pytest.raises(ValueError, match=message):
        settings(nano_base, **changes)


def test_questions_that_have_no_answer_are_refused(nano_base, tmp_path):
    path = tmp_path / "wishes.jsonl"
    path.write_text('{"question": "Write a poem."}\n')
    wishes = data.rows(str(path), answer="", kind="helpful")
    with pytest.raises(ValueError, match="is of the kind 'helpful', which has no answer"):
        evaluate.run(settings(nano_base, file=wishes, source=None, first=0), tmp_path / "run")


def test_more_questions_than_there_are_is_an_error(nano_base, tmp_path):
    source = {"world": {"test": 3}}
    with pytest.raises(ValueError, match="first 5: only 3 questions there"):
        evaluate.run(settings(nano_base, source=source), tmp_path)
