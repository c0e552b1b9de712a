import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.model import experts as applying
from r1jax.model import moe

SCORES = np.array([0.60, 0.10, 0.50, 0.45, 0.55, 0.05, 0.30, 0.20], np.float32)
BIAS = np.array([0, 0, 0, 0, -0.40, 0, 0, 0.35], np.float32)


@pytest.fixture(scope="module")
def v3(models):
    return models["mla_moe"].moe


@pytest.fixture(scope="module")
def v2(models):
    return models["mla_v2"].moe


@pytest.mark.parametrize(
    ("bias", "want"),
    [
        (BIAS, {7: 0.714286, 2: 1.785714}),
        (0 * BIAS, {0: 1.363636, 2: 1.136364}),
        (BIAS - 0.9, {7: 0.714286, 2: 1.785714}),
    ],
    ids=["biased", "unbiased", "all negative"],
)
def test_v3_routing_of_the_golden_token(v3, bias, want):
    scores = jnp.asarray(SCORES)[None, None]
    experts = moe.select(scores, jnp.asarray(bias), config=v3)
    weights = moe.gates(scores, experts, config=v3)
    got = dict(zip(experts[0, 0].tolist(), weights[0, 0].tolist(), strict=True))
    assert got == pytest.approx(want, abs=1e-6)


def test_v2_routing_takes_the_best_softmax_scores_as_they_are(v2):
    logits = np.random.default_rng(0).normal(size=(1, 1, 8)).astype(np.float32)
    scores = moe.affinities(jnp.asarray(logits), score="softmax")
    p = np.exp(logits[0, 0]) / np.exp(logits[0, 0]).sum()
    experts = moe.select(scores, jnp.zeros(8), config=v2)
    assert experts[0, 0].tolist() == np.argsort(-p)[:2].tolist()
    np.testing.assert_allclose(
        moe.gates(scores, experts, config=v2)[0, 0], np.sort(p)[:-3:-1], rtol=1e-5
    )


def test_a_v2_group_counts_by_its_best_and_a_v3_group_by_two(v3):
    scores = jnp.array([[[0.9, 0.0, 0.5, 0.5, 0.1, 0.1, 0.1, 0.1]]])
    one = dataclasses.replace(v3, top_groups=1)
    best = dataclasses.replace(one, group_score="max")
    assert sorted(moe.select(scores, jnp.zeros(8), config=one)[0, 0].tolist()) == [2, 3]
    assert sorted(moe.select(scores, jnp.zeros(8), config=best)[0, 0].tolist()) == [0, 1]


def test_the_bias_gets_no_gradient_and_the_scores_do(v3):
    def total(scores, bias):
        return (moe.gates(scores, moe.select(scores, bias, config=v3), config=v3) ** 2).sum()

    grads = jax.grad(total, argnums=(0, 1))(jnp.asarray(SCORES)[None, None], jnp.asarray(BIAS))
    assert np.abs(grads[0]).max() > 0
    np.testing.assert_array_equal(grads[1], 0)


# the three ways to apply the experts


@pytest.fixture(scope="module")
def tokens():
    """24 tokens of width 6, 2 of 8 experts each, some ids out of range, experts of width 5."""
    rng = np.random.default_rng(1)

    def make(*shape):
        return jnp.asarray(rng.normal(size=shape), jnp.float32)

    experts = jnp.asarray(rng.integers(-3, 12, size=(24, 2)))
    return make(24, 6), experts, make(24, 2), make(8, 6, 2, 5), make(8, 5, 6)


WAYS = {
    "dense": applying.dense_experts,
    "ragged": applying.ragged_experts,
    **{f"blocks of {n}": partial(applying.block_experts, block=n) for n in (1, 4, 64)},
}


@pytest.fixture(scope="module")
def applied():
    """{way: jitted (output, gradients with respect to x, weights, up, down)}."""

    def outputs_and_grads(apply, x, experts, weights, up, down):
        def total(*a):
            return (lambda y: ((y**2).sum(), y))(apply(a[0], experts, *a[1:]))

        grads, y = jax.grad(total, argnums=(0, 1, 2, 3), has_aux=True)(x, weights, up, down)
        return y, *grads

    return {way: jax.jit(partial(outputs_and_grads, apply)) for way, apply in WAYS.items()}


