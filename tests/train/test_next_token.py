import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from r1jax.data.rows import packing
from r1jax.model import forward
from r1jax.train.next_token import NextTokenLossConfig, loss, next_token_step

NAME = "mla_moe_mtp"
CONFIG = NextTokenLossConfig(balance=0.01, mtp=0.3, bias_rate=1e-3, logit_chunk=5)


@pytest.fixture(scope="module")
def graded(models):
    """Jitted ((loss, (metrics, loads)), gradients)."""
    call = partial(loss, labels_BT=None, model=models[NAME], config=CONFIG, sources=())
    return jax.jit(
        lambda weights, batch: jax.value_and_grad(call, has_aux=True)(
            weights.params, weights, batch
        )
    )


@pytest.fixture(scope="module")
def step(models, opt):
    knobs = {"model": models[NAME], "opt": opt, "config": CONFIG, "sources": ()}
    return jax.jit(partial(next_token_step, labels_BT=None, micro_batches=1, **knobs))


def test_the_loss_by_loops(graded, run, models, weights, packed_batch):
    """Cross-entropy of t + 1, MTP's of t + 2 within the document, and the balance loss."""
    w, batch = weights(NAME), packed_batch(NAME)
    seen = run(NAME, w, batch.tokens_BT, batch.positions_BT, batch.segments_BT)
    logps = [
        jax.nn.log_softmax(forward.logits(h, w, config=models[NAME]), axis=-1)
        for h in (seen.hidden_BTD, seen.mtp_hidden_BTD)
    ]
    sums = []
    for ahead, logp in zip((1, 2), logps, strict=True):
        terms = [
            -logp[b, t, batch.tokens_BT[b, t + ahead]]
            for b in range(4)
            for t in range(12 - ahead)
            # documents at 0..4 and 5..8: the last one or two positions of each predict nothing
            if t < 5 - ahead or 5 <= t < 9 - ahead
        ]
        sums.append((np.sum(terms), len(terms)))
    (value, (metrics, _)), _ = graded(w, batch)
    (total, count), (mtp_total, mtp_count) = sums
    np.testing.assert_allclose(metrics["loss"], (total, count), rtol=1e-5)
    np.testing.assert_allclose(metrics["mtp_loss"], (mtp_total, mtp_count), rtol=1e-5)
    want = total / count + 0.3 * mtp_total / mtp_count + 0.01 * seen.balance / 8  # documents
    np.testing.assert_allclose(value, want, rtol=1e-5)


def test_mtp_predicts_targets_only_and_the_first_of_them_too(graded, weights, packed_batch):
    """With tokens 3 and 4 of a document as targets, positions 1 and 2 predict them two ahead."""
    batch = packed_batch(NAME)
    targets = jnp.zeros((4, 12)).at[:, 2:4].set(1.0)
    (_, (metrics, _)), _ = graded(weights(NAME), batch._replace(weights_BT=targets))
    assert metrics["loss"].weight == metrics["mtp_loss"].weight == 4 * 2


def test_garbage_on_padding_changes_neither_loss_nor_gradient(graded, weights, packed_batch):
    w, batch = weights(NAME), packed_batch(NAME)
    real = batch.segments_BT > 0
    spoilt_w = w._replace(
        params={**w.params, "embedding": w.params["embedding"].at[0].set(jnp.nan)}
    )
    clean, spoilt = graded(w, batch), graded(spoilt_w, batch)
    jax.tree.map(np.testing.assert_array_equal, spoilt, clean)
    other = batch._replace(
        tokens_BT=jnp.where(real, batch.tokens_BT, 9),
        positions_BT=jnp.where(real, batch.positions_BT, 5),
    )
    jax.tree.map(partial(np.testing.assert_allclose, atol=1e-7), graded(w, other), clean)


def test_a_batch_of_padding_is_finite(graded, weights, packed_batch):
    batch = jax.tree.map(jnp.zeros_like, packed_batch(NAME))
    (value, _), grads = graded(weights(NAME), batch)
    assert value == 0.0
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))


def test_the_order_of_rows_is_without_effect(graded, weights, packed_batch):
    batch = packed_batch(NAME)
    turned = jax.tree.map(lambda x: jnp.roll(x, 1, axis=0), batch)
    close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    jax.tree.map(close, graded(weights(NAME), turned), graded(weights(NAME), batch))


def test_a_directional_derivative_agrees_with_finite_differences(graded, weights, packed_batch):
    """Along the head and the norms, where no route can flip."""
    w, batch, h = weights(NAME), packed_batch(NAME), 1e-3
    _, grads = graded(w, batch)
    direction = {"head": jnp.sin(jnp.arange(64 * 256.0)).reshape(64, 256)}
    direction["final_norm"] = jnp.cos(jnp.arange(64.0))
    moved = [
        w._replace(params=w.params | {n: w.params[n] + step * d for n, d in direction.items()})
        for step in (h, -h)
    ]
    values = [graded(some, batch)[0][0] for some in moved]
    want = sum(jnp.vdot(grads[n], d) for n, d in direction.items())
    # float32 losses of order 6, differenced over 2e-3
    np.testing.assert_allclose((values[0] - values[1]) / (2 * h), want, rtol=2e-3)


def test_router_biases_follow_the_loads(step, train_state, graded, packed_batch):
    state, batch = train_state(NAME), packed_batch(NAME)
    (_, (_, loads)), _ = graded(state.weights, batch)
    after, _ = step(state, batch)
    moved = after.weights.router_bias_LE - state.weights.router_bias_LE
    want = 1e-3 * np.sign(loads.mean(1, keepdims=True) - loads)
    np.testing.assert_allclose(moved, want, atol=1e-7)
    assert np.abs(want).max() > 0


