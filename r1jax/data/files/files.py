"""Rows of data files: JSON, CSV, Parquet, array_record, and directories of Hugging Face's.

Rows come one after the other, so a file is never held whole beside what is made of it, but for a
JSON array.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import grain

from r1jax.config import MissingPackage, UserError
from r1jax.data.files.jsonl import numbered_jsonl, parse
from r1jax.data.files.tables import numbered_json, numbered_table

Format = Literal["jsonl", "json", "csv", "tsv", "parquet", "array_record", "hugging_face"]

SUFFIXES = {
    "jsonl": (".jsonl", ".jsonl.gz"),
    "json": (".json", ".json.gz"),
    "csv": (".csv", ".csv.gz"),
    "tsv": (".tsv", ".tsv.gz"),
    "parquet": (".parquet",),
    "array_record": (".array_record", ".arrayrecord"),
}
_BATCH = 1024  # rows that become Python objects at a time


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingPackage("pyarrow is missing: pip install 'r1jax[data]'") from error
    return pyarrow


def _with(pa: Any, kind: Any, leaf: Any) -> Any:
    """An Arrow type with `leaf` for each 32-bit float in it."""
    if kind == pa.float32():
        return leaf
    if pa.types.is_list(kind):
        return pa.list_(_with(pa, kind.value_type, leaf))
    if pa.types.is_large_list(kind):
        return pa.large_list(_with(pa, kind.value_type, leaf))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _with(pa, field.type, leaf)) for field in kind])
    return kind


def _objects(pa: Any, batch: Any) -> list[dict[str, Any]]:
    """Rows as Python objects; 0.1 of 32 bits is 0.1, not 0.10000000149011612."""
    columns = []
    for column in batch.columns:
        text = _with(pa, column.type, pa.string())
        if text != column.type:  # by way of its shortest digits
            column = column.cast(text).cast(_with(pa, column.type, pa.float64()))
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names).to_pylist()


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    pa = _pyarrow()
    with path.open("rb") as file:
        try:
            for batch in pa.parquet.ParquetFile(file).iter_batches(batch_size=_BATCH):
                yield from _objects(pa, batch)
        except (pa.ArrowException, ValueError, OSError) as error:
            # a broken page is an OSError without a number, a cell may be no Python object
            if getattr(error, "errno", None):
                raise
            raise UserError(f"{path}: no readable Parquet file: {error}") from error


def _arrow(path: Path) -> Iterator[dict[str, Any]]:
    pa = _pyarrow()
    with path.open("rb") as file:
        try:
            for batch in pa.ipc.open_stream(file):
                for start in range(0, batch.num_rows, _BATCH):
                    yield from _objects(pa, batch.slice(start, _BATCH))
        except (pa.ArrowException, ValueError, OSError) as error:
            if getattr(error, "errno", None):
                raise
            raise UserError(f"{path}: no readable Arrow stream: {error}") from error


def _array_record(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb"):  # the library does not tell a missing file from a broken one
        pass
    try:
        records: Any = grain.sources.ArrayRecordDataSource([str(path)])
        for index in range(len(records)):
            yield parse(records[index], f"{path}:{index + 1}")
    except (RuntimeError, IndexError) as error:
        raise UserError(f"{path}: no readable array_record file: {error}") from error


_READERS = {"parquet": _parquet, "arrow": _arrow, "array_record": _array_record}


def _matching(path: Path, format: str) -> list[Path]:
    """The data files of a folder, or those that a pattern in the last part of the path names."""
    folder, pattern = (path.parent, path.name) if "*" in path.name else (path, "*")
    return sorted(f for f in folder.glob(pattern) if f.name.endswith(SUFFIXES[format]))


def _document(path: Path, key: str) -> dict[str, Any]:
    """A JSON file of `save_to_disk`, which must have a key."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: no JSON: {error}") from error
    if not isinstance(document, dict) or key not in document:
        raise UserError(f"{path}: wanted an object with the key {key!r}")
    return document