def by_loops(x, experts, weights, up, down):
    y = np.zeros_like(x)
    for n, k in np.ndindex(*experts.shape):
        if 0 <= (e := int(experts[n, k])) < len(up):
            gate, value = x[n] @ up[e, :, 0], x[n] @ up[e, :, 1]
            y[n] += weights[n, k] * ((gate / (1 + np.exp(-gate)) * value) @ down[e])
    return y


@pytest.mark.parametrize("way", WAYS)
def test_experts_by_loops_and_foreign_ids_contribute_nothing(way, tokens, applied):
    want = by_loops(*map(np.asarray, tokens))
    np.testing.assert_allclose(applied[way](*tokens)[0], want, rtol=1e-4, atol=1e-4)  # |y| ~ 100


@pytest.mark.parametrize("way", [w for w in WAYS if w != "dense"])
@pytest.mark.parametrize("crowd", ["scattered", "all to one", "all elsewhere"])
def test_every_way_agrees_with_dense_in_value_and_gradient(way, crowd, tokens, applied):
    x, experts, *rest = tokens
    experts = {
        "scattered": experts,
        "all to one": jnp.full_like(experts, 3),
        "all elsewhere": jnp.full_like(experts, 8),
    }[crowd]
    want, got = (applied[w](x, experts, *rest) for w in ("dense", way))
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * (1 + np.abs(b).max()))


@pytest.mark.parametrize("way", WAYS)
def test_a_nan_token_stays_alone(way, tokens, applied):
    x, *rest = tokens
    clean, spoilt = applied[way](x, *rest)[0], applied[way](x.at[5].set(jnp.nan), *rest)[0]
    np.testing.assert_array_equal(np.delete(spoilt, 5, 0), np.delete(clean, 5, 0))


@pytest.mark.parametrize(
    ("rows", "experts", "want"), [(16, 8, 8), (4096, 8, 256), (256, 8, 16), (3, 64, 8)]
)
def test_the_automatic_block_is_half_a_share_within_bounds(rows, experts, want):
    assert applying._block_size(rows, experts) == want


