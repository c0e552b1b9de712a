from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from r1jax import sharding
from r1jax.train import optimizer
from r1jax.train.accumulate import accumulate, split, update
from r1jax.types import Max, Mean, Sum, TrainState, Weights

ROWS_B = np.array([3.0, -1.0, 2.0, 5.0, 0.5, -4.0], np.float32)


def grad(params, weights, rows_B):
    """Of params * sum(rows): the gradient, a metric of each kind, and loads of 2 layers."""
    metrics = {
        "mean": Mean(rows_B.sum(), (rows_B > 0).sum().astype(jnp.float32)),
        "sum": Sum(rows_B.sum()),
        "max": Max(rows_B.max()),
    }
    load_LE = jnp.stack([jnp.full(3, rows_B.sum()), jnp.arange(3.0)])
    return {"w": rows_B.sum()}, (metrics, load_LE)


def accumulated(pieces, grad=grad, used=None):
    weights = Weights({"w": jnp.float32(1)}, jnp.zeros((0, 3)))
    return accumulate(grad, weights, jnp.asarray(ROWS_B), ("batch",), pieces=pieces, used=used)


@pytest.fixture
def state(opt):
    """One parameter, and the biases of 3 routers of 3 experts."""
    zero, params = jnp.zeros((), jnp.int32), {"w": jnp.float32(1)}
    weights = Weights(params, jnp.asarray([[0.1, -0.2, 0.3]] * 3, jnp.float32))
    return TrainState(weights, None, optimizer.make(opt).init(params), zero, zero, zero)


def biases_after(state, opt, *, load_LE, rate, gradient=1.0):
    """What an update makes of the biases, and the names of its metrics."""

    def given(params, weights, rows_B):
        return {"w": jnp.float32(gradient)}, ({}, load_LE)

    knobs = {"pieces": 1, "opt": opt, "bias_rate": rate}
    after, metrics = update(state, given, jnp.asarray(ROWS_B), ("batch",), **knobs)
    return np.asarray(after.weights.router_bias_LE), metrics.keys()


def test_split_deals_rows_out_in_turn(grpo_batch):
    batch = grpo_batch("gqa_moe")
    pieces = split(batch, sharding.batch_axes(batch), pieces=4)
    assert pieces.routes_LBTK.shape == (4, 1, 2, 12, 2)
    for piece in range(4):
        np.testing.assert_array_equal(pieces.tokens_BT[piece], batch.tokens_BT[piece::4])
        np.testing.assert_array_equal(pieces.weights_BT[piece], batch.weights_BT[piece::4])
        np.testing.assert_array_equal(pieces.advantages_BT[piece], batch.advantages_BT[piece::4])
        np.testing.assert_array_equal(pieces.routes_LBTK[piece], batch.routes_LBTK[:, piece::4])


def test_split_leaves_every_row_on_its_device(packed_batch):
    batch = packed_batch("gqa_small", rows=8)
    axes = sharding.batch_axes(batch)
    mesh = sharding.make_mesh(data=2, expert=2, model=1)
    with jax.set_mesh(mesh):
        placed = sharding.place(batch, mesh, axes)
        pieces = jax.jit(partial(split, axes=axes, pieces=2))(placed)
        assert pieces.tokens_BT.sharding.spec == sharding.spec("none", "batch", "seq")
    for whole, parts in zip(
        placed.tokens_BT.addressable_shards, pieces.tokens_BT.addressable_shards, strict=True
    ):
        assert whole.device == parts.device
        np.testing.assert_array_equal(whole.data, np.asarray(parts.data)[:, 0])


def test_split_passes_over_what_is_absent():
    rows, labels = split((jnp.asarray(ROWS_B), None), (("batch",), None), pieces=3)
    np.testing.assert_array_equal(rows, ROWS_B.reshape(2, 3).T)
    assert labels is None


def test_pieces_that_are_not_used_count_nowhere():
    grads, metrics, load_LE = accumulated(3, used=jnp.int32(2))
    rows_B = ROWS_B[[0, 3, 1, 4]]  # row b is of piece b % 3
    np.testing.assert_allclose(grads["w"], rows_B.sum(), rtol=1e-6)
    np.testing.assert_allclose(metrics["mean"], (rows_B.sum(), 3), rtol=1e-6)
    np.testing.assert_allclose(load_LE, [[rows_B.sum()] * 3, 2 * np.arange(3.0)], rtol=1e-6)


def test_rows_that_do_not_split_are_refused():
    with pytest.raises(ValueError, match="6 rows do not split into 4 micro_batches"):
        accumulated(4)


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_gradients_and_loads_are_sums_over_the_pieces(pieces):
    grads, _, load_LE = accumulated(pieces)
    assert load_LE is not None
    np.testing.assert_allclose(grads["w"], ROWS_B.sum(), rtol=1e-6)
    want = [[ROWS_B.sum()] * 3, pieces * np.arange(3.0)]
    np.testing.assert_allclose(load_LE, want, rtol=1e-6)


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_every_metric_is_merged_by_its_own_rule(pieces):
    _, metrics, _ = accumulated(pieces)
    want = {"mean": (5.5, 4), "sum": (5.5, 1), "max": (5, 1)}
    assert metrics.keys() == want.keys()
    for name, (total, weight) in want.items():
        assert isinstance(metrics[name], Mean)
        np.testing.assert_allclose(metrics[name], (total, weight), rtol=1e-6)


@pytest.mark.parametrize("pieces", [1, 2])
def test_an_objective_without_loads_has_none(pieces):
    def unrouted(params, weights, rows_B):
        grads, (metrics, _) = grad(params, weights, rows_B)
        return grads, (metrics, None)

    assert accumulated(pieces, unrouted)[2] is None


def test_biases_of_the_routers_that_ran_move_by_the_rate(state, opt):
    load_LE = jnp.asarray([[6.0, 1.0, 2.0], [1.0, 1.0, 1.0]])  # the third router did not run
    after, names = biases_after(state, opt, load_LE=load_LE, rate=1e-2)
    moved = after - np.asarray(state.weights.router_bias_LE)
    want = 1e-2 * np.array([[-1, 1, 1], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(moved, want, atol=1e-7)
    assert names == {"grad_norm", "lr", "skipped", "load_max_violation"}


def test_a_skipped_update_moves_no_bias(state, opt):
    load_LE = jnp.asarray([[6.0, 1.0, 2.0]])
    after, _ = biases_after(state, opt, load_LE=load_LE, rate=1e-2, gradient=np.nan)
    np.testing.assert_array_equal(after, state.weights.router_bias_LE)


def test_at_rate_0_the_bias_rule_does_not_run(state, opt):
    """Loads that are not a number would spoil the biases, were they but multiplied by 0."""
    after, names = biases_after(state, opt, load_LE=jnp.full((3, 3), jnp.nan), rate=0.0)
    np.testing.assert_array_equal(after, state.weights.router_bias_LE)
    assert "load_max_violation" in names


@pytest.mark.parametrize("load_LE", [None, jnp.zeros((0, 3))])
def test_without_experts_there_are_no_loads_to_report(state, opt, load_LE):
    after, names = biases_after(state, opt, load_LE=load_LE, rate=1e-2)
    np.testing.assert_array_equal(after, state.weights.router_bias_LE)
    assert names == {"grad_norm", "lr", "skipped"}
