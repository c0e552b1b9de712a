"""DeepSeekMoE: which expert gets this token, and what the experts make of it.

Routing follows DeepSeek-V3 (arXiv:2412.19437, section 2.1.2, equations 12-16): float32 affinities,
selection by affinity plus bias within the best groups, weights from the affinities alone. No token
is ever dropped.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from r1jax import sharding
from r1jax.config import MoeConfig

# measured on two CPU cores, decoding 8 to 256 rows with 16 and 64 experts
DENSE_ROWS, DENSE_FACTOR = 256, 3


def affinities(logits_BTE: Float[Array, "B T E"], *, score: str) -> Float[Array, "B T E"]:
    """Scores of every expert, float32: sigmoid (V3) or softmax (V2)."""
    logits_BTE = logits_BTE.astype(jnp.float32)
    return jax.nn.sigmoid(logits_BTE) if score == "sigmoid" else jax.nn.softmax(logits_BTE, axis=-1)


def select(
    scores_BTE: Float[Array, "B T E"], bias_E: Float[Array, " E"], *, config: MoeConfig
) -> Int[Array, "B T K"]:
    """Chooses K experts per token by score + bias, out of the best groups only.

    Experts of the other groups are set to -inf, not 0: with negative biases a 0 would win.
    """
    n_batch, n_seq, n_experts = scores_BTE.shape
    choice_BTE = jax.lax.stop_gradient(scores_BTE) + bias_E[None, None]
    if config.top_groups < config.n_groups:
        per_group = n_experts // config.n_groups
        grouped_BTGE = choice_BTE.reshape(n_batch, n_seq, config.n_groups, per_group)
        best = jax.lax.top_k(grouped_BTGE, 2 if config.group_score == "top2" else 1)[0].sum(-1)
        kept = jax.lax.top_k(best, config.top_groups)[1]
        keep_BTG = jax.nn.one_hot(kept, config.n_groups, dtype=bool).any(axis=2)
        choice_BTE = jnp.where(jnp.repeat(keep_BTG, per_group, axis=2), choice_BTE, -jnp.inf)
    return jax.lax.top_k(choice_BTE, config.experts_per_token)[1]


def gates(
    scores_BTE: Float[Array, "B T E"], experts_BTK: Int[Array, "B T K"], *, config: MoeConfig
) -> Float[Array, "B T K"]:
    """Weights of the chosen experts: their scores without bias, normalised and scaled."""
    weights_BTK = jnp.take_along_axis(scores_BTE, experts_BTK, axis=2)
    if config.normalise:
        weights_BTK = weights_BTK / (weights_BTK.sum(-1, keepdims=True) + 1e-20)
    return weights_BTK * config.route_scale


def balance_loss(
    scores_BTE: Float[Array, "B T E"], experts_BTK: Int[Array, "B T K"], mask_BT: Bool[Array, "B T"]
) -> Float[Array, " B"]:
    """Balance loss sum_i f_i P_i of each sequence (equations 17-20), without its weight alpha.

    1 at perfect balance. f counts the experts really selected (with bias and groups); padding
    counts nowhere, and a sequence of padding alone gives 0.
    """
    n_experts, top = scores_BTE.shape[2], experts_BTK.shape[2]
    mask_BT1 = mask_BT[:, :, None].astype(jnp.float32)
    length_B1 = jnp.maximum(mask_BT1.sum(1), 1.0)
    chosen_BTE = jax.nn.one_hot(experts_BTK, n_experts, dtype=bool).any(axis=2)
    f_BE = (chosen_BTE.astype(jnp.float32) * mask_BT1).sum(1) * n_experts / (top * length_B1)
    p_BE = (scores_BTE / (scores_BTE.sum(-1, keepdims=True) + 1e-20) * mask_BT1).sum(1) / length_B1
    return (f_BE * p_BE).sum(1)


def load(
    experts_BTK: Int[Array, "B T K"], mask_BT: Bool[Array, "B T"], n_experts: int
) -> Float[Array, " E"]:
    """Number of (token, slot) assignments to each expert, over real tokens."""
    chosen_BTKE = jax.nn.one_hot(experts_BTK, n_experts, dtype=bool) & mask_BT[:, :, None, None]
    return chosen_BTKE.sum((0, 1, 2)).astype(jnp.float32)


def update_bias(
    bias_LE: Float[Array, "L E"], load_LE: Float[Array, "L E"], *, rate: float
) -> Float[Array, "L E"]:
    """Moves each bias by rate * sign(mean load - load): down where overloaded (V3, 2.1.2)."""
    return bias_LE + rate * jnp.sign(load_LE.mean(1, keepdims=True) - load_LE)


def max_violation(load_LE: Float[Array, "L E"]) -> Float[Array, ""]:
    """Worst layer's maximal over mean load, minus 1; 0 is perfect balance (arXiv:2408.15664)."""
    mean_L = jnp.maximum(load_LE.mean(1), 1e-9)
    return (load_LE.max(1) / mean_L - 1.0).max()


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


