"""Checkpoints of many tensors in safetensors files, read and written one tensor at a time.

A file is eight bytes of header length, a JSON header {name: {dtype, shape, data_offsets}}, then the
bytes; several files come with an index that says which tensor is where. We read the bytes ourselves
because the library's NumPy side has no float8, and to hold one tensor and not a mapped file.
"""

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import ml_dtypes
import numpy as np

from r1jax.config import UserError

WHOLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
DTYPES = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
    "I8": np.dtype(np.int8),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


class Tensor(NamedTuple):
    """Where a tensor stands: bytes [begin, begin + size) of a file."""

    file: Path
    dtype: np.dtype
    shape: tuple[int, ...]
    begin: int

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def _document(path: Path, text: bytes) -> dict:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: its header is not JSON ({error})") from error
    if not isinstance(document, dict):
        raise UserError(f"{path}: got {document!r:.40}, wanted an object")
    return document


def read_header(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of one file, and its metadata.

    Raises:
      FileNotFoundError: if there is no such file.
      UserError: names the file, and the tensor, whose entry cannot be or whose bytes are missing.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            raise UserError(
                f"{path}: {size} bytes, but its header alone takes {length}: truncated, or no "
                "safetensors file"
            )
        header = _document(path, file.read(length))
    tensors: dict[str, Tensor] = {}
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise UserError(f"{path}: __metadata__ is {metadata!r:.40}, wanted an object")
    for name, entry in header.items():
        try:
            kind, shape = entry["dtype"], tuple(int(n) for n in entry["shape"])
            begin, end = (int(n) for n in entry["data_offsets"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: {name}: no dtype, shape and offsets ({error!r})") from error
        if not isinstance(kind, str) or kind not in DTYPES:
            raise UserError(f"{path}: {name}: dtype {kind}, wanted one of {sorted(DTYPES)}")
        tensor = Tensor(path, DTYPES[kind], shape, 8 + length + begin)
        if end - begin != tensor.nbytes or min((*shape, begin), default=0) < 0:
            raise UserError(
                f"{path}: {name}: {kind} {list(shape)} takes {tensor.nbytes} bytes, its offsets "
                f"span {end - begin}"
            )
        if 8 + length + end > size:
            raise UserError(
                f"{path}: {name}: ends at byte {8 + length + end}, the file has {size}: truncated"
            )
        tensors[name] = tensor
    at = 8 + length
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].nbytes)):
        if tensor.begin != at:
            raise UserError(f"{path}: {name}: begins at byte {tensor.begin}, wanted {at}")
        at += tensor.nbytes
    if at != size:
        raise UserError(f"{path}: {size - at} bytes behind the last tensor: damaged")
    return tensors, metadata


def find(directory: Path) -> dict[str, Tensor]:
    """Every tensor of a checkpoint directory, by name; headers are read, no tensor is.

    They are in the files of the index, else in model.safetensors, else in the only file there is.

    Raises:
      UserError: names what is wrong: no safetensors, a missing or truncated file, an index that
        lists what a file lacks.
    """
    index = directory / INDEX
    if not index.is_file():
        whole = directory / WHOLE
        files = [whole] if whole.is_file() else sorted(directory.glob("*.safetensors"))
        if len(files) == 1:
            return read_header(files[0])[0]
        pickled = sorted(p.name for pattern in PICKLES for p in directory.glob(pattern))
        if pickled and not files:
            raise UserError(
                f"{directory}: only pickled weights {pickled}: unpickling runs any code that is in "
                "them, so r1jax never does; convert them to safetensors"
            )
        raise UserError(
            f"{directory}: {len(files)} safetensors files, wanted one, or {INDEX} beside several"
        )
    placed = _document(index, index.read_bytes()).get("weight_map")
    if not isinstance(placed, dict) or not placed:
        raise UserError(f"{index}: lacks a weight_map")
    odd = {n: file for n, file in placed.items() if not isinstance(file, str)}
    if odd:
        raise UserError(f"{index}: weight_map names no files: {odd}")
    missing = sorted({f for f in placed.values() if not (directory / f).is_file()})
    if missing:
        raise UserError(f"{index}: lists {missing}, which {directory} lacks")
    headers = {f: read_header(directory / f)[0] for f in sorted(set(placed.values()))}
    for name, file in placed.items():
        if name not in headers[file]:
            raise UserError(f"{index}: says that {name} is in {file}, which lacks it")
    unlisted = sorted(n for header in headers.values() for n in header if n not in placed)
    if unlisted:
        raise UserError(f"{index}: does not list {unlisted[:5]}, of {len(unlisted)} in its files")
    return {name: headers[file][name] for name, file in placed.items()}


def read(tensor: Tensor) -> np.ndarray:
    """The tensor's values, in memory of their own."""
    count = math.prod(tensor.shape)
    flat = np.fromfile(tensor.file, tensor.dtype, count, offset=tensor.begin)
    if flat.size != count:
        raise UserError(f"{tensor.file}: got {flat.size} values, wanted {count}: truncated")
    return flat.reshape(tensor.shape)


def write(
    directory: Path,
    tensors: Mapping[str, tuple[np.dtype, tuple[int, ...]]],
    values: Callable[[str], np.ndarray],
    *,
    max_bytes: int,
) -> None:
    """Writes a checkpoint in as few files as hold at most `max_bytes` each, with their index.

    Args:
      directory: it must exist; an earlier checkpoint in it is replaced.
      tensors: dtype and shape of each, in the order of writing.
      values: makes a tensor when its turn comes.
      max_bytes: of a file; a larger tensor gets one of its own.
    """
    groups: list[list[str]] = [[]]
    size, total = 0, 0
    for name, (dtype, shape) in tensors.items():
        nbytes = math.prod(shape) * dtype.itemsize
        if groups[-1] and size + nbytes > max_bytes:
            groups.append([])
            size = 0
        groups[-1].append(name)
        size, total = size + nbytes, total + nbytes
    one = len(groups) == 1
    files = (
        [WHOLE]
        if one
        else [f"model-{i:05d}-of-{len(groups):05d}.safetensors" for i in range(1, len(groups) + 1)]
    )
    (directory / INDEX).unlink(missing_ok=True)
    for old in {p.name for p in directory.glob("model*.safetensors")} - set(files):
        (directory / old).unlink()  # of an earlier export, in other shards
    for file, names in zip(files, groups, strict=True):
        of = {n: tensors[n] for n in names}
        write_file(directory / file, of, values, metadata={"format": "pt"})
    if not one:
        placed = {n: file for file, names in zip(files, groups, strict=True) for n in names}
        document = {"metadata": {"total_size": total}, "weight_map": placed}
        (directory / INDEX).write_text(json.dumps(document, indent=2) + "\n")


def write_file(
    path: Path,
    tensors: Mapping[str, tuple[np.dtype, tuple[int, ...]]],
    values: Callable[[str], np.ndarray],
    *,
    metadata: Mapping[str, str],
) -> None:
    """Writes one file, tensor by tensor; it is there whole or not at all.

    Args:
      path: file to write or replace; its directory must exist.
      tensors, values: as of `write`.
      metadata: texts for the header.
    """
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    at = 0
    for name, (dtype, shape) in tensors.items():
        end = at + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": NAMES[dtype], "shape": list(shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, (dtype, shape) in tensors.items():
            value = values(name)
            if value.dtype != dtype or value.shape != shape:
                raise UserError(
                    f"{path}: {name}: got {value.dtype} {value.shape}, wanted {dtype} {shape}"
                )
            np.ascontiguousarray(value).tofile(file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
