import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from r1jax.model import forward
from r1jax.train.grpo import grpo_step, loss, sequence_logps

NAME = "gqa_moe"


@pytest.fixture(scope="module")
def graded(models, grpo):
    """Jitted ((loss, (metrics, loads)), gradients), off-policy at temperature 0.9."""
    call = partial(loss, model=models[NAME], config=grpo, temperature=0.9, on_policy=False)
    return jax.jit(
        lambda weights, batch: jax.value_and_grad(call, has_aux=True)(
            weights.params, weights, batch, jnp.float32(8)
        )
    )


@pytest.fixture(scope="module")
def logps(models):
    """Jitted sequence_logps by the tokens of a micro-batch."""
    made = {}

    def of(weights, batch, *, micro_tokens=1_000, replay=False):
        key = (micro_tokens, replay)
        if key not in made:
            made[key] = jax.jit(
                partial(
                    sequence_logps,
                    model=models[NAME],
                    temperature=0.9,
                    chunk=5,
                    replay=replay,
                    micro_tokens=micro_tokens,
                )
            )
        return made[key](weights, batch)

    return of


@pytest.fixture(scope="module")
def stepped(models, opt, grpo, train_state, grpo_batch):
    """(state, metrics) after one step, by batch and config changes; jitted once each."""
    made = {}
    opt = dataclasses.replace(opt, clip_norm=1e9)  # moments hold a tenth of the raw gradients

    def of(batch=None, *, on_policy=False, **changes):
        key = (on_policy, tuple(changes.items()))
        if key not in made:
            made[key] = jax.jit(
                partial(
                    grpo_step,
                    model=models[NAME],
                    opt=opt,
                    temperature=0.9,
                    on_policy=on_policy,
                    config=dataclasses.replace(grpo, **changes),
                )
            )
        return made[key](train_state(NAME), grpo_batch(NAME) if batch is None else batch)

    return of


def close(got, want, tolerance=1e-5):
    jax.tree.map(partial(np.testing.assert_allclose, rtol=tolerance, atol=1e-6), got, want)


def test_log_probabilities_are_the_plain_ones(logps, run, models, weights, grpo_batch):
    w, batch = weights(NAME), grpo_batch(NAME)
    positions = jnp.broadcast_to(jnp.arange(12)[None], (8, 12))
    hidden = run(NAME, w, batch.tokens_BT, positions, batch.segments_BT).hidden_BTD
    logits = forward.logits(hidden, w, config=models[NAME]) / 0.9
    plain = jax.nn.log_softmax(logits, axis=-1)
    want = jnp.take_along_axis(plain[:, :-1], batch.tokens_BT[:, 1:, None], axis=2)[:, :, 0]
    np.testing.assert_allclose(logps(w, batch)[:, :-1], want, rtol=1e-5, atol=1e-5)


def test_micro_batches_give_log_probabilities_back_in_order(logps, weights, grpo_batch):
    w, batch = weights(NAME), grpo_batch(NAME)
    np.testing.assert_allclose(logps(w, batch, micro_tokens=24), logps(w, batch), atol=1e-5)


def test_the_number_of_micro_batches_is_without_effect(stepped):
    (state, metrics), (pieced, merged) = stepped(), stepped(micro_tokens=24)
    close(pieced, state)
    assert merged.keys() == metrics.keys()
    close({k: m.total for k, m in merged.items()}, {k: m.total for k, m in metrics.items()})
    close({k: m.weight for k, m in merged.items()}, {k: m.weight for k, m in metrics.items()})


def test_order_of_sequences_and_padding_are_without_effect(graded, weights, grpo_batch):
    w, batch = weights(NAME), grpo_batch(NAME)
    (value, (_, loads)), grads = graded(w, batch)
    order = jnp.asarray([3, 1, 7, 0, 6, 2, 5, 4])
    turned = batch._replace(
        routes_LBTK=batch.routes_LBTK[:, order],
        **{n: x[order] for n, x in batch._asdict().items() if n != "routes_LBTK"},
    )
    longer = jax.tree.map(
        lambda x: jnp.pad(x, [(0, 3) if n == 12 else (0, 0) for n in x.shape]),
        batch,
    )
    for other in (turned, longer):
        (again, (_, again_loads)), again_grads = graded(w, other)
        np.testing.assert_allclose(again, value, rtol=1e-6)
        np.testing.assert_array_equal(again_loads, loads)
        close(again_grads, grads)


