import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from r1jax.rl.preference import bradley_terry, pointwise

CHOSEN, REJECTED = np.array([1.0, -0.5, 0.3]), np.array([0.2, 0.1, 0.3])


def f32(x) -> jax.Array:
    return jnp.asarray(x, jnp.float32)


def test_bradley_terry_is_the_mean_of_its_terms():
    want = 0.0
    for s, t in zip(CHOSEN, REJECTED, strict=True):
        want += -math.log(special.expit(s - t - 0.1)) + 0.01 * (s + t) ** 2
    got = bradley_terry(f32(CHOSEN), f32(REJECTED), margin=0.1, centre=0.01)
    np.testing.assert_allclose(got, want / 3, rtol=1e-6)


def test_without_centre_only_differences_matter():
    def at(shift):
        return bradley_terry(f32(CHOSEN + shift), f32(REJECTED + shift), margin=0.0, centre=0.0)

    np.testing.assert_allclose(at(3.0), at(0.0), rtol=1e-6)


def test_equal_scores_cost_log_2():
    zeros = f32([0.0, 0.0])
    np.testing.assert_allclose(bradley_terry(zeros, zeros, margin=0.0, centre=1.0), math.log(2))
    np.testing.assert_allclose(pointwise(zeros, f32([0.0, 1.0])), math.log(2))


def test_the_gradient_pushes_a_pair_apart_by_how_unsure_it_is():
    graded = jax.grad(lambda s, t: bradley_terry(s, t, margin=0.0, centre=0.0), argnums=(0, 1))
    up, down = graded(f32(CHOSEN), f32(REJECTED))
    np.testing.assert_allclose(up, -special.expit(REJECTED - CHOSEN) / 3, rtol=1e-5)
    np.testing.assert_allclose(down, -up, rtol=1e-6)


def test_pointwise_is_cross_entropy_with_gradient_p_minus_y():
    score, label = np.array([2.0, -1.0, 0.5]), np.array([1.0, 0.0, 0.25])
    p = special.expit(score)
    want = -(label * np.log(p) + (1 - label) * np.log1p(-p)).mean()
    np.testing.assert_allclose(pointwise(f32(score), f32(label)), want, rtol=1e-6)
    np.testing.assert_allclose(
        jax.grad(pointwise)(f32(score), f32(label)), (p - label) / 3, rtol=1e-5
    )


@pytest.mark.parametrize("far", [1e4, -1e4])
def test_far_scores_stay_finite(far):
    loss, grads = jax.value_and_grad(bradley_terry, argnums=(0, 1))(
        f32([far]), f32([-far]), margin=0.0, centre=0.0
    )
    assert np.isfinite(loss) and np.isfinite(grads).all()
    loss, grad = jax.value_and_grad(pointwise)(f32([far]), f32([1.0]))
    assert np.isfinite(loss) and np.isfinite(grad).all()


def test_half_precision_is_taken_to_float32():
    low = jnp.asarray([1.0, 2.0], jnp.bfloat16)
    assert bradley_terry(low, low, margin=0.0, centre=0.0).dtype == jnp.float32
    assert pointwise(low, low).dtype == jnp.float32
