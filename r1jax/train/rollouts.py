"""From a rollout to minibatches: rows made contiguous, cut to length, weighted as one batch."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from r1jax.config import UserError
from r1jax.rl.grpo import token_weights
from r1jax.types import GrpoBatch, Rollout

Buffer = dict[str, np.ndarray]  # a judged rollout, row by row; what a checkpoint keeps of it


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


def contiguous(rollout: Rollout, *, buckets: tuple[int, ...]) -> Buffer:
    """Moves every row to position 0 and cuts the padding that no row needs.

    Args:
      rollout: host arrays; prompts are left-padded.
      buckets: row lengths that programs are compiled for.

    Returns:
      tokens, segments, loss mask, sampler log-probabilities (both at the position that predicts)
      and routes; `judged` adds the advantages.

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
    return {
        "tokens": np.where(real_BT, tokens_BT, 0).astype(np.int32),
        "segments": real_BT.astype(np.int32),
        "mask": predicts_BT,
        "old_logp": np.where(predicts_BT, logp_BT, 0).astype(np.float32),
        "routes": np.where(real_BT[None, :, :, None], routes_LBTK, -1).astype(np.int32),
    }


def judged(
    rows: Buffer, advantages_B: Float[np.ndarray, " B"], keep_B: Bool[np.ndarray, " B"]
) -> Buffer:
    """The rows with an advantage each; where `keep_B` is False, a row has no part in the loss."""
    return {
        **rows,
        "mask": rows["mask"] & keep_B[:, None],
        "advantages": advantages_B.astype(np.float32),
    }


def unjudged(rows: Buffer) -> Buffer:
    """The rows as long as nobody has judged them, to take log-probabilities of all."""
    n = len(rows["tokens"])
    return judged(rows, np.zeros(n, np.float32), np.ones(n, bool))


def as_batch(rows: Buffer, weights_BT: Float[np.ndarray, "B T"]) -> GrpoBatch:
    """The arrays of these rows as the training step wants them; they stay on the host."""
    arrays: dict[str, Any] = {
        "tokens_BT": rows["tokens"],
        "segments_BT": rows["segments"],
        "weights_BT": weights_BT,
        "advantages_B": rows["advantages"],
        "old_logp_BT": rows["old_logp"],
        "ref_logp_BT": rows.get("ref_logp", np.zeros_like(rows["old_logp"])),
        "routes_LBTK": rows["routes"],
    }
    return GrpoBatch(**arrays)


def minibatch(
    buffer: Buffer, prompts_P: Int[np.ndarray, " P"], *, group: int, reduction: str, constant: int
) -> GrpoBatch:
    """The whole groups of some prompts, weighted as one global batch."""
    index = (prompts_P[:, None] * group + np.arange(group)).reshape(prompts_P.size * group)
    rows = {k: v[:, index] if k == "routes" else v[index] for k, v in buffer.items()}
    weights_BT = token_weights(jnp.asarray(rows["mask"]), reduction=reduction, constant=constant)
    return as_batch(rows, np.asarray(weights_BT))