def test_a_skipped_update_leaves_the_biases_too(step, train_state, packed_batch):
    state, batch = train_state(NAME), packed_batch(NAME)
    infinite = batch._replace(weights_BT=batch.weights_BT.at[0, 0].set(jnp.inf))
    after, metrics = step(state, infinite)
    jax.tree.map(np.testing.assert_array_equal, after.weights, state.weights)
    assert (after.updates, after.skipped) == (0, 1)
    assert metrics["skipped"].total == 1.0


def test_ten_updates_on_one_batch_halve_the_loss(step, train_state, packed_batch):
    state, batch = train_state(NAME), packed_batch(NAME)
    losses = []
    for _ in range(10):
        state, metrics = step(state, batch)
        losses.append(float(metrics["loss"].total / metrics["loss"].weight))
    assert losses[-1] < losses[0] / 2
    assert state.updates == 10


def test_without_weight_the_mtp_module_is_not_run(models, weights, packed_batch):
    config = dataclasses.replace(CONFIG, mtp=0.0)
    call = partial(loss, labels_BT=None, model=models[NAME], config=config, sources=())
    w = weights(NAME)
    _, (metrics, loads) = jax.eval_shape(call, w.params, w, packed_batch(NAME))
    assert "mtp_loss" not in metrics
    assert loads.shape == (1, 8)


@pytest.mark.parametrize("name", [NAME, "gqa_bias"])
def test_nothing_is_promoted_silently(name, models, packed_batch, strict_dtypes):
    config = dataclasses.replace(models[name], compute_dtype="bfloat16")
    w = jax.eval_shape(partial(forward.init, config=config), jax.random.key(0))
    call = partial(loss, labels_BT=None, model=config, config=CONFIG, sources=())
    value, _ = jax.eval_shape(call, w.params, w, packed_batch(name))
    assert value.dtype == jnp.float32


def test_micro_batches_add_up_to_the_whole_batch(models, opt, train_state, packed_batch):
    """Rows weigh differently, one nothing, so a mean of the pieces' means would be another."""
    batch = packed_batch(NAME)
    scale_B1 = jnp.array([[0.1], [0.0], [3.0], [0.7]])
    batch = batch._replace(weights_BT=batch.weights_BT * scale_B1)
    labels_BT = jnp.where(batch.segments_BT == 2, 1, 0)
    # unclipped, so that the first moment holds a tenth of the raw gradients
    free = dataclasses.replace(opt, clip_norm=1e9)
    knobs = {"model": models[NAME], "opt": free, "config": CONFIG, "sources": ("a", "b")}
    whole, halves = (
        jax.jit(partial(next_token_step, micro_batches=n, **knobs))(
            train_state(NAME), batch, labels_BT
        )
        for n in (1, 2)
    )
    close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    jax.tree.map(close, halves[0], whole[0])
    got, want = (
        {k: m.total / m.weight for k, m in metrics.items()} for _, metrics in (halves, whole)
    )
    jax.tree.map(close, got, want)


def test_losses_of_sources_make_up_the_loss(models, weights, packed_batch):
    batch = packed_batch("gqa_bias")
    labels_BT = jnp.where(batch.segments_BT == 2, 2, 0)
    call = partial(loss, model=models["gqa_bias"], config=CONFIG, sources=("a", "none", "b"))
    w = weights("gqa_bias")
    measure = jax.jit(lambda batch, labels: call(w.params, w, batch, labels)[1][0])
    seen = {name: np.array(metric) for name, metric in measure(batch, labels_BT).items()}
    np.testing.assert_allclose(seen["loss_a"] + seen["loss_b"], seen["loss"], rtol=1e-6)
    assert (seen["loss_none"] == 0).all()
    assert (seen["loss_a"][1], seen["loss_b"][1]) == (4 * 4, 4 * 3)
    only = batch._replace(weights_BT=batch.weights_BT * (labels_BT == 2))
    np.testing.assert_allclose(seen["loss_b"], measure(only, labels_BT)["loss"], rtol=1e-6)


def test_a_packed_neighbour_changes_nothing(models, weights):
    """Loss and gradient of two documents in one row are those of a row each."""
    name = "gqa_bias"
    ids = {n: [5 + 7 * n + i for i in range(size)] for n, size in enumerate((5, 4))}

    def document(n: int) -> packing.Document:
        return packing.Document(ids[n], [False, False, *[True] * (len(ids[n]) - 2)], n)

    pack = partial(packing.pack, document, range(2))
    together, apart = pack(length=12, bins=1), pack(length=6, bins=2)
    assert (len(together), len(apart)) == (1, 2)
    call = partial(loss, labels_BT=None, model=models[name], config=CONFIG, sources=())
    w = weights(name)
    grade = jax.jit(lambda batch: jax.value_and_grad(call, has_aux=True)(w.params, w, batch))
    for reduction in ("token_mean", "sequence_mean"):
        one, two = (
            grade(packing.to_batch(some.arrays, reduction=reduction)) for some in (together, apart)
        )
        np.testing.assert_allclose(one[0][0], two[0][0], rtol=1e-5)
        close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
        jax.tree.map(close, one[1], two[1])


def test_rows_that_do_not_split_are_refused(models, opt, train_state, packed_batch):
    knobs = {"model": models[NAME], "opt": opt, "config": CONFIG, "sources": ()}
    with pytest.raises(ValueError, match="4 rows do not split into 3 micro_batches"):
        next_token_step(train_state(NAME), packed_batch(NAME), None, micro_batches=3, **knobs)
