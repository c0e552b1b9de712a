import dataclasses
import json
import os
import shutil
import signal
from pathlib import Path

import jax
import nano_distill
import pytest

from r1jax import config as configs
from r1jax.hub.artifacts import load_model, save_model
from r1jax.io.digests import digest
from r1jax.io.loop import Stopped, check_unchanged
from r1jax.io.metrics import read_jsonl
from r1jax.model import forward
from r1jax.pipelines.distill import config as distill_config
from r1jax.pipelines.distill import run as distill
from r1jax.pipelines.distill.trainer import Trainer
from r1jax.sharding import MeshConfig
from r1jax.text.tokenizer import train_sentencepiece

SAME_BYTES = ("metrics.jsonl", "eval.jsonl", "samples_before.json", "samples_after.json")


@pytest.fixture(scope="module")
def paths(nano_base, models, tmp_path_factory) -> dict[str, str]:
    """A dense student with the teacher's tokenizer, a wider head, and three conversations."""
    _, teacher, tokenizer = load_model(str(nano_base))
    model = dataclasses.replace(
        models["gqa_bias"], vocab_size=464, n_tokens=teacher.n_tokens, n_layers=1, n_dense_layers=1
    )
    student = tmp_path_factory.mktemp("nano_student")
    made = forward.init(jax.random.key(1), config=model)
    save_model(student, made, model=model, tokenizer=tokenizer, made_by={})
    data = student.parent / "rows.jsonl"
    lines = []
    for n in range(3):
        says = [("user", f"{n}+{n}?"), ("assistant", f"<think>{n}{n}</think>It is {2 * n}.")]
        messages = [{"role": role, "content": content} for role, content in says]
        lines.append(json.dumps({"id": f"row-{n}", "source": "sums", "messages": messages}))
    data.write_text("\n".join(lines) + "\n")
    return {"student": str(student), "teacher": str(nano_base), "data": str(data)}


@pytest.fixture(scope="module")
def config(paths) -> distill_config.DistillConfig:
    c = nano_distill.get_config()
    c.update(paths)
    return configs.build(distill_config.DistillConfig, c.to_dict())


@pytest.fixture(scope="module")
def run(config):
    """distill.run without the pictures; runs of the same config share a Trainer."""
    made: dict[str, Trainer] = {}

    def trainer(config, mesh):
        key = repr(config)
        if key not in made:
            made[key] = Trainer(config, mesh)
        return made[key]

    def of(config, workdir, *, stop_after=-1, plot=lambda *paths: None):
        one_update = distill._one_update

        def watched(trainer, state, run):
            state = one_update(trainer, state, run)
            if run.updates == stop_after:
                os.kill(os.getpid(), signal.SIGTERM)
            return state

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(distill, "Trainer", trainer)
            patch.setattr(distill, "_one_update", watched)
            patch.setattr(distill, "plot_distill", plot)
            distill.run(config, workdir)

    return of


