"""Trees of weights in safetensors files: the same bytes for the same weights."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from r1jax.io.digests import host, leaves_by_path
from r1jax.types import Tree


def _sort_metadata(path: Path) -> None:
    """Sorts the header's metadata in place: safetensors writes them in an order drawn afresh."""
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        assert len(text) <= size, f"{path}: header grew from {size} to {len(text)} bytes"
        file.seek(8)
        file.write(text.ljust(size))


def save_weights(path: str | Path, tree: Tree, metadata: Mapping[str, str]) -> None:
    """Writes all arrays of a tree; the file is there whole or not at all.

    Names are the paths joined by "/": a NamedTuple's field and a dict's key read alike, lists count
    from 0, None leaves no trace. A flat dict of dotted names is written under those names.

    Args:
      path: file to write or replace; its directory must exist.
      tree: jax or numpy arrays, bfloat16 included; at least one.
      metadata: text for the header.

    Raises:
      ValueError: if there is no array, two have one name, or metadata are no text.
    """
    path = Path(path)
    arrays = {
        name: np.asarray(host(leaf), order="C") for name, leaf in leaves_by_path(tree).items()
    }
    if not arrays or any(not isinstance(v, str) for v in metadata.values()):
        raise ValueError(f"{path}: wanted arrays and texts, got {len(arrays)} arrays, {metadata}")
    temporary = path.with_name(f".{path.name}.tmp")
    save_file(arrays, temporary, metadata=dict(metadata) if metadata else None)
    if metadata:
        _sort_metadata(temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def load_weights(path: str | Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns a nested dict of numpy arrays, the names split at "/", and the metadata.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: names the file if it is truncated, foreign, or has one name within another.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with safe_open(path, framework="np") as file:
            metadata = dict(file.metadata() or {})
            arrays = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path}: no whole safetensors file: {error}") from error
    tree: dict[str, Any] = {}
    for name, array in arrays.items():
        *parents, last = name.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise ValueError(f"{path}: {name!r} lies within another array")
        node[last] = array
    return tree, metadata
