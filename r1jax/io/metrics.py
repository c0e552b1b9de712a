"""Numbers of a run, one JSON object a line, and the same in TensorBoard."""

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tensorboardX import SummaryWriter

from r1jax.config import UserError
from r1jax.io.disk import check_there

KINDS = ("metrics", "timing", "eval")


def read_jsonl(path: str | Path) -> list[dict[str, Any]]:
    """Returns the objects of a jsonl file; a torn last line (no newline) is left out.

    Raises:
      FileNotFoundError: if there is no such file.
      UserError: names the file and the number of a line that is no JSON object.
    """
    return [row for row, _ in _rows(Path(path))]


def _rows(path: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yields each whole line, parsed and as it stands."""
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
        if not line.endswith(b"\n"):
            return
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}:{number}: no JSON: {error}") from error
        if not isinstance(row, dict) or not isinstance(row.get("update"), int):
            raise UserError(f"{path}:{number}: got {row!r}, wanted an object with an 'update'")
        yield row, line


def _cut(path: Path, last: int) -> None:
    """Drops the lines of updates after `last`, and a torn one; the others keep their bytes."""
    if not path.exists():
        return
    kept = b"".join(line for row, line in _rows(path) if row["update"] <= last)
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(kept)
    temporary.replace(path)


def _digest(path: Path, size: int) -> dict[str, Any]:
    """The size and sha256 of the first bytes of a file, as `sync` tells them."""
    content = path.read_bytes()[:size]
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _plain(value: Any, where: str) -> Any:
    """Returns the value in JSON's types: Python scalars, None for NaN and infinities."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v, f"{where}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, (np.generic, np.ndarray, jax.Array)) and value.shape == ():
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    raise UserError(f"{where}: got {type(value).__name__} {value!r}, wanted a scalar, dict or list")


def _scalars(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, float]]:
    """Yields the numbers of a nested dict with their paths."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _scalars(value, f"{prefix}/{key}")
        elif isinstance(value, (int, float)):
            yield f"{prefix}/{key}", value


class MetricsWriter:
    """Writes `metrics.jsonl`, `timing.jsonl`, `eval.jsonl` and TensorBoard scalars.

    What metrics.jsonl and eval.jsonl hold is a function of config and seed; seconds differ from run
    to run and live in timing.jsonl. JSON has no NaN: NaN and infinities are written as null, and
    TensorBoard skips them. Every line is flushed. One process of a run writes.

    Attributes:
      lost: a line for each file that does not hold any more what it held at the checkpoint.
    """

    def __init__(
        self,
        workdir: str | Path,
        *,
        resume_from: int | None,
        written: Mapping[str, Mapping[str, Any]],
    ):
        """Opens the files for appending.

        Args:
          workdir: directory, made if missing.
          resume_from: the update that the run goes on from: lines of later updates are cut, as the
            run will write them again. None starts anew and empties the files.
          written: what `sync` returned at that update; {} if nothing is known of it.

        Raises:
          UserError: if a line that is not the last is no JSON object.
        """
        directory = Path(workdir)
        directory.mkdir(parents=True, exist_ok=True)
        last = -1 if resume_from is None else resume_from
        self._files, self._written, self.lost = {}, {}, []
        for kind in KINDS:
            path = directory / f"{kind}.jsonl"
            _cut(path, last)
            file = self._files[kind] = path.open("a", encoding="utf-8")
            self._written[kind] = hashlib.sha256(path.read_bytes())
            if kind in written and _digest(path, written[kind]["bytes"]) != written[kind]:
                wanted = written[kind]["bytes"]
                self.lost.append(
                    f"{path}: lines up to update {last} were lost or changed since its checkpoint: "
                    f"got {os.fstat(file.fileno()).st_size:,} bytes, wanted the {wanted:,} of then"
                )
        self._board = SummaryWriter(
            str(directory / "tensorboard"), purge_step=last + 1, flush_secs=10
        )

    def write(self, update: int, values: Mapping[str, Any]) -> None:
        """Appends what a training update measured, the same in every run of config and seed."""
        self._append("metrics", "train", update, values)

    def write_timing(self, update: int, values: Mapping[str, Any]) -> None:
        """Appends seconds, and rates in tokens per second, of an update."""
        self._append("timing", "timing", update, values)

    def write_eval(self, update: int, values: Mapping[str, Any]) -> None:
        """Appends results of an evaluation after `update` updates; "split" names the data."""
        if not isinstance(values.get("split"), str):
            raise UserError(f"eval of update {update}: wanted a 'split', got keys {list(values)}")
        self._append("eval", f"eval/{values['split']}", update, values)

    def sync(self) -> dict[str, dict[str, Any]]:
        """Forces the lines to disk; returns size in bytes and sha256 of each file, by kind."""
        for file in self._files.values():
            os.fsync(file.fileno())
        return {
            kind: {"bytes": os.fstat(file.fileno()).st_size, "sha256": sha.hexdigest()}
            for (kind, file), sha in zip(self._files.items(), self._written.values(), strict=True)
        }

    def _append(self, kind: str, tag: str, update: int, values: Mapping[str, Any]) -> None:
        if "update" in values:
            raise UserError(f"{kind} of update {update}: 'update' is no metric's name")
        plain = _plain(values, f"{kind} of update {update}")
        line = json.dumps({"update": update, **plain}, ensure_ascii=False, allow_nan=False)
        check_there(self._files[kind])
        self._files[kind].write(line + "\n")
        self._files[kind].flush()
        self._written[kind].update(line.encode() + b"\n")
        for name, value in _scalars(plain, tag):
            self._board.add_scalar(name, value, update)

    def close(self) -> None:
        """Closes the files and writes out what TensorBoard still holds back."""
        for file in self._files.values():
            file.close()
        self._board.close()

    def __enter__(self) -> "MetricsWriter":
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def consensus_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """Returns how many answers vote in the consensus of exams ("16" of {"cons_at": {"16": ...}}).

    "k" if no row says.
    """
    return next((k for row in rows for k in row.get("cons_at", ())), "k")