@pytest.fixture(scope="module")
def finished(config, run, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("distill")
    run(config, workdir, plot=distill.plot_distill)
    return workdir


@pytest.fixture(scope="module")
def summary(finished):
    return json.loads((finished / "summary.json").read_text())


def test_it_leaves_a_student_a_report_and_a_summary(finished, summary, paths):
    weights, model, tokenizer = load_model(str(finished / "model"))
    before, before_model, before_tokenizer = load_model(paths["student"])
    assert digest(weights) == summary["weights_sha256"] != digest(before)
    assert model == before_model and tokenizer.fingerprint == before_tokenizer.fingerprint
    assert (finished / "report.png").read_bytes().startswith(b"\x89PNG")
    assert "pass@1" in (finished / "report.md").read_text()
    assert [summary[side]["update"] for side in ("before", "after")] == [0, 4]
    assert summary["made_from"]["teacher_sha256"] != summary["made_from"]["student_sha256"]


def test_batches_are_the_students_or_the_fixed_ones_by_chance(finished, summary):
    rows = read_jsonl(finished / "metrics.jsonl")
    assert [row["on_policy"] for row in rows] == [1, 0, 0, 1]
    assert [("accuracy" in row, "reward" in row) for row in rows] == [
        *((True, True), (False, False), (False, False), (True, True))
    ]
    assert summary["on_policy_updates"] == 2
    for row in rows:
        assert row["divergence"] > 0 and 0 <= row["agreement"] <= 1
        assert row["loss"] == pytest.approx(row["divergence"], rel=1e-5)  # token_mean
    assert rows[2]["divergence"] < rows[1]["divergence"]  # the three rows a second time


def test_tokens_that_the_teacher_scored_are_counted(finished, summary, config):
    tokens = summary["tokens"]
    timing = read_jsonl(finished / "timing.jsonl")
    on_policy = [row for row in timing if "tokens_sampled" in row]
    assert sum(row["tokens_sampled"] for row in on_policy) == tokens["sampled"]
    # of the student's samples each token is scored, the stop token included
    assert [row["tokens_teacher_scored"] for row in on_policy] == [
        row["tokens_sampled"] for row in on_policy
    ]
    assert tokens["sampled"] < tokens["teacher_scored"] < tokens["trained"]


def test_stopped_and_resumed_is_the_uninterrupted_run(config, finished, summary, run, tmp_path):
    for update in (1, 3):
        with pytest.raises(Stopped, match=f"saved update {update} of 4"):
            run(config, tmp_path, stop_after=update)
    run(config, tmp_path)
    for name in SAME_BYTES:
        assert (tmp_path / name).read_bytes() == (finished / name).read_bytes(), name
    resumed = json.loads((tmp_path / "summary.json").read_text())
    for key in ("weights_sha256", "tokens", "before", "after", "divergence"):
        assert resumed[key] == summary[key], key


def test_a_resumed_run_refuses_another_config(config, finished, run, tmp_path):
    workdir = tmp_path / "other"
    shutil.copytree(finished, workdir)
    loss = dataclasses.replace(config.loss, beta=0.9)
    with pytest.raises(ValueError, match=r"loss\.beta: checkpoint 0\.5, now 0\.9"):
        run(dataclasses.replace(config, loss=loss), workdir)


@pytest.fixture(scope="module")
def trainer(config) -> Trainer:
    return Trainer(config, None)


def test_a_teacher_that_changed_under_its_name_is_noticed(trainer):
    check_unchanged(trainer.fixed, {**trainer.fixed, "phases": {}})
    with pytest.raises(ValueError, match="resume: teacher_sha256: the checkpoint has 'other'"):
        check_unchanged(trainer.fixed, {**trainer.fixed, "teacher_sha256": "other"})


def test_fixed_batches_learn_every_reply_and_its_stop_token(trainer, config):
    batch = trainer.fixed_batch(0)
    assert batch.tokens_BT.shape == (4, 80) and batch.weights_BT.sum() == pytest.approx(1, rel=1e-6)
    texts, stop = [], trainer.tokenizer.eos_id
    for tokens, weights, segments in zip(
        batch.tokens_BT, batch.weights_BT, batch.segments_BT, strict=True
    ):
        targets = tokens[1:][weights[:-1] > 0]
        assert targets[-1] == stop == tokens[segments > 0][-1]
        texts.append(trainer.tokenizer.decode(targets.tolist()))
    # four rows of three conversations: an epoch, and the next begun
    assert set(texts) == {f"<think>{n}{n}</think>It is {2 * n}." for n in range(3)}


def test_every_way_and_estimator_asks_what_it_needs(config, trainer):
    ways = [
        dataclasses.replace(config, way="on_policy", data=""),
        dataclasses.replace(config, way="offline"),
        config,
    ]
    samples = []
    for way in ways:
        fake = Trainer.__new__(Trainer)
        fake.config, fake.root = way, trainer.root
        samples.append([fake.samples(u) for u in range(4)])
    assert samples == [[True] * 4, [False] * 4, [True, False, False, True]]


def test_another_tokenizer_is_refused_with_both_named(config, paths, models, tmp_path):
    texts = ["one two three four five six seven eight nine"] * 3
    tokenizer = train_sentencepiece(texts, vocab_size=300)
    model = dataclasses.replace(
        models["gqa_small"], vocab_size=300, n_tokens=tokenizer.size, n_layers=1
    )
    weights = forward.init(jax.random.key(0), config=model)
    save_model(tmp_path / "foreign", weights, model=model, tokenizer=tokenizer, made_by={})
    foreign = dataclasses.replace(config, teacher=str(tmp_path / "foreign"))
    with pytest.raises(ValueError, match=r"tokenizers differ: student .*; teacher .*foreign has"):
        Trainer(foreign, None)


def test_a_fixed_row_longer_than_every_bucket_is_named(config, paths, tmp_path):
    row = json.loads((Path(paths["data"])).read_text().splitlines()[0])
    row["messages"][1]["content"] = "1 2 3 4 5 6 7 8 9 " * 9
    (tmp_path / "long.jsonl").write_text("\n" + json.dumps(row) + "\n")
    long = dataclasses.replace(config, data=str(tmp_path / "long.jsonl"))
    with pytest.raises(ValueError, match=r"long\.jsonl.2: row row-0 has \d+ tokens, .* bucket 80"):
        Trainer(long, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": ""}, "way 'mixed': data is empty"),
        ({"way": "on_policy"}, "way 'on_policy' does not read data"),
        ({"lam": 1.0}, "lam 1.0: wanted above 0 and below 1"),
        ({"prompts_per_update": 1, "samples_per_prompt": 1}, "1 rows do not divide by 2 micro"),
        ({"stages": ()}, "stages must start at 0"),
        ({"length_buckets": (64,)}, "are 70 tokens, the largest length bucket 64"),
    ],
)
def test_configs_that_cannot_run_are_refused(config, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(config, **change)


def test_an_exam_batch_that_a_mesh_does_not_divide_is_refused(config):
    evaluation = dataclasses.replace(config.evaluation, batch=1)
    with pytest.raises(ValueError, match=r"evaluation\.batch 1 does not divide by mesh .* = 2"):
        dataclasses.replace(config, mesh=MeshConfig(2, 1, 1), evaluation=evaluation)


def test_the_sampled_estimator_wants_the_students_own_samples(config):
    loss = dataclasses.replace(config.loss, divergence="reverse", estimator="sampled")
    with pytest.raises(ValueError, match="wanted way 'on_policy', got 'mixed'"):
        dataclasses.replace(config, loss=loss)
    warm = dataclasses.replace(loss, temperature=0.7)
    with pytest.raises(ValueError, match=r"samples are drawn at \[1\.0\]"):
        dataclasses.replace(config, way="on_policy", data="", loss=warm)
    with pytest.raises(ValueError, match="one of the divergence 'reverse', got 'jsd'"):
        dataclasses.replace(loss, divergence="jsd")
