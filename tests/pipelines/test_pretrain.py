import dataclasses
import json
import os
import signal

import jax
import nano_pretrain
import numpy as np
import pytest

from r1jax import config as configs
from r1jax.hub.artifacts import load_model
from r1jax.io.digests import digest
from r1jax.io.loop import Run, Stopped
from r1jax.io.metrics import read_jsonl
from r1jax.pipelines import pretrain
from r1jax.sharding import MeshConfig


@pytest.fixture(scope="module")
def config() -> pretrain.PretrainConfig:
    return configs.build(pretrain.PretrainConfig, nano_pretrain.get_config().to_dict())


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("pretrain")
    pretrain.run(config, workdir)
    return workdir


@pytest.fixture(scope="module")
def summary(finished):
    return json.loads((finished / "summary.json").read_text())


def test_it_leaves_a_model_a_picture_and_a_summary(finished, summary):
    weights, model, tokenizer = load_model(str(finished / "model"))
    assert digest(weights) == summary["weights_sha256"]
    assert model.n_tokens == tokenizer.size <= 448
    assert (finished / "report.png").read_bytes().startswith(b"\x89PNG")
    assert summary["pipeline"] == "pretrain" and summary["steps"] == 4
    arrays = jax.tree.leaves(weights)
    assert summary["parameters"] == sum(array.size for array in arrays)
    assert summary["seconds"]["update"] > 0 and summary["tokens"]["trained"] > 0


def test_the_held_out_loss_falls(finished, summary):
    rows = read_jsonl(finished / "eval.jsonl")
    assert [(row["update"], row["split"]) for row in rows] == [(2, "validation"), (4, "validation")]
    assert rows[0]["loss"] > rows[1]["loss"] == summary["held_out"]["loss"]
    np.testing.assert_allclose(rows[1]["perplexity"], np.exp(rows[1]["loss"]), rtol=1e-6)


def test_metrics_of_every_update_are_written_once(finished):
    rows = read_jsonl(finished / "metrics.jsonl")
    assert [row["update"] for row in rows] == [1, 2, 3, 4]
    assert all({"loss", "mtp_loss", "grad_norm", "load_max_violation"} <= r.keys() for r in rows)


def test_stopped_and_resumed_is_the_uninterrupted_run(
    config, finished, summary, tmp_path, monkeypatch
):
    updated = Run.updated

    def stop_after(stop: int):
        def noted(self, metrics, values):
            updated(self, metrics, values)
            if self.updates == stop:
                os.kill(os.getpid(), signal.SIGTERM)

        monkeypatch.setattr(Run, "updated", noted)

    monkeypatch.setattr(pretrain, "plot_pretrain", lambda *paths: None)
    for stop in (1, 3):
        stop_after(stop)
        with pytest.raises(Stopped, match=f"saved update {stop} of 4"):
            pretrain.run(config, tmp_path)
    monkeypatch.setattr(Run, "updated", updated)
    pretrain.run(config, tmp_path)
    for name in ("metrics.jsonl", "eval.jsonl", "corpus/recipe.json"):
        assert (tmp_path / name).read_bytes() == (finished / name).read_bytes(), name
    resumed = json.loads((tmp_path / "summary.json").read_text())
    for key in ("weights_sha256", "tokens", "held_out"):
        assert resumed[key] == summary[key], key


def test_a_corpus_is_kept_and_made_anew_for_another_recipe(config, finished):
    rows = pretrain.build_corpus(config, finished)[1]
    train = finished / "corpus" / "train.npz"
    before = train.stat().st_mtime_ns
    assert len(pretrain.build_corpus(config, finished)[1]) == len(rows)
    assert train.stat().st_mtime_ns == before
    shorter = dataclasses.replace(config, length=220)
    assert pretrain.build_corpus(shorter, finished)[1].arrays["tokens"].shape[1] == 220


def test_held_out_documents_are_not_trained_on(config, tmp_path):
    tokenizer, train, held_out = pretrain.build_corpus(config, tmp_path)
    text = pretrain._documents(config.corpus)
    for rows, numbers in ((train, range(100)), (held_out, range(100, 120))):
        whole = tokenizer.decode([int(t) for row in rows.arrays["tokens"] for t in row if t > 0])
        assert all(text(i) in whole for i in numbers)
        assert len(whole) == sum(len(text(i)) for i in numbers)


def test_texts_may_come_from_a_file(config, tmp_path):
    path = tmp_path / "texts.jsonl"
    lines = [json.dumps({"text": f"number {i} 汉字"}) for i in range(120)]
    path.write_text("\n".join(lines) + "\n")
    corpus = dataclasses.replace(config.corpus, jsonl=str(path))
    tokenizer = dataclasses.replace(config.tokenizer, vocab_size=300)
    config = dataclasses.replace(config, corpus=corpus, tokenizer=tokenizer, batch=1)
    made, train, _ = pretrain.build_corpus(config, tmp_path)
    first = [int(t) for t in train.arrays["tokens"][0]]
    assert made.decode(first).startswith("number 0 汉字number 1 汉字")
    path.write_text("\n".join([*lines[:-1], '{"words": 1}']) + "\n")
    with pytest.raises(ValueError, match=r"texts\.jsonl:120: no text in field 'text'"):
        pretrain.build_corpus(config, tmp_path / "b")
    path.write_text("\n".join(lines[:50]) + "\n")
    with pytest.raises(ValueError, match=r"50 documents, wanted 100 \+ 20"):
        pretrain.build_corpus(config, tmp_path / "b")


def test_rows_that_fill_no_batch_are_told_before_training(config, tmp_path):
    few = dataclasses.replace(config, batch=64)
    with pytest.raises(ValueError, match=r"corpus\.documents fill \d+ rows, a batch has 64"):
        pretrain.build_corpus(few, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mesh": MeshConfig(2, 2, 1)}, "batch 2 does not divide by mesh data x expert 4"),
        ({"tokenizer": pretrain.TokenizerConfig(999, 50)}, "999 exceeds model.vocab_size 448"),
        ({"tokenizer": pretrain.TokenizerConfig(400, 101)}, "101 exceed corpus.documents 100"),
        ({"param_dtype": "bfloat16"}, "model.param_dtype: got 'bfloat16', wanted 'float32'"),
    ],
)
def test_configs_that_cannot_run_are_refused(config, change, message):
    if "param_dtype" in change:
        change = {"model": dataclasses.replace(config.model, **change)}
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(config, **change)


def test_a_changed_corpus_file_is_refused_on_resuming(config, tmp_path, monkeypatch):
    path = tmp_path / "corpus.jsonl"

    def write(word: str) -> None:
        rows = [json.dumps({"text": f"{word} {i} plus {i} is {2 * i} " * 9}) for i in range(120)]
        path.write_text("\n".join(rows) + "\n")

    write("what")
    corpus = dataclasses.replace(config.corpus, jsonl=str(path))
    tokenizer = dataclasses.replace(config.tokenizer, vocab_size=300)
    read = dataclasses.replace(config, corpus=corpus, tokenizer=tokenizer)
    updated = Run.updated

    def stop(self, metrics, values):
        updated(self, metrics, values)
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(Run, "updated", stop)
        pretrain.run(read, tmp_path / "run")
    write("that")
    with pytest.raises(ValueError, match="resume: corpus_sha256: the checkpoint has"):
        pretrain.run(read, tmp_path / "run")
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"corpus\.jsonl"):
        pretrain.run(read, tmp_path / "run")
