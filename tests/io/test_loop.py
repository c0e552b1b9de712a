import dataclasses
import json
import math
import os
import resource
import signal
import threading
import time

import jax.numpy as jnp
import numpy as np
import pytest

from r1jax.io import summary
from r1jax.io.digests import digest
from r1jax.io.loop import Run, Stopped, means
from r1jax.io.metrics import read_jsonl
from r1jax.io.retention import CheckpointConfig
from r1jax.types import Mean, TrainState, Weights


@dataclasses.dataclass(frozen=True)
class Optimizer:
    lr: float
    max_skipped_in_a_row: int


@dataclasses.dataclass(frozen=True)
class Config:
    pipeline: str
    seed: int
    optimizer: Optimizer
    checkpoint: CheckpointConfig


CHECKPOINT = CheckpointConfig(every_updates=4, keep_last=2, keep_best=0, allow_config_change=False)


def open_run(workdir, *, max_skipped: int = 3, total: int = 8, lr: float = 0.1) -> Run:
    config = Config("test", 7, Optimizer(lr, max_skipped), CHECKPOINT)
    return Run("test", workdir=workdir, config=config, total=total, shown=("loss",))


def state(value: float, *, skipped_in_a_row: int = 0) -> TrainState:
    weights = Weights({"w": jnp.full((3,), value, jnp.float32)}, jnp.zeros((1, 2)))
    whole = jnp.int32
    return TrainState(weights, None, {}, whole(0), whole(0), whole(skipped_in_a_row))


def metrics(loss: float, *, skipped: bool = False) -> dict[str, Mean]:
    return {
        "loss": Mean(jnp.float32(2 * loss), jnp.float32(2)),
        "skipped": Mean(jnp.float32(skipped), jnp.float32(1)),
    }


def train(run: Run, until: int) -> None:
    """Updates whose loss tells their number, each saved when due."""
    while run.updates < until:
        with run.phase("update"):
            now = state(run.updates + 1.0)
        run.count("trained", 10)
        run.updated(metrics(float(run.updates + 1)), {"extra": run.updates})
        run.after_update(now, extra={}, score=None)


def test_metrics_are_divided_on_the_host_and_none_without_weight():
    got = means(
        {"a": Mean(jnp.float32(6), jnp.float32(4)), "b": Mean(jnp.float32(0), jnp.float32(0))}
    )
    assert got["a"] == 1.5 and math.isnan(got["b"])


def test_metrics_come_late_but_complete(tmp_path):
    with open_run(tmp_path) as run:
        run.resume(state(0), fixed={})
        train(run, 3)
        assert not read_jsonl(tmp_path / "metrics.jsonl")
        train(run, 5)  # the save at 4 waits for what is pending
        assert [r["update"] for r in read_jsonl(tmp_path / "metrics.jsonl")] == [1, 2, 3, 4]
        run.flush()
        run.flush()
    rows = read_jsonl(tmp_path / "metrics.jsonl")
    assert [(r["update"], r["loss"], r["extra"]) for r in rows] == [
        (i, i, i - 1) for i in range(1, 6)
    ]


def test_seconds_and_tokens_add_up_over_updates_and_resumption(tmp_path):
    with open_run(tmp_path) as run:
        run.resume(state(0), fixed={})
        for _ in range(2):
            with run.phase("sample"):
                time.sleep(0.01)
        run.count("sampled", 5)
        train(run, 4)
        seconds = dict(run.phases)
        assert seconds["sample"] >= 0.02
    with open_run(tmp_path) as run:
        run.resume(state(0), fixed={})
        assert (
            run.tokens == {"sampled": 5, "trained": 40}
            and run.phases["sample"] == seconds["sample"]
        )
        train(run, 8)
        assert run.tokens == {"sampled": 5, "trained": 80}
        assert run.phases["update"] > seconds["update"]
    timing = read_jsonl(tmp_path / "timing.jsonl")
    assert [r["update"] for r in timing] == [4, 8]
    assert timing[0]["tokens_sampled"] == 5 and timing[0]["tokens_trained"] == 40
    np.testing.assert_allclose(
        timing[0]["tokens_per_s"], 45 / (timing[0]["seconds_sample"] + timing[0]["seconds_update"])
    )


