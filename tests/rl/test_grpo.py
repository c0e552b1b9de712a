from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.rl.grpo import grpo_loss, k3, log_ratios, sequence_sums, token_weights

REDUCTIONS = ["seq_mean_token_mean", "token_mean", "seq_sum_const"]
OPEN = {"clip_low": 1e6, "clip_high": 1e6, "kl_coef": 0.0}  # nothing is clipped


@pytest.fixture(scope="module")
def batch():
    """3 sequences of 4, 2 and 1 sampled tokens out of 5, near-policy log-probabilities."""
    rng = np.random.default_rng(0)
    mask = np.arange(5)[None] < np.array([[4], [2], [1]])
    logp = rng.normal(-2, 0.5, size=(3, 5))
    old, ref = logp + rng.normal(0, 0.3, size=(2, 3, 5))
    return tuple(jnp.asarray(a) for a in (logp, old, ref, np.array([1.2, -0.7, 0.4]), mask))


def loss_of_rows(logp, old, ref, advantages_B, weights, **knobs):
    """The loss of rows of one sequence each."""
    advantages = jnp.broadcast_to(advantages_B[:, None], logp.shape)
    segments = jnp.ones(logp.shape, jnp.int32)
    return grpo_loss(logp, old, ref, advantages, weights, segments, **knobs)


@pytest.fixture(scope="module")
def loss():
    """Jitted value and gradient of the loss with respect to logp."""
    made = {}

    def of(logp, old, ref, advantages, weights, **knobs):
        key = tuple(sorted(knobs.items()))
        if key not in made:
            made[key] = jax.jit(jax.value_and_grad(partial(loss_of_rows, **knobs), has_aux=True))
        (value, metrics), grad = made[key](logp, old, ref, advantages, weights)
        return value, grad, metrics

    return of


# token weights


def test_weights_by_hand():
    mask = jnp.array([[True, True, False], [True, False, False]])
    call = partial(token_weights, mask, constant=10)
    np.testing.assert_allclose(
        call(reduction="seq_mean_token_mean"), [[0.25, 0.25, 0], [0.5, 0, 0]]
    )
    np.testing.assert_allclose(call(reduction="token_mean"), np.asarray(mask) / 3)
    np.testing.assert_allclose(call(reduction="seq_sum_const"), np.asarray(mask) / 20)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_dropped_sequence_weighs_nothing_and_gives_no_nan(reduction):
    weights = token_weights(jnp.zeros((2, 3), bool), reduction=reduction, constant=5)
    np.testing.assert_array_equal(weights, 0.0)


@given(st.integers(1, 5))
def test_the_reductions_agree_where_lengths_are_equal(length):
    mask = jnp.arange(5)[None] < jnp.full((4, 1), length)
    a, b, c = (token_weights(mask, reduction=r, constant=length) for r in REDUCTIONS)
    np.testing.assert_allclose(a, b, rtol=1e-6)
    np.testing.assert_allclose(a, c, rtol=1e-6)


def test_an_unknown_reduction_raises():
    with pytest.raises(ValueError, match="unknown reduction 'mean'"):
        token_weights(jnp.ones((1, 1), bool), reduction="mean", constant=1)


# the KL estimator


def test_golden_k3():
    deltas = jnp.array([-2.0, -0.5, -0.1, 0.0, 0.1, 0.5, 2.0])
    want = [1.135335, 0.106531, 0.004837, 0, 0.005171, 0.148721, 4.389056]
    np.testing.assert_allclose(k3(jnp.zeros(7), deltas), want, atol=1e-6)


def test_k3_near_zero_is_half_the_square():
    """exp(d) - d - 1 in float32 cancels to noise of 6e-8, of either sign."""
    deltas = np.geomspace(1e-12, 0.1, 10_000).astype(np.float32)
    for d in (deltas, -deltas):
        exact = d.astype(np.float64)
        want = exact**2 / 2 * (1 + exact / 3 * (1 + exact / 4 * (1 + exact / 5 * (1 + exact / 6))))
        got, grad = jax.jit(jax.vmap(jax.value_and_grad(k3)))(jnp.zeros_like(d), jnp.asarray(d))
        np.testing.assert_allclose(got, want, rtol=1e-4)
        np.testing.assert_allclose(grad, -np.expm1(exact), rtol=1e-4)
    assert float(k3(jnp.float32(-1e-6), jnp.float32(0))) == pytest.approx(5e-13, rel=1e-5)


