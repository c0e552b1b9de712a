import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from r1jax.model import rotary


def test_v3_frequencies(v3_rope):
    w = rotary.frequencies(v3_rope, 64)
    want = {
        0: 1.0,
        1: 0.749894209,
        2: 0.562341325,
        3: 0.421696503,
        10: 0.0562341325,
        11: 0.0390069266,
        12: 0.0268793601,
        13: 0.0183781462,
        16: 0.0055,
        22: 1.77827941e-4,
        23: 3.33380358e-5,
        31: 3.33380358e-6,
    }
    np.testing.assert_allclose(w[list(want)], list(want.values()), rtol=1e-6)


@pytest.mark.parametrize(("mscale", "want"), [(1.0, 0.1352337788), (0.707, 0.1147213868)])
def test_v3_and_v2_lite_softmax_scales(v3_rope, mscale, want):
    rope = dataclasses.replace(v3_rope, mscale=mscale, mscale_all_dim=mscale)
    np.testing.assert_allclose(rotary.softmax_scale(rope, 192), want, rtol=1e-9)
    assert rotary.table_scale(rope) == 1.0


def test_without_mscale_all_dim_the_tables_are_scaled_instead(v3_rope):
    rope = dataclasses.replace(v3_rope, mscale_all_dim=0.0)
    np.testing.assert_allclose(rotary.table_scale(rope), 1.3688879454, rtol=1e-9)
    np.testing.assert_allclose(rotary.softmax_scale(rope, 192), 192**-0.5, rtol=1e-12)


def test_without_scaling_nothing_is_scaled(rope):
    assert rotary.table_scale(rope) == 1.0
    assert rotary.softmax_scale(rope, 64) == 0.125
    want = [10000 ** (-2 * j / 8) for j in range(4)]
    np.testing.assert_allclose(rotary.frequencies(rope, 8), want, rtol=1e-6)


def test_llama_3_frequencies(rope):
    llama = dataclasses.replace(
        rope,
        theta=5e5,
        kind="llama3",
        factor=8.0,
        original_length=8192,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
    )
    w = rotary.frequencies(llama, 128)
    want = {
        28: 3.21144599e-3,
        29: 2.16657076e-3,
        31: 8.56751413e-4,
        35: 9.55621235e-5,
        36: 7.78465527e-5,
        63: 3.06892599e-7,
    }
    np.testing.assert_allclose(w[list(want)], list(want.values()), rtol=1e-6)


def rotated(x_H, position, rope):
    cos, sin = rotary.tables(rope, len(x_H), jnp.full((1, 1), position))
    return np.asarray(rotary.rotate(jnp.asarray(x_H)[None, None, None], cos, sin))[0, 0, 0]


def test_heads_on_two_axes_turn_like_heads_on_one(rope):
    x = np.random.default_rng(1).normal(size=(2, 3, 2, 4, 8)).astype(np.float32)
    cos, sin = rotary.tables(rope, 8, jnp.array([[0, 1, 2], [5, 6, 9]]))
    one = rotary.rotate(jnp.asarray(x).reshape(2, 3, 8, 8), cos, sin)
    np.testing.assert_array_equal(rotary.rotate(jnp.asarray(x), cos, sin), one.reshape(x.shape))
    a, b = x[1, 2, 0, 0, :4], x[1, 2, 0, 0, 4:]
    angles = 9 * rotary.frequencies(rope, 8)
    want = [a * np.cos(angles) - b * np.sin(angles), b * np.cos(angles) + a * np.sin(angles)]
    np.testing.assert_allclose(one[1, 2, 0], np.concatenate(want), atol=1e-5)


def interleaved(x_H, position, rope):
    """DeepSeek's own layout: neighbours are a complex number."""
    z = x_H[0::2] + 1j * x_H[1::2]
    z = z * np.exp(1j * position * rotary.frequencies(rope, len(x_H)).astype(np.float64))
    return np.stack([z.real, z.imag], axis=1).reshape(len(x_H))


def test_half_layout_after_the_permutation_equals_interleaved(rope):
    q, k = np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)
    perm = [0, 2, 4, 6, 1, 3, 5, 7]
    want = interleaved(q, 5, rope) @ interleaved(k, 3, rope)
    np.testing.assert_allclose(
        rotated(q[perm], 5, rope) @ rotated(k[perm], 3, rope), want, rtol=1e-5
    )
    assert abs(rotated(q, 5, rope) @ rotated(k, 3, rope) - want) > 0.1


@pytest.mark.parametrize("shift", [1, 100])
def test_scores_depend_on_distance_only(v3_rope, shift):
    q, k = np.random.default_rng(1).normal(size=(2, 16)).astype(np.float32)
    near = rotated(q, 7, v3_rope) @ rotated(k, 2, v3_rope)
    far = rotated(q, 7 + shift, v3_rope) @ rotated(k, 2 + shift, v3_rope)
    np.testing.assert_allclose(near, far, atol=1e-4)  # float32 angles of 100 rad


def test_position_zero_turns_nothing_and_lengths_are_kept(rope):
    x = np.arange(1.0, 9.0, dtype=np.float32)
    np.testing.assert_array_equal(rotated(x, 0, rope), x)
    np.testing.assert_allclose(
        np.linalg.norm(rotated(x, 12345, rope)), np.linalg.norm(x), rtol=1e-5
    )


def test_tables_are_float32_at_long_positions(rope):
    cos, sin = rotary.tables(rope, 8, jnp.array([[100_000]]))
    assert cos.dtype == sin.dtype == jnp.float32
    # frequency 0.1 of the second pair
    np.testing.assert_allclose(cos[0, 0, 1], math.cos(1e4), atol=1e-3)  # 1e4 rad to float32's 5e-4


def test_rotate_keeps_bfloat16(rope):
    cos, sin = rotary.tables(rope, 8, jnp.zeros((1, 2), jnp.int32))
    assert rotary.rotate(jnp.ones((1, 2, 1, 8), jnp.bfloat16), cos, sin).dtype == jnp.bfloat16


def test_rotation_backward_is_the_inverse_rotation(rope):
    rng = np.random.default_rng(2)
    x, g = jnp.asarray(rng.normal(size=(2, 1, 1, 1, 8)), jnp.float32)
    cos, sin = rotary.tables(rope, 8, jnp.array([[9]]))
    grad = jax.vjp(lambda x: rotary.rotate(x, cos, sin), x)[1](g)[0]
    np.testing.assert_allclose(grad, rotary.rotate(g, cos, -sin), atol=1e-6)
