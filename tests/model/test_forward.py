import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from r1jax.model import forward
from r1jax.types import Weights

NAMES = ["mla_moe", "mla_v2", "mla_dense", "gqa_bias", "gqa_norm"]
PLAIN = {"routes_LBTK": None, "with_mtp": False, "layers": None}


def sized(models, base, **changes):
    return dataclasses.replace(models[base], **changes)


@pytest.fixture(scope="module")
def published(models):
    """The networks of the papers and model cards, as configs."""
    replace = dataclasses.replace
    mla = replace(
        models["mla_moe"].attention,
        n_heads=128,
        q_lora_rank=1536,
        kv_lora_rank=512,
        nope_dim=128,
        rope_dim=64,
        v_dim=128,
    )
    v3 = sized(
        models,
        "mla_moe",
        vocab_size=129280,
        n_tokens=128815,
        d_model=7168,
        n_layers=61,
        n_dense_layers=3,
        mlp_dim=18432,
        attention=mla,
        moe=replace(
            models["mla_moe"].moe,
            n_experts=256,
            experts_per_token=8,
            hidden_dim=2048,
            n_groups=8,
            top_groups=4,
        ),
    )
    lite = sized(
        models,
        "mla_v2",
        vocab_size=102400,
        n_tokens=100002,
        d_model=2048,
        n_layers=27,
        n_dense_layers=1,
        mlp_dim=10944,
        attention=replace(mla, n_heads=16, q_lora_rank=0),
        moe=replace(models["mla_v2"].moe, n_experts=64, experts_per_token=6, hidden_dim=1408),
    )

    def dense(base, vocab, d, layers, mlp, heads, kv, head_dim, tied):
        attention = replace(models[base].attention, n_heads=heads, n_kv_heads=kv, head_dim=head_dim)
        return sized(
            models,
            base,
            vocab_size=vocab,
            n_tokens=vocab,
            d_model=d,
            n_layers=layers,
            n_dense_layers=layers,
            mlp_dim=mlp,
            tie_embeddings=tied,
            attention=attention,
        )

    return {
        "DeepSeek-V3": v3,
        "DeepSeek-V3 with MTP": replace(v3, mtp=True),
        "DeepSeek-V2-Lite": lite,
        "tiny-A": models["mla_moe"],
        "Qwen2.5-Math-1.5B": dense("gqa_bias", 151936, 1536, 28, 8960, 12, 2, 128, True),
        "R1-Distill-Qwen-1.5B": dense("gqa_bias", 151936, 1536, 28, 8960, 12, 2, 128, False),
        "Qwen2.5-Math-7B": dense("gqa_bias", 152064, 3584, 28, 18944, 28, 4, 128, False),
        "Qwen2.5-14B": dense("gqa_bias", 152064, 5120, 48, 13824, 40, 8, 128, False),
        "Qwen2.5-32B": dense("gqa_bias", 152064, 5120, 64, 27648, 40, 8, 128, False),
        "Llama-3.1-8B": dense("gqa_small", 128256, 4096, 32, 14336, 32, 8, 128, False),
        "Llama-3.3-70B": dense("gqa_small", 128256, 8192, 80, 28672, 64, 8, 128, False),
        "SmolLM2-135M": dense("gqa_small", 49152, 576, 30, 1536, 9, 3, 64, True),
    }


# V2-Lite has no router bias; we keep 26 x 64 zeros for it. MTP: one MoE block (187,107,328 of
# attention, 257 experts, gate, bias, 2 norms), 3 norms and the 2d x d projection.
MTP = 187_107_328 + 257 * 3 * 7168 * 2048 + 256 * 7168 + 256 + 5 * 7168 + 2 * 7168**2


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("DeepSeek-V3", 671_026_419_200),
        ("DeepSeek-V3 with MTP", 671_026_419_200 + MTP),
        ("DeepSeek-V2-Lite", 15_706_484_224 + 26 * 64),
        ("tiny-A", 215_648),
        ("Qwen2.5-Math-1.5B", 1_543_714_304),
        ("R1-Distill-Qwen-1.5B", 1_777_088_000),
        ("Qwen2.5-Math-7B", 7_615_616_512),
        ("Qwen2.5-14B", 14_770_033_664),
        ("Qwen2.5-32B", 32_763_876_352),
        ("Llama-3.1-8B", 8_030_261_248),
        ("Llama-3.3-70B", 70_553_706_496),
        ("SmolLM2-135M", 134_515_008),
    ],
)
def test_parameter_counts_of_published_models(published, name, want):
    assert forward.count_params(published[name]) == want


