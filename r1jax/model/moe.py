"""DeepSeekMoE: which expert gets this token; `experts` applies them to it.

Routing follows DeepSeek-V3 (arXiv:2412.19437, section 2.1.2, equations 12-16): float32 affinities,
selection by affinity plus bias within the best groups, weights from the affinities alone. No token
is ever dropped.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from r1jax import sharding
from r1jax.model.config import MoeConfig
from r1jax.model.experts import dispatch
from r1jax.model.layers import project


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
    scores_BTE: Float[Array, "B T E"],
    experts_BTK: Int[Array, "B T K"],
    segments_BT: Int[Array, "B T"],
) -> Float[Array, ""]:
    """Balance loss sum_i f_i P_i (equations 17-20), without alpha, summed over documents.

    1 for each document at perfect balance. f counts the experts really selected (with bias and
    groups); padding counts nowhere.
    """
    n_batch, n_seq = segments_BT.shape
    n_experts, top = scores_BTE.shape[2], experts_BTK.shape[2]
    # a document is known by its first token; sums of integers are exact in any order
    begins_BT = segments_BT != jnp.pad(segments_BT[:, :-1], ((0, 0), (1, 0)))
    first_BT = jax.lax.cummax(jnp.where(begins_BT, jnp.arange(n_seq)[None], 0), axis=1)
    document_N = (first_BT + n_seq * jnp.arange(n_batch)[:, None]).reshape(n_batch * n_seq)
    chosen_BTE = jax.nn.one_hot(experts_BTK, n_experts, dtype=bool).any(axis=2)
    counted_BTX = jnp.concatenate([chosen_BTE, jnp.ones_like(chosen_BTE[:, :, :1])], axis=2)
    counted_NX = counted_BTX.reshape(n_batch * n_seq, n_experts + 1).astype(jnp.int32)
    sums_NX = jax.ops.segment_sum(counted_NX, document_N, num_segments=n_batch * n_seq)
    sums_BTX = sums_NX[document_N].reshape(counted_BTX.shape).astype(jnp.float32)
    f_BTE = sums_BTX[:, :, :-1] * n_experts / (top * sums_BTX[:, :, -1:])
    p_BTE = scores_BTE / (scores_BTE.sum(-1, keepdims=True) + 1e-20) / sums_BTX[:, :, -1:]
    return jnp.where((segments_BT > 0)[:, :, None], f_BTE * p_BTE, 0.0).sum()


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


def _mixture(
    x_BTD,
    gate_DE,
    bias_E,
    up_ED2F,
    down_EFD,
    segments_BT,
    routes_BTK,
    *,
    config: MoeConfig,
    exact: bool,
    mapped: bool,
):
    """One device's part of `mixture`: its tokens, its experts, its slice of the expert width."""
    n_batch, n_seq, d = x_BTD.shape
    x32, gate32 = x_BTD.astype(jnp.float32), gate_DE.astype(jnp.float32)
    if exact:
        logits_BTE = project(x32, gate32, 1, exact=True)
    else:  # TPU and GPU would round to bfloat16 or TF32
        how = jax.lax.Precision.HIGHEST
        logits_BTE = jnp.einsum("btd,de->bte", x32, gate32, precision=how)
    scores_BTE = affinities(logits_BTE, score=config.score)
    experts_BTK = select(scores_BTE, bias_E, config=config)
    if routes_BTK is not None:
        experts_BTK = jnp.where(routes_BTK >= 0, routes_BTK.astype(jnp.int32), experts_BTK)
    weights_BTK = gates(scores_BTE, experts_BTK, config=config)
    balance, load_E = (
        balance_loss(scores_BTE, experts_BTK, segments_BT),
        load(experts_BTK, segments_BT > 0, config.n_experts),
    )

    rows = (
        x_BTD.reshape(n_batch * n_seq, d),
        *(a.reshape(n_batch * n_seq, -1) for a in (experts_BTK, weights_BTK)),
    )
    n_local = up_ED2F.shape[0]
    if mapped:
        balance, load_E = (
            jax.lax.psum(balance, ("data", "expert")),
            jax.lax.psum(load_E, ("data", "expert")),
        )
        rows = tuple(jax.lax.all_gather(a, "expert", axis=0, tiled=True) for a in rows)
        rows = (rows[0], rows[1] - jax.lax.axis_index("expert") * n_local, rows[2])
    apply = dispatch(config, rows[0].shape[0], config.experts_per_token, n_local)
    y_ND = apply(*rows, up_ED2F.astype(x_BTD.dtype), down_EFD.astype(x_BTD.dtype))
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
    segments_BT: Int[Array, "B T"],
    routes_BTK: Int[Array, "B T K"] | None,
    *,
    config: MoeConfig,
    exact: bool = False,
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
      segments_BT: number of each token's document within its row; 0 on padding, which is computed
        but counted nowhere.
      routes_BTK: experts to use instead of choosing, -1 where to choose all the same; None chooses
        everywhere.
      config: the mixture's shape.
      exact: as of `layers.project`, for the router.

    Returns:
      Output, experts used, assignments per expert (global), balance loss (sum over the documents of
      the global batch).
    """
    local = partial(_mixture, config=config, exact=exact)
    if not sharding.has_mesh():
        return local(
            x_BTD, gate_DE, bias_E, up_ED2F, down_EFD, segments_BT, routes_BTK, mapped=False
        )
    layouts = [
        ("batch", "seq", "act_embed"),
        ("none", "none"),
        ("none",),
        ("experts", "none", "none", "mlp"),
        ("experts", "mlp", "none"),
        ("batch", "seq"),
        ("batch", "seq", "none"),
    ]
    arrays = [x_BTD, gate_DE, bias_E, up_ED2F, down_EFD, segments_BT, routes_BTK]
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
