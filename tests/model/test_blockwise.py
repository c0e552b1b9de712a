import jax
import jax.numpy as jnp
import numpy as np
import pytest

from r1jax import sharding
from r1jax.model import attention, blockwise

# three documents, padding behind, padding before, padding alone
SEGMENTS = np.zeros((4, 37), np.int32)
SEGMENTS[0, :10], SEGMENTS[0, 10:25], SEGMENTS[0, 25:] = 1, 2, 3
SEGMENTS[1, :5] = 1
SEGMENTS[2, 8:30] = 1


def arrays(kv_heads: int, group: int, width: int, value_width: int) -> list[jax.Array]:
    """Queries, keys, values and the weights of a loss that counts real positions alone."""
    rng = np.random.default_rng(0)
    b, t = SEGMENTS.shape
    shapes = [
        (b, t, kv_heads, group, width),
        (b, kv_heads, t, width),
        (b, kv_heads, t, value_width),
        (b, t, kv_heads, group, value_width),
    ]
    q, k, v, weights = (jnp.asarray(rng.normal(size=s), jnp.float32) for s in shapes)
    return [q, k, v, jnp.where(SEGMENTS[:, :, None, None, None] > 0, weights, 0)]


def value_and_grads(block: int, q, k, v, weights):
    def loss(q, k, v):
        o = attention.attend(q, k, v, jnp.asarray(SEGMENTS), scale=0.3, block=block)
        return (o * weights).sum()

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))(q, k, v)


@pytest.mark.parametrize("block", [3, 8, 16])
@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (4, 1, 8, 6)], ids=["grouped", "latent"])
def test_blocks_equal_the_square(shape, block):
    inputs = arrays(*shape)
    want, want_grads = value_and_grads(0, *inputs)
    got, grads = value_and_grads(block, *inputs)
    np.testing.assert_allclose(got, want, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), grads, want_grads)


def test_garbage_on_padding_counts_nowhere():
    q, k, v, weights = arrays(2, 3, 8, 8)
    padding = SEGMENTS == 0
    spoilt = (
        jnp.where(padding[:, :, None, None, None], 1e4, q),
        jnp.where(padding[:, None, :, None], -1e4, k),
        jnp.where(padding[:, None, :, None], 1e4, v),
    )
    want, want_grads = value_and_grads(8, q, k, v, weights)
    got, grads = value_and_grads(8, *spoilt, weights)
    np.testing.assert_array_equal(got, want)
    jax.tree.map(np.testing.assert_array_equal, grads, want_grads)


def test_the_first_block_seen_by_hand():
    segments = jnp.asarray([[1, 1, 1, 2, 2, 2, 2, 2, 0, 0], [1, 1, 1, 1, 1, 3, 3, 3, 0, 0]])
    got = blockwise.first_block(segments.reshape(2, 5, 2).swapaxes(0, 1))
    np.testing.assert_array_equal(got, [0, 0, 0, 1, 5])


def test_blocks_of_other_documents_are_not_computed():
    """Infinite keys of an earlier document would give NaN, were they met at all."""
    q, k, v, _ = arrays(2, 3, 8, 8)
    segments = jnp.asarray(np.where(np.arange(37) < 16, 1, 2)[None].repeat(4, 0))
    k = k.at[:, :, :16].set(jnp.inf)
    o = attention.attend(q, k, v, segments, scale=0.3, block=8)
    assert np.isfinite(o[:, 16:]).all()


def test_memory_grows_with_the_length_alone():
    def temporaries(length: int) -> int:
        q = jax.ShapeDtypeStruct((1, length, 2, 2, 16), jnp.float32)
        k = jax.ShapeDtypeStruct((1, 2, length, 16), jnp.float32)
        segments = jax.ShapeDtypeStruct((1, length), jnp.int32)

        def loss(q, k, v, segments):
            return attention.attend(q, k, v, segments, scale=0.3, block=64).sum()

        step = jax.jit(jax.grad(loss, argnums=(0, 1, 2))).lower(q, k, k, segments)
        return step.compile().memory_analysis().temp_size_in_bytes

    assert temporaries(4096) <= 2.2 * temporaries(2048)


def test_scores_are_float32_under_bfloat16():
    q, k, v, weights = arrays(2, 3, 8, 8)
    want, _ = value_and_grads(8, q, k, v, weights)
    half = [x.astype(jnp.bfloat16) for x in (q, k, v)]
    got, grads = value_and_grads(8, *half, weights)
    assert all(g.dtype == jnp.bfloat16 for g in grads)
    np.testing.assert_allclose(got, want, rtol=0.02)
    lowered = str(
        jax.make_jaxpr(lambda *x: attention.attend(*x, jnp.asarray(SEGMENTS), scale=0.3, block=8))(
            *half
        )
    )
    assert "exp" in lowered and "bf16[4,2,3,8,8] = exp" not in lowered


@pytest.mark.parametrize("axis", ["data", "model"])
def test_blocks_on_a_mesh_equal_one_device(axis):
    inputs = arrays(4, 1, 8, 6)
    want, want_grads = value_and_grads(8, *inputs)
    mesh = sharding.make_mesh(**{"data": 1, "expert": 1, "model": 1, axis: 4})
    names = [
        ("batch", "seq", "heads", "none", "head_dim"),
        ("batch", "heads", "seq", "head_dim"),
        ("batch", "heads", "seq", "head_dim"),
        ("batch", "seq", "heads", "none", "head_dim"),
    ]
    with jax.set_mesh(mesh):
        placed = sharding.place(inputs, mesh, names)
        got, grads = value_and_grads(8, *placed)
    np.testing.assert_allclose(got, want, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), grads, want_grads)