@given(st.integers(0, 2**32 - 1))
def test_k3_averages_to_the_kl(seed):
    logits = np.random.default_rng(seed).normal(size=(2, 6)).astype(np.float32)
    p, ref = jax.nn.log_softmax(jnp.asarray(logits), axis=1)
    kl = (jnp.exp(p) * (p - ref)).sum()
    np.testing.assert_allclose((jnp.exp(p) * k3(p, ref)).sum(), kl, atol=1e-5)


@given(st.floats(-1000, 1000, width=32))
def test_k3_is_never_negative_and_never_infinite(delta):
    value, grad = jax.value_and_grad(lambda x: k3(x, jnp.float32(delta)))(jnp.float32(0))
    assert value >= 0
    assert np.isfinite(value) and np.isfinite(grad)


# the ratio


def test_ratios_by_hand():
    logp = jnp.array([[0.3, 0.1, 9.0], [-0.2, 9.0, 9.0]])
    mask = jnp.array([[True, True, False], [True, False, False]])
    call = partial(log_ratios, logp, jnp.zeros((2, 3)), mask, jnp.ones((2, 3), jnp.int32))
    np.testing.assert_allclose(call(ratio="token"), [[0.3, 0.1, 0], [-0.2, 0, 0]])
    np.testing.assert_allclose(call(ratio="sequence"), [[0.4, 0.4, 0], [-0.2, 0, 0]])
    np.testing.assert_allclose(call(ratio="sequence_geomean"), [[0.2, 0.2, 0], [-0.2, 0, 0]])


def test_sums_stay_within_their_sequence():
    """By loops, over sequences of 1 to 4 tokens with padding behind; one holds a huge number."""
    segments = np.array([[1, 2, 2, 2, 3, 3, 3, 3, 0], [1, 1, 2, 3, 3, 4, 0, 0, 0]])
    x = np.random.default_rng(0).normal(size=segments.shape).astype(np.float32)
    x[0, 0] = 1e9
    want = [[x[b][segments[b] == s].sum() for s in segments[b]] for b in range(2)]
    got = sequence_sums(jnp.asarray(x), jnp.asarray(segments))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ratio", ["token", "sequence", "sequence_geomean"])
def test_ratios_of_far_policies_stay_finite(ratio):
    far = jnp.full((1, 4), -500.0)

    def call(x):
        real, one = jnp.ones((1, 4), bool), jnp.ones((1, 4), jnp.int32)
        return jnp.exp(log_ratios(x, jnp.zeros((1, 4)), real, one, ratio=ratio)).sum()

    for logp in (far, -far):
        value, grad = jax.value_and_grad(call)(logp)
        assert np.isfinite(value)
        np.testing.assert_array_equal(grad, 0.0)


def test_an_unknown_ratio_raises():
    with pytest.raises(ValueError, match="unknown ratio 'tokens'"):
        one = jnp.ones((1, 1))
        log_ratios(one, one, one > 0, one.astype(jnp.int32), ratio="tokens")


# the loss, against loops


