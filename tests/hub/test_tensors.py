import dataclasses

import jax
import ml_dtypes
import numpy as np
import pytest

from r1jax.hub import convert, read, safetensors
from r1jax.hub import tensors as tensors_of
from r1jax.hub.tensors import EMBEDDING, HEAD
from r1jax.model import rotary

F8 = np.dtype(ml_dtypes.float8_e4m3fn)


@pytest.fixture
def contents(models, weights):
    """The tensors of a network as a checkpoint has them, copies left out."""

    def of(name: str) -> dict[str, np.ndarray]:
        w = weights(name)
        leaves = jax.tree_util.tree_leaves_with_path(w.params)
        arrays = {"/".join(k.key for k in path): np.asarray(leaf) for path, leaf in leaves}
        arrays["router_bias"] = np.asarray(w.router_bias_LE)
        table = convert.pieces(models[name], interleaved=True)
        return {p.name: p.theirs(arrays[p.path][p.at]) for p in table}

    return of


def write(directory, tensors):
    kinds = {n: (t.dtype, t.shape) for n, t in tensors.items()}
    safetensors.write(directory, kinds, tensors.__getitem__, max_bytes=10**9)
    return tensors_of.find(directory)


def fuse(tensors, layer: int, n_experts: int) -> None:
    """Puts the experts of a layer into two tensors, as transformers 5 holds them."""
    prefix = f"model.layers.{layer}.mlp.experts"

    def take(e, part):
        return tensors.pop(f"{prefix}.{e}.{part}_proj.weight")

    both = [np.concatenate([take(e, "gate"), take(e, "up")]) for e in range(n_experts)]
    tensors[f"{prefix}.gate_up_proj"] = np.stack(both)
    tensors[f"{prefix}.down_proj"] = np.stack([take(e, "down") for e in range(n_experts)])


def test_fused_experts_are_read_one_by_one(contents, models, weights, tmp_path):
    model, tensors = models["mla_moe"], contents("mla_moe")
    assert model.moe is not None
    for layer in range(model.n_dense_layers, model.n_layers):
        fuse(tensors, layer, model.moe.n_experts)
    write(tmp_path, tensors)
    again = read.read_weights(tmp_path, model=model, interleaved=True, mesh=None)
    jax.tree.map(np.testing.assert_array_equal, again, weights("mla_moe"))


def test_experts_that_are_there_twice_are_refused(contents, models, tmp_path):
    tensors = contents("mla_moe")
    kept = dict(tensors)
    fuse(tensors, 2, models["mla_moe"].moe.n_experts)
    with pytest.raises(ValueError, match=r"layers\.2\.mlp\.experts.*is there twice"):
        write(tmp_path, kept | tensors)


def test_a_head_of_its_own_unties_the_model(contents, models, tmp_path, capsys):
    tied, tensors = models["gqa_bias"], contents("gqa_bias")
    assert tied.tie_embeddings and HEAD not in tensors
    for copy in ({}, {HEAD: tensors[EMBEDDING]}):
        assert tensors_of.fitted(tied, write(tmp_path, tensors | copy), tmp_path) == tied
    assert not capsys.readouterr().err
    files = write(tmp_path, tensors | {HEAD: tensors[EMBEDDING] + np.float32(1e-3)})
    untied = tensors_of.fitted(tied, files, tmp_path)
    assert untied == dataclasses.replace(tied, tie_embeddings=False)
    assert (
        "tie_word_embeddings is true, but lm_head differs: read untied" in capsys.readouterr().err
    )
    with pytest.raises(ValueError, match=f"{HEAD} differs from {EMBEDDING}"):
        read.read_weights(tmp_path, model=tied, interleaved=True, mesh=None)


def test_an_mtp_module_that_is_not_there_is_left_out(contents, models, tmp_path, capsys):
    with_mtp = dataclasses.replace(models["mla_moe"], mtp=True)
    files = write(tmp_path, contents("mla_moe"))
    assert tensors_of.fitted(with_mtp, files, tmp_path) == models["mla_moe"]
    assert "no MTP module, though the config does: read without it" in capsys.readouterr().err
    files = write(tmp_path, contents("mla_moe_mtp"))
    assert tensors_of.fitted(models["mla_moe_mtp"], files, tmp_path) == models["mla_moe_mtp"]
    assert not capsys.readouterr().err


def test_an_mtp_module_that_nobody_reads_is_refused(contents, models, tmp_path):
    model = dataclasses.replace(models["mla_moe_mtp"], mtp=False)
    write(tmp_path, contents("mla_moe_mtp"))
    with pytest.raises(ValueError, match=r"unexpected .*num_nextn_predict_layers 1 reads"):
        read.read_weights(tmp_path, model=model, interleaved=True, mesh=None)


