import dataclasses
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from configs import reward_model as reward_config
from r1jax import config as configs
from r1jax.exams.reward_scorer import RewardScorer
from r1jax.hub.artifacts import load_model
from r1jax.io.loop import Run, Stopped
from r1jax.io.metrics import read_jsonl
from r1jax.model.config import ExecutionConfig
from r1jax.pipelines.reward_model import run as reward_model
from r1jax.pipelines.reward_model import trainer
from r1jax.pipelines.reward_model.trainer import batches, read_data
from r1jax.reports import reward

HOW = ExecutionConfig(
    param_dtype="float32",
    compute_dtype="float32",
    scan_layers=False,
    remat=False,
    attention_block=64,
    numerics="fast",
    dispatch="blocks",
    block_size=4,
)


def rows(kind: str) -> list[dict]:
    """Good replies are even, bad ones odd; three rows of one question."""
    made = []
    for i in range(24):
        question, good, bad = f"{i // 3}+1?", f"<think>x</think>{2 * i}", str(2 * i + 1)
        if kind == "pairs":
            made.append({"question": question, "chosen": good, "rejected": bad})
        else:
            safe = i % 2 == 0
            made.append({"question": question, "response": good if safe else bad, "safe": safe})
    return made


@pytest.fixture(scope="module")
def config(nano_base, tmp_path_factory):
    """A config of either kind, with the path of its rows."""

    def of(kind: str) -> reward_model.RewardModelConfig:
        path = tmp_path_factory.mktemp("rows") / f"{kind}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows(kind)))
        c = reward_config.get_config()
        c.update(
            base=str(nano_base),
            kind=kind,
            data=str(path),
            validation=6,
            balance_lengths=False,
            epochs=2,
            batch=8,
            micro_batches=2,
            length_buckets=(32,),
            evaluate_every=3,
            evaluate_batch=8,
        )
        c.prompt.template = "plain"
        c.optimizer.update(lr=1e-2)
        c.execution.update(dataclasses.asdict(HOW))
        c.checkpoint.update(every_updates=2, keep_last=1, keep_best=0)
        return configs.build(reward_model.RewardModelConfig, c.to_dict())

    return of


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    """The config and the directory of a run on pairs."""
    c, workdir = config("pairs"), tmp_path_factory.mktemp("reward")
    reward_model.run(c, workdir)
    return c, workdir


@pytest.fixture(scope="module")
def summary(finished):
    return json.loads((finished[1] / "summary.json").read_text())


def test_it_leaves_results_a_report_and_a_picture(finished, summary):
    _, workdir = finished
    assert summary["counts"]["train"] == 18 and summary["counts"]["held_out"] == 6
    assert summary["steps"] == 4  # two passes of two whole batches
    assert summary["before"]["accuracy"]["mean"] == 0.5 and summary["before"]["ties"] == 1.0
    assert summary["after"]["ties"] < 1.0
    evals = read_jsonl(workdir / "eval.jsonl")
    assert [row["update"] for row in evals] == [0, 3, 4]
    assert evals[-1]["results"] == summary["after"]
    assert (workdir / "report.png").read_bytes().startswith(b"\x89PNG")
    assert "the longer one wins" in (workdir / "report.md").read_text()
    assert len((workdir / "held_out.jsonl").read_text().splitlines()) == 6


def test_every_row_is_in_one_count(config, nano_base):
    c = dataclasses.replace(config("pairs"), first=20)
    counts = read_data(c, load_model(str(nano_base))[2])[2]
    read = counts.pop("read")
    assert counts.pop("beyond_first") == 4 and counts.pop("cut") == 0
    assert read == 24 == sum(counts.values()) + 4


def test_a_pass_takes_every_row_at_most_once():
    order = batches((32,) * 18, batch=8, seed=0, epoch=0)
    assert order.shape == (2, 8) and len(set(order.ravel().tolist())) == 16
    other = batches((32,) * 18, batch=8, seed=0, epoch=1)
    assert not np.array_equal(order, other)
    by_width = batches((32,) * 8 + (64,) * 8, batch=8, seed=0, epoch=0)
    assert sorted(sorted(b.tolist()) for b in by_width) == [[*range(8)], [*range(8, 16)]]


