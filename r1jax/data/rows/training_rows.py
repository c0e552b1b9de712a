"""Rows that supervised training reads, one by one and with all their fields, in shards.

A row is {"id", "source", "messages": [{"role", "content"}, ...], "provenance": {...}}; the replies
of the assistant are verbatim what is to be learnt (`conversations.training_row`).
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from r1jax.config import UserError
from r1jax.data.files.files import read_rows
from r1jax.text.conversations import TrainingRow, training_row

Row = Mapping[str, Any]


def iter_training_rows(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields ("FILE:LINE", row) of a file of training rows, or of all files of a folder.

    Raises:
      UserError: names the line that is no training row; or the folder without one.
    """
    for where, row in read_rows(Path(path), "jsonl"):
        training_row(row, where)
        yield where, row


def questions_of(row: Row) -> list[str]:
    """Returns what the user says in a training row, turn by turn."""
    return [turn["content"] for turn in row["messages"] if turn["role"] == "user"]


def replies_of(row: Row) -> list[str]:
    """Returns what the assistant says, turn by turn."""
    return [turn["content"] for turn in row["messages"] if turn["role"] == "assistant"]


def rounds_of(row: Row) -> float:
    """Returns question and reply pairs: half the turns of user and assistant."""
    return (len(questions_of(row)) + len(replies_of(row))) / 2


class ShardWriter:
    """Writes rows to FOLDER/00000.jsonl, 00001.jsonl, ...; a context manager.

    The folder appears when all is written, in the place of an older one; what a killed run left is
    beside it, and goes with the next.

    Args:
      folder: where to.
      rows: of each shard; the last may have fewer.
    """

    def __init__(self, folder: str | Path, *, rows: int):
        self.folder, self.rows, self.written = Path(folder), rows, 0
        self._part = self.folder.with_name(f"{self.folder.name}.part")
        if self._part.exists():
            shutil.rmtree(self._part)
        self._part.mkdir(parents=True)
        self._file = (self._part / "00000.jsonl").open("w", encoding="utf-8")

    def write(self, row: Row) -> None:
        """Appends a row."""
        shard, within = divmod(self.written, self.rows)
        if shard and not within:
            self._file.close()
            self._file = (self._part / f"{shard:05}.jsonl").open("w", encoding="utf-8")
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self.written += 1

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        if error is None:
            if self.folder.exists():
                shutil.rmtree(self.folder)
            self._part.replace(self.folder)


def read_training_rows(path: str | Path, *, limit: int) -> list[TrainingRow]:
    """Returns the rows of a JSON lines file, or the first `limit` of them; 0 for all.

    Raises:
      UserError: names file and line of a row that is none; also if there is none at all.
    """
    rows = []
    for where, row in read_rows(Path(path), "jsonl"):
        rows.append(training_row(row, where))
        if len(rows) == limit:
            break
    if not rows:
        raise UserError(f"{path}: empty, wanted at least one row")
    return rows
