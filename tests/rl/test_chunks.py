import jax
import jax.numpy as jnp
import numpy as np
import pytest

from r1jax.rl.chunks import by_chunk


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
def test_chunks_of_any_size_give_the_same_scores(chunk):
    rng = np.random.default_rng(0)
    hidden_BTD = jnp.asarray(rng.normal(size=(2, 7, 4)), jnp.float32)
    ids_BT = jnp.asarray(rng.integers(0, 4, size=(2, 7)))

    def score(hidden_BCD, ids_BC):
        assert hidden_BCD.shape[1] <= chunk
        return {"sum": jnp.sin(hidden_BCD).sum(-1), "id": ids_BC + 1}

    def total(hidden_BTD):
        return (by_chunk(score, (hidden_BTD, ids_BT), chunk=chunk)["sum"] ** 2).sum()

    got = by_chunk(score, (hidden_BTD, ids_BT), chunk=chunk)
    sums_BT = np.sin(hidden_BTD).sum(-1)
    np.testing.assert_allclose(got["sum"], sums_BT, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(got["id"], ids_BT + 1)
    np.testing.assert_allclose(
        jax.grad(total)(hidden_BTD),
        2 * sums_BT[:, :, None] * np.cos(hidden_BTD),
        rtol=1e-5,
        atol=1e-5,
    )
