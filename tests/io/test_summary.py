import dataclasses
import json
import os
import platform

import pytest

from r1jax.io.summary import (
    check_writable,
    facts,
    peak_memory_bytes,
    write_run_summary,
    write_summary,
)


def test_summary_is_replaced_whole_or_not_at_all(tmp_path):
    path = write_summary(tmp_path, {"b": 1, "a": {"note": "汉"}})
    assert json.loads(path.read_text()) == {"b": 1, "a": {"note": "汉"}}
    with pytest.raises(ValueError, match="JSON"):
        write_summary(tmp_path, {"b": float("nan")})
    with pytest.raises(TypeError):
        write_summary(tmp_path, {"b": object()})
    assert json.loads(path.read_text())["b"] == 1
    assert os.listdir(tmp_path) == ["summary.json"]


@dataclasses.dataclass(frozen=True)
class Seeded:
    pipeline: str
    seed: int


@dataclasses.dataclass(frozen=True)
class Unseeded:
    pipeline: str


@pytest.mark.parametrize(("config", "seed"), [(Seeded("x", 3), {"seed": 3}), (Unseeded("x"), {})])
def test_every_run_tells_config_seed_devices_and_memory(config, seed, tmp_path):
    summary = write_run_summary(tmp_path, config, {"rows": 2})
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert summary.pop("peak_memory_bytes")["host"] > 0
    flat = dataclasses.asdict(config)
    assert summary == {"pipeline": "x", "config": flat, **seed, **facts(), "rows": 2}


def test_facts_name_device_and_versions_but_not_the_machine():
    got = facts()
    assert got["platform"] == "cpu" and got["device_count"] >= 1
    assert set(got["versions"]) == {
        *(
            "python",
            "jax",
            "jaxlib",
            "flax",
            "optax",
            "orbax-checkpoint",
            "grain",
            "numpy",
            "r1jax",
        ),
        *("mpmath", "tokenizers", "sentencepiece"),
    }
    assert got["versions"]["python"] == platform.python_version()
    assert platform.node() not in json.dumps(got)


def test_peak_memory_is_in_bytes_and_only_rises():
    before = peak_memory_bytes()["host"]
    block = bytearray(before + (64 << 20))
    after = peak_memory_bytes()["host"]
    assert (10 << 20) < before < (1 << 40) and after >= before
    del block


def test_a_writable_directory_is_made_and_left_empty(tmp_path):
    check_writable(tmp_path / "a" / "b")
    assert os.listdir(tmp_path / "a" / "b") == []


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match=r"file: is a file, wanted a directory"):
        check_writable(tmp_path / "file")
    with pytest.raises(ValueError, match=r"c/d: .*/file is a file, wanted a directory"):
        check_writable(tmp_path / "file" / "c" / "d")


def test_what_the_system_refuses_is_told_with_its_reason():
    with pytest.raises(ValueError, match=r"workdir /proc/r1jax/run: cannot be written: "):
        check_writable("/proc/r1jax/run")


def test_a_disk_that_takes_no_bytes_is_told(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ValueError, match="cannot be written: No space left on device"):
        check_writable(tmp_path)
