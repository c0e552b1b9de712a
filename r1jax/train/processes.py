"""Judging by several processes: each judges rows of its own, and all get to know all scores."""

import json

import jax
import numpy as np
from jax.experimental import multihost_utils

from r1jax.io import digests
from r1jax.rewards.score import Score
from r1jax.types import Tree


def own_rows(rows: int) -> range:
    """Returns the rows that this process judges: contiguous, since equal answers are judged once.

    Of one process these are all.
    """
    count, mine = jax.process_count(), jax.process_index()
    return range(rows * mine // count, rows * (mine + 1) // count)


def all_scores(mine: list[Score]) -> list[Score]:
    """Returns the scores of all processes in the order of the rows; all must call.

    It is a collective: call it where the main thread would compute, not beside it.
    """
    if jax.process_count() == 1:
        return mine
    text = np.frombuffer(json.dumps(mine).encode(), np.uint8)
    lengths = np.asarray(multihost_utils.process_allgather(np.array([len(text)])))
    lengths = lengths.reshape(jax.process_count())
    padded = np.zeros(lengths.max(), np.uint8)
    padded[: len(text)] = text
    texts = np.asarray(multihost_utils.process_allgather(padded))
    return [
        Score(*score)
        for row, length in zip(texts, lengths, strict=True)
        for score in json.loads(row[:length].tobytes())
    ]


def to_host(tree: Tree) -> Tree:
    """Returns NumPy arrays, gathered where several processes hold parts: all must call then."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    return jax.tree.map(digests.host, tree)