def _dispatch(config: MoeConfig, n_rows: int, top: int, n_experts: int) -> Callable[..., Array]:
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


def _mixture(
    x_BTD,
    gate_DE,
    bias_E,
    up_ED2F,
    down_EFD,
    mask_BT,
    routes_BTK,
    *,
    config: MoeConfig,
    mapped: bool,
):
    """One device's part of `mixture`: its tokens, its experts, its slice of the expert width."""
    n_batch, n_seq, d = x_BTD.shape
    logits_BTE = jnp.einsum("btd,de->bte", x_BTD.astype(jnp.float32), gate_DE.astype(jnp.float32))
    scores_BTE = affinities(logits_BTE, score=config.score)
    experts_BTK = select(scores_BTE, bias_E, config=config)
    if routes_BTK is not None:
        experts_BTK = jnp.where(routes_BTK >= 0, routes_BTK, experts_BTK)
    weights_BTK = gates(scores_BTE, experts_BTK, config=config)
    balance, load_E = (
        balance_loss(scores_BTE, experts_BTK, mask_BT).mean(),
        load(experts_BTK, mask_BT, config.n_experts),
    )

    rows = (
        x_BTD.reshape(n_batch * n_seq, d),
        *(a.reshape(n_batch * n_seq, -1) for a in (experts_BTK, weights_BTK)),
    )
    n_local = up_ED2F.shape[0]
    if mapped:
        balance, load_E = (
            jax.lax.pmean(balance, ("data", "expert")),
            jax.lax.psum(load_E, ("data", "expert")),
        )
        rows = tuple(jax.lax.all_gather(a, "expert", axis=0, tiled=True) for a in rows)
        rows = (rows[0], rows[1] - jax.lax.axis_index("expert") * n_local, rows[2])
    experts = _dispatch(config, rows[0].shape[0], config.experts_per_token, n_local)
    y_ND = experts(*rows, up_ED2F.astype(x_BTD.dtype), down_EFD.astype(x_BTD.dtype))
    if mapped:
        y_ND = jax.lax.psum_scatter(y_ND, "expert", scatter_dimension=0, tiled=True)
        y_ND = jax.lax.psum(y_ND, "model")
    return y_ND.reshape(n_batch, n_seq, d), experts_BTK, load_E, balance


def mixture(
    x_BTD: Float[Array, "B T D"],
    gate_DE: Float[Array, "D E"],
    bias_E: Float[Array, " E"],
    up_ED2F: Float[Array, "E D 2 F"],
    down_EFD: Float[Array, "E F D"],
    mask_BT: Bool[Array, "B T"],
    routes_BTK: Int[Array, "B T K"] | None,
    *,
    config: MoeConfig,
) -> tuple[Float[Array, "B T D"], Int[Array, "B T K"], Float[Array, " E"], Float[Array, ""]]:
    """The routed experts' weighted output, without the shared expert.

    On a mesh every device routes its own tokens; the tokens of an "expert" row are gathered to each
    of its devices,
    which apply their own experts, and the sums are scattered back: exact and dropless for any
      routing.

    Args:
      x_BTD: normed residual stream.
      gate_DE: router weights; the logits are computed in float32.
      bias_E: selection bias.
      up_ED2F: gate and up projections of every expert, fused.
      down_EFD: down projections.
      mask_BT: True on real tokens; others are computed but counted nowhere.
      routes_BTK: experts to use instead of choosing, -1 where to choose all the same; None chooses
        everywhere.
      config: the mixture's shape.

    Returns:
      Output, experts used, assignments per expert (global), balance loss (mean over the global
      batch).
    """
    local = partial(_mixture, config=config)
    if not sharding.has_mesh():
        return local(x_BTD, gate_DE, bias_E, up_ED2F, down_EFD, mask_BT, routes_BTK, mapped=False)
    layouts = [
        ("batch", "seq", "act_embed"),
        ("none", "none"),
        ("none",),
        ("experts", "none", "none", "mlp"),
        ("experts", "mlp", "none"),
        ("batch", "seq"),
        ("batch", "seq", "none"),
    ]
    arrays = [x_BTD, gate_DE, bias_E, up_ED2F, down_EFD, mask_BT, routes_BTK]
    present = [i for i, a in enumerate(arrays) if a is not None]
    placed = [sharding.constrain(arrays[i], *layouts[i]) for i in present]

    def call(*given):
        full = dict(zip(present, given, strict=True))
        return local(*(full.get(i) for i in range(len(arrays))), mapped=True)

    return jax.shard_map(
        call,
        in_specs=tuple(sharding.spec(*layouts[i]) for i in present),
        out_specs=(
            sharding.spec(*layouts[0]),
            sharding.spec(*layouts[6]),
            sharding.spec("none"),
            sharding.spec(),
        ),
    )(*placed)
