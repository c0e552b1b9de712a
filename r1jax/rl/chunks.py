"""A function of positions, applied to a chunk of them at a time."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array

Scores = TypeVar("Scores")


def by_chunk(score: Callable[..., Scores], arrays: tuple[Array, ...], *, chunk: int) -> Scores:
    """Scores every position, holding what `score` makes of one chunk at a time.

    Args:
      score: of chunks of the arrays, [B, C, ..] each; returns arrays [B, C] in one container. The
        backward pass runs it again for each chunk.
      arrays: [B, T, ..] each; they are padded with zeros to whole chunks.
      chunk: positions at a time; as many as there are, or more, and nothing is cut.

    Returns:
      What `score` returns, [B, T] each.
    """
    n_batch, n_seq = arrays[0].shape[:2]
    if chunk >= n_seq:
        return score(*arrays)
    n_chunks = -(-n_seq // chunk)
    pad = n_chunks * chunk - n_seq

    def cut(x: Array) -> Array:
        padded = jnp.pad(x, [(0, pad) if axis == 1 else (0, 0) for axis in range(x.ndim)])
        return padded.reshape(n_batch, n_chunks, chunk, *x.shape[2:]).swapaxes(0, 1)

    def join(x: Array) -> Array:
        return x.swapaxes(0, 1).reshape(n_batch, n_chunks * chunk)[:, :n_seq]

    again = jax.checkpoint(score)
    _, parts = jax.lax.scan(lambda _, cuts: (None, again(*cuts)), None, tuple(map(cut, arrays)))
    return jax.tree.map(join, parts)
