import os
import subprocess
import sys
from typing import Any, NamedTuple

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file

from r1jax.hub import safetensors
from r1jax.hub.weights import save_weights
from r1jax.io.digests import leaves_by_path


class Weights(NamedTuple):
    params: Any
    router_bias_LE: Any


def tree() -> Weights:
    layers = [
        {"w": jnp.arange(6, dtype=jnp.bfloat16).reshape(2, 3), "b": None},
        {"w": jnp.ones(())},
    ]
    return Weights({"layers": layers, "n": np.arange(4, dtype=np.int64)}, jnp.zeros((0, 8)))


def load(path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    tensors, metadata = safetensors.read_header(path)
    return {name: safetensors.read(tensor) for name, tensor in tensors.items()}, metadata


def test_round_trip_keeps_every_bit_and_name(tmp_path):
    save_weights(tmp_path / "w.safetensors", tree(), {"tokenizer": "bytes", "note": "é\n"})
    got, metadata = load(tmp_path / "w.safetensors")
    assert metadata == {"tokenizer": "bytes", "note": "é\n"}
    assert list(got) == sorted(leaves_by_path(tree()))
    for name, leaf in leaves_by_path(tree()).items():
        assert got[name].dtype == leaf.dtype
        np.testing.assert_array_equal(got[name], leaf)
    assert got["params/layers/0/w"].dtype == ml_dtypes.bfloat16
    assert got["params/layers/1/w"].shape == ()
    assert load_file(tmp_path / "w.safetensors").keys() == got.keys()  # the library reads it too


def test_dotted_names_stay_as_they_are(tmp_path):
    save_weights(tmp_path / "w", {"model.layers.0.weight": np.ones(2)}, {})
    got, metadata = load(tmp_path / "w")
    assert list(got) == ["model.layers.0.weight"] and metadata == {}


def test_transposed_arrays_are_written_in_their_order(tmp_path):
    array = np.arange(6.0).reshape(2, 3).T
    save_weights(tmp_path / "w", {"a": array}, {})
    np.testing.assert_array_equal(load(tmp_path / "w")[0]["a"], array)


def test_another_process_writes_the_same_bytes(tmp_path):
    code = (
        "import sys, numpy as np; from r1jax.hub.weights import save_weights\n"
        "save_weights(sys.argv[1], {k: np.ones(2) for k in sys.argv[2]}, {k: k for k in 'qwertyu'})"
    )
    for name, order in (("a", "xyz"), ("b", "zyx")):
        environment = {**os.environ, "PYTHONHASHSEED": "7", "JAX_PLATFORMS": "cpu"}
        command = [sys.executable, "-c", code, str(tmp_path / name), order]
        subprocess.run(command, check=True, env=environment)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("keep", [0, 4, 40, -1])
def test_a_truncated_file_is_named(tmp_path, keep):
    path = tmp_path / "w.safetensors"
    save_weights(path, tree(), {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"w\.safetensors: "):
        load(path)


def test_a_foreign_or_missing_file_is_named(tmp_path):
    (tmp_path / "text").write_text("no weights here, only words and more words")
    with pytest.raises(ValueError, match=r"text: .*truncated, or no safetensors file"):
        load(tmp_path / "text")
    with pytest.raises(FileNotFoundError, match="absent"):
        load(tmp_path / "absent")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w"
    save_weights(path, {"a": np.ones(2)}, {})
    before = path.read_bytes()

    def disk_full(_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("r1jax.hub.safetensors.os.fsync", disk_full)
    with pytest.raises(OSError, match="No space left"):
        save_weights(path, {"a": np.zeros(2)}, {})
    assert path.read_bytes() == before


def test_what_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(ValueError, match="got 0 arrays"):
        save_weights(tmp_path / "w", {"a": None}, {})
    with pytest.raises(ValueError, match="but only 1 names"):
        save_weights(tmp_path / "w", {"a/b": np.ones(1), "a": {"b": np.ones(1)}}, {})
