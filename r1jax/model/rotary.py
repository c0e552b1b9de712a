"""Rotary position embedding, with YaRN and Llama-3 scaling: pair j is (x[j], x[j + X/2])."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from r1jax.model.config import RopeConfig
from r1jax.model.layers import unfused


def frequencies(rope: RopeConfig, width: int) -> np.ndarray:
    """Angle per position of each rotary pair, float32 [width / 2].

    YaRN: arXiv:2309.00071 with DeepSeek's correction range; "llama3": the piecewise rule of Llama
      3.1.
    """
    j = np.arange(width // 2, dtype=np.float64)
    w = rope.theta ** (-2.0 * j / width)
    if rope.kind == "yarn":

        def pair_of(rotations: float) -> float:
            return (
                width
                * math.log(rope.original_length / (2 * math.pi * rotations))
                / (2 * math.log(rope.theta))
            )

        low = max(math.floor(pair_of(rope.beta_fast)), 0)
        high = min(math.ceil(pair_of(rope.beta_slow)), width - 1)
        ramp = np.clip((j - low) / ((high - low) or 0.001), 0.0, 1.0)
        w = w * (1 - ramp) + w / rope.factor * ramp
    elif rope.kind == "llama3":
        wavelength = 2 * math.pi / w
        longest, shortest = (
            rope.original_length / rope.low_freq_factor,
            rope.original_length / rope.high_freq_factor,
        )
        blend = (rope.original_length / wavelength - rope.low_freq_factor) / (
            rope.high_freq_factor - rope.low_freq_factor
        )
        middle = (1 - blend) * w / rope.factor + blend * w
        w = np.where(
            wavelength < shortest, w, np.where(wavelength > longest, w / rope.factor, middle)
        )
    return w.astype(np.float32)


def _mscale(factor: float, mu: float) -> float:
    return 0.1 * mu * math.log(factor) + 1.0 if factor > 1 else 1.0


def table_scale(rope: RopeConfig) -> float:
    """Factor on cos and sin: mscale / mscale_all_dim of YaRN; 1 for DeepSeek-V3, 1 without YaRN."""
    if rope.kind != "yarn":
        return 1.0
    return (
        _mscale(rope.factor, rope.mscale) / _mscale(rope.factor, rope.mscale_all_dim)
        if rope.mscale_all_dim
        else _mscale(rope.factor, 1.0)
    )


def softmax_scale(rope: RopeConfig, width: int) -> float:
    """width^-1/2, times mscale_all_dim(factor)^2 under YaRN (1.8739 for DeepSeek-V3)."""
    m = (
        _mscale(rope.factor, rope.mscale_all_dim)
        if rope.kind == "yarn" and rope.mscale_all_dim
        else 1.0
    )
    return width**-0.5 * m * m


def tables(
    rope: RopeConfig, width: int, positions_BT: Int[Array, "B T"]
) -> tuple[Float[Array, "B T X2"], Float[Array, "B T X2"]]:
    """cos and sin of every position's angles, float32: long bfloat16 positions are garbage."""
    angles = positions_BT.astype(jnp.float32)[:, :, None] * frequencies(rope, width)[None, None, :]
    scale = table_scale(rope)
    return jnp.cos(angles) * scale, jnp.sin(angles) * scale


def rotate(
    x: Float[Array, "B T *heads X"],
    cos_BTX: Float[Array, "B T X2"],
    sin_BTX: Float[Array, "B T X2"],
    *,
    exact: bool = False,
) -> Float[Array, "B T *heads X"]:
    """Turns each pair (x[j], x[j + X/2]) by its angle, in float32; returns x's dtype.

    Of the two products LLVM fuses one with the sum; `exact` says which.
    """
    heads = tuple(range(2, x.ndim))
    cos, sin = jnp.expand_dims(cos_BTX, heads), jnp.expand_dims(sin_BTX, heads)
    pairs = x.astype(jnp.float32).reshape(*x.shape[:-1], 2, x.shape[-1] // 2)
    signed = jnp.concatenate([-sin, sin], axis=-2)
    first = unfused(pairs * cos) if exact else pairs * cos
    turned = first + jax.lax.rev(pairs, (x.ndim - 1,)) * signed
    return turned.reshape(x.shape).astype(x.dtype)