# one sequence, many ways


@pytest.fixture(scope="module")
def rows(models):
    """Sequences of 9, 7 and 4 tokens from position 0 on: (tokens, positions, segments)."""

    def of(name):
        rng = np.random.default_rng(3)
        real = np.arange(9)[None] < np.array([[9], [7], [4]])
        tokens = rng.integers(1, models[name].n_tokens, size=(3, 9)) * real
        positions = np.broadcast_to(np.arange(9)[None], (3, 9))
        return tuple(jnp.asarray(a, jnp.int32) for a in (tokens, positions, real))

    return of


@pytest.mark.parametrize("name", NAMES)
def test_prefill_and_steps_equal_one_pass(name, models, weights, run, rows):
    """Prompts of 4, 2 and 3 tokens, padded to 5, then each row's next token at its own position."""
    model, w, (tokens, positions, segments) = models[name], weights(name), rows(name)
    want = run(name, w, tokens, positions, segments).hidden_BTD
    lengths, width, steps = np.array([4, 2, 3]), 5, 3
    real = jnp.arange(width)[None] < lengths[:, None]
    at = jnp.broadcast_to(jnp.arange(width), real.shape)
    prefill = jax.jit(partial(forward.forward, config=model, keep_cache=True, **PLAIN))
    seen = prefill(w, tokens[:, :width], at, real.astype(jnp.int32))
    np.testing.assert_allclose(
        seen.hidden_BTD[np.arange(3), lengths - 1],
        want[np.arange(3), lengths - 1],
        rtol=1e-5,
        atol=1e-5,
    )
    cache = forward.resize_cache(seen.cache, width + steps)
    layers = forward.unstack(w, config=model)
    extend = jax.jit(partial(forward.extend, config=model))
    for step in range(steps):
        at = lengths + step
        new = tokens[np.arange(3), at][:, None]
        hidden, cache, _ = extend(w, layers, new, jnp.asarray(at)[:, None], cache)
        real = at < [9, 7, 4]
        np.testing.assert_allclose(
            hidden[real, 0], want[np.arange(3), at][real], rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("name", [*NAMES, "mla_moe_mtp"])
def test_future_is_invisible(name, models, weights, run, rows):
    tokens, positions, segments = rows(name)
    changed = tokens.at[:, 5:].set(tokens[:, 5:] % (models[name].n_tokens - 1) + 1)
    a, b = (run(name, weights(name), t, positions, segments) for t in (tokens, changed))
    np.testing.assert_allclose(a.hidden_BTD[:, :5], b.hidden_BTD[:, :5], atol=1e-6)
    assert np.abs(a.hidden_BTD[0, 5:] - b.hidden_BTD[0, 5:]).max() > 0.01
    if models[name].mtp:
        # position t of the MTP module has seen token t + 1, and no later one
        np.testing.assert_allclose(a.mtp_hidden_BTD[:, :4], b.mtp_hidden_BTD[:, :4], atol=1e-6)
        assert np.abs(a.mtp_hidden_BTD[0, 4] - b.mtp_hidden_BTD[0, 4]).max() > 0.01


@pytest.mark.parametrize("name", [*NAMES, "mla_moe_mtp"])
def test_other_segments_are_invisible(name, models, weights, run, rows):
    """Two documents in one row give what each gives in a row of its own."""
    tokens, _, _ = rows(name)
    tokens = jnp.maximum(tokens, 1)[:2]
    together = run(
        name,
        weights(name),
        tokens,
        jnp.asarray([[0, 1, 2, 3, 0, 1, 2, 3, 4], [0, 1, 0, 1, 2, 3, 0, 0, 0]]),
        jnp.asarray([[1, 1, 1, 1, 2, 2, 2, 2, 2], [1, 1, 2, 2, 2, 2, 0, 0, 0]]),
    )
    apart = jnp.stack([jnp.roll(tokens[0], -4), jnp.roll(tokens[1], -2)])
    apart = run(
        name,
        weights(name),
        apart,
        jnp.broadcast_to(jnp.arange(9)[None], (2, 9)),
        jnp.asarray([[1] * 5 + [0] * 4, [1] * 4 + [0] * 5]),
    )

    def hiddens(seen):
        return [h for h in (seen.hidden_BTD, seen.mtp_hidden_BTD) if h is not None]

    for a, b in zip(hiddens(together), hiddens(apart), strict=True):
        np.testing.assert_allclose(a[0, 4:9], b[0, :5], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(a[1, 2:6], b[1, :4], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["mla_moe_mtp", "gqa_norm"])
def test_padding_may_hold_anything(name, models, weights, run, rows):
    """Token 0, on padding only, has a NaN embedding; one row is nothing but padding."""
    tokens, positions, segments = rows(name)
    segments = segments.at[1].set(0)
    w = weights(name)
    nan = w.params["embedding"].at[0].set(jnp.nan)
    spoilt = w._replace(params={**w.params, "embedding": nan})
    real = np.asarray(segments) > 0
    a, b = (run(name, x, tokens * segments, positions, segments) for x in (w, spoilt))
    jax.tree.map(np.testing.assert_array_equal, a, b)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(b))
    # other ids and positions under the mask change nothing for real tokens either
    other = jnp.where(real, tokens, 7), jnp.where(real, positions, 3)
    c = run(name, w, *other, segments)
    np.testing.assert_array_equal(c.hidden_BTD[real], a.hidden_BTD[real])
    np.testing.assert_array_equal((c.load_LE, c.balance)[0], a.load_LE)
    np.testing.assert_array_equal(c.balance, a.balance)


def test_loads_count_real_tokens_of_every_router(models, weights, run, rows):
    seen = run("mla_moe_mtp", weights("mla_moe_mtp"), *rows("mla_moe_mtp"))
    np.testing.assert_array_equal(seen.load_LE.sum(1), [20 * 2] * 2)
    assert seen.routes_LBTK.shape == (1, 3, 9, 2)  # the MTP module's routes are not replayed


def loss_of(params, w: Weights, batch, *, config):
    seen = forward.forward(
        w._replace(params=params),
        *batch,
        config=config,
        routes_LBTK=None,
        with_mtp=False,
        keep_cache=False,
        layers=None,
    )
    return (seen.hidden_BTD[:, ::2] ** 3).sum() + seen.balance


@pytest.fixture(scope="module")
def unrolled(models, weights, rows):
    grad = jax.jit(jax.value_and_grad(partial(loss_of, config=models["mla_moe"])))
    return grad(weights("mla_moe").params, weights("mla_moe"), rows("mla_moe"))


@pytest.mark.parametrize(
    "changes",
    [{"scan_layers": True}, {"remat": True}, {"scan_layers": True, "remat": True}],
    ids=["scan", "remat", "scan and remat"],
)
def test_scanned_and_recomputed_layers_equal_unrolled(changes, models, weights, rows, unrolled):
    config = dataclasses.replace(models["mla_moe"], **changes)
    grad = jax.jit(jax.value_and_grad(partial(loss_of, config=config)))
    got = grad(weights("mla_moe").params, weights("mla_moe"), rows("mla_moe"))
    largest = max(float(abs(leaf).max()) for leaf in jax.tree.leaves(unrolled))
    close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6 * largest)
    jax.tree.map(close, got, unrolled)


