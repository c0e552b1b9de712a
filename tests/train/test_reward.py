import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from r1jax import sharding
from r1jax.train import optimizer, reward
from r1jax.train.reward import RewardBatch, score, with_head
from r1jax.types import TrainState

NAME = "gqa_small"
KNOBS = {"margin": 0.1, "centre": 0.01}


@pytest.fixture(scope="module")
def full(weights):
    """Weights with a head that is not zero."""
    w = with_head(weights(NAME))
    head_D = jnp.asarray(np.random.default_rng(3).normal(size=32), jnp.float32)
    return w._replace(params={**w.params, "head_D": head_D})


@pytest.fixture(scope="module")
def batch(models) -> RewardBatch:
    rng = np.random.default_rng(1)
    lengths = rng.integers(3, 9, size=(8, 2))
    tokens = rng.integers(1, models[NAME].n_tokens, size=(8, 2, 10))
    real = np.arange(10)[None, None] < lengths[:, :, None]
    label = (np.arange(8) % 2).astype(np.float32)
    return RewardBatch(jnp.asarray(tokens * real), jnp.asarray(lengths), jnp.asarray(label))


@pytest.fixture(scope="module")
def scored(models):
    return jax.jit(partial(score, model=models[NAME]))


@pytest.fixture(scope="module")
def stepped(models, opt):
    """(state, metrics) after one update, by kind and micro-batches; jitted once each."""
    made = {}
    opt = dataclasses.replace(opt, clip_norm=1e9)

    def of(weights, batch, kind="pairs", micro_batches=1):
        if (kind, micro_batches) not in made:
            made[kind, micro_batches] = jax.jit(
                partial(
                    reward.reward_step,
                    model=models[NAME],
                    opt=opt,
                    kind=kind,
                    micro_batches=micro_batches,
                    **KNOBS,
                )
            )
        zero = jnp.zeros((), jnp.int32)
        opt_state = optimizer.make(opt).init(weights.params)
        state = TrainState(weights, None, opt_state, zero, zero, zero)
        return made[kind, micro_batches](state, batch)

    return of


def test_the_score_is_the_last_hidden_state_times_the_head(full, batch, scored, run, weights):
    tokens, lengths = batch.tokens_PGT[:, 0], batch.lengths_PG[:, 0]
    at = jnp.broadcast_to(jnp.arange(10)[None], tokens.shape)
    segments = (at < lengths[:, None]).astype(jnp.int32)
    hidden = np.asarray(run(NAME, weights(NAME), tokens, at, segments).hidden_BTD)
    for row, got in enumerate(scored(full, tokens, lengths)):
        want = hidden[row, int(lengths[row]) - 1] @ np.asarray(full.params["head_D"])
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_a_fresh_head_scores_everything_zero(weights, batch, scored):
    got = scored(with_head(weights(NAME)), batch.tokens_PGT[:, 0], batch.lengths_PG[:, 0])
    np.testing.assert_array_equal(got, 0)


def test_what_stands_behind_a_text_changes_nothing(full, batch, stepped):
    real = jnp.arange(10)[None, None] < batch.lengths_PG[:, :, None]
    other = batch._replace(tokens_PGT=jnp.where(real, batch.tokens_PGT, 7))
    (one, seen), (two, again) = stepped(full, batch), stepped(full, other)
    jax.tree.map(np.testing.assert_array_equal, one.weights, two.weights)
    assert float(seen["loss"].total) == float(again["loss"].total)


def test_micro_batches_add_up(full, batch, stepped):
    (one, seen), (two, again) = stepped(full, batch), stepped(full, batch, micro_batches=4)
    close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    jax.tree.map(close, two.opt_state, one.opt_state)
    jax.tree.map(close, again, seen)


def test_updates_set_the_chosen_above_the_rejected(weights, batch, stepped):
    w = with_head(weights(NAME))
    losses = []
    for _ in range(8):
        state, seen = stepped(w, batch)
        w = state.weights
        losses.append(float(seen["loss"].total / seen["loss"].weight))
    assert losses[0] == pytest.approx(np.logaddexp(0, 0.1), rel=1e-5)  # all scores 0, margin 0.1
    assert losses[-1] < losses[0]
    assert float(seen["accuracy"].total) > 4 and float(seen["ahead"].total) > 0


def test_labels_are_fitted_one_by_one(full, batch, stepped, scored):
    single = batch._replace(tokens_PGT=batch.tokens_PGT[:, :1], lengths_PG=batch.lengths_PG[:, :1])
    _, seen = stepped(full, single, kind="labels")
    s = np.asarray(scored(full, batch.tokens_PGT[:, 0], batch.lengths_PG[:, 0]))
    towards = np.where(np.asarray(batch.label_P) > 0.5, s, -s)
    np.testing.assert_allclose(seen["loss"].total / 8, np.logaddexp(0, -towards).mean(), rtol=1e-5)
    assert float(seen["accuracy"].total) == (towards > 0).sum()


def test_sharded_equals_one_device(full, batch, stepped, models):
    want, seen = stepped(full, batch, micro_batches=2)
    mesh = sharding.make_mesh(data=2, expert=1, model=2)
    axes = reward.logical_axes(models[NAME])
    with jax.set_mesh(mesh):
        placed = sharding.place(full, mesh, axes)
        got, again = stepped(placed, reward.spread_batch(batch, mesh), micro_batches=2)
    close = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)  # other orders of adding
    jax.tree.map(close, got.weights.params, want.weights.params)
    jax.tree.map(close, again, seen)