@pytest.mark.parametrize("ratio", ["token", "sequence", "sequence_geomean"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_the_loss_by_loops(ratio, reduction, batch, loss):
    *arrays, mask = batch
    logp, old, ref, advantages, real = (np.asarray(a, np.float64) for a in batch)
    knobs = {"clip_low": 0.1, "clip_high": 0.2, "kl_coef": 0.3}
    weights = token_weights(mask, reduction=reduction, constant=6)
    value, _, _ = loss(*arrays, weights, ratio=ratio, **knobs)
    total, tokens = 0.0, real.sum()
    for b in range(3):
        length = int(real[b].sum())
        logs = (logp - old)[b, :length]
        for t in range(length):
            log_r = {"token": logs[t], "sequence": logs.sum(), "sequence_geomean": logs.mean()}
            r = np.exp(log_r[ratio])
            gain = min(r * advantages[b], np.clip(r, 0.9, 1.2) * advantages[b])
            delta = ref[b, t] - logp[b, t]
            gain -= 0.3 * (np.exp(delta) - delta - 1)
            total -= (
                gain
                / {"seq_mean_token_mean": 3 * length, "token_mean": tokens, "seq_sum_const": 3 * 6}[
                    reduction
                ]
            )
    np.testing.assert_allclose(value, total, rtol=1e-5)


def test_the_on_policy_gradient_is_the_unified_views(batch, loss):
    """d loss / d logp = -w (A + beta (ref / policy - 1)) (DeepSeekMath, equations 20-21)."""
    logp, _, ref, advantages, mask = batch
    weights = token_weights(mask, reduction="seq_mean_token_mean", constant=0)
    knobs = {"clip_low": 0.2, "clip_high": 0.2, "kl_coef": 0.3, "ratio": "token"}
    _, grad, metrics = loss(logp, logp, ref, advantages, weights, **knobs)
    want = -weights * (advantages[:, None] + 0.3 * (jnp.exp(ref - logp) - 1))
    np.testing.assert_allclose(grad, want, rtol=1e-5, atol=1e-7)
    assert metrics["clip_fraction"].total == 0
    np.testing.assert_allclose(metrics["ratio"].total, 7.0)


def test_finite_differences(batch, loss):
    *arrays, mask = batch
    logp, rest = arrays[0], arrays[1:]
    weights = token_weights(mask, reduction="token_mean", constant=0)
    knobs = {"clip_low": 0.9, "clip_high": 2.0, "kl_coef": 0.3, "ratio": "token"}
    _, grad, _ = loss(*arrays, weights, **knobs)
    direction = jnp.asarray(np.random.default_rng(1).normal(size=logp.shape), jnp.float32)
    up, down = (loss(logp + h * direction, *rest, weights, **knobs)[0] for h in (1e-2, -1e-2))
    # float32 differences over 2e-2
    np.testing.assert_allclose((up - down) / 2e-2, (grad * direction).sum(), rtol=1e-3)


@pytest.mark.parametrize(
    ("log_ratio", "advantage", "clipped"),
    [(0.5, 1, True), (-0.5, -1, True), (-0.5, 1, False), (0.5, -1, False), (0.1, 1, False)],
)
def test_clipping_stops_the_gradient_on_the_right_side_only(log_ratio, advantage, clipped, loss):
    logp = jnp.full((1, 1), log_ratio)
    zero, one = jnp.zeros((1, 1)), jnp.ones((1, 1))
    knobs = {"clip_low": 0.2, "clip_high": 0.28, "kl_coef": 0.0, "ratio": "token"}
    _, grad, metrics = loss(logp, zero, zero, jnp.full(1, float(advantage)), one, **knobs)
    if clipped:
        assert grad[0, 0] == 0.0
    else:
        np.testing.assert_allclose(grad[0, 0], -advantage * np.exp(log_ratio), rtol=1e-5)
    assert metrics["clip_fraction"].total == float(clipped)
    assert metrics["clip_fraction_high"].total == float(clipped and advantage > 0)
    assert metrics["clip_fraction_low"].total == float(clipped and advantage < 0)


def test_an_epsilon_of_ten_never_clips_from_below(loss):
    knobs = {"clip_low": 10.0, "clip_high": 10.0, "kl_coef": 0.0, "ratio": "token"}
    zero, one = jnp.zeros((1, 1)), jnp.ones((1, 1))
    _, grad, _ = loss(jnp.full((1, 1), -5.0), zero, zero, -jnp.ones(1), one, **knobs)
    np.testing.assert_allclose(grad[0, 0], np.exp(-5.0), rtol=1e-5)


def test_at_the_reference_the_kl_has_no_gradient(batch, loss):
    logp, old, _, advantages, mask = batch
    weights = token_weights(mask, reduction="token_mean", constant=0)
    with_kl, without = (
        loss(
            logp,
            old,
            logp,
            advantages,
            weights,
            clip_low=0.2,
            clip_high=0.2,
            kl_coef=kl,
            ratio="token",
        )
        for kl in (0.5, 0.0)
    )
    np.testing.assert_array_equal(with_kl[1], without[1])
    assert with_kl[2]["kl"].total == 0.0


@pytest.mark.parametrize("ratio", ["token", "sequence", "sequence_geomean"])
def test_nan_without_weight_changes_nothing(ratio, batch, loss):
    *arrays, mask = batch
    weights = token_weights(mask, reduction="token_mean", constant=0)
    knobs = {"clip_low": 0.2, "clip_high": 0.2, "kl_coef": 0.3, "ratio": ratio}

    def spoil(x):
        return x if x.ndim == 1 else jnp.where(mask, x, jnp.nan)

    clean = loss(*arrays, weights, **knobs)
    spoilt = loss(*map(spoil, arrays), weights, **knobs)
    jax.tree.map(np.testing.assert_array_equal, spoilt, clean)


def test_sequences_of_one_token_make_gspo_grpo(batch, loss):
    logp, old, ref, advantages, _ = (a[:, :1] if a.ndim == 2 else a for a in batch)
    weights = jnp.full((3, 1), 1 / 3)
    knobs = {"clip_low": 0.1, "clip_high": 0.1, "kl_coef": 0.3}
    tokens, sequences = (
        loss(logp, old, ref, advantages, weights, ratio=r, **knobs)
        for r in ("token", "sequence_geomean")
    )
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), tokens, sequences)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("ratio", ["token", "sequence", "sequence_geomean"])
def test_pieces_order_and_padding_are_without_effect(reduction, ratio, batch, loss):
    *arrays, mask = batch
    weights = token_weights(mask, reduction=reduction, constant=6)
    knobs = {"clip_low": 0.1, "clip_high": 0.2, "kl_coef": 0.3, "ratio": ratio}
    inputs = (*arrays, weights)
    whole, grad, _ = loss(*inputs, **knobs)
    pieces = [loss(*(a[i : i + 1] for a in inputs), **knobs)[:2] for i in (2, 0, 1)]
    np.testing.assert_allclose(sum(p[0] for p in pieces), whole, rtol=1e-6)
    np.testing.assert_allclose(
        np.concatenate([pieces[i][1] for i in (1, 2, 0)]), grad, rtol=1e-6, atol=1e-9
    )
    longer = [a if a.ndim == 1 else jnp.pad(a, ((0, 0), (0, 2))) for a in inputs]
    np.testing.assert_allclose(loss(*longer, **knobs)[0], whole, rtol=1e-6)


