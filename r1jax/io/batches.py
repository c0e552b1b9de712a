"""Rows written batch by batch as JSON lines, so that a killed run goes on where it stopped."""

import bisect
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from r1jax.config import UserError
from r1jax.io.disk import check_there, write_json
from r1jax.io.summary import version_changes, versions


def check_request(workdir: str | Path, request: Mapping[str, Any]) -> list[str]:
    """Checks that a directory holds rows of the same request, or none.

    Returns:
      The notes that `write_request` left there, and one more if packages have other versions now.

    Raises:
      UserError: names the keys that differ.
    """
    path = Path(workdir) / "request.json"
    if not path.exists():
        return []
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: {error}; take a new --workdir") from error
    if not isinstance(before, dict):
        raise UserError(f"{path}: got {type(before).__name__}, wanted an object")
    made_with, notes = before.pop("versions", {}), before.pop("notes", [])
    now = json.loads(json.dumps(request))
    changed = sorted(k for k in before.keys() | now if before.get(k) != now.get(k))
    if changed:
        raise UserError(
            f"{path.parent} holds rows of another request: {changed} differ; take a new --workdir"
        )
    return [*notes, *version_changes(made_with)]


def write_request(workdir: str | Path, request: Mapping[str, Any], notes: Sequence[str]) -> None:
    """Writes `request.json`: what the rows are a function of, and the packages that make them."""
    document = {**request, "versions": versions(), "notes": list(notes)}
    write_json(Path(workdir) / "request.json", document, indent=1)


class RowFile:
    """A file of JSON lines that grows by whole batches; a context manager.

    Args:
      path: what a killed run left there is cut to whole batches; the rest keeps its bytes.
      sizes: rows of each batch.

    Attributes:
      batches: whole batches that are there.
    """

    def __init__(self, path: str | Path, *, sizes: Sequence[int]):
        self.path = Path(path)
        self.path.touch()
        ends = [0]
        with self.path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    ends.append(ends[-1] + len(line))
        starts = [0, *itertools.accumulate(sizes)]
        self.batches = bisect.bisect_right(starts, len(ends) - 1) - 1
        with self.path.open("r+b") as file:
            file.truncate(ends[starts[self.batches]])
        self._file = self.path.open("a", encoding="utf-8")

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Appends a batch and flushes it; raises OSError if the file is not there any more."""
        check_there(self._file)
        for row in rows:
            self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._file.flush()
        self.batches += 1

    def __enter__(self) -> "RowFile":
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()