@pytest.mark.parametrize("name", ["mla_moe", "gqa_bias"])
def test_attention_in_blocks_equals_the_square(name, models, weights, rows):
    config = dataclasses.replace(models[name], attention_block=4)
    assert rows(name)[0].shape[1] > 2 * config.attention_block
    *_, segments = rows(name)

    def loss(params, config):
        w = weights(name)._replace(params=params)
        call = partial(forward.forward, config=config, keep_cache=False, **PLAIN)
        hidden = call(w, *rows(name)).hidden_BTD
        return jnp.where(segments[:, :, None] > 0, hidden**3, 0).sum()

    grad = jax.jit(jax.value_and_grad(loss), static_argnums=1)
    got, want = (grad(weights(name).params, c) for c in (config, models[name]))
    largest = max(float(abs(leaf).max()) for leaf in jax.tree.leaves(want))
    close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6 * largest)
    jax.tree.map(close, got, want)


@pytest.mark.parametrize("name", NAMES)
def test_distances_between_positions_count_and_nothing_else(name, models, weights, rows):
    """Without a rotation nothing counts; with one of queries or keys alone, places would."""
    tokens, positions, segments = rows(name)
    call = jax.jit(partial(forward.forward, config=models[name], keep_cache=False, **PLAIN))

    def at(where):
        return call(weights(name), tokens, where, segments).hidden_BTD

    here = at(positions)
    np.testing.assert_allclose(at(positions + 7), here, atol=2e-4)
    assert np.abs(at(positions * 3) - here).max() > 1e-2


