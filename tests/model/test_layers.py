import jax
import jax.numpy as jnp
import numpy as np

from r1jax.model.layers import embed, rms_norm, swiglu


def test_rms_norm_by_hand():
    x = jnp.array([[3.0, 4.0]])
    got = rms_norm(x, jnp.array([1.0, 2.0]), eps=0.5)
    np.testing.assert_allclose(got, np.array([[3.0, 8.0]]) / np.sqrt(12.5 + 0.5), rtol=1e-6)


def test_rms_norm_has_float32_statistics():
    def norm(x):
        return rms_norm(x, jnp.ones(8, jnp.float32), eps=1e-6)

    jaxpr = jax.make_jaxpr(norm)(jnp.ones((1, 8), jnp.bfloat16)).jaxpr
    (root,) = [e for e in jaxpr.eqns if e.primitive.name == "rsqrt"]
    assert root.invars[0].aval.dtype == jnp.float32
    assert jaxpr.outvars[0].aval.dtype == jnp.bfloat16


def test_rms_norm_ignores_the_length_of_its_input():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 8)), jnp.float32)
    scale = jnp.ones(8)
    np.testing.assert_allclose(
        rms_norm(7 * x, scale, eps=0.0), rms_norm(x, scale, eps=0.0), rtol=1e-5
    )


def test_swiglu_by_loops():
    rng = np.random.default_rng(1)
    x, up, down = (rng.normal(size=s).astype(np.float32) for s in [(1, 2, 3), (3, 2, 5), (5, 3)])
    gate, value = x[0] @ up[:, 0], x[0] @ up[:, 1]
    want = (gate / (1 + np.exp(-gate)) * value) @ down
    np.testing.assert_allclose(swiglu(*map(jnp.asarray, (x, up, down)))[0], want, atol=1e-5)


def test_padding_embeds_to_zero_whatever_the_table_holds():
    table = jnp.arange(12.0).reshape(4, 3).at[0].set(jnp.nan)
    got = embed(jnp.array([[2, 0]]), table, jnp.array([[True, False]]), "bfloat16")
    assert got.dtype == jnp.bfloat16
    np.testing.assert_array_equal(got.astype(jnp.float32), [[[6, 7, 8], [0, 0, 0]]])
