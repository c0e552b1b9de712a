import dataclasses
import json
import os
import shutil
import signal
from pathlib import Path

import nano_sft
import numpy as np
import pytest

from configs import conversations
from configs.sft import rows as rows_of
from r1jax import config as configs
from r1jax.hub.artifacts import load_model
from r1jax.io.digests import digest
from r1jax.io.loop import Run, Stopped
from r1jax.io.metrics import read_jsonl
from r1jax.pipelines.sft import run as sft
from r1jax.pipelines.sft.config import DataConfig
from r1jax.pipelines.sft.data import held_out_questions, load_data
from r1jax.reports import sft as sft_report
from r1jax.sharding import MeshConfig
from r1jax.text.conversations import training_row
from r1jax.text.files import read_tokenizer

REPLIES = {f"{n} + 1?": f"<think>{n} + 1</think>It is \\boxed{{{n + 1}}}." for n in range(2, 6)}


def row(number: int, source: str, *turns: str) -> dict:
    roles = ("user", "assistant") * len(turns)
    messages = [{"role": r, "content": c} for r, c in zip(roles, turns, strict=False)]
    return {"id": f"{source}-{number}", "source": source, "messages": messages}


def write(path, rows) -> str:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return str(path)


@pytest.fixture(scope="module")
def config(nano_base, tmp_path_factory) -> sft.SftConfig:
    """Sums of two sources, one with two turns; the exam asks two that are trained on."""
    folder, c = tmp_path_factory.mktemp("rows"), nano_sft.get_config()
    pairs = list(REPLIES.items())
    sums = [row(i, "sums", *pair) for i, pair in enumerate(pairs)]
    talk = [row(0, "talk", *pairs[0], *pairs[1]), row(1, "talk", "hi?", "Hi.")]
    c.data.rows.path = write(folder / "sums.jsonl", sums)
    c.data.talk = rows_of(write(folder / "talk.jsonl", talk), repeats=2)
    asked = held_out_questions([training_row(r, "") for r in sums + talk], c.validation)
    learned = [(q, n) for n, q in enumerate(REPLIES, start=3) if (q,) not in asked][:2]
    for split, questions in (("train", [("a?", 1), ("b?", 2), ("c?", 3)]), ("test", learned)):
        rows = [{"question": q, "answer": str(a)} for q, a in questions]
        c.exam.task.sources.questions.files[split].path = write(folder / f"{split}.jsonl", rows)
    c.base = str(nano_base)
    return configs.build(sft.SftConfig, c.to_dict())


@pytest.fixture(scope="module")
def run():
    """sft.run; all runs share an exam, and with it its compiled programs."""
    made, fresh = [], sft.open_exam

    def exam(*args):
        made.append(made[0] if made else fresh(*args))
        return made[0]

    def of(config, workdir, *, stop_after=-1, plot=False):
        updated = Run.updated

        def noted(self, metrics, values):
            updated(self, metrics, values)
            if self.updates == stop_after:
                os.kill(os.getpid(), signal.SIGTERM)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sft, "open_exam", exam)
            patch.setattr(Run, "updated", noted)
            if not plot:
                patch.setattr(sft_report, "plot_sft", lambda *paths, **sources: None)
            sft.run(config, workdir)

    return of