def test_checkpoints_come_every_few_updates_and_at_the_end(tmp_path):
    with open_run(tmp_path, total=6) as run:
        run.resume(state(0), fixed={})
        for until, newest in ((3, None), (4, 4), (5, 4), (6, 6)):
            train(run, until)
            assert run.checkpoints.latest_step() == newest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_after_the_update_and_stops(tmp_path, number):
    before = signal.getsignal(number)
    with (
        pytest.raises(Stopped, match=f"{number.name}: saved update 3 of 8"),
        open_run(tmp_path) as run,
    ):
        run.resume(state(0), fixed={})
        train(run, 2)
        os.kill(os.getpid(), number)
        train(run, 8)
    assert signal.getsignal(number) == before
    assert [r["update"] for r in read_jsonl(tmp_path / "metrics.jsonl")] == [1, 2, 3]
    with open_run(tmp_path) as run:
        restored = run.resume(state(0), fixed={})
        assert restored is not None and run.updates == 3
        assert digest(restored.state) == digest(state(3.0))


def test_facts_that_changed_between_checkpoint_and_run_are_named(tmp_path):
    with open_run(tmp_path) as run:
        run.resume(state(0), fixed={"data_sha256": "a", "group_size": 4})
        train(run, 4)
    with (
        pytest.raises(
            ValueError, match=r"resume: data_sha256: the checkpoint has 'a', this run 'b'"
        ),
        open_run(tmp_path) as run,
    ):
        run.resume(state(0), fixed={"data_sha256": "b", "group_size": 4})
    with open_run(tmp_path) as run:
        assert run.resume(state(0), fixed={"data_sha256": "a", "group_size": 4}) is not None


