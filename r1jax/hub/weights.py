"""Trees of weights in one safetensors file: the same bytes for the same weights."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from r1jax.hub import safetensors
from r1jax.io.digests import host, leaves_by_path
from r1jax.types import Tree


def save_weights(path: str | Path, tree: Tree, metadata: Mapping[str, str]) -> None:
    """Writes all arrays of a tree, one after the other; the file is there whole or not at all.

    Names are the paths joined by "/": a NamedTuple's field and a dict's key read alike, lists count
    from 0, None leaves no trace. A flat dict of dotted names is written under those names.

    Args:
      path: file to write or replace; its directory must exist.
      tree: jax or numpy arrays, bfloat16 included; at least one. Only one is held on the host.
      metadata: text for the header.

    Raises:
      ValueError: if there is no array, two have one name, or metadata are no text.
    """
    leaves = leaves_by_path(tree)
    if not leaves or any(not isinstance(v, str) for v in metadata.values()):
        raise ValueError(f"{path}: wanted arrays and texts, got {len(leaves)} arrays, {metadata}")
    kinds = {name: (np.dtype(leaf.dtype), tuple(leaf.shape)) for name, leaf in leaves.items()}
    safetensors.write_file(Path(path), kinds, lambda name: host(leaves[name]), metadata=metadata)