def test_scanned_layers_give_the_same_cache_and_routes(models, weights, rows):
    ways = []
    for scan in (False, True):
        config = dataclasses.replace(models["mla_moe"], scan_layers=scan)
        layers = forward.unstack(weights("mla_moe"), config=config)
        for given in (None, layers):
            call = partial(forward.forward, config=config, keep_cache=True, **PLAIN)
            ways.append(jax.jit(call)(weights("mla_moe"), *rows("mla_moe"), layers=given))
    for way in ways[1:]:
        jax.tree.map(partial(np.testing.assert_allclose, atol=1e-5), way, ways[0])
    assert len(ways[0].cache) == 3


@pytest.mark.parametrize("name", ["mla_dense", "gqa_bias"])
def test_bfloat16_stays_near_float32(name, models, weights, run, rows):
    """Without MoE: there a rounded score may send a token elsewhere."""
    config = dataclasses.replace(models[name], compute_dtype="bfloat16")
    call = partial(forward.forward, config=config, keep_cache=False, **PLAIN)
    half = jax.jit(call)(weights(name), *rows(name)).hidden_BTD
    assert half.dtype == jnp.bfloat16
    full = run(name, weights(name), *rows(name)).hidden_BTD
    # 8 bits of mantissa through 2 layers, values of order 1
    np.testing.assert_allclose(half.astype(jnp.float32), full, atol=0.1)


@pytest.mark.parametrize("name", [*NAMES, "mla_moe_mtp"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_no_dtype_is_promoted_silently(name, dtype, models, rows, strict_dtypes):
    config = dataclasses.replace(models[name], compute_dtype=dtype, param_dtype=dtype)
    w = jax.eval_shape(partial(forward.init, config=config), jax.random.key(0))
    call = partial(
        forward.forward,
        config=config,
        routes_LBTK=None,
        with_mtp=config.mtp,
        keep_cache=True,
        layers=None,
    )
    seen = jax.eval_shape(call, w, *rows(name))
    assert seen.hidden_BTD.dtype == jnp.dtype(dtype)
    assert {x.dtype for x in jax.tree.leaves(seen.cache)} == {jnp.dtype(dtype)}
    assert seen.balance.dtype == jnp.float32
    logits = jax.eval_shape(partial(forward.logits, config=config), seen.hidden_BTD, w)
    assert logits.dtype == jnp.float32


def test_unused_ids_get_no_probability(models, weights):
    hidden = jnp.ones((1, 1, 64))
    logits = forward.logits(hidden, weights("mla_moe"), config=models["mla_moe"])
    probs = jax.nn.softmax(logits, axis=-1)
    np.testing.assert_array_equal(probs[0, 0, 250:], 0.0)
    np.testing.assert_allclose(probs.sum(), 1.0, rtol=1e-5)


def test_a_tied_head_is_the_embedding(models, weights):
    w = weights("gqa_bias")
    assert "head" not in w.params
    np.testing.assert_array_equal(
        forward.head(w, config=models["gqa_bias"]), w.params["embedding"].T
    )


def test_a_cache_of_another_length_keeps_what_it_holds(models, weights, run, rows):
    cache = [jax.tree.map(jnp.ones_like, c) for c in fresh_cache(models["gqa_norm"])]
    grown = forward.resize_cache(cache, 7)
    back = forward.resize_cache(grown, 4)
    jax.tree.map(np.testing.assert_array_equal, back, cache)
    assert grown[0].first.shape == (1, 2, 7, 12)
    np.testing.assert_array_equal(grown[0].second[:, :, :4], 1.0)
    np.testing.assert_array_equal(grown[0].second[:, :, 4:], 0.0)


def fresh_cache(config):
    """Zeros in the shapes of a prefill of one row of 4 tokens."""
    w = jax.eval_shape(partial(forward.init, config=config), jax.random.key(0))
    ids = jnp.ones((1, 4), jnp.int32)
    call = partial(forward.forward, config=config, keep_cache=True, **PLAIN)
    shapes = jax.eval_shape(call, w, ids, ids, ids).cache
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
