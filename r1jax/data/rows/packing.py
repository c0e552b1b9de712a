"""Documents into rows for next-token training, by grain's first-fit packing."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, cast

import grain
import numpy as np
from grain.experimental import FirstFitPackIterDataset

from r1jax.config import UserError
from r1jax.types import PackedBatch

Example = dict[str, np.ndarray]
Reduction = Literal["token_mean", "sequence_mean"]


class Document(NamedTuple):
    """What is packed whole into a row.

    Attributes:
      ids: of its tokens.
      targets: which of them are to be predicted; the first never is.
      label: of its source, from 0; losses are told by label.
    """

    ids: list[int]
    targets: list[bool]
    label: int


class Rows:
    """Packed rows by random access.

    `tokens`, `segments`, `positions`, `predict` and `label` are all [rows, length]. `predict` marks
    the tokens that are targets and `label` names their document's source; what a batch has at t is
    of token t + 1.
    """

    def __init__(self, arrays: Example):
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays["tokens"])

    def __getitem__(self, index: int) -> Example:
        return {name: array[index] for name, array in self.arrays.items()}


def pack(document: Callable[[int], Document], numbers: range, *, length: int, bins: int) -> Rows:
    """Packs the documents of these numbers into rows.

    Args:
      document: number -> what is packed.
      numbers: of the documents.
      length: of a row in tokens.
      bins: rows that are filled at a time; more waste less.

    Raises:
      UserError: if a document is longer than a row, or there is none; names it.
    """

    def example(index: int) -> Example:
        ids, targets, label = document(index)
        if len(ids) > length:
            raise UserError(f"packing: document {index} has {len(ids)} tokens, a row {length}")
        return {
            "tokens": np.asarray(ids, np.int32),
            "predict": (np.arange(len(ids)) > 0).astype(np.int32) * np.asarray(targets, np.int32),
            "label": np.full(len(ids), label, np.int32),
        }

    documents = grain.MapDataset.range(numbers.start, numbers.stop, numbers.step).map(example)
    source = documents.to_iter_dataset(grain.ReadOptions(num_threads=0))
    packed = FirstFitPackIterDataset(
        source,
        length_struct={"tokens": length, "predict": length, "label": length},
        num_packing_bins=bins,
        shuffle_bins=False,
    )
    rows = list(packed)
    if not rows:
        raise UserError(f"packing: {len(numbers)} documents gave no row of {length} tokens")
    names = {
        "tokens": "tokens",
        "segments": "tokens_segment_ids",
        "positions": "tokens_positions",
        "predict": "predict",
        "label": "label",
    }
    return Rows(
        {name: np.stack([row[key] for row in rows]).astype(np.int32) for name, key in names.items()}
    )


def drawn(rows: Rows, *, seed: int, step: int, size: int) -> Example:
    """The rows of batch `step` of the endlessly reshuffled rows, each array [size, length].

    It is a function of (seed, step), so a resumed run needs no iterator.

    Raises:
      UserError: if there are fewer rows than a batch holds.
    """
    if len(rows) < size:
        raise UserError(f"packing: a batch of {size} rows was asked for, but there are {len(rows)}")
    order = grain.MapDataset.range(len(rows)).shuffle(seed=seed).repeat()
    # grain types its items as optional for the sake of filters; there are none here
    picked = [rows[cast(int, order[i])] for i in range(step * size, (step + 1) * size)]
    return {name: np.stack([row[name] for row in picked]) for name in picked[0]}


def batch(rows: Rows, *, seed: int, step: int, size: int) -> PackedBatch:
    """Batch `step`, as `drawn`, with equal weights; host arrays."""
    return to_batch(drawn(rows, seed=seed, step=step, size=size), reduction="token_mean")


def _follows(arrays: Example) -> np.ndarray:
    """Where the next token is a target of the same document."""
    segments = arrays["segments"]
    follows = np.zeros_like(segments, dtype=bool)
    follows[:, :-1] = (
        (segments[:, 1:] == segments[:, :-1])
        & (segments[:, 1:] > 0)
        & (arrays["predict"][:, 1:] > 0)
    )
    return follows


def to_batch(arrays: Example, *, reduction: Reduction) -> PackedBatch:
    """Rows as the training step wants them: a weight before each target of the same document.

    Args:
      arrays: rows, as `Rows` has them.
      reduction: "token_mean" weighs each target 1; "sequence_mean" weighs it 1 / the targets of its
        document, so that in the step's one weighted mean each document counts the same.
    """
    segments, follows = arrays["segments"], _follows(arrays)
    weights = follows.astype(np.float32)
    if reduction == "sequence_mean":
        for row, counted in zip(weights, np.where(follows, segments, 0), strict=True):
            row /= np.maximum(np.bincount(counted, minlength=1), 1)[counted]
    fields: list[Any] = [arrays["tokens"], segments, arrays["positions"]]
    return PackedBatch(*fields, weights_BT=cast(Any, weights))


def labels_of(arrays: Example) -> np.ndarray:
    """The label of the target at t + 1, 0 where there is none; [rows, length] as the weights."""
    labels = np.zeros_like(arrays["label"])
    labels[:, :-1] = arrays["label"][:, 1:]
    return np.where(_follows(arrays), labels, 0)