def test_loss_dtypes_are_not_promoted_silently(batch, strict_dtypes):
    *arrays, mask = batch
    for ratio in ("token", "sequence", "sequence_geomean"):
        call = partial(loss_of_rows, clip_low=0.2, clip_high=0.2, kl_coef=0.1, ratio=ratio)
        value, _ = jax.eval_shape(call, *arrays, mask.astype(jnp.float32))
        assert value.dtype == jnp.float32


# a policy small enough to enumerate: token 0 ends a sequence, the second token may be any


def enumerate_policy(theta):
    """All outcomes of two draws from 3 tokens: (log-probabilities [7, 2], mask [7, 2])."""
    first, second = theta
    lp1, lp2 = jax.nn.log_softmax(first), jax.nn.log_softmax(second, axis=1)
    rows = [(0, None), *product((1, 2), (0, 1, 2))]
    logp = jnp.stack(
        [jnp.stack([lp1[a], jnp.float32(0) if b is None else lp2[a, b]]) for a, b in rows]
    )
    return logp, jnp.array([[True, b is not None] for _, b in rows])


@pytest.fixture(scope="module")
def toy():
    """(policy parameters, behaviour parameters, reward of each of the 7 outcomes)."""
    rng = np.random.default_rng(5)

    def make():
        return (
            jnp.asarray(rng.normal(size=3), jnp.float32),
            jnp.asarray(rng.normal(size=(3, 3)), jnp.float32),
        )

    return make(), make(), jnp.asarray(rng.normal(size=7), jnp.float32)


