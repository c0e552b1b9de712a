"""A job: rows that are a function of one request, stored as they come; a killed one goes on."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from r1jax.config import UserError
from r1jax.data.tasks.tasks import TaskData
from r1jax.hub.artifacts import resolve
from r1jax.io.batches import RowFile, check_request, write_request
from r1jax.io.digests import fingerprint
from r1jax.io.disk import write_json
from r1jax.io.progress import Progress
from r1jax.io.summary import check_writable, write_run_summary

C = TypeVar("C")
T = TypeVar("T")
Row = Mapping[str, Any]


def model_fingerprint(model: str) -> str:
    """Returns the fingerprint of a model's files.

    Args:
      model: a model directory, a GGUF file, or "package:NAME".

    Raises:
      UserError: if there is no such model.
    """
    path = resolve(model)
    if not path.exists():
        raise UserError(f"model {model}: no such file or directory")
    return fingerprint(path)


def batches_of(rows: Sequence[T], size: int) -> list[Sequence[T]]:
    """Returns the rows in batches of `size`; the last may be smaller."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def tell_task(task: TaskData, workdir: Path) -> None:
    """Prints the notes on a task's data; its report, if it has one, becomes data_report.json."""
    for note in task.notes:
        print(note, flush=True)
    if task.report:
        write_json(workdir / "data_report.json", task.report, indent=1)


class Store:
    """A file of JSON lines that grows by whole batches, with progress shown; a context manager.

    Args:
      path: of the file; what a killed run left there is cut to whole batches and stays.
      sizes: rows of each batch.
      title: what is running.

    Attributes:
      done: whole batches that are there.
    """

    def __init__(self, path: Path, *, sizes: Sequence[int], title: str):
        self.path, self.sizes = path, sizes
        self._file = RowFile(path, sizes=sizes)
        self._progress = Progress(
            title, start=self.done, total=len(sizes), every=max(1, len(sizes) // 20)
        )

    @property
    def done(self) -> int:
        return self._file.batches

    @property
    def left(self) -> range:
        """The numbers of the batches that are missing."""
        return range(self.done, len(self.sizes))

    def write(self, rows: Iterable[Row], /, **values: int | float) -> None:
        """Appends the next batch and shows how far the job is, with these values."""
        self._file.write(rows)
        self._progress.advance(self.done, **values)

    def say(self, text: str) -> None:
        """Shows a message beside the progress."""
        self._progress.say(text)

    def __enter__(self) -> "Store":
        self._file.__enter__()
        self._progress.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self._progress.__exit__(*raised)
        self._file.__exit__(*raised)


class Job(Generic[C]):
    """A directory and the one request that its rows are a function of.

    Args:
      config: of the run, a frozen dataclass with a field `pipeline`.
      workdir: made if missing.
      request: what the rows are a function of, read from the config.

    Raises:
      UserError: if nothing can be written there, or the directory holds rows of another request:
        names the keys that differ.
    """

    def __init__(self, config: C, workdir: Path, request: Callable[[C], dict[str, Any]]):
        check_writable(workdir)
        self.config, self.workdir, self.request = config, workdir, request(config)
        self.notes = check_request(workdir, self.request)
        for note in self.notes:
            print(f"warning: {workdir}: {note}", file=sys.stderr, flush=True)

    def begin(self) -> None:
        """Notes the request; call it when all input is read and found good."""
        write_request(self.workdir, self.request, self.notes)

    def store(self, name: str, *, sizes: Sequence[int], title: str) -> Store:
        """Returns a file of the job's rows, to be entered."""
        return Store(self.workdir / name, sizes=sizes, title=title)

    def summarize(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Writes summary.json with these values and the notes; returns all of it."""
        return write_run_summary(self.workdir, self.config, {"notes": self.notes, **values})