def _hugging_face(path: Path) -> list[Path]:
    if (path / "dataset_dict.json").exists():
        splits = _document(path / "dataset_dict.json", "splits")["splits"]
        names = sorted(map(str, splits)) if isinstance(splits, list) else splits
        raise UserError(f"{path}: name one of its splits {names}: {path}/SPLIT")
    if (path / "state.json").exists():
        state = _document(path / "state.json", "_data_files")
        if state.get("_indices_data_files"):
            raise UserError(f"{path}: has an indices mapping, save it after flatten_indices()")
        files = state["_data_files"]
        listed = files if isinstance(files, list) else [None]
        names = [file.get("filename") if isinstance(file, dict) else None for file in listed]
        if not all(isinstance(name, str) for name in names):
            raise UserError(
                f"{path / 'state.json'}: _data_files: got {files!r:.60}, wanted filenames"
            )
        return [path / str(name) for name in names]
    found = {format: _matching(path, format) for format in ("jsonl", "parquet")}
    given = [format for format, files in found.items() if files]
    if len(given) != 1:
        raise UserError(
            f"{path}: wanted a directory of save_to_disk, or one with either .parquet or .jsonl "
            f"files, got {'both' if given else 'neither'}"
        )
    return found[given[0]]


def data_files(path: Path, format: Format) -> list[Path]:
    """Returns the files that a path stands for, in the order in which their rows count.

    Args:
      path: a file; a folder, for all its files of the format, sorted by name; or a pattern in the
        last part, "main/train-*.parquet".
      format: "hugging_face" takes what datasets.save_to_disk wrote (of a DatasetDict, PATH/SPLIT),
        or a folder or pattern of .parquet or .jsonl files, as a snapshot of the hub has them.

    Raises:
      UserError: if a folder has no file of the format.
      FileNotFoundError: if a directory of Hugging Face's is missing; a missing file is told when
        it is read.
    """
    if format == "hugging_face":
        if "*" not in path.name and not path.is_dir():
            raise FileNotFoundError(f"{path}: no such directory")
        return _hugging_face(path)
    if "*" not in path.name and not path.is_dir():
        return [path]
    files = _matching(path, format)
    if not files:
        raise UserError(f"{path}: no file that ends in {' or '.join(SUFFIXES[format])}")
    return files


def _numbered(file: Path, reader: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row, or line where there are lines; row) of a file."""
    if reader == "jsonl":
        return numbered_jsonl(file)
    if reader == "json":
        return numbered_json(file)
    if reader in ("csv", "tsv"):
        return numbered_table(file, "," if reader == "csv" else "\t")
    return enumerate(_READERS[reader](file), start=1)


def read_rows(path: Path, format: Format) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields ("FILE:ROW", row), rows counted from 1 in each file; of text files, the line.

    A JSON array has no lines: its items are counted.

    Raises:
      UserError: if a file is broken, or a row is no object; names both.
      ImportError: if pyarrow is wanted and missing; names the extra that brings it.
    """
    for file in data_files(path, format):
        reader: str = format
        if format == "hugging_face":
            reader = {".arrow": "arrow", ".parquet": "parquet"}.get(file.suffix, "jsonl")
        numbered = _numbered(file, reader)
        for number, row in numbered:
            yield f"{file}:{number}", row


def named_rows(path: Path, format: Format) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yields (FOLDER/FILE:ROW, "FILE:ROW", row): the first counts over all files of the path.

    Raises:
      UserError, ImportError: as `read_rows`.
    """
    path = Path(os.path.abspath(path))  # a link keeps its name: snapshots of the hub are links
    name = path.name.removesuffix(".gz")
    for suffix in (suffix for suffixes in SUFFIXES.values() for suffix in suffixes):
        name = name.removesuffix(suffix)
    number, before, last = 0, 0, ""
    for where, row in read_rows(path, format):
        file, _, within = where.rpartition(":")
        if file != last:
            before, last = number, file
        number = before + int(within)
        yield f"{path.parent.name}/{name}:{number}", where, row


def add_to_digest(digest: "hashlib._Hash", path: Path, format: Format) -> None:
    """Feeds the bytes of all files that a path stands for."""
    for file in data_files(path, format):
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