def test_nan_under_weight_zero_changes_nothing(graded, weights, grpo_batch):
    w, batch = weights(NAME), grpo_batch(NAME)
    mask = batch.weights_BT > 0
    spoilt = batch._replace(
        old_logp_BT=jnp.where(mask, batch.old_logp_BT, jnp.nan),
        ref_logp_BT=jnp.where(mask, batch.ref_logp_BT, jnp.inf),
    )
    jax.tree.map(np.testing.assert_array_equal, graded(w, spoilt), graded(w, batch))


def test_on_policy_takes_its_own_log_probabilities_as_old(stepped, logps, weights, grpo_batch):
    batch = grpo_batch(NAME)
    own = batch._replace(old_logp_BT=logps(weights(NAME), batch))
    (state, _), (want, metrics) = stepped(batch, on_policy=True), stepped(own)
    close(state, want)
    np.testing.assert_allclose(metrics["ratio"].total, metrics["ratio"].weight, rtol=1e-5)
    assert metrics["logp_gap_max"].total < 1e-5


def test_the_gap_to_the_sampler_is_measured(stepped, logps, weights, grpo_batch):
    batch = grpo_batch(NAME)
    gap = np.abs(logps(weights(NAME), batch) - batch.old_logp_BT)[batch.weights_BT > 0]
    _, metrics = stepped(on_policy=True)
    np.testing.assert_allclose(metrics["logp_gap_max"].total, gap.max(), rtol=1e-5)
    np.testing.assert_allclose(metrics["logp_gap_mean"], (gap.sum(), gap.size), rtol=1e-5)


def test_router_biases_follow_the_loads_of_all_micro_batches(
    stepped, train_state, graded, grpo_batch
):
    (_, (_, loads)), _ = graded(train_state(NAME).weights, grpo_batch(NAME))
    want = 1e-3 * np.sign(loads.mean(1, keepdims=True) - loads)
    for after, _ in (stepped(), stepped(micro_tokens=24)):
        moved = after.weights.router_bias_LE - train_state(NAME).weights.router_bias_LE
        np.testing.assert_allclose(moved, want, atol=1e-7)


def test_a_gradient_that_is_not_finite_is_skipped(stepped, train_state, grpo_batch):
    batch = grpo_batch(NAME)
    spoilt = batch._replace(advantages_BT=batch.advantages_BT.at[0].set(jnp.nan))
    after, metrics = stepped(spoilt)
    jax.tree.map(np.testing.assert_array_equal, after.weights, train_state(NAME).weights)
    assert (after.updates, after.skipped_in_a_row) == (0, 1)
    assert metrics["skipped"].total == 1.0


def test_replayed_routes_are_the_ones_used(logps, run, weights, grpo_batch):
    w, batch = weights(NAME), grpo_batch(NAME)
    positions = jnp.broadcast_to(jnp.arange(12)[None], (8, 12))
    routes = run(NAME, w, batch.tokens_BT, positions, batch.segments_BT).routes_LBTK
    fresh = logps(w, batch)
    again = logps(w, batch._replace(routes_LBTK=routes), replay=True)
    np.testing.assert_allclose(again, fresh, atol=1e-5)
    other = logps(w, batch._replace(routes_LBTK=(routes + 3) % 8), replay=True)
    assert np.abs(other - fresh).max() > 1e-3
    np.testing.assert_allclose(logps(w, batch, replay=True), fresh, atol=1e-5)  # all are -1


def test_a_rollout_that_does_not_split_raises(grpo):
    with pytest.raises(ValueError, match="prompts_per_rollout 2 do not split into 4 minibatches"):
        dataclasses.replace(grpo, minibatches=4)


def test_updates_follow_from_the_rollout(grpo):
    config = dataclasses.replace(grpo, prompts_per_rollout=6, minibatches=3, epochs=2)
    assert config.updates_per_rollout == 6


@pytest.mark.parametrize("name", [NAME, "mla_v2", "gqa_bias"])
def test_nothing_is_promoted_silently(name, models, grpo, grpo_batch, strict_dtypes):
    config = dataclasses.replace(models[name], compute_dtype="bfloat16")
    w = jax.eval_shape(partial(forward.init, config=config), jax.random.key(0))
    call = partial(loss, model=config, config=grpo, temperature=0.9, on_policy=True)
    value, _ = jax.eval_shape(call, w.params, w, grpo_batch(name), jnp.float32(8))
    assert value.dtype == jnp.float32