@pytest.fixture(scope="module")
def finished(config, run, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("sft")
    run(config, workdir, plot=True)
    return workdir


@pytest.fixture(scope="module")
def summary(finished):
    return json.loads((finished / "summary.json").read_text())


def test_the_loss_falls_and_the_model_says_what_it_was_taught(finished, summary):
    rows = read_jsonl(finished / "metrics.jsonl")
    assert rows[-1]["loss"] < 0.1 < 3 < rows[0]["loss"]
    assert rows[-1]["loss_sums"] < rows[0]["loss_sums"] and "loss_talk" in rows[0]
    exam = summary["exam"]["test"]
    assert [exam[when]["pass_at_1"]["mean"] for when in ("before", "after")] == [0, 1]
    for shown in json.loads((finished / "samples_after.json").read_text()):
        question = shown["prompt"].removeprefix("User: ").removesuffix("\nAssistant:")
        assert shown["completion"] == REPLIES[question]


def test_the_learning_rate_falls_over_the_updates_of_the_run(finished, config, summary):
    rows = read_jsonl(finished / "metrics.jsonl")
    packed = summary["counts"]["packed_rows"]
    assert [r["update"] for r in rows] == list(range(1, -(-80 * packed // 2) + 1))
    rates = [r["lr"] for r in rows]
    assert max(rates) == pytest.approx(config.optimizer.lr)
    # the last update is one short of the schedule's end
    assert rates[-1] == pytest.approx(config.optimizer.lr * 0.1, rel=0.05)
    assert rows[-1]["epoch"] == pytest.approx(80, abs=2 / packed)


def test_counts_add_up(summary, config):
    counts, tokenizer = summary["counts"], read_tokenizer(Path(config.base))
    by_source = counts["by_source"]
    assert set(by_source) == {"sums", "talk"}
    for of in [counts, *by_source.values()]:
        assert of["read"] == of["rows"] + of["held_out"] + of["dropped"]
    assert (counts["read"], counts["dropped"]) == (6, 0)
    assert (
        1 <= counts["held_out"] <= 2
        and by_source["talk"]["examples"] == 2 * 2 - 2 * (by_source["talk"]["held_out"])
    )
    assert counts["packed_rows"] * 96 * counts["full"] == pytest.approx(counts["tokens"])
    assert by_source["sums"]["target_tokens"] <= sum(
        len(tokenizer.encode(reply)) + 1 for reply in REPLIES.values()
    )


def test_it_leaves_a_model_a_picture_and_a_report(finished, summary, config):
    weights, model, tokenizer = load_model(str(finished / "model"))
    assert digest(weights) == summary["weights_sha256"] and model.n_tokens == tokenizer.size
    assert (finished / "report.png").read_bytes().startswith(b"\x89PNG")
    report = (finished / "report.md").read_text()
    assert "| talk |" in report and "pass@1" in report and "held out" in report
    rows = read_jsonl(finished / "eval.jsonl")
    losses = [r for r in rows if r["split"] == "held_out"]
    assert [r["update"] for r in losses][:3] == [0, 40, 80]
    assert losses[-1]["update"] == summary["steps"] and "loss_sums" in losses[0]
    assert [r["update"] for r in rows if r["split"] == "validation"][:2] == [0, 80]


def test_stopped_and_resumed_is_the_uninterrupted_run(config, run, finished, summary, tmp_path):
    with pytest.raises(Stopped, match=f"saved update 41 of {summary['steps']}"):
        run(config, tmp_path, stop_after=41)
    run(config, tmp_path)
    for name in ("metrics.jsonl", "eval.jsonl", "samples_before.json", "samples_after.json"):
        assert (tmp_path / name).read_bytes() == (finished / name).read_bytes(), name
    resumed = json.loads((tmp_path / "summary.json").read_text())
    for key in ("weights_sha256", "tokens", "counts", "held_out", "exam"):
        assert resumed[key] == summary[key], key


def test_changed_data_is_refused_on_resume(config, run, tmp_path):
    data = {}
    for name, file in config.data.items():
        copied = shutil.copy(file.path, tmp_path / f"{name}.jsonl")
        data[name] = dataclasses.replace(file, path=str(copied))
    config = dataclasses.replace(config, data=data, exam=None)
    with pytest.raises(Stopped, match="saved update 1"):
        run(config, tmp_path / "run", stop_after=1)
    with (tmp_path / "talk.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(ValueError, match="resume: data_sha256: the checkpoint has"):
        run(config, tmp_path / "run")


def test_rows_of_one_question_are_held_out_together():
    rows = [training_row(row(i, "s", f"q{i // 3}", f"r{i}"), "") for i in range(30)]
    few, more = held_out_questions(rows, 4), held_out_questions(rows, 10)
    assert (len(few), len(more)) == (2, 4) and few < more
    assert held_out_questions(rows[::-1], 4) == few and held_out_questions(rows, 0) == set()
    with pytest.raises(ValueError, match="validation 30: 30 rows are short enough"):
        held_out_questions(rows, 30)
    with pytest.raises(ValueError, match="would hold out all 10 questions"):
        held_out_questions(rows, 28)


@pytest.fixture
def small(config, nano_base, tmp_path):
    """load_data of the given rows."""

    def of(*files, **changes):
        data = {
            f"file{i}": DataConfig(
                write(tmp_path / f"{i}.jsonl", rows), "jsonl", fields=None, limit=0, repeats=1
            )
            for i, rows in enumerate(files)
        }
        asked = {"data": data, "exam": None, "validation": 0, "evaluate_every": 0, "batch": 1}
        asked["checkpoint"] = dataclasses.replace(config.checkpoint, keep_best=0)
        changed = dataclasses.replace(config, micro_batches=1, **{**asked, **changes})
        return load_data(changed, read_tokenizer(nano_base))

    return of


def test_a_row_that_is_too_long_is_named_or_dropped_and_counted(small):
    rows = [row(0, "a", "q", "r"), row(1, "b", "q", "123456789 " * 20)]
    with pytest.raises(ValueError, match=r"0\.jsonl:2: row b-1 has \d+ tokens, a packed row 96"):
        small(rows)
    counts = small(rows, too_long="drop").counts
    assert (counts["rows"], counts["dropped"]) == (1, 1)
    assert counts["by_source"]["b"]["dropped"] == 1
    with pytest.raises(ValueError, match="all 2 rows are longer than length"):
        small(rows, too_long="drop", length=4)


def test_rows_of_another_shape_are_learnt_by_their_fields(small, tmp_path):
    rows = [{"instruction": f"q{i}", "input": None, "output": "r"} for i in range(4)]
    block = conversations.alpaca(write(tmp_path / "x.jsonl", rows)) | {"limit": 3}
    counts = small(data={"talk": configs.build(DataConfig, block)}).counts
    assert counts["rows"] == 3 and list(counts["by_source"]) == ["x"]


def test_enough_rows_are_held_out_whatever_is_dropped(small):
    rows = [row(i, "a", f"q{i}", "r" if i % 2 else "123456789 " * 20) for i in range(40)]
    counts = small(rows, too_long="drop", validation=9, evaluate_every=1).counts
    assert (counts["dropped"], counts["held_out"], counts["rows"]) == (20, 9, 11)


def test_an_id_that_stands_twice_is_refused(small):
    with pytest.raises(ValueError, match=r"1\.jsonl:1: id 'a-0' is that of .*0\.jsonl:1 too"):
        small([row(0, "a", "q", "r")], [row(0, "a", "other", "r")])


def test_too_few_rows_for_a_batch_are_told(small):
    with pytest.raises(ValueError, match="data fill 1 packed rows of 96 tokens, a batch has 4"):
        small([row(0, "a", "q", "r")], batch=4)


def test_targets_are_the_replies_alone(small, nano_base):
    tokenizer = read_tokenizer(nano_base)
    arrays = small([row(0, "a", "one?", "1.", "two?", "2.")]).train.arrays
    (targets,) = arrays["tokens"][np.where(arrays["predict"] > 0)][None]
    want = [i for text in ("1.", "2.") for i in (*tokenizer.encode(text), tokenizer.eos_id)]
    assert targets.tolist() == want


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": {}}, "data: got none"),
        ({"batch": 3}, "batch 3 does not divide by micro_batches 2 x"),
        ({"validation": 0}, "validation 0, evaluate_every 40: wanted both above 0, or both 0"),
        ({"validation": 0, "evaluate_every": 0, "exam": None}, "no checkpoint would have a score"),
    ],
)
def test_configs_that_cannot_run_are_refused(config, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(config, **change)


def test_an_exam_batch_that_a_mesh_does_not_divide_is_refused(config):
    exam = dataclasses.replace(
        config.exam, evaluation=dataclasses.replace(config.exam.evaluation, batch=1)
    )
    with pytest.raises(ValueError, match=r"evaluation\.batch 1 does not divide by mesh .* = 2"):
        dataclasses.replace(config, mesh=MeshConfig(2, 1, 1), micro_batches=1, exam=exam)