@pytest.fixture
def heard_interrupts():
    """Python's own handler of SIGINT, which a shell's background job ignores."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard_interrupts")
def test_a_second_interrupt_does_not_wait(tmp_path):
    with pytest.raises(KeyboardInterrupt), open_run(tmp_path) as run:
        run.resume(state(0), fixed={})
        os.kill(os.getpid(), signal.SIGINT)
        assert run.updates == 0
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_outside_the_main_thread_signals_keep_their_meaning(tmp_path):
    seen = []

    def work():
        with open_run(tmp_path, total=2) as run:
            run.resume(state(0), fixed={})
            train(run, 2)
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


def skip(run: Run, pattern: str) -> None:
    """One update a letter, "x" skipped; each flushed."""
    for letter in pattern:
        run.updated(metrics(1.0, skipped=letter == "x"), {})
        run.flush()


def test_skipped_updates_in_a_row_stop_the_run(tmp_path):
    with open_run(tmp_path) as run:
        run.resume(state(0), fixed={})
        skip(run, "xx.xx.")
        with pytest.raises(FloatingPointError, match="update 9: gradients were not finite 3 times"):
            skip(run, "xxxx")
    assert len(read_jsonl(tmp_path / "metrics.jsonl")) == 9


def test_skipped_updates_before_a_resumption_count(tmp_path):
    with open_run(tmp_path) as run:
        run.resume(state(0), fixed={})
        skip(run, "xx")
        run.save(state(1, skipped_in_a_row=2), extra={}, score=None)
    with open_run(tmp_path) as run:
        run.resume(state(0), fixed={})
        with pytest.raises(FloatingPointError, match=r"update 3: .* 3 times"):
            skip(run, "x")


def test_resuming_cuts_what_a_dead_run_wrote_after_its_save(tmp_path, capsys):
    for _ in range(2):  # the second run is killed after update 6 like the first
        with open_run(tmp_path) as run:
            run.resume(state(0), fixed={})
            train(run, 4)
            run.evaluated({"split": "validation", "loss": 0.5})
            train(run, 6)
            run.flush()
            run.evaluated({"split": "validation", "loss": 0.25})
    assert [r["update"] for r in read_jsonl(tmp_path / "metrics.jsonl")] == [1, 2, 3, 4, 5, 6]
    assert [r["update"] for r in read_jsonl(tmp_path / "eval.jsonl")] == [4, 6]
    assert "resumed from update 4" in capsys.readouterr().out


def test_a_failed_save_stops_the_run_before_the_next_one(tmp_path):
    """No disk is full here, but no file may grow past a limit, which fails in the same place."""
    large = state(1.0)
    noise = np.random.default_rng(0).random(1 << 18, np.float32)
    large = large._replace(weights=large.weights._replace(params={"w": jnp.asarray(noise)}))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    run = open_run(tmp_path, total=2000)
    run.every = 1000
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, before[1]))
    try:
        with pytest.raises(OSError, match="the save failed"), run:
            run.resume(state(0), fixed={})
            train(run, 1)
            run.save(large, extra={}, score=None)
            while run.updates < 900:
                train(run, run.updates + 1)
                time.sleep(0.02)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert 1 < run.updates < 900


def resumed(workdir, until: int) -> list[str]:
    """The notes in the summary of a run that is taken up and goes on."""
    with open_run(workdir) as run:
        run.resume(state(0), fixed={})
        train(run, until)
        return run.summarize(state(1.0).weights, {})["notes"]


def test_lost_metrics_are_warned_of_and_noted_for_good(tmp_path, capsys):
    assert resumed(tmp_path, 4) == []
    (tmp_path / "metrics.jsonl").unlink()
    (note,) = resumed(tmp_path, 8)
    assert note.startswith(
        f"update 4: {tmp_path / 'metrics.jsonl'}: lines up to update 4 were lost"
    )
    assert f"warning: {tmp_path / 'metrics.jsonl'}" in capsys.readouterr().err
    assert resumed(tmp_path, 8) == [note]


def test_other_versions_are_warned_of_and_noted_for_good(tmp_path, capsys, monkeypatch):
    resumed(tmp_path, 4)
    monkeypatch.setattr(summary, "_version", lambda package: "0.1")
    (note,) = resumed(tmp_path, 8)
    assert note.startswith("update 4: other versions than before") and "mpmath: was '" in note
    assert "warning: other versions than before" in capsys.readouterr().err
    assert resumed(tmp_path, 8) == [note]


def test_an_evaluation_is_not_written_again_after_resuming(tmp_path):
    for _ in range(3):
        with open_run(tmp_path, total=4) as run:
            run.resume(state(0), fixed={})
            train(run, 4)
            for split in ("test", "ood"):
                run.evaluated({"split": split, "pass_at_1": {"mean": 0.5}})
    rows = [(r["update"], r["split"]) for r in read_jsonl(tmp_path / "eval.jsonl")]
    assert rows == [(4, "test"), (4, "ood")]


def test_a_run_without_a_checkpoint_starts_anew(tmp_path):
    for _ in range(2):
        with open_run(tmp_path) as run:
            assert run.resume(state(0), fixed={}) is None and run.updates == 0
            run.evaluated({"split": "test", "pass_at_1": {"mean": 0.5}})
            train(run, 3)
            run.flush()
    assert [r["update"] for r in read_jsonl(tmp_path / "metrics.jsonl")] == [1, 2, 3]
    assert len(read_jsonl(tmp_path / "eval.jsonl")) == 1


def test_another_config_is_refused_and_free_keys_are_not(tmp_path):
    with open_run(tmp_path) as run:
        run.resume(state(0), fixed={})
        train(run, 4)
    with (
        pytest.raises(ValueError, match=r"lr: checkpoint 0\.1, now 0\.2"),
        open_run(tmp_path, lr=0.2) as run,
    ):
        run.resume(state(0), fixed={})


def test_warnings_go_to_stderr(tmp_path, capsys):
    with open_run(tmp_path) as run:
        run.warn("something")
    assert capsys.readouterr().err == "warning: something\n"


def test_the_summary_names_weights_config_and_machine(tmp_path):
    with open_run(tmp_path, total=4) as run:
        run.resume(state(0), fixed={})
        train(run, 4)
        returned = run.summarize(state(4.0).weights, {"more": 1})
    written = json.loads((tmp_path / "summary.json").read_text())
    assert written == returned
    assert written["weights_sha256"] == digest(state(4.0).weights)
    assert written["config"]["checkpoint.every_updates"] == 4 and written["more"] == 1
    assert written["seed"] == 7 and written["steps"] == 4 and written["pipeline"] == "test"
    assert written["tokens_per_second"] == {"update": 40 / written["seconds"]["update"]}
    assert written["seconds"]["this_process"] >= written["seconds"]["update"]


def test_a_workdir_that_is_a_file_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file, wanted a directory"):
        open_run(tmp_path / "file")
