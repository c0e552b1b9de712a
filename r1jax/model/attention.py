"""Attention as pure functions: grouped-query, and multi-head latent, expanded and absorbed.

MLA is DeepSeek-V2's (arXiv:2405.04434, equations 1-11): keys and values come from one latent of
width R, position lives in a separate rotary key of width X that all heads share. Training and
prefill expand the latent into keys and values per head; decoding absorbs the expansion into the
query and the output, so that the cache holds R + X numbers per token.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from r1jax.model import blockwise
from r1jax.model.blockwise import MASKED
from r1jax.sharding import constrain, has_mesh, out, spec


def attend(
    q_BTMJH: Float[Array, "B T M J H"],
    k_BMTH: Float[Array, "B M T H"],
    v_BMTU: Float[Array, "B M T U"],
    segments_BT: Int[Array, "B T"],
    *,
    scale: float,
    block: int,
    exact: bool = False,
) -> Float[Array, "B T M J U"]:
    """Causal softmax attention over whole sequences; J query heads share each key-value head.

    Args:
      q_BTMJH, k_BMTH, v_BMTU: queries, keys and values; finite on padding too.
      segments_BT: 0 on padding; a token sees itself and the earlier tokens of its own segment.
      scale: factor on the scores.
      block: more than twice as many positions are attended in blocks of at most so many, and no
        array of T x T is made (`blockwise`); 0 never does that.
      exact: in blocks of just so many whatever the length, as `blockwise.attend_cached` does.

    Returns:
      Attended values; on padding finite, and of no meaning.
    """
    if not exact and (not block or q_BTMJH.shape[1] <= 2 * block):
        mask_BTT = causal_mask(segments_BT)
        return attend_grouped(q_BTMJH, k_BMTH, v_BMTU, mask_BTT, scale=scale)
    in_blocks = partial(blockwise.attend, scale=scale, block=block, exact=exact)
    if not has_mesh():
        return in_blocks(q_BTMJH, k_BMTH, v_BMTU, segments_BT)
    queries = spec("batch", "seq", "heads", "none", "head_dim")
    keys = spec("batch", "heads", "seq", "head_dim")
    specs = (queries, keys, keys, spec("batch", "seq"))
    arrays = (q_BTMJH, k_BMTH, v_BMTU, constrain(segments_BT, "batch", "seq"))
    # no collectives inside and no operand shared along an axis: nothing for check_vma to see
    local = jax.shard_map(in_blocks, in_specs=specs, out_specs=queries, check_vma=False)
    return local(*arrays)


def causal_mask(segments_BT: Int[Array, "B T"]) -> Bool[Array, "B T T"]:
    """True where query t may see key s: same segment, not padding (segment 0), not later."""
    n = segments_BT.shape[1]
    same_BTT = segments_BT[:, :, None] == segments_BT[:, None, :]
    causal_TT = jnp.arange(n)[:, None] >= jnp.arange(n)[None, :]
    return same_BTT & (segments_BT > 0)[:, None, :] & causal_TT[None]


def _exponentials(
    scores: Float[Array, "*batch T S"], mask: Bool[Array, "*mask T S"]
) -> tuple[Float[Array, "*batch T S"], Float[Array, "*batch T"]]:
    """exp(score - best) where visible, and its sum, in float32: softmax before its division.

    Dividing the attended values instead of the T x S weights halved attention's time on CPU.
    """
    scores = jnp.where(mask, scores, MASKED)
    e = jnp.exp(scores - jax.lax.stop_gradient(scores.max(axis=-1, keepdims=True)))
    return e, e.sum(axis=-1)


def attend_grouped(
    q_BTMJH: Float[Array, "B T M J H"],
    k_BMSH: Float[Array, "B M S H"],
    v_BMSU: Float[Array, "B M S U"],
    mask_BTS: Bool[Array, "B T S"],
    *,
    scale: float,
) -> Float[Array, "B T M J U"]:
    """Softmax attention, in float32, in which J query heads share each of M key-value heads."""
    scores_BMJTS = jnp.einsum(
        "btmjh,bmsh->bmjts",
        q_BTMJH,
        k_BMSH,
        preferred_element_type=jnp.float32,
        out_sharding=out("batch", "heads", "none", "seq", "seq"),
    )
    e_BMJTS, total_BMJT = _exponentials(scores_BMJTS * scale, mask_BTS[:, None, None])
    o_BMJTU = jnp.einsum(
        "bmjts,bmsu->bmjtu",
        e_BMJTS.astype(v_BMSU.dtype),
        v_BMSU,
        preferred_element_type=jnp.float32,
        out_sharding=out("batch", "heads", "none", "seq", "head_dim"),
    )
    o_BMJTU = (o_BMJTU / total_BMJT[:, :, :, :, None]).astype(v_BMSU.dtype)
    return o_BMJTU.transpose(0, 3, 1, 2, 4)


def attend_latent(
    q_BTNR: Float[Array, "B T N R"],
    qr_BTNX: Float[Array, "B T N X"],
    latent_BSR: Float[Array, "B S R"],
    kr_BSX: Float[Array, "B S X"],
    mask_BTS: Bool[Array, "B T S"],
    *,
    scale: float,
) -> Float[Array, "B T N R"]:
    """Absorbed MLA: one shared key (latent, rotary) of width R + X; its value is the latent."""
    heads = out("batch", "heads", "seq", "seq")
    into = {"out_sharding": heads, "preferred_element_type": jnp.float32}
    scores_BNTS = jnp.einsum("btnr,bsr->bnts", q_BTNR, latent_BSR, **into)
    scores_BNTS += jnp.einsum("btnx,bsx->bnts", qr_BTNX, kr_BSX, **into)
    e_BNTS, total_BNT = _exponentials(scores_BNTS * scale, mask_BTS[:, None])
    o_BNTR = jnp.einsum(
        "bnts,bsr->bntr",
        e_BNTS.astype(latent_BSR.dtype),
        latent_BSR,
        preferred_element_type=jnp.float32,
        out_sharding=out("batch", "heads", "seq", "latent"),
    )
    return (o_BNTR / total_BNT[:, :, :, None]).astype(latent_BSR.dtype).swapaxes(1, 2)