@pytest.mark.parametrize("index", [0, 1])
def test_copies_in_the_mtp_module_must_be_copies(index, contents, models, tmp_path):
    model, tensors = models["mla_moe_mtp"], contents("mla_moe_mtp")
    copy, name = list(convert.copies(model).items())[index]
    write(tmp_path, tensors | {copy: tensors[name]})
    read.read_weights(tmp_path, model=model, interleaved=True, mesh=None)
    write(tmp_path, tensors | {copy: tensors[name] * np.float32(1.01)})
    with pytest.raises(ValueError, match=f"{copy} differs from {name}"):
        read.read_weights(tmp_path, model=model, interleaved=True, mesh=None)


def test_an_old_table_of_frequencies_must_be_the_configs(contents, models, tmp_path):
    model, tensors = models["gqa_norm"], contents("gqa_norm")
    name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    table = rotary.frequencies(model.rope, model.attention.rotary_dim)
    write(tmp_path, tensors | {name: table.astype(ml_dtypes.bfloat16)})
    read.read_weights(tmp_path, model=model, interleaved=True, mesh=None)
    write(tmp_path, tensors | {name: table / 4})
    with pytest.raises(ValueError, match=f"{name} holds other rotary frequencies"):
        read.read_weights(tmp_path, model=model, interleaved=True, mesh=None)


def test_shared_experts_without_a_number_may_stand_there(contents, models, tmp_path):
    model, tensors = models["mla_moe"], contents("mla_moe")
    model = dataclasses.replace(model, moe=dataclasses.replace(model.moe, n_shared_experts=0))
    shared = [n for n in tensors if "shared_experts" in n]
    assert shared
    for name in shared:
        rows, columns = tensors[name].shape
        empty = (rows, 0) if "down_proj" in name else (0, columns)
        tensors[name] = np.empty(empty, np.float32)
    write(tmp_path, tensors)
    read.read_weights(tmp_path, model=model, interleaved=True, mesh=None)
    write(tmp_path, contents("mla_moe"))
    with pytest.raises(ValueError, match=r"unexpected \['model\.layers\.\d\.mlp\.shared_experts"):
        read.read_weights(tmp_path, model=model, interleaved=True, mesh=None)


def test_more_layers_or_experts_than_files_are_named(contents, models, tmp_path):
    model = models["mla_moe"]
    files = write(tmp_path, contents("mla_moe"))
    deep = dataclasses.replace(model, n_layers=10**6)
    with pytest.raises(
        ValueError, match="num_hidden_layers is 1000000, but its files have 3 layers"
    ):
        tensors_of.fitted(deep, files, tmp_path)
    wide = dataclasses.replace(model, moe=dataclasses.replace(model.moe, n_experts=10**9))
    with pytest.raises(
        ValueError, match=r"n_routed_experts is 1000000000, but its files have \d+$"
    ):
        tensors_of.fitted(wide, files, tmp_path)
    with pytest.raises(ValueError, match="num_hidden_layers is 1000000, but its files have 0"):
        tensors_of.fitted(deep, {}, tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16, np.float64])
def test_a_weight_that_is_not_finite_is_named(dtype, value, tmp_path):
    good = np.linspace(-3, 3, 70_000).astype(dtype)
    bad = good.copy()
    bad[[5, 69_999]] = value
    files = write(tmp_path, {"good": good, "bad": bad})
    np.testing.assert_array_equal(tensors_of.read(files, "good"), good.astype(np.float32))
    with pytest.raises(ValueError, match=r"bad: 2 of its 70000 values are NaN or infinite"):
        tensors_of.read(files, "bad")


def test_a_number_too_big_for_float32_is_named(tmp_path):
    files = write(tmp_path, {"w": np.array([1.0, 1e300])})
    with pytest.raises(ValueError, match=r"w: 1 of its 2 values are NaN or infinite"):
        tensors_of.read(files, "w")


@pytest.mark.parametrize("name", ["w", "w_scale_inv"])
def test_float8_and_its_scales_are_finite_too(name, tmp_path):
    tensors = {"w": np.full((3, 3), 2, F8), "w_scale_inv": np.full((1, 1), 0.5, np.float32)}
    assert (tensors_of.read(write(tmp_path, tensors), "w") == 1).all()
    tensors[name][0, 0] = np.nan
    with pytest.raises(ValueError, match=rf"{name}: 1 of its \d values are NaN"):
        tensors_of.read(write(tmp_path, tensors), "w")


def test_scales_that_are_no_floats_are_refused(contents, models, tmp_path):
    tensors = contents("gqa_bias")
    name = "model.layers.0.mlp.gate_proj.weight"
    shape = tuple(-(-n // 128) for n in tensors[name].shape)
    tensors[name] = tensors[name].astype(F8)
    tensors[f"{name}_scale_inv"] = np.full(shape, 127, np.uint8)  # exponents, as some write them
    write(tmp_path, tensors)
    with pytest.raises(ValueError, match=rf"{name}_scale_inv: uint8, wanted floats"):
        read.read_weights(tmp_path, model=models["gqa_bias"], interleaved=True, mesh=None)
