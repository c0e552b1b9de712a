from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from r1jax.train.passes import ahead, forward_rows, mean_over

X_BT = jnp.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def test_ahead_reads_later_positions_and_ends_in_zeros():
    np.testing.assert_array_equal(ahead(X_BT, 1), [[2, 3, 0], [5, 6, 0]])
    np.testing.assert_array_equal(ahead(X_BT, 2), [[3, 0, 0], [6, 0, 0]])


def test_the_mean_counts_masked_positions_alone():
    mask_BT = jnp.asarray([[True, False, True], [False, False, True]])
    spoilt_BT = jnp.where(mask_BT, X_BT, jnp.nan)
    np.testing.assert_array_equal(mean_over(mask_BT, spoilt_BT), (1 + 3 + 6, 3))


def test_the_mean_gives_no_gradient():
    mask_BT = jnp.ones_like(X_BT, bool)
    grads_BT = jax.grad(lambda x_BT: mean_over(mask_BT, x_BT).total)(X_BT)
    np.testing.assert_array_equal(grads_BT, np.zeros_like(X_BT))


def test_whole_rows_are_run_without_a_cache(models, run, weights, packed_batch):
    w, batch = weights("gqa_bias"), packed_batch("gqa_bias")
    inputs = (batch.tokens_BT, batch.positions_BT, batch.segments_BT)
    rows = jax.jit(
        partial(forward_rows, model=models["gqa_bias"], routes_LBTK=None, with_mtp=False)
    )(w, *inputs)
    want = run("gqa_bias", w, *inputs)
    np.testing.assert_array_equal(rows.hidden_BTD, want.hidden_BTD)
    assert rows.cache is None and rows.mtp_hidden_BTD is None
