"""Documents into rows for next-token training, by grain's first-fit packing."""

from collections.abc import Callable
from typing import Any, cast

import grain
import numpy as np
from grain.experimental import FirstFitPackIterDataset

from r1jax.types import PackedBatch

Example = dict[str, np.ndarray]


class Rows:
    """Packed rows by random access.

    `tokens`, `segments`, `positions` and `predict` are all [rows, length]. `predict` marks the
    tokens that are targets; a row's batch weight at t is that of its token t + 1.
    """

    def __init__(self, arrays: Example):
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays["tokens"])

    def __getitem__(self, index: int) -> Example:
        return {name: array[index] for name, array in self.arrays.items()}


def pack(
    document: Callable[[int], tuple[list[int], int]], numbers: range, *, length: int, bins: int
) -> Rows:
    """Packs the documents of these numbers into rows.

    Args:
      document: number -> (token ids, how many of the first are no targets).
      numbers: of the documents.
      length: of a row in tokens.
      bins: rows that are filled at a time; more waste less.

    Raises:
      ValueError: if a document is longer than a row, or there is none; names it.
    """

    def example(index: int) -> Example:
        ids, prompt = document(index)
        if len(ids) > length:
            raise ValueError(f"packing: document {index} has {len(ids)} tokens, a row {length}")
        return {
            "tokens": np.asarray(ids, np.int32),
            "predict": (np.arange(len(ids)) >= max(prompt, 1)).astype(np.int32),
        }

    documents = grain.MapDataset.range(numbers.start, numbers.stop, numbers.step).map(example)
    source = documents.to_iter_dataset(grain.ReadOptions(num_threads=0))
    packed = FirstFitPackIterDataset(
        source,
        length_struct={"tokens": length, "predict": length},
        num_packing_bins=bins,
        shuffle_bins=False,
    )
    rows = list(packed)
    if not rows:
        raise ValueError(f"packing: {len(numbers)} documents gave no row of {length} tokens")
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
    """Batch `step` of the endlessly reshuffled rows; host arrays.

    It is a function of (seed, step), so a resumed run needs no iterator.

    Raises:
      ValueError: if there are fewer rows than a batch holds.
    """
    if len(rows) < size:
        raise ValueError(
            f"packing: a batch of {size} rows was asked for, but there are {len(rows)}"
        )
    order = grain.MapDataset.range(len(rows)).shuffle(seed=seed).repeat()
    # grain types its items as optional for the sake of filters; there are none here
    picked = [rows[cast(int, order[i])] for i in range(step * size, (step + 1) * size)]
    return to_batch({name: np.stack([row[name] for row in picked]) for name in picked[0]})


def to_batch(arrays: Example) -> PackedBatch:
    """Rows as the training step wants them: weight 1 before each target of the same document."""
    segments = arrays["segments"]
    follows = np.zeros_like(segments, dtype=bool)
    follows[:, :-1] = (
        (segments[:, 1:] == segments[:, :-1])
        & (segments[:, 1:] > 0)
        & (arrays["predict"][:, 1:] > 0)
    )
    fields: list[Any] = [arrays["tokens"], segments, arrays["positions"]]
    return PackedBatch(*fields, weights_BT=cast(Any, follows.astype(np.float32)))