def test_the_scorer_gives_the_held_out_scores_back(finished):
    """Whatever else is scored beside them, in whatever order and batches."""
    _, workdir = finished
    lines = (workdir / "held_out.jsonl").read_text().splitlines()
    held_out = [json.loads(line) for line in lines]
    want = [score for row in held_out for score in row["scores"]]
    questions = [row["question"] for row in held_out for _ in row["replies"]]
    replies = [reply for row in held_out for reply in row["replies"]]
    model = RewardScorer(str(workdir / "model"), HOW, None, (24, 32), 8)

    def scorer(*texts):
        return model.ids(model.weights, model.encoded(*texts), tell=lambda _: None)

    got = scorer(questions, replies, [False] * len(replies))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    alone = scorer(questions[5:6], replies[5:6], [False])
    np.testing.assert_allclose(alone, got[5:6], rtol=1e-5, atol=1e-6)
    assert len(set(np.round(want, 5))) > 3
    # of a summary the thought is not seen, whoever opened it
    one = scorer(
        [questions[0]] * 3, ["y</think>12", "<think>z</think>12", "12"], [True, False, False]
    )
    assert one[0] == one[1] == one[2]
    assert scorer([], [], []) == []
    with pytest.raises(ValueError, match=r"text 1: a sequence of \d+ tokens fits none"):
        scorer(questions[:2], ["1", "1 " * 40], [False, False])


def test_a_directory_that_is_no_reward_model_is_refused(nano_base, finished, tmp_path):
    with pytest.raises(ValueError, match=r"reward.json: not what a reward model has there"):
        RewardScorer(str(nano_base), HOW, None, (32,), 8)
    model = finished[1] / "model"
    for path in model.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "score_head.safetensors").unlink()
    with pytest.raises(ValueError, match=r"lacks \['score_head.safetensors'\]"):
        RewardScorer(str(tmp_path), HOW, None, (32,), 8)


def test_stopped_and_resumed_is_the_uninterrupted_run(finished, summary, tmp_path, monkeypatch):
    config, workdir = finished
    updated = Run.updated

    def stop_after(stop: int):
        def noted(self, metrics, values):
            updated(self, metrics, values)
            if self.updates == stop:
                os.kill(os.getpid(), signal.SIGTERM)

        monkeypatch.setattr(Run, "updated", noted)

    monkeypatch.setattr(reward, "plot_reward", lambda *args, **more: None)
    for stop in (1, 3):
        stop_after(stop)
        with pytest.raises(Stopped, match=f"saved update {stop} of 4"):
            reward_model.run(config, tmp_path)
    monkeypatch.setattr(Run, "updated", updated)
    reward_model.run(config, tmp_path)
    for name in ("metrics.jsonl", "eval.jsonl", "held_out.jsonl", "model/model.safetensors"):
        assert (tmp_path / name).read_bytes() == (workdir / name).read_bytes(), name
    resumed = json.loads((tmp_path / "summary.json").read_text())
    for key in ("weights_sha256", "before", "after", "counts"):
        assert resumed[key] == summary[key], key


def test_other_rows_under_the_same_name_are_refused(finished):
    c, workdir = finished
    path = Path(c.data)
    before = path.read_bytes()
    path.write_bytes(before + before.splitlines(keepends=True)[0])
    with pytest.raises(ValueError, match=r"another request: \['data'\] differ"):
        reward_model.run(c, workdir)
    path.write_bytes(before)


def test_labels_are_fitted_too(config, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(trainer, "SILENCE", -1.0)  # tells after each batch
    monkeypatch.setattr(reward, "plot_reward", lambda *args, **more: None)
    c = dataclasses.replace(config("labels"), sees="all", epochs=1)
    reward_model.run(c, tmp_path)
    after = json.loads((tmp_path / "summary.json").read_text())["after"]
    assert 0 <= after["auc"] <= 1 and after["accuracy"]["rows"] == 6
    assert "held out: 6 of 6 replies scored" in capsys.readouterr().out
    assert "AUC" in (tmp_path / "report.md").read_text()
    assert json.loads((tmp_path / "model/reward.json").read_text())["kind"] == "labels"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"micro_batches": 3}, "batch 8 does not split into 3 micro_batches"),
        ({"kind": "labels", "margin": 1.0}, "only pairs have them"),
        ({"length_buckets": (1, 8)}, r"length_buckets \(1, 8\): need at least 2 tokens"),
    ],
)
def test_configs_that_cannot_run_are_refused(config, changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(config("pairs"), **changes)


def test_rows_that_fill_no_batch_are_told_before_training(config, tmp_path):
    with pytest.raises(ValueError, match="18 training rows of 24 are left, a batch has 64"):
        reward_model.run(dataclasses.replace(config("pairs"), batch=64), tmp_path)
    with pytest.raises(ValueError, match="first 30: only 24 rows are left"):
        reward_model.run(dataclasses.replace(config("pairs"), first=30), tmp_path)
