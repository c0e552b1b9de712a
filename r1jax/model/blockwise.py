"""Causal attention in blocks of queries and keys: no array of T x T positions ever lives.

Forward: online softmax over blocks of keys (arXiv:1805.02867, FlashAttention, arXiv:2205.14135).
Backward: every block's weights again, from the log-sum-exp of the forward pass (FlashAttention-2,
arXiv:2307.08691, algorithm 2). Blocks that no query may see are not computed: those ahead of the
queries, and those before the first token of the queries' documents.

Letters beside those of `types`: Z blocks, C positions of a block.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

MASKED = -1e30  # finite, so that a fully masked (padding) row gives a mean, not NaN


class Blocks(NamedTuple):
    """Queries, keys, values and segments, cut into blocks of positions."""

    q_ZBMJCH: Float[Array, "Z B M J C H"]
    k_ZBMCH: Float[Array, "Z B M C H"]
    v_ZBMCU: Float[Array, "Z B M C U"]
    segments_ZBC: Int[Array, "Z B C"]


def _cut(x: Array, axis: int, block: int) -> Array:
    """Pads an axis of positions to whole blocks; the blocks become the first axis."""
    pad = -x.shape[axis] % block
    x = jnp.pad(x, [(0, pad if at == axis else 0) for at in range(x.ndim)])
    shape = (*x.shape[:axis], x.shape[axis] // block, block, *x.shape[axis + 1 :])
    return jnp.moveaxis(x.reshape(shape), axis, 0)


def _joined(x: Array, axis: int, length: int) -> Array:
    """Undoes `_cut`."""
    x = jnp.moveaxis(x, 0, axis)
    shape = (*x.shape[:axis], x.shape[axis] * x.shape[axis + 1], *x.shape[axis + 2 :])
    return jax.lax.slice_in_dim(x.reshape(shape), 0, length, axis=axis)


def first_block(segments_ZBC: Int[Array, "Z B C"]) -> Int[Array, " Z"]:
    """For each block of queries the first block of keys that any of them may see.

    A block of padding alone may see none: it gets Z.
    """
    n_blocks, _, block = segments_ZBC.shape
    segments_BT = segments_ZBC.swapaxes(0, 1).reshape(segments_ZBC.shape[1], n_blocks * block)
    before_BT = jnp.pad(segments_BT[:, :-1], ((0, 0), (1, 0)))
    begins_BT = jnp.where(segments_BT != before_BT, jnp.arange(n_blocks * block)[None], 0)
    start_BT = jax.lax.cummax(begins_BT, axis=1)
    start_BT = jnp.where(segments_BT > 0, start_BT // block, n_blocks)
    return start_BT.reshape(start_BT.shape[0], n_blocks, block).min((0, 2)).astype(jnp.int32)


def _visible(segments_ZBC: Array, i: Array, j: Array) -> Bool[Array, "B 1 1 C C"]:
    """True where a query of block i may see a key of block j."""
    queries_BC1, keys_B1C = segments_ZBC[i][:, :, None], segments_ZBC[j][:, None]
    at_C = jnp.arange(segments_ZBC.shape[2])
    later_CC = at_C[:, None] + (i - j) * at_C.size >= at_C[None, :]
    return ((queries_BC1 == keys_B1C) & (keys_B1C > 0) & later_CC[None])[:, None, None]


def _scores(x: Blocks, i: Array, j: Array, scale: float) -> Float[Array, "B M J C C"]:
    """Scores of block i's queries on block j's keys, float32, masked."""
    s = _products(x.q_ZBMJCH[i], x.k_ZBMCH[j])
    return jnp.where(_visible(x.segments_ZBC, i, j), s * scale, MASKED)


def _products(q_BMJTH: Array, k_BMSH: Array) -> Float[Array, "B M J T S"]:
    return jnp.einsum("bmjth,bmsh->bmjts", q_BMJTH, k_BMSH, preferred_element_type=jnp.float32)


Softmax = tuple[Array, Array, Array]  # of queries: best score, sum of exponentials, their values


def _start(rows: tuple[int, ...], width: int) -> Softmax:
    """Before any key."""
    zeros = jnp.zeros(rows, jnp.float32)
    return zeros + MASKED, zeros, jnp.zeros((*rows, width), jnp.float32)


def _add(carry: Softmax, s_BMJTS: Array, v_BMSU: Array) -> Softmax:
    """One block of keys more: online softmax."""
    best, total, o = carry
    higher = jnp.maximum(best, s_BMJTS.max(-1))
    e, kept = jnp.exp(s_BMJTS - higher[..., None]), jnp.exp(best - higher)
    more = jnp.einsum(
        "bmjts,bmsu->bmjtu", e.astype(v_BMSU.dtype), v_BMSU, preferred_element_type=jnp.float32
    )
    return higher, total * kept + e.sum(-1), o * kept[..., None] + more


def _forward(
    x: Blocks, scale: float
) -> tuple[Float[Array, "Z B M J C U"], Float[Array, "Z B M J C"]]:
    """Attended values, and the log of the sum of every query's exponentials."""
    first_Z = first_block(x.segments_ZBC)
    n_blocks, *rows = x.q_ZBMJCH.shape[:-1]

    def of_queries(i: Array) -> tuple[Array, Array]:
        def add(j: Array, carry: Softmax) -> Softmax:
            return _add(carry, _scores(x, i, j, scale), x.v_ZBMCU[j])

        start = _start(tuple(rows), x.v_ZBMCU.shape[-1])
        best, total, o = jax.lax.fori_loop(first_Z[i], i + 1, add, start)
        total = jnp.where(total > 0, total, 1.0)  # padding that saw no block: zeros, not NaN
        return (o / total[..., None]).astype(x.v_ZBMCU.dtype), best + jnp.log(total)

    return jax.lax.map(of_queries, jnp.arange(n_blocks))


