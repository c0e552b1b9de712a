"""The experts of a mixture applied to rows: three ways to the same sums, and the choice of one.

No token is ever dropped, whatever the routing.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from r1jax.model.config import MoeConfig

# measured on two CPU cores, decoding 8 to 256 rows with 16 and 64 experts
DENSE_ROWS, DENSE_FACTOR = 256, 3


def _ffn(rows_XMD: Array, up_XD2F: Array, down_XFD: Array) -> Array:
    """SwiGLU of M rows under each of X experts."""
    n, d, _, f = up_XD2F.shape
    both = jnp.einsum("xmd,xdf->xmf", rows_XMD, up_XD2F.reshape(n, d, 2 * f))
    return jnp.einsum("xmf,xfd->xmd", jax.nn.silu(both[:, :, :f]) * both[:, :, f:], down_XFD)


def dense_experts(
    x_ND: Float[Array, "N D"],
    experts_NK: Int[Array, "N K"],
    weights_NK: Float[Array, "N K"],
    up_ED2F: Float[Array, "E D 2 F"],
    down_EFD: Float[Array, "E F D"],
) -> Float[Array, "N D"]:
    """Every expert on every token: E/K times the work, but no token and no weight moves.

    The gates multiply the hidden activations, so that the second product also sums over experts.
    """
    (n_experts, d, _, f), n = up_ED2F.shape, x_ND.shape[0]
    chosen_NKE = jax.nn.one_hot(experts_NK, n_experts, dtype=jnp.float32)
    gate_EN = jnp.einsum("nke,nk->en", chosen_NKE, weights_NK).astype(x_ND.dtype)
    # a batched product: as a flat one, XLA:CPU would transpose all the weights in every call
    x_END = jnp.broadcast_to(x_ND[None], (n_experts, n, d))
    both = jnp.einsum("end,edf->enf", x_END, up_ED2F.reshape(n_experts, d, 2 * f))
    h_ENF = jax.nn.silu(both[:, :, :f]) * both[:, :, f:] * gate_EN[:, :, None]
    return jnp.einsum("enf,efd->nd", h_ENF, down_EFD)


@jax.custom_vjp
def _take(x_ND: Array, index_M: Array, inverse_NK: Array) -> Array:
    """Rows x[index], zeros where index is too large; inverse_NK lists the places each row went to.

    Knowing the inverse turns the backward pass into a gather: scatter-add is serial on CPU.
    """
    return x_ND.at[index_M].get(mode="fill", fill_value=0)


def _take_fwd(x_ND: Array, index_M: Array, inverse_NK: Array) -> tuple[Array, Array]:
    return _take(x_ND, index_M, inverse_NK), inverse_NK


def _take_bwd(inverse_NK: Array, grad_MD: Array) -> tuple[Array, None, None]:
    return grad_MD.at[inverse_NK].get(mode="fill", fill_value=0).sum(1), None, None


_take.defvjp(_take_fwd, _take_bwd)


def block_experts(
    x_ND: Float[Array, "N D"],
    experts_NK: Int[Array, "N K"],
    weights_NK: Float[Array, "N K"],
    up_ED2F: Float[Array, "E D 2 F"],
    down_EFD: Float[Array, "E F D"],
    *,
    block: int,
) -> Float[Array, "N D"]:
    """Rows sorted by expert into blocks of one expert each, one batched matmul over the blocks.

    The number of blocks is bounded whatever the routing (`_n_blocks`), so shapes are static and no
    token is dropped. Assignments to an expert id outside 0..E-1 contribute nothing (they live on
    another device).
    """
    (n, top), n_experts = experts_NK.shape, up_ED2F.shape[0]
    n_blocks = _n_blocks(n * top, n_experts, block)
    n_slots = n_blocks * block
    flat_A = experts_NK.reshape(n * top)
    here_A = (flat_A >= 0) & (flat_A < n_experts)
    expert_A = jnp.where(here_A, flat_A, n_experts)
    order_A = jnp.argsort(expert_A, stable=True)
    count_E = jax.nn.one_hot(expert_A, n_experts + 1, dtype=jnp.int32).sum(0)
    padded_E = -(-count_E // block) * block
    start_E = jnp.cumsum(padded_E) - padded_E
    first_E = jnp.cumsum(count_E) - count_E
    sorted_A = expert_A[order_A]
    slot_sorted_A = jnp.where(
        sorted_A < n_experts, start_E[sorted_A] + jnp.arange(n * top) - first_E[sorted_A], n_slots
    )
    assignment_S = jnp.full(n_slots, n * top).at[slot_sorted_A].set(order_A, mode="drop")
    slot_A = jnp.full(n * top, n_slots).at[order_A].set(slot_sorted_A, unique_indices=True)
    slot_NK = slot_A.reshape(n, top)

    block_end_E = jnp.cumsum(padded_E[:n_experts]) // block
    ended_XE = jnp.arange(n_blocks)[:, None] >= block_end_E[None]
    expert_of_block = ended_XE.sum(1).clip(0, n_experts - 1)
    rows_SD = _take(x_ND, assignment_S // top, slot_NK)
    out_SD = _ffn(
        rows_SD.reshape(n_blocks, block, x_ND.shape[1]),
        up_ED2F[expert_of_block],
        down_EFD[expert_of_block],
    ).reshape(n_slots, x_ND.shape[1])
    out_AD = _take(out_SD, slot_A, assignment_S[:, None])
    return jnp.einsum(
        "nkd,nk->nd", out_AD.reshape(n, top, x_ND.shape[1]), weights_NK.astype(x_ND.dtype)
    )


def ragged_experts(
    x_ND: Float[Array, "N D"],
    experts_NK: Int[Array, "N K"],
    weights_NK: Float[Array, "N K"],
    up_ED2F: Float[Array, "E D 2 F"],
    down_EFD: Float[Array, "E F D"],
) -> Float[Array, "N D"]:
    """Rows sorted by expert, then jax.lax.ragged_dot: for GPU and TPU, slow on CPU."""
    (n, top), (n_experts, d, _, f) = experts_NK.shape, up_ED2F.shape
    flat_A = experts_NK.reshape(n * top)
    expert_A = jnp.where((flat_A >= 0) & (flat_A < n_experts), flat_A, n_experts)
    order_A = jnp.argsort(expert_A, stable=True)
    count_E = jax.nn.one_hot(expert_A, n_experts, dtype=jnp.int32).sum(0)
    inverse_A = jnp.zeros_like(order_A).at[order_A].set(jnp.arange(n * top), unique_indices=True)
    rows_AD = _take(x_ND, order_A // top, inverse_A.reshape(n, top))
    both = jax.lax.ragged_dot(rows_AD, up_ED2F.reshape(n_experts, d, 2 * f), count_E)
    out_AD = jax.lax.ragged_dot(jax.nn.silu(both[:, :f]) * both[:, f:], down_EFD, count_E)
    out_AD = jnp.where((jnp.arange(n * top) < count_E.sum())[:, None], out_AD, 0)
    out_NKD = _take(out_AD, inverse_A, order_A[:, None]).reshape(n, top, d)
    return jnp.einsum("nkd,nk->nd", out_NKD, weights_NK.astype(x_ND.dtype))


def _n_blocks(n_assignments: int, n_experts: int, block: int) -> int:
    """The most blocks of one expert each that so many assignments can need.

    Worst is one assignment for as many experts as there are, and the rest in full blocks.
    """
    begun = min(n_assignments, n_experts)
    return (n_assignments - begun) // block + begun


def _block_size(n_assignments: int, n_experts: int) -> int:
    """Rows per block: about half of an expert's mean share, between 8 and 256."""
    share = max(n_assignments // n_experts, 1)
    return max(8, min(256, 1 << (share.bit_length() - 1) >> 1))


def dispatch(config: MoeConfig, n_rows: int, top: int, n_experts: int) -> Callable[..., Array]:
    """The way to apply `n_experts` here to so many rows.

    "blocks" without a given size leaves up to `DENSE_ROWS` rows (decoding) to the dense way, where
    gathering the weights of the blocks would cost more than up to `DENSE_FACTOR` times the rows.
    """
    if config.dispatch != "blocks":
        return {"ragged": ragged_experts, "dense": dense_experts}[config.dispatch]
    block = config.block_size or _block_size(n_rows * top, n_experts)
    slots = _n_blocks(n_rows * top, n_experts, block) * block
    few = n_rows <= DENSE_ROWS and n_rows * n_experts <= DENSE_FACTOR * slots
    if few and not config.block_size:
        return dense_experts
    return partial(block_experts, block=block)
