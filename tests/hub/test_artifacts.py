import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from r1jax.hub import safetensors
from r1jax.hub.artifacts import load_model, open_model, resolve, save_model
from r1jax.hub.weights import save_weights
from r1jax.io.digests import digest
from r1jax.model import forward
from r1jax.model.config import ExecutionConfig
from r1jax.text.tokenizer import train_sentencepiece


@pytest.fixture
def directory(nano_base, tmp_path):
    """A copy of a model directory, to be damaged."""
    return shutil.copytree(nano_base, tmp_path / "model")


def test_what_is_saved_is_loaded_bit_for_bit(nano_base, tmp_path):
    weights, model, tokenizer = load_model(str(nano_base))
    made_by = {"command": "r1jax", "config": {"lr": 1e-3}}
    save_model(tmp_path / "a/b", weights, model=model, tokenizer=tokenizer, made_by=made_by)
    again, same_model, same_tokenizer = load_model(str(tmp_path / "a/b"))
    assert digest(again) == digest(weights) and same_model == model
    assert same_tokenizer.model == tokenizer.model
    kept = json.loads((tmp_path / "a/b/config.json").read_text())
    assert kept["made_by"] == made_by
    for name in ("weights.safetensors", "tokenizer.model"):
        assert (tmp_path / "a/b" / name).read_bytes() == (nano_base / name).read_bytes()


@pytest.mark.parametrize("name", ["gqa_bias", "mla_moe_mtp"])
def test_dense_and_mtp_networks_travel_too(name, models, nano_base, tmp_path):
    _, _, tokenizer = load_model(str(nano_base))
    model = dataclasses.replace(models[name], vocab_size=448, n_tokens=tokenizer.size)
    weights = forward.init(jax.random.key(1), config=model)
    save_model(tmp_path, weights, model=model, tokenizer=tokenizer, made_by={})
    again, same_model, _ = load_model(str(tmp_path))
    assert digest(again) == digest(weights) and same_model == model
    assert again.router_bias_LE.shape == weights.router_bias_LE.shape


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors", "tokenizer.model"])
def test_a_missing_file_is_named(directory, name):
    (directory / name).unlink()
    with pytest.raises(ValueError, match=rf"lacks .*{name}"):
        load_model(str(directory))


def test_a_packaged_model_is_looked_for_in_the_package():
    assert resolve("package:tiny_base").parts[-3:] == ("r1jax", "assets", "tiny_base")
    with pytest.raises(ValueError, match=r"model package:nothing: .*assets/nothing lacks"):
        load_model("package:nothing")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_opened_a_model_is_held_as_asked_and_its_router_in_float32(dtype, nano_base):
    how = ExecutionConfig(
        param_dtype=dtype, compute_dtype="float32", scan_layers=True, remat=True,
        dispatch="dense", block_size=0,
    )  # fmt: skip
    weights, model, _ = open_model(str(nano_base), how=how, mesh=None)
    assert (model.param_dtype, model.scan_layers, model.remat) == (dtype, True, True)
    assert model.moe is not None and model.moe.dispatch == "dense"
    want = jax.eval_shape(lambda: forward.init(jax.random.key(0), config=model))
    assert jax.tree.map(lambda x: x.dtype, weights) == jax.tree.map(lambda x: x.dtype, want)
    assert weights.params["moe_layers"]["experts"]["gate"].dtype == np.float32
    assert weights.params["embedding"].dtype == dtype


@pytest.mark.parametrize("kept", [0, 7, 100, -1])
def test_truncated_weights_are_named(directory, kept):
    path = directory / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"weights\.safetensors: .*truncated"):
        load_model(str(directory))


def test_a_damaged_tokenizer_is_named(directory):
    (directory / "tokenizer.model").write_bytes(b"not one")
    with pytest.raises(ValueError, match=r"tokenizer\.model is no sentencepiece model"):
        load_model(str(directory))


def test_a_tokenizer_of_another_model_is_refused(directory):
    foreign = train_sentencepiece((f"{i} foreign" for i in range(99)), vocab_size=300)
    (directory / "tokenizer.model").write_bytes(foreign.model)
    with pytest.raises(ValueError, match=r"its tokenizer \(\d+ ids.*does not match weights"):
        load_model(str(directory))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"config\.json: not JSON"),
        ("{}", r"config\.json: model: unknown keys \[\], missing keys"),
        ('{"model": {"d_modle": 3}}', "did you mean 'd_model' for 'd_modle'"),
        ("[]", r"config\.json: got \[\], wanted an object"),
    ],
)
def test_a_damaged_config_is_named(directory, text, message):
    (directory / "config.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_model(str(directory))


def changed(directory, change) -> None:
    path = directory / "weights.safetensors"
    tensors, (_, metadata) = load_file(path), safetensors.read_header(path)
    change(tensors)
    save_file(tensors, path, metadata=metadata)


def test_a_missing_an_unexpected_and_a_misshapen_tensor_are_named(directory):
    name = sorted(k for k in load_file(directory / "weights.safetensors") if "embed" in k)[0]

    def change(tensors):
        tensors["params/extra"] = np.zeros(3, np.float32)
        tensors[name] = tensors[name][:, 1:].copy()
        del tensors[sorted(t for t in tensors if "norm" in t)[0]]

    changed(directory, change)
    with pytest.raises(ValueError) as told:
        load_model(str(directory))
    message = str(told.value)
    assert "unexpected ['params/extra']" in message and "missing ['params/" in message
    assert "norm" in message.split("unexpected [")[0]
    assert "got ((448, 31), 'float32'), wanted ((448, 32), 'float32')" in message


def test_a_tensor_of_another_dtype_and_a_misshapen_router_bias_are_named(directory):
    def change(tensors):
        tensors["router_bias"] = tensors["router_bias"][:, :-1].copy()

    changed(directory, change)
    with pytest.raises(ValueError, match=r"router_bias: .*\(1, 3\).*wanted.*\(1, 4\)"):
        load_model(str(directory))


def test_weights_without_params_are_refused(directory, nano_base):
    _, metadata = safetensors.read_header(nano_base / "weights.safetensors")
    path = directory / "weights.safetensors"
    save_weights(path, {"other": np.zeros(2, np.float32)}, metadata)
    with pytest.raises(ValueError, match="missing \\['params/dense_layers"):
        load_model(str(directory))
