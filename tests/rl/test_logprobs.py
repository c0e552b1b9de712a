from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import ClosedJaxpr, Jaxpr

from r1jax.rl.logprobs import token_logps

B, T, D, V, USED = 2, 7, 5, 11, 9
JAXPRS = (ClosedJaxpr, Jaxpr)


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    hidden = jnp.asarray(rng.normal(size=(B, T, D)), jnp.float32)
    head = jnp.asarray(rng.normal(size=(D, V)), jnp.float32)
    return hidden, head, jnp.asarray(rng.integers(0, USED, size=(B, T))), jnp.arange(V) < USED


def naive(hidden, head, targets, used, temperature):
    logits = jnp.where(used[None, None], jnp.einsum("btd,dv->btv", hidden, head), -jnp.inf)
    logps = jax.nn.log_softmax(logits / temperature, axis=-1)
    safe = jnp.where(jnp.isfinite(logps), logps, 0.0)
    entropy = -(jnp.exp(logps) * safe).sum(-1)
    return jnp.take_along_axis(logps, targets[:, :, None], axis=2)[:, :, 0], entropy


@pytest.fixture(scope="module")
def graded():
    """Jitted (logps, entropies, gradients) by chunk; every position has its own weight."""
    weights = jnp.linspace(-1, 2, B * T).reshape(B, T)

    def run(hidden, head, targets, used, *, score):
        def total(hidden, head):
            logps, entropies = score(hidden, head, targets, used)
            return (weights * logps).sum(), (logps, entropies)

        grads, (logps, entropies) = jax.grad(total, argnums=(0, 1), has_aux=True)(hidden, head)
        return logps, entropies, *grads

    def of(score):
        return jax.jit(partial(run, score=score))

    return of


@pytest.mark.parametrize("temperature", [1.0, 0.6])
@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
def test_any_chunk_gives_the_log_softmax_and_its_gradient(chunk, temperature, inputs, graded):
    got = graded(partial(token_logps, temperature=temperature, chunk=chunk))(*inputs)
    want = graded(partial(naive, temperature=temperature))(*inputs)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_ids_that_do_not_exist_get_no_probability(inputs):
    hidden, head, _, used = inputs
    every = jnp.broadcast_to(jnp.arange(V)[None], (B, V))
    spread = jnp.broadcast_to(hidden[:, :1], (B, V, D))
    logps, _ = token_logps(spread, head, every, used, temperature=1.0, chunk=V)
    probs = np.exp(logps)
    np.testing.assert_array_equal(probs[:, USED:], 0.0)
    np.testing.assert_allclose(probs.sum(1), 1.0, rtol=1e-5)


def test_the_entropy_of_a_uniform_distribution_is_its_log_size(inputs):
    _, head, targets, used = inputs
    _, entropy = token_logps(jnp.zeros((B, T, D)), head, targets, used, temperature=1.0, chunk=3)
    np.testing.assert_allclose(entropy, np.log(USED), rtol=1e-6)


def test_the_entropy_gives_no_gradient(inputs):
    hidden, *rest = inputs

    def total(h):
        return token_logps(h, *rest, temperature=1.0, chunk=3)[1].sum()

    np.testing.assert_array_equal(jax.grad(total)(hidden), 0.0)


def arrays_within(jaxpr):
    """Shapes of every array that a jaxpr makes, inner jaxprs included."""
    for eqn in jaxpr.eqns:
        yield from (v.aval.shape for v in eqn.outvars)
        for param in jax.tree.leaves(eqn.params, is_leaf=lambda x: isinstance(x, JAXPRS)):
            if isinstance(param, JAXPRS):
                yield from arrays_within(getattr(param, "jaxpr", param))


@pytest.mark.parametrize(("chunk", "whole"), [(3, False), (7, True)])
def test_no_array_holds_all_logits(chunk, whole, inputs):
    hidden, *rest = inputs
    call = partial(token_logps, temperature=1.0, chunk=chunk)
    grad = jax.grad(lambda h, head: call(h, head, *rest[1:])[0].sum(), argnums=(0, 1))
    shapes = list(arrays_within(jax.make_jaxpr(grad)(hidden, rest[0]).jaxpr))
    biggest = max(np.prod(s) for s in shapes if V in s and s != (D, V))
    assert any(V in s for s in shapes)
    assert (biggest >= B * T * V) == whole


def test_nothing_is_promoted_silently(inputs, strict_dtypes):
    hidden, head, targets, used = inputs
    call = partial(token_logps, temperature=0.9, chunk=3)
    logps, entropy = jax.eval_shape(call, hidden.astype(jnp.bfloat16), head, targets, used)
    assert logps.dtype == entropy.dtype == jnp.float32


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_no_temperature_no_distribution(temperature, inputs):
    with pytest.raises(ValueError, match="temperature above 0"):
        token_logps(*inputs, temperature=temperature, chunk=3)
