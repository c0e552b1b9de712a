"""The small parts: RMSNorm, SwiGLU, embedding, output head."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from r1jax import sharding

TILE = 32  # rows of a product under exact numerics


@jax.custom_jvp
def unfused(x: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """x itself, as a value of its own: no compiler merges its last operation with the next.

    LLVM makes a product and a sum one multiply-add, or not, or takes the other of two products, as
    the program around them suits it (jaxlib 0.10.2, CPU; XLA drops its optimization barriers
    before). Where two programs shall agree to the bit, an integer operation stands between: with
    1 where x is NaN, which stays NaN, else with 0.
    """
    bits = jax.lax.bitcast_convert_type(x, jnp.int32) ^ jnp.isnan(x).astype(jnp.int32)
    return jax.lax.bitcast_convert_type(bits, jnp.float32)


unfused.defjvps(lambda tangent, primal_out, x: tangent)


def ordered_sum(x: Float[Array, "*batch V"]) -> Float[Array, "*batch"]:
    """Sum over the last axis by halves, as elementwise additions.

    XLA orders a reduction anew for every program; sampler and trainer shall add up alike.
    On a mesh it is XLA's own.
    """
    if sharding.has_mesh():
        return x.sum(-1)
    while (n := x.shape[-1]) > 1:
        half = (n + 1) // 2
        last = [(0, 0)] * (x.ndim - 1) + [(0, n % 2)]
        x = x[..., :half] + jnp.pad(x[..., half:], last)
    return x[..., 0]


def rms_norm(
    x: Float[Array, "*batch D"], scale_D: Float[Array, " D"], *, eps: float
) -> Float[Array, "*batch D"]:
    """Root-mean-square norm with float32 statistics; the weight multiplies after the cast back."""
    x32 = x.astype(jnp.float32)
    normed = x32 * jax.lax.rsqrt(jnp.mean(x32 * x32, axis=-1, keepdims=True) + eps)
    scale = jnp.expand_dims(scale_D.astype(x.dtype), tuple(range(x.ndim - 1)))
    return normed.astype(x.dtype) * scale


def swiglu(
    x_BTD: Float[Array, "B T D"],
    up_D2F: Float[Array, "D 2 F"],
    down_FD: Float[Array, "F D"],
    *,
    exact: bool = False,
) -> Float[Array, "B T D"]:
    """down(silu(gate(x)) * up(x)), gate and up fused as up_D2F[:, 0] and up_D2F[:, 1]."""
    both = project(x_BTD, up_D2F, 1, "batch", "seq", "none", "mlp", exact=exact)
    gate, up = jnp.split(both, 2, axis=2)
    h_BTF = jax.nn.silu(gate[:, :, 0]) * up[:, :, 0]
    return project(h_BTF, down_FD, 1, "batch", "seq", "act_embed", exact=exact)


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


def project(
    x: Array, w: Array, contracted: int, *logical: str, exact: bool = False, to: Any = None
) -> Array:
    """x . w over the last `contracted` axes of x and the first of w; `logical` names the result.

    `to` is the dtype of the sums: float32 of a product of bfloat16 is not rounded on its way out.

    Off the mesh this is one flat matrix product: XLA:CPU takes twice as long for the gradient of
    the same product with its batch axes left standing. `exact` multiplies TILE rows at a time: how
    XLA:CPU adds up depends on the number of rows (of 128 x 8 weights between 694 and 934 of them).
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
    product = partial(jnp.matmul, preferred_element_type=to)
    if exact:
        tiles = jnp.pad(rows, ((0, -rows.shape[0] % TILE), (0, 0))).reshape(-1, TILE, width)
        y = jax.lax.map(lambda tile: product(tile, flat), tiles)
        y = y.reshape(-1, flat.shape[1])[: rows.shape[0]]
    else:
        y = product(rows, flat)
    return y.reshape(*x.shape[: x.ndim - contracted], *w.shape[contracted:])
