"""Sequences packed into rows of a fixed length, several to a row, and back; on the host.

Letters beside those of `types`: N real tokens of all sequences.
"""

from bisect import bisect_left, insort
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Shaped

from r1jax.model.config import ModelConfig
from r1jax.sharding import batch_shards

Host = np.ndarray


class Packing(NamedTuple):
    """Where the tokens of B sequences lie in rows.

    Attributes:
      sequence_N, offset_N: the sequence of each token, and its position there.
      row_N, column_N: its row, and its place in the row.
      segment_N: number of its sequence within the row, from 1.
      shape: rows, and tokens of a row.
    """

    sequence_N: Host
    offset_N: Host
    row_N: Host
    column_N: Host
    segment_N: Host
    shape: tuple[int, int]

    def into(self, x_BT: Shaped[Host, "B T"]) -> Shaped[Host, "R W"]:
        """Moves what stands at the tokens of sequences into the rows; 0 elsewhere."""
        packed_RW = np.zeros(self.shape, x_BT.dtype)
        packed_RW[self.row_N, self.column_N] = x_BT[self.sequence_N, self.offset_N]
        return packed_RW

    def routes(self, x_LBTK: Int[Host, "L B T K"]) -> Int[Host, "L R W K"]:
        """The same of the experts of every token; -1 elsewhere."""
        n_layers, _, _, top = x_LBTK.shape
        packed_LRWK = np.full((n_layers, *self.shape, top), -1, x_LBTK.dtype)
        packed_LRWK[:, self.row_N, self.column_N] = x_LBTK[:, self.sequence_N, self.offset_N]
        return packed_LRWK

    def back(self, x_RW: Shaped[Host, "R W"], shape: tuple[int, ...]) -> Shaped[Host, "B T"]:
        """Undoes `into`: sequences in an array of this shape, 0 on their padding."""
        x_BT = np.zeros(shape, x_RW.dtype)
        x_BT[self.sequence_N, self.offset_N] = x_RW[self.row_N, self.column_N]
        return x_BT


def best_fit(lengths_B: Int[Host, " B"], *, width: int, align: int = 1) -> tuple[Host, Host, Host]:
    """Puts each sequence, the longest first, into the row that it leaves the least space in.

    Args:
      lengths_B: tokens of each sequence, at most `width`; of equal ones the first goes first.
      width: tokens of a row.
      align: sequences begin at multiples of it.

    Returns:
      Of each sequence its row, its start there, and its number there, from 1.
    """
    row_B, start_B, number_B = (np.zeros(len(lengths_B), np.int64) for _ in range(3))
    spaces: list[tuple[int, int]] = []  # space left and row, in order
    filled: list[int] = []  # sequences of each row
    for b in np.argsort(-lengths_B, kind="stable"):
        length = int(lengths_B[b])
        at = bisect_left(spaces, (length, 0))
        if at == len(spaces):
            spaces.append((width, len(filled)))
            filled.append(0)
        space, row = spaces.pop(at)
        filled[row] += 1
        row_B[b], start_B[b], number_B[b] = row, width - space, filled[row]
        insort(spaces, (space - -(-length // align) * align, row))
    return row_B, start_B, number_B


def micro_rows(width: int, *, micro_tokens: int) -> int:
    """Rows of a micro-batch of at most so many tokens; at least one on every device."""
    ways = batch_shards()
    return ways * max(1, micro_tokens // (width * ways))


def pieces(shape: tuple[int, ...], *, micro_tokens: int) -> int:
    """Micro-batches of an array of rows, by its shape, that `pack` has laid out."""
    return max(1, shape[0] // micro_rows(shape[1], micro_tokens=micro_tokens))


def pack(lengths_B: Int[Host, " B"], *, width: int, micro_tokens: int, align: int = 1) -> Packing:
    """Packs sequences into an array of as many rows as any lengths could need.

    The shape of the array depends on the number of sequences alone, so no program is compiled again
    for other lengths; micro-batches of padding alone come last, and no step runs them. Row b of the
    array belongs to micro-batch b % pieces, as `accumulate.split` deals them.

    Args:
      lengths_B: tokens of each sequence.
      width: tokens of a row.
      micro_tokens: tokens of a micro-batch at most, unless a row on every device has more.
      align: sequences begin at multiples of it; exact numerics want the blocks of attention.
    """
    row_B, start_B, number_B = best_fit(lengths_B, width=width, align=align)
    n, ways = len(lengths_B), batch_shards()
    micro = min(micro_rows(width, micro_tokens=micro_tokens), -(-n // ways) * ways)
    count = -(-n // micro)
    at_B = row_B % micro * count + row_B // micro
    sequence_N = np.repeat(np.arange(n), lengths_B)
    offset_N = np.arange(len(sequence_N)) - np.repeat(np.cumsum(lengths_B) - lengths_B, lengths_B)
    return Packing(
        sequence_N,
        offset_N,
        at_B[sequence_N],
        start_B[sequence_N] + offset_N,
        number_B[sequence_N],
        (count * micro, width),
    )


def auto_tokens(model: ModelConfig, platform: str, *, devices: int) -> int:
    """Positions of a micro-batch where a config leaves the choice open, from sizes alone.

    Args:
      model: the network.
      platform: as JAX names it. On a "cpu" 512 positions, whose activations stay in the caches: an
        update of 64 rows of 144 tokens took 0.92 to 0.99 s in 8 to 32 micro-batches, 1.47 s whole.
        Elsewhere, not measured, 16,384 a device, fewer where 4 GiB do not hold the residual
        stream of every layer in 2 bytes a number.
      devices: that share the rows.
    """
    if platform == "cpu":
        return 512 * devices
    return devices * max(1, min(16_384, (4 << 30) // (2 * model.n_layers * model.d_model)))