def _backward(x: Blocks, o, lse, g, scale: float) -> tuple[Array, Array, Array]:
    """Gradients of queries, keys and values, from that of the attended values."""
    first_Z = first_block(x.segments_ZBC)
    n_blocks = first_Z.shape[0]
    at_Z = jnp.arange(n_blocks)
    delta = (g.astype(jnp.float32) * o.astype(jnp.float32)).sum(-1)

    def of_keys(dq, j):
        def add(i, carry):
            dq, dk, dv = carry
            p = jnp.exp(_scores(x, i, j, scale) - lse[i][..., None])
            dp = jnp.einsum(
                "bmjtu,bmsu->bmjts", g[i], x.v_ZBMCU[j], preferred_element_type=jnp.float32
            )
            ds = (p * (dp - delta[i][..., None])).astype(g.dtype)
            dv += jnp.einsum(
                "bmjts,bmjtu->bmsu", p.astype(g.dtype), g[i], preferred_element_type=jnp.float32
            )
            q, k = x.q_ZBMJCH[i], x.k_ZBMCH[j]
            dk += jnp.einsum("bmjts,bmjth->bmsh", ds, q, preferred_element_type=jnp.float32)
            of_q = jnp.einsum("bmjts,bmsh->bmjth", ds, k, preferred_element_type=jnp.float32)
            return dq.at[i].add(of_q), dk, dv

        # the last block of queries that may see this block of keys
        last = jnp.where((first_Z <= j) & (at_Z >= j), at_Z, -1).max()
        zeros = (jnp.zeros(a.shape[1:], jnp.float32) for a in (x.k_ZBMCH, x.v_ZBMCU))
        dq, dk, dv = jax.lax.fori_loop(j, last + 1, add, (dq, *zeros))
        return dq, ((dk * scale).astype(g.dtype), dv.astype(g.dtype))

    dq, (dk, dv) = jax.lax.scan(of_keys, jnp.zeros(x.q_ZBMJCH.shape, jnp.float32), at_Z)
    return (dq * scale).astype(g.dtype), dk, dv


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _attend(x: Blocks, scale: float) -> Float[Array, "Z B M J C U"]:
    return _forward(x, scale)[0]


def _kept(x: Blocks, scale: float):
    o, lse = _forward(x, scale)
    return o, (x, o, lse)


def _pulled(scale: float, kept, g):
    x, o, lse = kept
    return (Blocks(*_backward(x, o, lse, g, scale), None),)  # type: ignore[arg-type]  # of integers


_attend.defvjp(_kept, _pulled)


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
    """Softmax attention in which J query heads share each of M key-value heads.

    Args:
      q_BTMJH, k_BMTH, v_BMTU: queries, keys and values; what they hold on padding counts nowhere,
        and may not be infinite or NaN.
      segments_BT: 0 on padding; a token sees itself and the earlier tokens of its own segment. The
        tokens of a segment stand together.
      scale: factor on the scores.
      block: positions of a block of queries, and of keys, at most; the length is cut into equal
        blocks of a multiple of 8.
      exact: blocks of just so many, whatever the length: `attend_cached` repeats their bits.

    Returns:
      Attended values; zeros, or a mean of any values, on padding.
    """
    length = q_BTMJH.shape[1]
    if not exact:
        block = -(-length // -(-length // block) // 8) * 8
    q_BMJTH = q_BTMJH.transpose(0, 2, 3, 1, 4)
    blocks = Blocks(
        _cut(q_BMJTH, 3, block),
        _cut(k_BMTH, 2, block),
        _cut(v_BMTU, 2, block),
        _cut(segments_BT, 1, block),
    )
    return _joined(_attend(blocks, scale), 3, length).transpose(0, 3, 1, 2, 4)


def attend_cached(
    q_B1MJH: Float[Array, "B 1 M J H"],
    k_BMSH: Float[Array, "B M S H"],
    v_BMSU: Float[Array, "B M S U"],
    position_B: Int[Array, " B"],
    *,
    scale: float,
    block: int,
) -> Float[Array, "B 1 M J U"]:
    """What `attend(exact=True)` gives the query at a position, bit for bit on CPU.

    The same blocks of keys in the same order. The query stands there twice: XLA:CPU multiplies a
    single row by another routine, with other bits. Keys behind the position add exact zeros.

    Args:
      q_B1MJH: one query a row.
      k_BMSH, v_BMSU: of position 0 on; what they hold behind the row's position is not seen.
      position_B: of the query; it sees the keys up to its own.
      scale, block: as of `attend`.
    """
    q = jnp.repeat(q_B1MJH, 2, axis=1).transpose(0, 2, 3, 1, 4)
    k_ZBMCH, v_ZBMCU = _cut(k_BMSH, 2, block), _cut(v_BMSU, 2, block)

    def add(j: Array, carry: Softmax) -> Softmax:
        seen_BC = jnp.arange(block)[None] + j * block <= position_B[:, None]
        s = jnp.where(seen_BC[:, None, None, None], _products(q, k_ZBMCH[j]) * scale, MASKED)
        return _add(carry, s, v_ZBMCU[j])

    start = _start(q.shape[:-1], v_BMSU.shape[-1])
    _, total, o = jax.lax.fori_loop(0, position_B.max() // block + 1, add, start)
    o = (o / total[..., None]).astype(v_BMSU.dtype)
    return o[:, :, :, :1].transpose(0, 3, 1, 2, 4)
