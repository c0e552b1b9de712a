import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from r1jax import sharding
from r1jax.model import forward
from r1jax.rl.grpo import token_weights
from r1jax.train.distill import DistillLossConfig, distill_step, loss
from r1jax.types import PackedBatch

STUDENT, TEACHER = "gqa_small", "mla_moe_mtp"  # dense, and DeepSeek-V3 in miniature


@pytest.fixture(scope="module")
def config() -> DistillLossConfig:
    return DistillLossConfig(
        divergence="jsd",
        beta=0.4,
        estimator="full",
        temperature=0.9,
        reduction="token_mean",
        constant=8,
        micro_batches=1,
        balance=0.0,
        bias_rate=0.0,
        logit_chunk=5,
    )


@pytest.fixture(scope="module")
def pair(models):
    """The teacher's vocabulary is wider than the student's, but both have 60 tokens."""
    replace = dataclasses.replace
    return replace(models[STUDENT], n_tokens=60), replace(models[TEACHER], n_tokens=60)


@pytest.fixture(scope="module")
def batch() -> PackedBatch:
    """Sequences of 4 to 9 real tokens of 12, the first 2 of each a prompt."""
    rng = np.random.default_rng(1)
    real = np.arange(12)[None] < rng.integers(4, 10, size=(8, 1))
    mask = np.pad((real & (np.arange(12) >= 2)[None])[:, 1:], ((0, 0), (0, 1)))
    weights = token_weights(jnp.asarray(mask), reduction="token_mean", constant=8)
    tokens = rng.integers(1, 60, size=real.shape) * real
    positions = np.broadcast_to(np.arange(12, dtype=np.int32), real.shape)
    arrays = (tokens, real.astype(np.int32), positions)
    return PackedBatch(*map(jnp.asarray, arrays), weights_BT=weights)


@pytest.fixture(scope="module")
def graded(pair, config, weights):
    """Jitted ((loss, (metrics, loads)), gradients of student and teacher) by config changes."""
    made = {}

    def of(batch, student=None, **changes):
        key = tuple(changes.items())
        if key not in made:
            call = partial(
                loss,
                documents=jnp.float32(8),
                model=pair[0],
                teacher_model=pair[1],
                config=dataclasses.replace(config, **changes),
            )
            made[key] = jax.jit(
                lambda w, teacher, batch: jax.value_and_grad(call, has_aux=True, argnums=(0, 3))(
                    w.params, w, batch, teacher
                )
            )
        return made[key](student or weights(STUDENT), weights(TEACHER), batch)

    return of


@pytest.fixture(scope="module")
def stepped(pair, config, opt, train_state, weights):
    """(state, metrics) after one step by config changes; jitted once each."""
    made = {}

    def of(batch, state=None, **changes):
        key = tuple(changes.items())
        if key not in made:
            made[key] = jax.jit(
                partial(
                    distill_step,
                    model=pair[0],
                    teacher_model=pair[1],
                    opt=opt,
                    config=dataclasses.replace(config, **changes),
                )
            )
        return made[key](state or train_state(STUDENT), weights(TEACHER), batch)

    return of


def assert_close(got, want, tolerance=1e-5):
    jax.tree.map(partial(np.testing.assert_allclose, rtol=tolerance, atol=1e-6), got, want)


def test_the_loss_is_the_weighted_divergence_by_plain_means(graded, run, pair, batch, weights):
    (value, (metrics, _)), _ = graded(batch)
    logps = []
    for name, model in zip((STUDENT, TEACHER), pair, strict=True):
        w = weights(name)
        seen = run(name, w, batch.tokens_BT, batch.positions_BT, batch.segments_BT)
        logits = forward.logits(seen.hidden_BTD, w, config=model)[:, :, :60]
        logps.append(jax.nn.log_softmax(logits / 0.9))
    p, q = np.exp(logps[0]), np.exp(logps[1])
    mixed = np.log(0.4 * q + 0.6 * p)
    jsd = (0.4 * q * (logps[1] - mixed) + 0.6 * p * (logps[0] - mixed)).sum(-1)
    np.testing.assert_allclose(value, (batch.weights_BT * jsd).sum(), rtol=1e-4)
    divergence = metrics["divergence"]
    assert divergence.weight == (batch.weights_BT > 0).sum()
    np.testing.assert_allclose(divergence.total / divergence.weight, value, rtol=1e-5)
    agree = (logps[0].argmax(-1) == logps[1].argmax(-1))[batch.weights_BT > 0]
    assert metrics["agreement"].total == agree.sum()


