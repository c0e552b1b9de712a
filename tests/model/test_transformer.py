import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from r1jax.model import forward, transformer


@pytest.fixture(scope="module")
def fresh(models):
    wide = dataclasses.replace(models["mla_moe"], n_layers=2, d_model=96, mlp_dim=160, mtp=True)
    return forward.init(jax.random.key(0), config=wide)


def test_matrices_start_at_one_over_the_root_of_their_fan_in(fresh):
    """Widths: 96 d, 160 mlp, 32 q rank, 16 kv rank, 4 x 24 head outputs, 32 experts' ffn."""
    dense, moe = fresh.params["dense_layers"], fresh.params["moe_layers"]
    fan_in = [
        (dense["attention"]["q_down"], 96),
        (dense["attention"]["q_up"], 32),
        (dense["attention"]["kv_up"], 16),
        (dense["attention"]["out"], 96),
        (dense["mlp"]["up"], 96),
        (dense["mlp"]["down"], 160),
        (moe["experts"]["up"], 96),
        (moe["experts"]["down"], 32),
        (moe["experts"]["gate"], 96),
        (fresh.params["head"], 96),
        (fresh.params["mtp"]["project"], 192),
        (fresh.params["embedding"], 1),
    ]
    for w, n in fan_in:
        # the std of m normal draws is off by 1 / sqrt(2 m)
        np.testing.assert_allclose(w.std() * n**0.5, 1.0, atol=4 / (2 * w.size) ** 0.5)


def test_a_tied_embedding_starts_as_an_output_matrix(models):
    config = dataclasses.replace(models["gqa_bias"], d_model=96)
    w = forward.init(jax.random.key(0), config=config)
    np.testing.assert_allclose(w.params["embedding"].std() * 96**0.5, 1.0, atol=0.05)


def test_norms_start_at_one_and_biases_at_zero(fresh, models):
    for path, w in jax.tree_util.tree_leaves_with_path(fresh.params):
        if "norm" in jax.tree_util.keystr(path):
            np.testing.assert_array_equal(w, 1.0)
    qwen = forward.init(jax.random.key(0), config=models["gqa_bias"]).params
    np.testing.assert_array_equal(qwen["dense_layers"]["attention"]["qkv_bias"], 0.0)
    np.testing.assert_array_equal(fresh.router_bias_LE, np.zeros((2, 8)))


def test_no_two_weights_are_alike(fresh):
    starts = [float(w.reshape(w.size)[0]) for w in jax.tree.leaves(fresh.params) if w.std() > 0]
    assert len(set(starts)) == len(starts)
    first, second = fresh.params["moe_layers"]["experts"]["up"][0, :2]
    assert np.abs(first - second).max() > 0


def test_an_init_std_overrides_fan_in(models):
    config = dataclasses.replace(models["gqa_small"], init_std=0.02)
    w = forward.init(jax.random.key(0), config=config).params
    np.testing.assert_allclose(w["dense_layers"]["mlp"]["up"].std(), 0.02, rtol=0.1)


def test_param_dtype_holds_for_all_but_the_router(models):
    config = dataclasses.replace(models["mla_moe"], param_dtype="bfloat16")
    w = jax.eval_shape(lambda: forward.init(jax.random.key(0), config=config))
    kinds = {
        jax.tree_util.keystr(path): x.dtype for path, x in jax.tree_util.tree_leaves_with_path(w)
    }
    float32 = {name for name, dtype in kinds.items() if dtype == jnp.float32}
    assert float32 == {".params['moe_layers']['experts']['gate']", ".router_bias_LE"}


def test_layer_takes_one_of_a_stack(fresh):
    one = transformer.layer(fresh.params["moe_layers"], 0)
    np.testing.assert_array_equal(one["mlp"]["up"], fresh.params["moe_layers"]["mlp"]["up"][0])


def test_query_heads_share_kv_heads_by_neighbourhood(models, weights):
    """Zeroing the queries of kv head 0 changes only the outputs that pass through its heads."""
    config, w = models["gqa_norm"], weights("gqa_norm")
    p = transformer.layer(w.params["dense_layers"], 0)
    assert p["attention"]["qkv"].shape == (32, 2, 2 + 2, 12)  # [d, kv heads, 2 queries + k + v, H]
    assert p["attention"]["out"].shape == (2, 2, 12, 32)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 4, 32)), jnp.float32)
    # with only kv head 1 connected to the output, kv head 0 is without effect
    attention = {**p["attention"], "out": p["attention"]["out"].at[0].set(0.0)}
    cut = {**attention, "qkv": p["attention"]["qkv"].at[:, 0].set(7.0)}
    tables = jnp.ones((1, 4, 6)), jnp.zeros((1, 4, 6))
    segments = jnp.ones((1, 4), int)

    def output(attention):
        weights = {**p, "attention": attention}
        return transformer.block(weights, None, x, tables, segments, None, None, config=config)[0]

    np.testing.assert_allclose(output(cut), output(attention), atol=1e-6)
