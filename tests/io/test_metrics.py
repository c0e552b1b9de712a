import errno
import json
import struct
from pathlib import Path

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import (
    Event,  # pyright: ignore[reportAttributeAccessIssue] - protobuf makes it at import
)

from r1jax.io.metrics import MetricsWriter, consensus_of, read_jsonl


def board(workdir: Path) -> dict[str, float]:
    """Returns TensorBoard's scalars as {"tag@step": value}, read from the records themselves."""
    scalars = {}
    for path in sorted((workdir / "tensorboard").iterdir()):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (size,) = struct.unpack_from("<Q", data, at)
            event = Event.FromString(data[at + 12 : at + 12 + size])
            scalars |= {f"{v.tag}@{event.step}": v.simple_value for v in event.summary.value}
            at += 16 + size
    return scalars


def test_lines_carry_update_first_and_plain_numbers(tmp_path):
    with MetricsWriter(tmp_path, resume_from=None, written={}) as writer:
        values = {"reward": jnp.float32(0.5), "n": np.int64(3), "half": ml_dtypes.bfloat16(2)}
        writer.write(1, values)
        assert (tmp_path / "metrics.jsonl").read_text() == (
            '{"update": 1, "reward": 0.5, "n": 3, "half": 2.0}\n'
        )
        writer.write_timing(1, {"seconds_sample": 1.25})
    assert read_jsonl(tmp_path / "timing.jsonl") == [{"update": 1, "seconds_sample": 1.25}]


def test_nan_is_null_in_jsonl_and_absent_from_tensorboard(tmp_path):
    with MetricsWriter(tmp_path, resume_from=None, written={}) as writer:
        writer.write(1, {"a": float("nan"), "b": jnp.inf, "c": 1.0, "d": None})
    (row,) = read_jsonl(tmp_path / "metrics.jsonl")
    assert row == {"update": 1, "a": None, "b": None, "c": 1.0, "d": None}
    assert board(tmp_path) == {"train/c@1": 1.0}


def test_eval_values_nest_in_jsonl_and_lie_flat_in_tensorboard(tmp_path):
    values = {"split": "test", "pass_at_1": 0.25, "by_stratum": {"汉": 0.5}, "ids": [1, 2]}
    with MetricsWriter(tmp_path, resume_from=None, written={}) as writer:
        writer.write_eval(4, values)
    assert read_jsonl(tmp_path / "eval.jsonl") == [{"update": 4, **values}]
    assert board(tmp_path) == {"eval/test/pass_at_1@4": 0.25, "eval/test/by_stratum/汉@4": 0.5}


def test_resuming_cuts_later_updates_and_a_torn_line(tmp_path):
    with MetricsWriter(tmp_path, resume_from=None, written={}) as writer:
        for update in range(1, 6):
            writer.write(update, {"reward": update / 3})
            writer.write_timing(update, {"seconds_sample": 1.0})
            writer.write_eval(update, {"split": "test"})
    path = tmp_path / "metrics.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"update": 6, "rew')
    with MetricsWriter(tmp_path, resume_from=3, written={}) as writer:
        assert path.read_bytes() == b"".join(whole.splitlines(keepends=True)[:3])
        assert [len(read_jsonl(tmp_path / f"{k}.jsonl")) for k in ("timing", "eval")] == [3, 3]
        for update in (4, 5):
            writer.write(update, {"reward": update / 3})
    assert path.read_bytes() == whole


def test_a_torn_line_of_an_early_update_is_cut_too(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"update": 1}\n{"update": 2}')
    MetricsWriter(tmp_path, resume_from=5, written={}).close()
    assert (tmp_path / "metrics.jsonl").read_text() == '{"update": 1}\n'


def test_starting_anew_empties_the_files(tmp_path):
    with MetricsWriter(tmp_path, resume_from=None, written={}) as writer:
        writer.write(0, {"reward": 1.0})
    MetricsWriter(tmp_path, resume_from=None, written={}).close()
    assert read_jsonl(tmp_path / "metrics.jsonl") == []


def test_a_broken_line_in_the_middle_is_named(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"update": 1}\n{"update": \n{"update": 3}\n')
    with pytest.raises(ValueError, match=r"metrics\.jsonl:2: no JSON"):
        read_jsonl(path)
    path.write_text('{"update": 1}\n{"reward": 2}\n')
    with pytest.raises(ValueError, match=r"metrics\.jsonl:2: got .* wanted an object"):
        MetricsWriter(tmp_path, resume_from=1, written={})


def lose_the_file(path):
    path.unlink()


def lose_a_line(path):
    path.write_bytes(path.read_bytes().split(b"\n", 1)[1])


def change_a_digit(path):
    path.write_bytes(path.read_bytes().replace(b"0.5", b"0.6", 1))


def add_a_line(path):
    path.write_bytes(b'{"update": 1}\n' + path.read_bytes())


@pytest.mark.parametrize("harm", [lose_the_file, lose_a_line, change_a_digit, add_a_line])
@pytest.mark.parametrize("kind", ["metrics", "eval"])
def test_lost_or_changed_lines_are_told_on_resuming(harm, kind, tmp_path):
    with MetricsWriter(tmp_path, resume_from=None, written={}) as writer:
        for update in range(1, 4):
            writer.write(update, {"reward": 0.5})
            writer.write_eval(update, {"split": "é", "reward": 0.5})
        written = writer.sync()
        writer.write(4, {"reward": 0.5})
        writer.write_eval(3, {"split": "after the checkpoint", "reward": 0.5})
    with MetricsWriter(tmp_path, resume_from=3, written=written) as writer:
        assert writer.lost == []
    path = tmp_path / f"{kind}.jsonl"
    harm(path)
    with MetricsWriter(tmp_path, resume_from=3, written=written) as writer:
        assert len(writer.lost) == 1 and str(path) in writer.lost[0]
        assert "lines up to update 3 were lost or changed" in writer.lost[0]
        again = writer.sync()
    with MetricsWriter(tmp_path, resume_from=3, written=again) as writer:
        assert writer.lost == []


def test_a_file_removed_under_a_writer_is_told(tmp_path):
    with MetricsWriter(tmp_path / "run", resume_from=None, written={}) as writer:
        writer.write(1, {"reward": 0.5})
        (tmp_path / "run").rename(tmp_path / "moved")
        with pytest.raises(OSError, match="removed or replaced") as caught:
            writer.write(2, {"reward": 0.5})
        assert caught.value.errno == errno.ESTALE
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "metrics.jsonl").touch()
        with pytest.raises(OSError, match="removed or replaced"):
            writer.write(2, {"reward": 0.5})


def test_misuse_is_refused(tmp_path):
    with MetricsWriter(tmp_path, resume_from=None, written={}) as writer:
        with pytest.raises(ValueError, match=r"update 1\.a: got ndarray"):
            writer.write(1, {"a": np.ones(2)})
        with pytest.raises(ValueError, match="no metric's name"):
            writer.write(1, {"update": 2})
        with pytest.raises(ValueError, match="wanted a 'split'"):
            writer.write_eval(1, {"pass_at_1": 2})
    assert json.dumps(read_jsonl(tmp_path / "metrics.jsonl")) == "[]"


def test_the_votes_of_a_consensus_are_read_off_its_key():
    assert consensus_of([{"pass_at_1": 0.5}, {"cons_at": {"8": 0.5}}]) == "8"
    assert consensus_of([{"loss": 1.0}]) == "k"
