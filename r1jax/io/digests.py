"""Whether two things are the same to the bit, and how they differ if not."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from r1jax.types import Tree


def leaves_by_path(tree: Tree) -> dict[str, Any]:
    """Returns the leaves by path, sorted; a NamedTuple's field and a dict's key read alike.

    Raises:
      ValueError: if two leaves have one path, as {"a/b": x, "a": {"b": y}} has.
    """
    flat = jax.tree_util.tree_flatten_with_path(tree)[0]
    named = [(jax.tree_util.keystr(path, simple=True, separator="/"), leaf) for path, leaf in flat]
    leaves = dict(sorted(named, key=lambda item: item[0]))
    if len(leaves) < len(named):
        raise ValueError(f"{len(named)} arrays, but only {len(leaves)} names: {list(leaves)}")
    return leaves


def host(leaf: Any) -> np.ndarray:
    """Returns the whole array in host memory; all processes must call for one that they share."""
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
        return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))
    return np.asarray(leaf)


def digest(tree: Tree) -> str:
    """Returns the sha256, in hex, of path, dtype, shape and bytes of every array of a tree.

    The order is that of the sorted paths, and paths name keys and fields alike, so a NamedTuple and
    the dict of the same names and arrays have one digest, wherever the arrays lie. None is skipped.
    Arrays spread over several processes are gathered one at a time: all processes must call.
    """
    sha = hashlib.sha256()
    for path, leaf in leaves_by_path(tree).items():
        array = host(leaf)
        sha.update(f"{path} {array.dtype} {array.shape}\n".encode())
        sha.update(np.ascontiguousarray(array).ravel().view(np.uint8).data)
    return sha.hexdigest()


MADE_BY = "made_by.json"  # of a model directory: where it was made, not what it is
WHOLE = 2**28  # bytes of the largest file of tensors that is read wholly for its fingerprint


def _files_below(top: Path) -> list[Path]:
    return sorted(p for p in top.rglob("*") if p.is_file() and p.name != MADE_BY)


def fingerprint(path: str | Path) -> str:
    """Returns a sha256 of names, sizes and contents of the files at a path, below it too.

    Of a file of tensors (.safetensors, .gguf) with more than `WHOLE` bytes the first and last MiB:
    enough to notice another model, without reading all of a big one. made_by.json, which says
    where a model was made, is left out.

    Raises:
      FileNotFoundError: if nothing is there, which would look like an empty directory.
    """
    top, sha = Path(path), hashlib.sha256()
    top.stat()
    files = [top] if top.is_file() else _files_below(top)
    for file in files:
        size = file.stat().st_size
        sha.update(f"{file.relative_to(top.parent)} {size}\n".encode())
        with file.open("rb") as opened:
            if file.suffix not in (".safetensors", ".gguf") or size <= WHOLE:
                while chunk := opened.read(2**20):
                    sha.update(chunk)
                continue
            sha.update(opened.read(2**20))
            opened.seek(max(0, size - 2**20))
            sha.update(opened.read(2**20))
    return sha.hexdigest()


def check_digest(what: str, tree: Tree, want: str) -> None:
    """Checks that a tree has the wanted digest; a ValueError names `what`."""
    got = digest(tree)
    if got != want:
        raise ValueError(f"{what}: sha256 is {got}, was {want} when saved")


def structure(tree: Tree) -> dict[str, str]:
    """Returns {path: "float32[2,3]"} of arrays or ShapeDtypeStructs."""
    return {
        path: f"{np.dtype(leaf.dtype)}[{','.join(map(str, leaf.shape))}]"
        for path, leaf in leaves_by_path(tree).items()
    }


def differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Returns a line for each key whose values differ, `key: checkpoint VALUE, now VALUE`."""
    lines = []
    for key in sorted(was.keys() | now.keys()):
        before, after = (repr(side[key]) if key in side else "absent" for side in (was, now))
        if before != after:
            lines.append(f"{key}: checkpoint {before}, now {after}")
    return lines


def canonical(document: Any) -> str:
    """Returns the one JSON text of a document.

    Raises:
      ValueError: on NaN or infinity.
      TypeError: on what JSON has no word for.
    """
    return json.dumps(document, sort_keys=True, allow_nan=False)


def seal(document: Any) -> dict[str, str]:
    """Returns the document's text with its sha256: a flipped digit in JSON is still JSON."""
    text = canonical(document)
    return {"text": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def unseal(sealed: Mapping[str, str]) -> Any:
    """Returns what `seal` was given. Raises ValueError if the text is not what was sealed."""
    got = hashlib.sha256(sealed["text"].encode()).hexdigest()
    if got != sealed["sha256"]:
        raise ValueError(f"document: sha256 is {got}, was {sealed['sha256']} when saved")
    return json.loads(sealed["text"])
