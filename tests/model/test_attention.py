import jax
import jax.numpy as jnp
import numpy as np
import pytest

from r1jax.model import attention


@pytest.fixture(scope="module")
def qkv():
    """B=2, T=S=5, M=2 kv heads, J=3 queries each, H=4, value width 6."""
    rng = np.random.default_rng(0)
    shapes = [(2, 5, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 6)]
    return [jnp.asarray(rng.normal(size=s), jnp.float32) for s in shapes]


def naive(q, k, v, mask, scale):
    out = np.zeros((*q.shape[:4], v.shape[-1]))
    for b, t, m, j in np.ndindex(*q.shape[:4]):
        seen = [s for s in range(k.shape[2]) if mask[b, t, s]]
        scores = np.array([float(q[b, t, m, j] @ k[b, m, s]) * scale for s in seen])
        p = np.exp(scores - scores.max())
        out[b, t, m, j] = sum(
            w * np.asarray(v[b, m, s]) for w, s in zip(p / p.sum(), seen, strict=True)
        )
    return out


def test_grouped_attention_by_loops(qkv):
    mask = attention.causal_mask(jnp.array([[1, 1, 2, 2, 2], [1, 1, 1, 1, 1]]))
    q, k, v = qkv
    got = attention.attend_grouped(q, k, v, mask, scale=0.3)
    np.testing.assert_allclose(got, naive(q, k, v, mask, 0.3), atol=1e-5)


def test_the_causal_mask_by_hand():
    mask = attention.causal_mask(jnp.array([[0, 1, 1, 2]]))
    want = [[0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_array_equal(mask[0], np.array(want, bool))


def test_a_fully_masked_row_is_finite_in_value_and_gradient(qkv):
    mask = jnp.zeros((2, 5, 5), bool)

    def loss(q, k, v):
        return (attention.attend_grouped(q, k, v, mask, scale=1.0) ** 2).sum()

    value, grads = jax.value_and_grad(loss, argnums=(0, 1, 2))(*qkv)
    assert np.isfinite(value)
    assert all(np.isfinite(g).all() for g in grads)


def test_masked_scores_may_be_nan(qkv):
    q, k, v = qkv
    mask = jnp.ones((2, 5, 5), bool).at[:, :, 4].set(False)

    def loss(q, k):
        return attention.attend_grouped(q, k, v, mask, scale=1.0).sum()

    spoilt = k.at[:, :, 4].set(jnp.nan)
    np.testing.assert_array_equal(loss(q, spoilt), loss(q, k))


def test_absorbed_equals_expanded():
    rng = np.random.default_rng(1)

    def make(*shape):
        return jnp.asarray(rng.normal(size=shape), jnp.float32)

    b, t, s, n, h, x, r, u = 2, 3, 5, 4, 6, 2, 8, 7
    qn, qr, latent, kr = make(b, t, n, h), make(b, t, n, x), make(b, s, r), make(b, s, x)
    k_up, v_up = make(r, n, h), make(r, n, u)
    mask = jnp.asarray(rng.random((b, t, s)) < 0.7).at[:, :, 0].set(True)

    q_latent = jnp.einsum("btnh,rnh->btnr", qn, k_up)
    absorbed = attention.attend_latent(q_latent, qr, latent, kr, mask, scale=0.1)
    absorbed = jnp.einsum("btnr,rnu->btnu", absorbed, v_up)

    shared = jnp.broadcast_to(kr[:, None], (b, n, s, x))
    k = jnp.concatenate([jnp.einsum("bsr,rnh->bnsh", latent, k_up), shared], axis=-1)
    v = jnp.einsum("bsr,rnu->bnsu", latent, v_up)
    q = jnp.concatenate([qn, qr], axis=-1)[:, :, :, None]
    expanded = attention.attend_grouped(q, k, v, mask, scale=0.1)[:, :, :, 0]
    np.testing.assert_allclose(absorbed, expanded, atol=1e-5)


def test_softmax_is_float32_under_bfloat16(qkv):
    q, k, v = (x.astype(jnp.bfloat16) for x in qkv)
    mask = jnp.ones((2, 5, 5), bool)
    jaxpr = jax.make_jaxpr(lambda: attention.attend_grouped(q, k, v, mask, scale=1.0))().jaxpr
    exps = [e for e in jaxpr.eqns if e.primitive.name == "exp"]
    assert exps and all(e.outvars[0].aval.dtype == jnp.float32 for e in exps)
