"""From a rollout to minibatches: rows made contiguous, cut to length, weighted as one batch."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Int
from numpy.typing import ArrayLike

from r1jax.config import UserError
from r1jax.rl.grpo import token_weights
from r1jax.train.packing import Packing, pack
from r1jax.types import GrpoBatch, Judged, PackedRows, Rollout, Sequences


def bucket(length: int, buckets: tuple[int, ...]) -> int:
    """Smallest bucket that holds `length` tokens.

    Raises:
      UserError: if none does.
    """
    for width in sorted(buckets):
        if width >= length:
            return width
    raise UserError(f"a sequence of {length} tokens fits none of the length buckets {buckets}")


def _ahead(x_BT: np.ndarray) -> np.ndarray:
    """At position t what stands at t + 1: position t predicts the token there."""
    return np.concatenate([x_BT[:, 1:], np.zeros_like(x_BT[:, :1])], 1)


def contiguous(rollout: Rollout, *, buckets: tuple[int, ...]) -> Sequences:
    """Moves every row to position 0 and cuts the padding that no row needs.

    Args:
      rollout: host arrays; prompts are left-padded.
      buckets: row lengths that programs are compiled for.

    Returns:
      Host arrays.

    Raises:
      UserError: if a row fits no bucket.
    """
    n_prompt_B = rollout.prompt_mask_BT.sum(1)
    n_total_B = n_prompt_B + rollout.mask_BC.sum(1)
    width = bucket(int(n_total_B.max()), buckets)
    prompt_width = rollout.prompt_BT.shape[1]
    at_T = np.arange(width)
    source_BT = np.minimum(
        at_T + (prompt_width - n_prompt_B)[:, None], prompt_width + rollout.mask_BC.shape[1] - 1
    )
    real_BT = at_T < n_total_B[:, None]

    def moved(prompt_BT: ArrayLike, completion_BC: ArrayLike) -> np.ndarray:
        return np.take_along_axis(np.concatenate([prompt_BT, completion_BC], 1), source_BT, 1)

    nothing_BT = np.zeros(rollout.prompt_BT.shape)
    predicts_BT = _ahead(moved(nothing_BT.astype(bool), rollout.mask_BC) & real_BT)
    logp_BT = _ahead(moved(nothing_BT, rollout.logp_BC))
    tokens_BT = moved(rollout.prompt_BT, rollout.completion_BC)
    n_layers, _, _, top = rollout.routes_LBTK.shape
    index = np.broadcast_to(source_BT[None, :, :, None], (n_layers, *source_BT.shape, top))
    routes_LBTK = np.take_along_axis(np.asarray(rollout.routes_LBTK), index, 2)
    arrays: dict[str, Any] = {
        "tokens_BT": np.where(real_BT, tokens_BT, 0).astype(np.int32),
        "segments_BT": real_BT.astype(np.int32),
        "mask_BT": predicts_BT,
        "old_logp_BT": np.where(predicts_BT, logp_BT, 0).astype(np.float32),
        "routes_LBTK": np.where(real_BT[None, :, :, None], routes_LBTK, -1).astype(
            routes_LBTK.dtype
        ),
    }
    return Sequences(**arrays)


def packing_of(sequences: Sequences, *, micro_tokens: int, align: int = 1) -> Packing:
    """How sequences are packed into rows of their own array's length."""
    lengths_B = np.asarray(sequences.segments_BT).sum(1)
    width = sequences.tokens_BT.shape[1]
    return pack(lengths_B, width=width, micro_tokens=micro_tokens, align=align)


def rows_of(sequences: Sequences, packing: Packing) -> PackedRows:
    """Sequences in rows, to be scored; host arrays."""
    arrays: dict[str, Any] = {
        **_places(packing),
        "tokens_BT": packing.into(np.asarray(sequences.tokens_BT)),
        "routes_LBTK": packing.routes(np.asarray(sequences.routes_LBTK)),
    }
    return PackedRows(**arrays)


def _places(packing: Packing) -> dict[str, Any]:
    """Segments and positions of packed rows."""
    segments_BT, positions_BT = (np.zeros(packing.shape, np.int32) for _ in range(2))
    segments_BT[packing.row_N, packing.column_N] = packing.segment_N
    positions_BT[packing.row_N, packing.column_N] = packing.offset_N
    return {"segments_BT": segments_BT, "positions_BT": positions_BT}


def minibatch(
    judged: Judged,
    prompts_P: Int[np.ndarray, " P"],
    *,
    group: int,
    reduction: str,
    constant: int,
    micro_tokens: int,
    align: int = 1,
) -> GrpoBatch:
    """The whole groups of some prompts, weighted as one global batch and packed; host arrays."""
    index_B = (prompts_P[:, None] * group + np.arange(group)).reshape(prompts_P.size * group)
    rows: dict[str, Any] = {
        name: np.take(array, index_B, axis=1 if name == "routes_LBTK" else 0)
        for name, array in judged._asdict().items()
    }
    mask_BT = jnp.asarray(rows.pop("mask_BT"))
    weights_BT = token_weights(mask_BT, reduction=reduction, constant=constant)
    rows["weights_BT"] = np.asarray(weights_BT)
    shape = rows["tokens_BT"].shape
    rows["advantages_BT"] = np.broadcast_to(rows.pop("advantages_B")[:, None], shape)
    lengths_B = rows.pop("segments_BT").sum(1)
    packing = pack(lengths_B, width=shape[1], micro_tokens=micro_tokens, align=align)
    routes_LBTK = packing.routes(rows.pop("routes_LBTK"))
    packed = {name: packing.into(x_BT) for name, x_BT in rows.items()}
    return GrpoBatch(**packed, **_places(packing), routes_LBTK=routes_LBTK)  # type: ignore[arg-type]  # of the host
