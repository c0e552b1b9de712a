"""Documents into rows for next-token training, by grain's first-fit packing."""

from collections.abc import Callable

import grain
import numpy as np
from grain.experimental import FirstFitPackIterDataset

from r1jax.types import PackedBatch

Example = dict[str, np.ndarray]


class Rows:
    """Packed rows by random access: `tokens`, `segments`, `positions`, `predict`, each [rows, length].

    `predict` marks the tokens that are targets; a row's batch weight at t is that of its token t + 1.
    """

    def __init__(self, arrays: Example):
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays["tokens"])

    def __getitem__(self, index: int) -> Example:
        return {name: array[index] for name, array in self.arrays.items()}


def pack(
    document: Callable[[int], tuple[list[int], int]], count: int, *, length: int, bins: int
) -> Rows:
    """Packs documents 0 .. count-1 into rows.

    Args:
      document: index -> (token ids, number of leading ids that are no targets).
      count: how many documents.
      length: of a row in tokens.
      bins: rows that are filled at a time; more waste less.

    Raises:
      ValueError: if a document is longer than a row; names it.
    """

    def example(index: int) -> Example:
        ids, prompt = document(index)
        if len(ids) > length:
            raise ValueError(f"packing: document {index} has {len(ids)} tokens, a row {length}")
        return {
            "tokens": np.asarray(ids, np.int32),
            "predict": (np.arange(len(ids)) >= max(prompt, 1)).astype(np.int32),
        }

    source = (
        grain.MapDataset.range(count).map(example).to_iter_dataset(grain.ReadOptions(num_threads=0))
    )
    packed = FirstFitPackIterDataset(
        source,
        length_struct={"tokens": length, "predict": length},
        num_packing_bins=bins,
        shuffle_bins=False,
    )
    rows = list(packed)
    if not rows:
        raise ValueError(f"packing: {count} documents gave no row of {length} tokens")
    names = {
        "tokens": "tokens",
        "segments": "tokens_segment_ids",
        "positions": "tokens_positions",
        "predict": "predict",
    }
    return Rows(
        {name: np.stack([row[key] for row in rows]).astype(np.int32) for name, key in names.items()}
    )


def batch(rows: Rows, *, seed: int, step: int, size: int) -> PackedBatch:
    """Batch `step` of the endlessly reshuffled rows: a function of (seed, step), so a resumed run needs no iterator.

    Raises:
      ValueError: if there are fewer rows than a batch holds.
    """
    if len(rows) < size:
        raise ValueError(
            f"packing: a batch of {size} rows was asked for, but there are {len(rows)}"
        )
    order = grain.MapDataset.range(len(rows)).shuffle(seed=seed).repeat()
    picked = [rows[order[i]] for i in range(step * size, (step + 1) * size)]
    return to_batch({name: np.stack([row[name] for row in picked]) for name in picked[0]})


def to_batch(arrays: Example) -> PackedBatch:
    """Rows as the training step wants them: a weight where the next token is a target of the same document."""
    segments = arrays["segments"]
    follows = np.zeros_like(segments, dtype=bool)
    follows[:, :-1] = (
        (segments[:, 1:] == segments[:, :-1])
        & (segments[:, 1:] > 0)
        & (arrays["predict"][:, 1:] > 0)
    )
    return PackedBatch(arrays["tokens"], segments, arrays["positions"], follows.astype(np.float32))