@pytest.mark.parametrize("changes", [{}, {"divergence": "reverse", "estimator": "sampled"}])
def test_the_student_learns_and_the_teacher_does_not(changes, graded, batch):
    _, (student, teacher) = graded(batch, **changes)
    assert max(float(jnp.abs(g).max()) for g in jax.tree.leaves(student)) > 1e-4
    jax.tree.map(lambda g: np.testing.assert_array_equal(g, 0), teacher.params)


def test_a_student_that_is_its_teacher_has_nothing_to_learn(pair, config, batch, weights):
    call = partial(
        loss, documents=jnp.float32(8), model=pair[1], teacher_model=pair[1], config=config
    )
    w = weights(TEACHER)
    (value, (metrics, _)), grads = jax.jit(jax.value_and_grad(call, has_aux=True))(
        w.params, w, batch, w
    )
    assert abs(value) < 1e-6
    assert metrics["agreement"].total == metrics["agreement"].weight
    jax.tree.map(lambda g: np.testing.assert_allclose(g, 0, atol=1e-5), grads)


def test_the_number_of_micro_batches_is_without_effect(stepped, batch):
    (state, metrics), (pieced, merged) = stepped(batch), stepped(batch, micro_batches=4)
    assert_close(pieced, state)
    assert merged.keys() == metrics.keys()
    assert_close(merged, metrics)


def test_padding_and_what_stands_on_it_are_without_effect(graded, batch):
    spoilt = batch._replace(
        tokens_BT=jnp.where(batch.segments_BT > 0, batch.tokens_BT, 59),
        positions_BT=jnp.where(batch.segments_BT > 0, batch.positions_BT, 7),
    )
    assert_close(graded(spoilt), graded(batch))


def test_repeated_updates_bring_the_student_closer(stepped, batch):
    state, seen = None, []
    for _ in range(8):
        state, metrics = stepped(batch, state)
        seen.append(float(metrics["divergence"].total))
    assert seen[-1] < 0.8 * seen[0]


def test_router_biases_of_a_student_follow_its_loads(
    models, config, opt, batch, train_state, weights
):
    model = dataclasses.replace(models[TEACHER], n_tokens=60)
    teacher = dataclasses.replace(models[STUDENT], n_tokens=60)
    moving = dataclasses.replace(config, bias_rate=1e-3, balance=0.01)
    step = partial(distill_step, model=model, teacher_model=teacher, opt=opt, config=moving)
    before = train_state(TEACHER)
    after, metrics = jax.jit(step)(before, weights(STUDENT), batch)
    moved = after.weights.router_bias_LE - before.weights.router_bias_LE
    assert np.abs(moved).max() == pytest.approx(1e-3, rel=1e-3)
    assert metrics["load_max_violation"].total > 0


def test_sharded_equals_one_device(graded, pair, config, batch, weights):
    (want, _), (grads, _) = graded(batch)
    mesh = sharding.make_mesh(data=2, expert=1, model=2)
    call = partial(
        loss, documents=jnp.float32(8), model=pair[0], teacher_model=pair[1], config=config
    )
    with jax.set_mesh(mesh):
        student, teacher = (
            sharding.place(weights(name), mesh, forward.logical_axes(model))
            for name, model in zip((STUDENT, TEACHER), pair, strict=True)
        )
        (got, _), sharded = jax.jit(jax.value_and_grad(call, has_aux=True))(
            student.params, student, sharding.spread_batch(batch, mesh), teacher
        )
    np.testing.assert_allclose(got, want, rtol=1e-5)
    assert_close(jax.device_get(sharded), grads, tolerance=1e-4)


def test_networks_of_other_vocabularies_are_refused(models, config, batch, weights):
    student, teacher = models[STUDENT], models[TEACHER]
    call = partial(
        loss, documents=jnp.float32(8), model=student, teacher_model=teacher, config=config
    )
    with pytest.raises(ValueError, match="the student has 64 tokens, the teacher 250"):
        jax.eval_shape(call, weights(STUDENT).params, weights(STUDENT), batch, weights(TEACHER))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beta": 1.0}, "beta 1.0: wanted above 0 and below 1"),
        ({"estimator": "sampled"}, "'sampled' is one of the divergence 'reverse', got 'jsd'"),
    ],
)
def test_objectives_that_make_no_sense_are_refused(change, message, config):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(config, **change)


def test_nothing_is_promoted_silently(pair, config, batch, strict_dtypes):
    half = [dataclasses.replace(m, compute_dtype="bfloat16") for m in pair]
    student, teacher = (
        jax.eval_shape(partial(forward.init, config=m), jax.random.key(0)) for m in half
    )
    call = partial(
        loss, documents=jnp.float32(8), model=half[0], teacher_model=half[1], config=config
    )
    value, _ = jax.eval_shape(call, student.params, student, batch, teacher)
    assert value.dtype == jnp.float32
