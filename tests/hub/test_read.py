import contextlib
import dataclasses
import json

import jax
import ml_dtypes
import numpy as np
import pytest

from r1jax import sharding
from r1jax.hub import convert, safetensors
from r1jax.hub import read as huggingface
from r1jax.hub import tensors as tensors_of
from r1jax.model import forward

F8 = np.dtype(ml_dtypes.float8_e4m3fn)


@pytest.fixture(autouse=True)
def _nothing_is_small(monkeypatch):
    """Reading goes layer by layer, as of a big model."""
    monkeypatch.setattr(huggingface, "SMALL", 0)


@pytest.fixture
def checkpoint(tmp_path, models, weights):
    """Writes a model's weights as Hugging Face has them, in files of 20 kB; gives the directory."""

    def write(name: str, change=lambda tensors: None):
        w = weights(name)
        leaves = jax.tree_util.tree_leaves_with_path(w.params)
        arrays = {"/".join(k.key for k in path): np.asarray(leaf) for path, leaf in leaves}
        arrays["router_bias"] = np.asarray(w.router_bias_LE)
        table = convert.pieces(models[name], interleaved=True)
        tensors = {p.name: p.theirs(arrays[p.path][p.at]) for p in table}
        change(tensors)
        kinds = {n: (t.dtype, t.shape) for n, t in tensors.items()}
        safetensors.write(tmp_path, kinds, tensors.__getitem__, max_bytes=20_000)
        return tmp_path

    return write


def read(directory, model, mesh=None):
    return huggingface.read_weights(directory, model=model, interleaved=True, mesh=mesh)


@pytest.mark.parametrize("name", ["mla_moe_mtp", "mla_v2", "gqa_bias", "gqa_norm"])
def test_weights_come_back_as_they_were(name, checkpoint, models, weights):
    got, want = read(checkpoint(name), models[name]), weights(name)
    if models[name].moe is not None and models[name].moe.score == "softmax":
        want = want._replace(router_bias_LE=np.zeros_like(want.router_bias_LE))
    jax.tree.map(np.testing.assert_array_equal, got, want)


def test_on_a_mesh_every_tensor_lies_where_it_belongs(checkpoint, models, weights):
    model = models["mla_moe_mtp"]
    mesh = sharding.make_mesh(data=1, expert=2, model=2)
    with jax.set_mesh(mesh):
        got = read(checkpoint("mla_moe_mtp"), model, mesh)
        want = sharding.place(weights("mla_moe_mtp"), mesh, forward.logical_axes(model))
    jax.tree.map(np.testing.assert_array_equal, got, want)
    same = jax.tree.map(lambda a, b: a.sharding == b.sharding, got.params, want.params)
    assert all(jax.tree.leaves(same))


@pytest.mark.parametrize("mesh", [False, True])
def test_array_by_array_a_model_is_the_same(mesh, checkpoint, models, weights, monkeypatch):
    monkeypatch.setattr(huggingface, "SMALL", 10**9)
    directory, model = checkpoint("mla_moe_mtp"), models["mla_moe_mtp"]
    devices = sharding.make_mesh(data=1, expert=2, model=2) if mesh else None
    with jax.set_mesh(devices) if devices else contextlib.nullcontext():
        whole = read(directory, model, devices)
        monkeypatch.setattr(huggingface, "SMALL", 0)
        by_layer = read(directory, model, devices)
    jax.tree.map(np.testing.assert_array_equal, whole, by_layer)
    same = jax.tree.map(lambda a, b: a.sharding == b.sharding, whole.params, by_layer.params)
    assert all(jax.tree.leaves(same))


def quantise(tensors):
    """Float8 with a scale per block of 128 x 128, for one matrix; the scales go to the end."""
    name = "model.layers.0.mlp.gate_proj.weight"
    whole = tensors.pop(name)
    blocks = tuple(-(-n // 128) for n in whole.shape)
    scale = np.random.default_rng(0).uniform(0.5, 2, blocks).astype(np.float32)
    tensors[name] = whole.astype(F8)
    tensors["model.embed_tokens.weight"] = tensors.pop("model.embed_tokens.weight")
    tensors[f"{name}_scale_inv"] = scale


def test_float8_blocks_are_multiplied_by_their_scales():
    rng = np.random.default_rng(0)
    weight, scale = rng.normal(size=(130, 257)).astype(F8), rng.random((2, 3), np.float32)
    got = tensors_of.dequantise(weight, scale, "w")
    for i, j in ((0, 0), (127, 127), (128, 127), (129, 256), (5, 128)):
        assert got[i, j] == np.float32(weight[i, j]) * scale[i // 128, j // 128]
    with pytest.raises(ValueError, match=r"w_scale_inv: got scales \(3, 2\), wanted \(2, 3\)"):
        tensors_of.dequantise(weight, scale.T, "w")


def test_a_scale_may_stand_in_another_file(checkpoint, models):
    directory = checkpoint("gqa_bias", quantise)
    name = "model.layers.0.mlp.gate_proj.weight"
    files = safetensors.find(directory)
    assert files[name].file != files[f"{name}_scale_inv"].file
    up = read(directory, models["gqa_bias"]).params["dense_layers"]["mlp"]["up"]
    want = tensors_of.dequantise(
        safetensors.read(files[name]), safetensors.read(files[f"{name}_scale_inv"]), name
    )
    np.testing.assert_array_equal(up[0, :, 0], want.T)


def drop(name):
    return lambda tensors: tensors.pop(name)


def put(name, value):
    return lambda tensors: tensors.update({name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            drop("model.layers.0.self_attn.q_proj.bias"),
            r"missing \['model.layers.0.*q_proj.bias'\]",
        ),
        (put("model.extra", np.ones(2, np.float32)), r"unexpected \['model.extra'\]"),
        (put("model.norm.weight", np.ones(3, np.float32)), r"model.norm.weight: \[3\], wanted"),
        (put("model.norm.weight", np.ones(64, np.int8)), "model.norm.weight"),
        (
            lambda t: t.update(
                {
                    "model.norm.weight": np.ones(32, F8),
                    "model.norm.weight_scale_inv": np.ones((1, 1), np.float32),
                }
            ),
            "model.norm.weight: float8, wanted so only of matrices",
        ),
        (put("model.norm.weight", np.ones(32, F8)), r"missing \['model.norm.weight_scale_inv'\]"),
    ],
)
def test_what_does_not_fit_is_told_by_name(change, message, checkpoint, models):
    with pytest.raises(ValueError, match=message):
        read(checkpoint("gqa_bias", change), models["gqa_bias"])


def test_a_damaged_file_is_named(checkpoint, models):
    directory = checkpoint("gqa_bias")
    index = json.loads((directory / safetensors.INDEX).read_text())["weight_map"]
    file = directory / index["model.norm.weight"]
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(ValueError, match=f"{file.name}.*truncated"):
        read(directory, models["gqa_bias"])


def test_a_config_with_fewer_layers_than_the_files_is_refused(checkpoint, models):
    shallow = dataclasses.replace(models["gqa_bias"], n_layers=1, n_dense_layers=1)
    with pytest.raises(ValueError, match=r"unexpected \['model\.layers\.1\..*of 12"):
        read(checkpoint("gqa_bias"), shallow)


def test_an_array_that_a_mesh_does_not_divide_is_named(checkpoint, models):
    mesh = sharding.make_mesh(data=1, expert=1, model=4)
    with (
        jax.set_mesh(mesh),
        pytest.raises(ValueError, match=r"attention/.* has heads = 2, which 4 devices"),
    ):
        read(checkpoint("gqa_norm"), models["gqa_norm"], mesh)
