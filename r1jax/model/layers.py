"""The small parts: RMSNorm, SwiGLU, embedding, output head."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from r1jax import sharding


def rms_norm(
    x: Float[Array, "*batch D"], scale_D: Float[Array, " D"], *, eps: float
) -> Float[Array, "*batch D"]:
    """Root-mean-square norm with float32 statistics; the weight multiplies after the cast back."""
    x32 = x.astype(jnp.float32)
    normed = x32 * jax.lax.rsqrt(jnp.mean(x32 * x32, axis=-1, keepdims=True) + eps)
    scale = jnp.expand_dims(scale_D.astype(x.dtype), tuple(range(x.ndim - 1)))
    return normed.astype(x.dtype) * scale


def swiglu(
    x_BTD: Float[Array, "B T D"], up_D2F: Float[Array, "D 2 F"], down_FD: Float[Array, "F D"]
) -> Float[Array, "B T D"]:
    """down(silu(gate(x)) * up(x)), gate and up fused as up_D2F[:, 0] and up_D2F[:, 1]."""
    both = project(x_BTD, up_D2F, 1, "batch", "seq", "none", "mlp")
    gate, up = jnp.split(both, 2, axis=2)
    h_BTF = jax.nn.silu(gate[:, :, 0]) * up[:, :, 0]
    return project(h_BTF, down_FD, 1, "batch", "seq", "act_embed")


def embed(
    tokens_BT: Int[Array, "B T"],
    table_VD: Float[Array, "V D"],
    real_BT: Bool[Array, "B T"],
    dtype: str,
) -> Float[Array, "B T D"]:
    """Rows of the embedding table; zeros for tokens that are not real, whatever the table holds."""
    whole_VD = sharding.constrain(table_VD, "vocab", "act_embed")
    x_BTD = whole_VD.at[tokens_BT].get(out_sharding=sharding.out("batch", "seq", "act_embed"))
    return jnp.where(real_BT[:, :, None], x_BTD.astype(dtype), 0)


def project(x: Array, w: Array, contracted: int, *logical: str, to: Any = None) -> Array:
    """x . w over the last `contracted` axes of x and the first of w; `logical` names the result.

    `to` is the dtype of the sums: float32 of a product of bfloat16 is not rounded on its way out.

    Off the mesh this is one flat matrix product: XLA:CPU takes twice as long for the gradient of
    the same product with its batch axes left standing.
    """
    if sharding.has_mesh():
        axes = (tuple(range(x.ndim - contracted, x.ndim)), tuple(range(contracted)))
        where = sharding.out(*logical)
        return jax.lax.dot_general(
            x, w.astype(x.dtype), (axes, ((), ())), preferred_element_type=to, out_sharding=where
        )
    width = math.prod(w.shape[:contracted])
    rows = x.reshape(x.size // width, width)
    flat = w.astype(x.dtype).reshape(width, w.size // width)
    y = jnp.matmul(rows, flat, preferred_element_type=to)
    return y.reshape(*x.shape[: x.ndim - contracted], *w.shape[contracted:])
