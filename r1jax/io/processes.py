"""Rows shared out among several processes: each works on its own, all receive all results."""

import json
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from r1jax.io import digests
from r1jax.types import Tree


def own_rows(rows: int) -> range:
    """Returns the rows of this process: contiguous, since like rows are often done as one."""
    count, index = jax.process_count(), jax.process_index()
    return range(rows * index // count, rows * (index + 1) // count)


def all_rows(rows: list[Any]) -> list[Any]:
    """Returns the rows of all processes, those of `own_rows`, in order; all must call.

    It is a collective: call it where the main thread would compute, not beside it.

    Args:
      rows: what JSON can hold; a tuple comes back as a list if there are several processes.

    Raises:
      TypeError: on a value that JSON cannot hold.
    """
    if jax.process_count() == 1:
        return rows
    text = np.frombuffer(json.dumps(rows).encode(), np.uint8)
    lengths = np.asarray(multihost_utils.process_allgather(np.array([len(text)])))
    lengths = lengths.reshape(jax.process_count())
    padded = np.zeros(lengths.max(), np.uint8)
    padded[: len(text)] = text
    texts = np.asarray(multihost_utils.process_allgather(padded))
    return [
        row
        for padded, length in zip(texts, lengths, strict=True)
        for row in json.loads(padded[:length].tobytes())
    ]


def to_host(tree: Tree) -> Tree:
    """Returns NumPy arrays, gathered where several processes hold parts: all must call then."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    return jax.tree.map(digests.host, tree)
