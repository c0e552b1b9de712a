import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from r1jax.hub import safetensors
from r1jax.hub.artifacts import (
    load_model,
    open_model,
    resolve,
    save_model,
    warn_beyond_window,
)
from r1jax.io.digests import digest
from r1jax.model import forward
from r1jax.model.config import ExecutionConfig
from r1jax.text.tokenizer import train_sentencepiece

HOW = ExecutionConfig(
    param_dtype="float32",
    compute_dtype="float32",
    scan_layers=True,
    remat=True,
    attention_block=64,
    numerics="fast",
    dispatch="dense",
    block_size=0,
)
EMBEDDING = "model.embed_tokens.weight"
BIAS = "model.layers.1.mlp.gate.e_score_correction_bias"


@pytest.fixture
def directory(nano_base, tmp_path):
    """A copy of a model directory, to be damaged."""
    return shutil.copytree(nano_base, tmp_path / "model")


def test_what_is_saved_is_loaded_bit_for_bit(nano_base, tmp_path):
    weights, model, tokenizer = load_model(str(nano_base))
    made_by = {"command": "r1jax", "config": {"lr": 1e-3, "language": "中文"}}
    save_model(tmp_path / "a/b", weights, model=model, tokenizer=tokenizer, made_by=made_by)
    again, same_model, same_tokenizer = load_model(str(tmp_path / "a/b"))
    assert digest(again) == digest(weights) and same_model == model
    assert same_tokenizer.model == tokenizer.model
    assert json.loads((tmp_path / "a/b/made_by.json").read_text()) == made_by
    assert {p.name for p in nano_base.iterdir()} == {p.name for p in (tmp_path / "a/b").iterdir()}
    for path in nano_base.iterdir():
        if path.name != "made_by.json":
            assert (tmp_path / "a/b" / path.name).read_bytes() == path.read_bytes()


def test_another_program_reads_what_is_saved(nano_base, tmp_path):
    """Without our key in config.json it is the same network, with the ids of tokenizer.json."""
    directory = shutil.copytree(nano_base, tmp_path / "model")
    document = json.loads((directory / "config.json").read_text())
    del document["r1jax"]
    (directory / "config.json").write_text(json.dumps(document))
    (directory / "tokenizer.model").unlink()
    weights, _, tokenizer = load_model(str(nano_base))
    again, model, hf_tokenizer = open_model(str(directory), how=HOW, mesh=None)
    assert digest(again) == digest(weights) and model.n_tokens == tokenizer.size
    assert hf_tokenizer.encode("3 * 4 = 12, 等等") == tokenizer.encode("3 * 4 = 12, 等等")
    assert hf_tokenizer.stop_ids == tokenizer.stop_ids


@pytest.mark.parametrize("name", ["config.json", "tokenizer.model"])
def test_a_missing_file_is_named(directory, name):
    (directory / name).unlink()
    with pytest.raises(ValueError, match=rf"lacks .*{name}"):
        load_model(str(directory))


def test_missing_weights_are_named(directory):
    (directory / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="model: 0 safetensors files, wanted one"):
        load_model(str(directory))


def test_a_packaged_model_is_looked_for_in_the_package():
    assert resolve("package:tiny_base").parts[-3:] == ("hub", "assets", "tiny_base")
    with pytest.raises(ValueError, match=r"model package:nothing: .*assets/nothing lacks"):
        load_model("package:nothing")


@pytest.mark.parametrize(
    ("name", "weights_sha256", "tokenizer_sha256"),
    [
        ("tiny_base", "69e8c5c97bbe7977", "0b67fea6199761a5"),
        ("tiny_r1_base", "574bb24b0dc15e39", "334049af2be6cdfc"),
        ("tiny_r1_student", "362176c6cc6567fd", "334049af2be6cdfc"),
    ],
)
def test_the_shipped_bases_are_the_ones_we_trained(name, weights_sha256, tokenizer_sha256):
    weights, _, tokenizer = load_model(f"package:{name}")
    assert digest(weights).startswith(weights_sha256)
    assert tokenizer.fingerprint.startswith(tokenizer_sha256)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_model_is_held_as_asked_and_its_router_in_float32(dtype, nano_base):
    how = dataclasses.replace(HOW, param_dtype=dtype)
    weights, model, _ = open_model(str(nano_base), how=how, mesh=None)
    assert (model.param_dtype, model.scan_layers, model.remat) == (dtype, True, True)
    assert model.moe is not None and model.moe.dispatch == "dense"
    want = jax.eval_shape(lambda: forward.init(jax.random.key(0), config=model))
    assert jax.tree.map(lambda x: x.dtype, weights) == jax.tree.map(lambda x: x.dtype, want)
    assert weights.params["moe_layers"]["experts"]["gate"].dtype == np.float32
    assert weights.params["embedding"].dtype == dtype


