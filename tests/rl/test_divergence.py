from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.extend.core import ClosedJaxpr, Jaxpr

from r1jax.rl.divergence import compare, divergence, sampled_loss

B, T, D, U, V, USED = 2, 7, 5, 4, 11, 9
BETAS = [0.0, 0.3, 0.9, 1.0]
JAXPRS = (ClosedJaxpr, Jaxpr)


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(2)  # one where both have the same best token here and there

    def draw(*shape):
        return jnp.asarray(rng.normal(size=shape), jnp.float32)

    targets = jnp.asarray(rng.integers(0, USED, size=(B, T)))
    used = jnp.arange(V) < USED
    return draw(B, T, D), draw(D, V), draw(B, T, U), draw(U, V), targets, used


def softmax(logits):
    e = [np.exp(x - max(logits)) for x in logits]
    return [x / sum(e) for x in e]


def jsd(p, q, beta):
    """What the paper's words say of a student's p and a teacher's q, with loops."""

    def kl(a, b):
        return sum(x * np.log(x / y) for x, y in zip(a, b, strict=True))

    if beta in (0.0, 1.0):
        return kl(p, q) if beta else kl(q, p)
    m = [beta * y + (1 - beta) * x for x, y in zip(p, q, strict=True)]
    return beta * kl(q, m) + (1 - beta) * kl(p, m)


def oracle(hidden, head, teacher_hidden, teacher_head, targets, beta, temperature):
    """Each field of Compared at each position, in float64."""
    rows = []
    for h, t, target in zip(
        np.float64(hidden).reshape(B * T, D),
        np.float64(teacher_hidden).reshape(B * T, U),
        np.array(targets).reshape(B * T),
        strict=True,
    ):
        p = softmax((h @ np.float64(head))[:USED] / temperature)
        q = softmax((t @ np.float64(teacher_head))[:USED] / temperature)

        def entropy(x):
            return -sum(v * np.log(v) for v in x)

        rows.append(
            [
                jsd(p, q, beta),
                np.log(p[target]),
                np.log(q[target]),
                entropy(p),
                entropy(q),
                float(np.argmax(p) == np.argmax(q)),
            ]
        )
    return np.array(rows).T.reshape(6, B, T)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(("chunk", "temperature"), [(3, 0.6), (100, 1.0)])
def test_any_chunk_gives_what_loops_give(beta, chunk, temperature, inputs):
    got = compare(*inputs, beta=beta, temperature=temperature, chunk=chunk)
    want = oracle(*inputs[:5], beta, temperature)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    assert 0 < got.agree_BT.mean() < 1