def expected_surrogate_gradient(theta, behaviour, rewards, *, reduction, ratio):
    """Gradient of the loss summed over all outcomes, each as often as the behaviour draws it."""
    old, mask = enumerate_policy(behaviour)
    weights = token_weights(mask, reduction=reduction, constant=2)
    chances = jnp.exp((old * mask).sum(1))

    def surrogate(theta):
        logp, _ = enumerate_policy(theta)
        # the loss is linear in the advantages: they carry the chances
        return loss_of_rows(logp, old, old, rewards * chances, weights, ratio=ratio, **OPEN)[0]

    return jax.grad(surrogate)(theta)


def expected(theta, values):
    logp, mask = enumerate_policy(theta)
    return (jnp.exp((logp * mask).sum(1)) * values).sum()


@pytest.mark.parametrize(
    ("name", "reduction", "ratio", "share"),
    [
        ("GRPO", "seq_mean_token_mean", "token", lambda n: 1 / (7 * n)),
        ("DAPO", "token_mean", "token", lambda n: 1 / 13),
        ("Dr. GRPO", "seq_sum_const", "token", lambda n: 1 / (7 * 2)),
        ("GSPO", "seq_mean_token_mean", "sequence_geomean", lambda n: 1 / (7 * n)),
        ("sequence", "seq_mean_token_mean", "sequence", lambda n: 1 / 7),
    ],
    ids=lambda x: x if isinstance(x, str) and " " not in x else None,
)
def test_on_policy_each_objective_climbs_its_expected_reward(name, reduction, ratio, share, toy):
    """Up to a constant, GRPO and GSPO climb E[r / length], DAPO, Dr. GRPO and sequence E[r]."""
    theta, _, rewards = toy
    lengths = enumerate_policy(theta)[1].sum(1)
    values = rewards * jnp.array([share(int(n)) for n in lengths])
    want = jax.grad(lambda theta: -expected(theta, values))(theta)
    got = expected_surrogate_gradient(theta, theta, rewards, reduction=reduction, ratio=ratio)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), got, want)


def test_the_sequence_ratio_is_exact_off_policy(toy):
    """Importance sampling: the behaviour's samples give the policy's own gradient."""
    theta, behaviour, rewards = toy
    want = jax.grad(lambda theta: -expected(theta, rewards / 7))(theta)
    got = expected_surrogate_gradient(
        theta, behaviour, rewards, reduction="seq_mean_token_mean", ratio="sequence"
    )
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), got, want)


def test_off_policy_each_token_is_weighed_by_its_own_ratio(toy):
    theta, behaviour, rewards = toy
    logp, mask = enumerate_policy(theta)
    old, _ = enumerate_policy(behaviour)
    coefficients = jnp.exp((old * mask).sum(1) + jnp.log(jnp.ones(7)))[:, None] * rewards[:, None]
    coefficients = coefficients * jnp.exp(logp - old) * mask / (7 * 2)
    want = jax.grad(lambda theta: -(coefficients * enumerate_policy(theta)[0]).sum())(theta)
    got = expected_surrogate_gradient(
        theta, behaviour, rewards, reduction="seq_sum_const", ratio="token"
    )
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), got, want)


def test_on_policy_a_sequence_gets_the_reinforce_gradient(toy):
    theta, _, _ = toy
    logp, mask = enumerate_policy(theta)
    advantages = jnp.arange(7.0) - 3
    weights = token_weights(mask, reduction="seq_sum_const", constant=1)

    def surrogate(theta):
        new, _ = enumerate_policy(theta)
        return loss_of_rows(new, logp, logp, advantages, weights, ratio="token", **OPEN)[0]

    def reinforce(theta):
        new, _ = enumerate_policy(theta)
        return -(advantages * (new * mask).sum(1)).mean()

    got, want = jax.grad(surrogate)(theta), jax.grad(reinforce)(theta)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), got, want)
    # and its value says nothing about the reward: sum of w A
    np.testing.assert_allclose(surrogate(theta), -(weights * advantages[:, None]).sum(), rtol=1e-5)
