import dataclasses

import jax
import numpy as np
import pytest

from r1jax.hub import convert
from r1jax.model import forward
from r1jax.types import Weights

NAMES = ["mla_moe_mtp", "mla_moe", "mla_v2", "gqa_bias", "gqa_norm"]


def arrays_of(weights: Weights) -> dict[str, np.ndarray]:
    leaves = jax.tree_util.tree_leaves_with_path(weights.params)
    arrays = {"/".join(k.key for k in path): np.asarray(leaf) for path, leaf in leaves}
    return arrays | {"router_bias": np.asarray(weights.router_bias_LE)}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("interleaved", [True, False])
def test_there_and_back_every_number_is_its_own(name, interleaved, models, weights):
    arrays = arrays_of(weights(name))
    table = convert.pieces(models[name], interleaved=interleaved)
    back = {path: np.full_like(array, np.nan) for path, array in arrays.items()}
    for piece in table:
        tensor = piece.theirs(arrays[piece.path][piece.at])
        assert tensor.shape == piece.shape
        assert np.isnan(back[piece.path][piece.at]).all(), f"{piece.name} overlaps another"
        back[piece.path][piece.at] = piece.ours(tensor)
    if models[name].moe is not None and models[name].moe.score == "softmax":
        del back["router_bias"]  # such checkpoints have none
    for path, array in back.items():
        np.testing.assert_array_equal(array, arrays[path], err_msg=path)


def test_pairs_side_by_side_come_to_lie_half_the_width_apart(models):
    """Scores with the interleaved rotation equal ours after the change, and not without it."""
    a = models["mla_moe"].attention
    table = {p.name: p for p in convert.pieces(models["mla_moe"], interleaved=True)}
    rows = np.arange(a.n_heads * (a.nope_dim + a.rope_dim) * a.q_lora_rank, dtype=np.float32)
    piece = table["model.layers.0.self_attn.q_b_proj.weight"]
    ours = piece.ours(rows.reshape(piece.shape))
    theirs = rows.reshape(a.n_heads, a.nope_dim + a.rope_dim, a.q_lora_rank)
    half = a.rope_dim // 2
    for j in range(half):
        first, second = a.nope_dim + 2 * j, a.nope_dim + 2 * j + 1
        np.testing.assert_array_equal(ours[:, :, a.nope_dim + j], theirs[:, first].T)
        np.testing.assert_array_equal(ours[:, :, a.nope_dim + half + j], theirs[:, second].T)
    np.testing.assert_array_equal(ours[:, :, 0], theirs[:, 0].T)


def test_the_mtp_module_of_the_release_holds_two_copies(models):
    with_mtp = dataclasses.replace(models["mla_moe"], mtp=True)
    assert convert.copies(with_mtp) == {
        "model.layers.3.embed_tokens.weight": "model.embed_tokens.weight",
        "model.layers.3.shared_head.head.weight": "lm_head.weight",
    }
    assert not convert.copies(models["mla_moe"])


def test_old_buffers_are_known_by_their_name():
    assert convert.is_buffer("model.layers.0.self_attn.rotary_emb.inv_freq")
    assert not convert.is_buffer("model.layers.0.self_attn.q_proj.weight")


def test_a_tied_head_is_not_read(models):
    tied = dataclasses.replace(models["gqa_bias"], tie_embeddings=True)
    assert "lm_head.weight" not in {p.name for p in convert.pieces(tied, interleaved=False)}
    assert forward.count_params(tied) == sum(
        int(np.prod(p.shape)) for p in convert.pieces(tied, interleaved=False)
    )