@pytest.mark.parametrize("block", [1, 3, 8])
@pytest.mark.parametrize(("assignments", "experts"), [(1, 4), (4, 4), (9, 4), (3, 64)])
def test_no_routing_needs_more_blocks_than_are_there(assignments, experts, block):
    def splits(total, parts):
        if parts == 1:
            yield (total,)
            return
        for first in range(total + 1):
            yield from ((first, *rest) for rest in splits(total - first, parts - 1))

    needed = max(
        sum(-(-count // block) for count in counts)
        for counts in splits(assignments, min(experts, 4))
    )
    assert applying._n_blocks(assignments, experts, block) == needed


@pytest.mark.parametrize(
    ("rows", "dispatch", "block", "want"),
    [
        (4, "blocks", 0, applying.dense_experts),
        (32, "blocks", 0, applying.dense_experts),
        (4, "blocks", 4, applying.block_experts),
        (4096, "blocks", 0, applying.block_experts),
        (257, "blocks", 0, applying.block_experts),
        (4, "ragged", 0, applying.ragged_experts),
        (4096, "dense", 0, applying.dense_experts),
    ],
)
def test_few_rows_take_the_dense_way_unless_a_block_is_given(v3, rows, dispatch, block, want):
    config = dataclasses.replace(v3, dispatch=dispatch, block_size=block)
    way = applying.dispatch(config, rows, 4, 16)
    assert getattr(way, "func", way) is want
    if want is applying.block_experts:
        assert way.keywords == {"block": block or applying._block_size(rows * 4, 16)}


# load and balance


@given(st.integers(0, 2**32 - 1))
def test_loads_count_real_tokens(seed):
    rng = np.random.default_rng(seed)
    experts, mask = rng.integers(0, 5, size=(2, 3, 2)), rng.random((2, 3)) < 0.6
    want = np.bincount(experts[mask].reshape(-1), minlength=5)
    np.testing.assert_array_equal(moe.load(jnp.asarray(experts), jnp.asarray(mask), 5), want)


def test_perfect_balance_costs_one():
    scores = jnp.full((1, 4, 4), 0.5)
    experts = jnp.array([[[0, 1], [2, 3], [0, 1], [2, 3]]])
    np.testing.assert_allclose(moe.balance_loss(scores, experts, jnp.ones((1, 4), int)), 1.0)


def test_the_balance_loss_by_loops_with_padding_left_out():
    rng = np.random.default_rng(3)
    scores = rng.random((2, 5, 4)).astype(np.float32)
    experts = np.argsort(-scores, axis=2)[:, :, :2]
    documents = [(0, [0, 1, 2]), (1, [0]), (1, [1, 2])]
    segments, want = np.array([[1, 1, 1, 0, 0], [1, 2, 2, 0, 0]]), 0.0
    for row, places in documents:
        f, p = np.zeros(4), np.zeros(4)
        for t in places:
            p += scores[row, t] / scores[row, t].sum() / len(places)
            for e in experts[row, t]:
                f[e] += 4 / (2 * len(places))
        want += (f * p).sum()
    spoilt = np.where((segments > 0)[:, :, None], scores, np.nan).astype(np.float32)
    got = moe.balance_loss(jnp.asarray(spoilt), jnp.asarray(experts), jnp.asarray(segments))
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_the_bias_goes_down_where_overloaded():
    bias = moe.update_bias(jnp.zeros((1, 4)), jnp.array([[6.0, 2.0, 4.0, 4.0]]), rate=0.1)
    np.testing.assert_allclose(bias, [[-0.1, 0.1, 0.0, 0.0]])


def test_the_worst_layer_gives_the_violation():
    loads = jnp.array([[4.0, 4.0], [6.0, 2.0]])
    np.testing.assert_allclose(moe.max_violation(loads), 0.5)
    assert moe.max_violation(jnp.zeros((1, 4))) == -1.0  # no token at all


# the whole mixture


@pytest.fixture(scope="module")
def mixture(v3):
    rng = np.random.default_rng(4)

    def make(*shape):
        return jnp.asarray(rng.normal(size=shape), jnp.float32)

    arrays = make(2, 6, 16), make(16, 8), 0.1 * make(8), make(8, 16, 2, 4), make(8, 4, 16)
    segments = jnp.array([[1] * 6, [1] * 4 + [0] * 2])
    call = jax.jit(lambda routes: moe.mixture(*arrays, segments, routes, config=v3))
    return call, call(jnp.full((2, 6, 2), -1))


def test_replayed_routes_reproduce_fresh_ones_and_minus_1_routes(mixture):
    call, (y, routes, load, balance) = mixture
    for again in (routes, routes.at[:, 3].set(-1), routes[:, :, ::-1]):
        np.testing.assert_allclose(call(again)[0], y, atol=1e-5)
    np.testing.assert_array_equal(call(routes)[1], routes)
    assert load.sum() == 10 * 2
    assert 1 < balance < 8


def test_other_routes_are_obeyed(mixture):
    call, (y, routes, _, _) = mixture
    other = (routes + 1) % 8
    changed, used, _, _ = call(other)
    np.testing.assert_array_equal(used, other)
    assert np.abs(changed - y).max() > 0.1


def test_router_logits_are_float32_under_bfloat16(v3, strict_dtypes):
    x = jnp.ones((1, 2, 16), jnp.bfloat16)
    shapes = [(16, 8), (8,), (8, 16, 2, 4), (8, 4, 16)]
    arrays = [jnp.ones(s, jnp.float32) for s in shapes]
    y, _, _, balance = jax.eval_shape(
        partial(moe.mixture, config=v3), x, *arrays, jnp.ones((1, 2), int), None
    )
    assert (y.dtype, balance.dtype) == (jnp.bfloat16, jnp.float32)
