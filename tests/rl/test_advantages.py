import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from r1jax.rl.advantages import group_advantages

GOLDEN = np.array([[1, 0, 0, 1, 1, 0, 0, 0]], np.float32)
rewards = arrays(np.float32, (3, 4), elements=st.integers(-8, 8).map(lambda n: n / 4))


def advantages(rewards_PG, valid_PG=None, *, ddof=0, eps=1e-6, divide_by_std=True):
    valid_PG = np.ones(rewards_PG.shape, bool) if valid_PG is None else valid_PG
    return np.asarray(
        group_advantages(
            jnp.asarray(rewards_PG),
            jnp.asarray(valid_PG),
            ddof=ddof,
            eps=eps,
            divide_by_std=divide_by_std,
        )
    )


@pytest.mark.parametrize(
    ("ddof", "right", "wrong"), [(0, 1.290994, -0.774597), (1, 1.207615, -0.724569)]
)
def test_golden_group(ddof, right, wrong):
    want = np.where(GOLDEN, right, wrong)
    np.testing.assert_allclose(advantages(GOLDEN, ddof=ddof), want, rtol=1e-5)


@pytest.mark.parametrize(("size", "want"), [(16, 15**0.5), (64, 63**0.5)])
def test_one_success_among_many_stands_out_by_a_root(size, want):
    rewards = np.eye(1, size, dtype=np.float32)
    np.testing.assert_allclose(advantages(rewards)[0, 0], want, rtol=1e-4)


def test_without_the_std_it_is_the_centred_reward():
    got = advantages(GOLDEN, divide_by_std=False)
    np.testing.assert_allclose(got, GOLDEN - 3 / 8, rtol=1e-6)


@pytest.mark.parametrize("divide_by_std", [True, False])
def test_equal_rewards_give_exact_zeros(divide_by_std):
    rewards = np.full((2, 6), 0.1 + 0.2, np.float32)  # their mean is off by rounding
    got = advantages(rewards, eps=0.0, divide_by_std=divide_by_std)
    np.testing.assert_array_equal(got, 0.0)


@given(rewards)
def test_a_group_sums_to_zero(r):
    np.testing.assert_allclose(advantages(r).sum(1), 0.0, atol=1e-5)


@given(rewards, st.floats(-4, 4, width=32), st.floats(0.25, 4, width=32))
def test_shift_and_positive_scale_change_nothing(r, shift, scale):
    got = advantages(scale * r + shift, eps=0.0)
    np.testing.assert_allclose(got, advantages(r, eps=0.0), atol=1e-4)  # cancellation in the mean


@given(rewards, st.permutations(range(4)))
def test_the_order_of_a_group_is_without_effect(r, order):
    np.testing.assert_allclose(advantages(r[:, order]), advantages(r)[:, order], atol=1e-6)


@given(rewards)
def test_groups_do_not_see_each_other(r):
    alone = np.concatenate([advantages(r[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(advantages(r), alone, atol=1e-6)


@pytest.mark.parametrize(("size", "ddof"), [(1, 0), (1, 1), (2, 2)])
def test_a_group_that_says_nothing_raises(size, ddof):
    with pytest.raises(ValueError, match="samples per prompt"):
        advantages(np.ones((3, size), np.float32), ddof=ddof)


@given(rewards, arrays(bool, (3, 4)), st.sampled_from([True, False]), st.sampled_from([0, 1]))
def test_a_group_is_its_valid_samples(r, valid, divide_by_std, ddof):
    got = advantages(np.where(valid, r, np.nan), valid, divide_by_std=divide_by_std, ddof=ddof)
    want = np.zeros((3, 4), np.float32)
    for p in range(3):
        known = r[p][valid[p]][None]
        if known.shape[1] > 1:
            want[p][valid[p]] = advantages(known, divide_by_std=divide_by_std, ddof=ddof)[0]
    np.testing.assert_allclose(got, want, atol=1e-5)