@pytest.mark.parametrize("beta", BETAS)
def test_chunks_keep_the_gradient_and_the_teacher_has_none(beta, inputs):
    weights = jnp.linspace(-1, 2, B * T).reshape(B, T)

    def total(hidden, head, teacher_hidden, teacher_head, chunk):
        c = compare(
            hidden,
            head,
            teacher_hidden,
            teacher_head,
            *inputs[4:],
            beta=beta,
            temperature=0.8,
            chunk=chunk,
        )
        return (weights * (c.divergence_BT + c.logp_BT)).sum() + sum(x.sum() for x in c[2:])

    grad = jax.jit(jax.grad(total, argnums=(0, 1, 2, 3)), static_argnums=4)
    pieces, whole = grad(*inputs[:4], 3), grad(*inputs[:4], 100)
    for a, b in zip(pieces[:2], whole[:2], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
        assert np.abs(a).max() > 1e-2
    for teacher in (*pieces[2:], *whole[2:]):
        np.testing.assert_array_equal(teacher, 0)


@pytest.mark.parametrize("beta", BETAS)
def test_the_gradient_is_the_slope(beta, inputs):
    hidden, head, *rest = inputs
    hidden = hidden[:1, :1]
    rest = [rest[0][:1, :1], rest[1], rest[2][:1, :1], rest[3]]
    got = jax.grad(
        lambda h: compare(h, head, *rest, beta=beta, temperature=1.0, chunk=1).divergence_BT.sum()
    )(hidden)
    q = softmax((np.float64(rest[0][0, 0]) @ np.float64(rest[1]))[:USED])

    def value(h):
        return jsd(softmax((h @ np.float64(head))[:USED]), q, beta)

    at, step = np.float64(hidden[0, 0]), 1e-5
    slopes = [(value(at + e) - value(at - e)) / (2 * step) for e in step * np.eye(D)]
    np.testing.assert_allclose(got[0, 0], slopes, rtol=1e-4, atol=1e-5)


logits = st.lists(st.floats(-8, 8, width=32), min_size=5, max_size=5)


@given(logits, logits, st.sampled_from(BETAS))
def test_a_divergence_is_0_between_equals_and_otherwise_above(student, teacher, beta):
    logp, teacher_logp = (
        jax.nn.log_softmax(jnp.asarray([[x]], jnp.float32)) for x in (student, teacher)
    )
    assert abs(divergence(logp, logp, beta=beta)[0, 0]) < 1e-6
    between = float(divergence(logp, teacher_logp, beta=beta)[0, 0])
    assert between > -1e-6
    if float(jnp.abs(jnp.exp(logp) - jnp.exp(teacher_logp)).max()) > 0.05:
        assert between > 1e-5


def test_the_ends_are_the_limits_divided_by_what_vanishes():
    rng = np.random.default_rng(3)
    p, q = (softmax(rng.normal(size=6)) for _ in range(2))

    def as_logp(x):
        return jnp.log(jnp.asarray(x, jnp.float32))[None, None]

    ends = [float(divergence(as_logp(p), as_logp(q), beta=beta)[0, 0]) for beta in (0.0, 1.0)]
    small = 1e-6  # in float64: the oracle's words tend to what our ends say
    np.testing.assert_allclose(jsd(p, q, small) / small, ends[0], rtol=1e-4)
    np.testing.assert_allclose(jsd(p, q, 1 - small) / small, ends[1], rtol=1e-4)
    # and float32 follows them a good way
    np.testing.assert_allclose(
        divergence(as_logp(p), as_logp(q), beta=0.01)[0, 0] / 0.01, ends[0], rtol=0.05
    )


def test_the_middle_is_symmetric():
    rng = np.random.default_rng(4)
    a, b = (jax.nn.log_softmax(jnp.asarray(rng.normal(size=(1, 3, 6)))) for _ in range(2))
    np.testing.assert_allclose(
        divergence(a, b, beta=0.5), divergence(b, a, beta=0.5), rtol=1e-4, atol=1e-6
    )


def test_the_sampled_gradient_averages_to_the_reverse_kls():
    rng = np.random.default_rng(5)
    logits, teacher = (jnp.asarray(rng.normal(size=6), jnp.float32) for _ in range(2))
    teacher_logp = jax.nn.log_softmax(teacher)

    def mean_loss(logits):
        logp = jax.nn.log_softmax(logits)
        each = sampled_loss(logp[None], teacher_logp[None])[0]
        return (jax.lax.stop_gradient(jnp.exp(logp)) * each).sum()

    def reverse(logits):
        logp = jax.nn.log_softmax(logits)
        return divergence(logp[None, None], teacher_logp[None, None], beta=1.0).sum()

    np.testing.assert_allclose(jax.grad(mean_loss)(logits), jax.grad(reverse)(logits), atol=1e-6)


def test_a_token_that_the_teacher_likes_better_is_pushed_up():
    logp, teacher_logp = jnp.asarray([[-2.0, -0.5]]), jnp.asarray([[-1.0, -1.5]])
    slope = jax.grad(lambda x: sampled_loss(x, teacher_logp).sum())(logp)
    np.testing.assert_allclose(slope, [[-1.0, 1.0]])


def test_ids_that_do_not_exist_have_no_part(inputs):
    hidden, head, teacher_hidden, teacher_head, targets, used = inputs
    call = partial(compare, beta=0.3, temperature=1.0, chunk=3)

    def wild(x):
        return x.at[:, USED:].mul(1000.0)

    got = call(hidden, wild(head), teacher_hidden, wild(teacher_head), targets, used)
    jax.tree.map(np.testing.assert_array_equal, got, call(*inputs))


def arrays_within(jaxpr):
    """Shapes of every array that a jaxpr makes, inner jaxprs included."""
    for eqn in jaxpr.eqns:
        yield from (v.aval.shape for v in eqn.outvars)
        for param in jax.tree.leaves(eqn.params, is_leaf=lambda x: isinstance(x, JAXPRS)):
            if isinstance(param, JAXPRS):
                yield from arrays_within(getattr(param, "jaxpr", param))


@pytest.mark.parametrize(("chunk", "whole"), [(3, False), (7, True)])
def test_no_array_holds_all_logits(chunk, whole, inputs):
    call = partial(compare, beta=0.5, temperature=1.0, chunk=chunk)
    grad = jax.grad(lambda h, head: call(h, head, *inputs[2:])[0].sum(), argnums=(0, 1))
    shapes = list(arrays_within(jax.make_jaxpr(grad)(*inputs[:2]).jaxpr))
    biggest = max(np.prod(s) for s in shapes if V in s and s not in ((D, V), (U, V)))
    assert (biggest >= B * T * V) == whole


def test_nothing_is_promoted_silently(inputs, strict_dtypes):
    hidden, head, teacher_hidden, *rest = inputs
    half = (x.astype(jnp.bfloat16) for x in (hidden, teacher_hidden))
    call = partial(compare, beta=0.3, temperature=0.9, chunk=3)
    hidden, teacher_hidden = half
    for field in jax.eval_shape(call, hidden, head, teacher_hidden, *rest):
        assert field.dtype == jnp.float32


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"beta": 1.5, "temperature": 1.0}, "beta 1.5: wanted 0"),
        ({"beta": 0.5, "temperature": 0.0}, "a temperature above 0, got 0.0"),
    ],
)
def test_knobs_out_of_range_are_refused(knobs, message, inputs):
    with pytest.raises(ValueError, match=message):
        compare(*inputs, **knobs, chunk=3)
