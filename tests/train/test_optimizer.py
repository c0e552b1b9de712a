import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from r1jax.train import optimizer
from r1jax.types import TrainState, Weights


@pytest.fixture
def state(opt):
    """A TrainState of one matrix, one norm and one bias."""
    params = {
        "mlp": {"up": jnp.array([[1.0, -2.0], [3.0, 4.0]])},
        "norms": {"mlp": jnp.array([1.0, 2.0])},
        "attention": {"qkv_bias": jnp.array([0.5])},
    }
    zero = jnp.zeros((), jnp.int32)
    start = optimizer.make(opt).init(params)
    return TrainState(Weights(params, jnp.ones((0, 0))), None, start, zero, zero, zero)


def grads_like(state, value):
    return jax.tree.map(lambda w: jnp.full_like(w, value), state.weights.params)


def test_the_schedule_warms_up_from_update_one_and_ends_low(opt):
    lr = optimizer.schedule(
        dataclasses.replace(opt, lr=1.0, schedule="cosine", warmup_updates=4, total_updates=14)
    )
    np.testing.assert_allclose(
        np.array([lr(i) for i in range(5)]), [0.25, 0.4375, 0.625, 0.8125, 1.0]
    )
    np.testing.assert_allclose(np.array([lr(9), lr(14), lr(99)]), [0.55, 0.1, 0.1], rtol=1e-6)


def test_a_constant_schedule_is_constant(opt):
    lr = optimizer.schedule(dataclasses.replace(opt, lr=3e-4))
    np.testing.assert_allclose(np.array([lr(0), lr(7), lr(10**6)]), 3e-4, rtol=1e-6)


def test_decay_spares_norms_and_biases(state, opt):
    after, _, _ = optimizer.apply(state, grads_like(state, 0.0), config=opt)
    ratio = jax.tree.map(
        lambda new, old: np.unique(new / old), after.weights.params, state.weights.params
    )
    np.testing.assert_allclose(ratio["mlp"]["up"], 1 - opt.lr * opt.weight_decay, rtol=1e-6)
    assert ratio["norms"]["mlp"] == ratio["attention"]["qkv_bias"] == 1.0


@pytest.mark.parametrize("name", ["mla_moe_mtp", "gqa_bias", "gqa_norm"])
def test_decay_takes_every_matrix_of_a_network_and_no_vector(name, weights, opt):
    params = jax.tree.map(lambda _: jnp.float32(1), weights(name).params)
    update = optimizer.make(opt)
    still, _ = update.update(jax.tree.map(jnp.zeros_like, params), update.init(params), params)
    for path, moved in jax.tree_util.tree_leaves_with_path(still):
        leaf = jax.tree_util.keystr(path)
        assert bool(moved != 0) == ("norm" not in leaf and "bias" not in leaf), leaf


def test_adamw_by_loops(state, opt):
    opt = dataclasses.replace(opt, clip_norm=1e9, warmup_updates=2)
    rng, w = np.random.default_rng(0), np.asarray(state.weights.params["mlp"]["up"], np.float64)
    state = state._replace(opt_state=optimizer.make(opt).init(state.weights.params))
    m, v = np.zeros_like(w), np.zeros_like(w)
    for step in range(3):
        g = rng.normal(size=w.shape)
        m, v = 0.9 * m + 0.1 * g, 0.95 * v + 0.05 * g**2
        hat_m, hat_v = m / (1 - 0.9 ** (step + 1)), v / (1 - 0.95 ** (step + 1))
        lr = opt.lr * min(1.0, 0.5 + 0.25 * step)
        w = w - lr * (hat_m / (np.sqrt(hat_v) + opt.eps) + opt.weight_decay * w)
        grads = grads_like(state, 0.0) | {"mlp": {"up": jnp.asarray(g, jnp.float32)}}
        state, _, metrics = optimizer.apply(state, grads, config=opt)
        np.testing.assert_allclose(metrics["lr"].total, lr, rtol=1e-6)
    np.testing.assert_allclose(state.weights.params["mlp"]["up"], w, rtol=1e-5)
    assert state.updates == 3


def test_the_norm_is_global_and_clips_all_gradients_alike(state, opt):
    opt = dataclasses.replace(opt, clip_norm=0.5)
    grads = grads_like(state, 2.0)  # 7 numbers
    after, _, metrics = optimizer.apply(state, grads, config=opt)
    np.testing.assert_allclose(metrics["grad_norm"].total, 2 * 7**0.5, rtol=1e-6)
    first = after.opt_state[1][0].mu
    np.testing.assert_allclose(optax.global_norm(first), 0.1 * 0.5, rtol=1e-5)
    assert len(np.unique(np.concatenate([x.ravel() for x in jax.tree.leaves(first)]))) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_changes_nothing(bad, state, opt):
    apply = jax.jit(partial(optimizer.apply, config=opt))
    state, _, _ = apply(state, grads_like(state, 0.3))
    grads = grads_like(state, 0.3)
    grads["norms"]["mlp"] = grads["norms"]["mlp"].at[0].set(bad)
    once, applied, metrics = apply(state, grads)
    twice, _, _ = apply(once, grads)
    jax.tree.map(np.testing.assert_array_equal, twice.weights, state.weights)
    jax.tree.map(np.testing.assert_array_equal, twice.opt_state, state.opt_state)
    assert applied == 0.0
    assert metrics["skipped"].total == 1.0
    assert metrics["grad_norm"].weight == 0.0
    assert (twice.updates, twice.skipped, twice.skipped_in_a_row) == (1, 2, 2)
    good, _, _ = apply(twice, grads_like(state, 0.3))
    assert (good.updates, good.skipped, good.skipped_in_a_row) == (2, 2, 0)