@pytest.mark.parametrize("kept", [0, 7, 100, -1])
def test_truncated_weights_are_named(directory, kept):
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"model\.safetensors: .*truncated"):
        load_model(str(directory))


def test_a_damaged_tokenizer_is_named(directory):
    (directory / "tokenizer.model").write_bytes(b"not one")
    with pytest.raises(ValueError, match=r"tokenizer\.model is no sentencepiece model"):
        load_model(str(directory))


def test_a_tokenizer_of_another_model_is_refused(directory):
    foreign = train_sentencepiece((f"{i} foreign" for i in range(99)), vocab_size=300)
    (directory / "tokenizer.model").write_bytes(foreign.model)
    with pytest.raises(ValueError, match=r"its tokenizer \(\d+ ids.*does not match config"):
        load_model(str(directory))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"config\.json: not JSON"),
        ("{}", r"config\.json: lacks 'r1jax', so the caller must say how"),
        ('{"r1jax": {"execution": {"remta": 1}}}', "did you mean 'remat' for 'remta'"),
        ("[]", r"config\.json: got \[\], wanted an object"),
    ],
)
def test_a_damaged_config_is_named(directory, text, message):
    (directory / "config.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_model(str(directory))


def test_a_directory_without_an_architecture_is_refused(directory):
    (directory / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"config\.json: model_type is None, r1jax has only"):
        open_model(str(directory), how=HOW, mesh=None)


def changed(directory, change) -> None:
    path = directory / "model.safetensors"
    tensors, (_, metadata) = load_file(path), safetensors.read_header(path)
    change(tensors)
    save_file(tensors, path, metadata=metadata)


def test_tensors_that_do_not_fit_are_named(directory):
    def change(tensors):
        tensors["model.extra"] = np.zeros(3, np.float32)
        tensors[EMBEDDING] = tensors[EMBEDDING][:, 1:].copy()
        del tensors["model.norm.weight"]

    changed(directory, change)
    with pytest.raises(ValueError) as error:
        load_model(str(directory))
    message = str(error.value)
    assert "missing ['model.norm.weight'], unexpected ['model.extra']" in message
    assert f"{EMBEDDING}: [448, 31], wanted [448, 32]" in message


def test_a_misshapen_router_bias_is_named(directory):
    def change(tensors):
        tensors[BIAS] = tensors[BIAS][:-1].copy()

    changed(directory, change)
    with pytest.raises(ValueError, match=rf"{BIAS}: \[3\], wanted \[4\]"):
        load_model(str(directory))


def test_weights_of_another_network_are_refused(directory):
    values = np.zeros(2, np.float32)
    save_file({"other": values}, directory / "model.safetensors")
    with pytest.raises(ValueError, match=r"missing \['lm_head.weight'.*unexpected \['other'\]"):
        load_model(str(directory))


def test_a_run_beyond_the_models_window_is_told(directory, capsys):
    path = directory / "config.json"

    def ask(longest):
        return warn_beyond_window(str(directory), longest=longest, keys="max_new_tokens")

    ask(10**6)  # a config that promises nothing
    path.write_text(json.dumps({**json.loads(path.read_text()), "max_position_embeddings": 64}))
    ask(64)
    assert not capsys.readouterr().err
    ask(65)
    message = capsys.readouterr().err
    assert f"{path}: max_position_embeddings is 64, but max_new_tokens make up to 65" in message
    assert message.count("\n") == 1
