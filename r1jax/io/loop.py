"""What every run shares: phases timed, metrics late, checkpoints, signals, a summary at the end."""

import contextlib
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from r1jax.config import UserError, flatten
from r1jax.io.checkpoints import Checkpointer, Restored, digest
from r1jax.io.lock import held
from r1jax.io.metrics import MetricsWriter, consensus_of, read_jsonl
from r1jax.io.progress import Progress
from r1jax.io.retention import CheckpointConfig
from r1jax.io.summary import version_changes, versions, write_run_summary
from r1jax.types import Mean, TrainState, Tree


class Stopped(Exception):
    """The run was asked to stop (SIGTERM, SIGINT) and has saved its state."""


def means(metrics: Mapping[str, Mean]) -> dict[str, float]:
    """Divides metrics on the host; one without weight is NaN."""
    host = jax.device_get(dict(metrics))
    return {k: float(m.total / m.weight) if m.weight else float("nan") for k, m in host.items()}


def check_unchanged(fixed: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    """Raises unless a checkpoint notes these facts as they are.

    Args:
      fixed: of this run: its data, the shape of its batches.
      meta: what the checkpoint noted.

    Raises:
      UserError: names what changed: a question would be asked twice, or a batch cut up wrongly.
    """
    changed = [
        f"{name}: the checkpoint has {meta.get(name)!r}, this run {value!r}"
        for name, value in fixed.items()
        if meta.get(name) != value
    ]
    if changed:
        raise UserError(f"resume: {'; '.join(changed)}; take a new --workdir")


class Run:
    """A run's directory, clock, metrics, checkpoints and signals. A context manager.

    Args:
      title: shown with the progress.
      workdir: everything the run writes lands here.
      config: the run's whole frozen config, with `pipeline`, `checkpoint` and `optimizer`; after
        optimizer.max_skipped_in_a_row updates with non-finite gradients the run stops.
      total: updates at the end.
      shown: names of the metrics that the progress display shows.
    """

    def __init__(
        self,
        title: str,
        *,
        workdir: Path,
        config: Any,
        total: int,
        shown: tuple[str, ...],
    ):
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(held(workdir))
        self.title, self.workdir, self.config = title, workdir, config
        self.total, self.shown = total, shown
        self.max_skipped = config.optimizer.max_skipped_in_a_row
        checkpoint: CheckpointConfig = config.checkpoint
        self.every = checkpoint.every_updates
        self.started, self.updates, self.skipped_in_a_row = time.monotonic(), 0, 0
        self.phases: dict[str, float] = {}
        self.tokens: dict[str, int] = {}
        self._row: dict[str, float] = {}
        self._pending: list[tuple[int, dict[str, Mean], dict[str, Any]]] = []
        self._asked: str | None = None
        self._handlers: dict[int, Any] = {}
        self._saved_at: int | None = None
        self._evaluated: set[tuple[int, str]] = set()
        self.checkpoints = Checkpointer(
            directory=workdir / "checkpoints",
            keep_last=checkpoint.keep_last,
            keep_best=checkpoint.keep_best,
            config=flatten(config),
            allow_config_change=checkpoint.allow_config_change,
            warn=self.warn,
        )
        self._stack.callback(self.checkpoints.close)

    def warn(self, text: str) -> None:
        print(f"warning: {text}", file=sys.stderr, flush=True)

    def resume(self, like: TrainState, *, fixed: Mapping[str, Any]) -> Restored | None:
        """Restores the newest whole checkpoint, cuts the metrics to it, and starts the display.

        Args:
          like: a state of the same shapes.
          fixed: facts that may not change between a checkpoint and the run that takes it up; every
            checkpoint of this run notes them.

        Raises:
          UserError: names the facts that did.
        """
        restored = self.checkpoints.restore(like)
        self.fixed = dict(fixed)
        if restored:
            check_unchanged(fixed, restored.meta)
        self._saved_at, meta = (restored.step, restored.meta) if restored else (None, {})
        if restored:
            self.updates = restored.step
            self.skipped_in_a_row = int(restored.state.skipped_in_a_row)
            self.phases, self.tokens = dict(meta["phases"]), dict(meta["tokens"])
        self.metrics = self._stack.enter_context(
            MetricsWriter(self.workdir, resume_from=self._saved_at, written=meta.get("written", {}))
        )
        notes = [*self.metrics.lost, *version_changes(meta.get("versions", {}))]
        for note in notes:
            self.warn(note)
        self.notes = [*meta.get("notes", []), *(f"update {self.updates}: {n}" for n in notes)]
        rows = read_jsonl(self.workdir / "eval.jsonl")
        self._evaluated = {(row["update"], row["split"]) for row in rows}
        self.progress = self._stack.enter_context(
            Progress(
                self.title,
                start=self.updates,
                total=self.total,
                every=max(1, self.total // 20),
            )
        )
        if restored:
            self.progress.say(f"resumed from update {restored.step}")
        return restored

    def __enter__(self) -> "Run":
        for number in (signal.SIGTERM, signal.SIGINT):
            # only the main thread may set handlers; elsewhere signals keep their meaning
            with contextlib.suppress(ValueError):
                self._handlers[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *raised: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._stack.close()

    def _on_signal(self, number: int, frame: object) -> None:
        if self._asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._asked = signal.Signals(number).name

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Adds the seconds of a block to a phase of the run, and of the row of timings to come.

        What is examined or saved after an update counts to the row of the next.
        """
        start = time.monotonic()
        yield
        self.spent(name, time.monotonic() - start)

    def spent(self, name: str, seconds: float) -> None:
        """Adds seconds to a phase, perhaps of a thread that worked beside the others."""
        self.phases[name] = self.phases.get(name, 0.0) + seconds
        self._row[f"seconds_{name}"] = self._row.get(f"seconds_{name}", 0.0) + seconds

    def count(self, name: str, tokens: int) -> None:
        """Adds tokens of a kind ("sampled", "trained") to the run and the update under way."""
        self.tokens[name] = self.tokens.get(name, 0) + tokens
        self._row[f"tokens_{name}"] = self._row.get(f"tokens_{name}", 0) + tokens

    def updated(self, metrics: dict[str, Mean], values: dict[str, Any]) -> None:
        """Notes one update; its device metrics are read later, by `flush`."""
        self.updates += 1
        self._pending.append((self.updates, metrics, values))

    def flush(self) -> None:
        """Waits for the pending updates, writes their metrics and shows the last.

        Raises:
          FloatingPointError: if too many updates in a row had non-finite gradients.
        """
        beside = ("seconds_evaluate", "seconds_checkpoint", "seconds_judge")
        own = {k: v for k, v in self._row.items() if k not in beside}
        tokens, seconds = (
            sum(v for k, v in own.items() if k.startswith(p)) for p in ("tokens_", "seconds_")
        )
        speed = {"tokens_per_s": tokens / seconds} if seconds else {}
        for update, metrics, values in self._pending:
            row = {**values, **means(metrics)}
            self.metrics.write(update, row)
            self.skipped_in_a_row = self.skipped_in_a_row + 1 if row.get("skipped") else 0
            if self.skipped_in_a_row >= self.max_skipped:
                raise FloatingPointError(
                    f"update {update}: gradients were not finite {self.skipped_in_a_row} times in "
                    "a row; lower the learning rate, or look at samples/ and metrics.jsonl in "
                    f"{self.workdir}"
                )
            shown = {k: row[k] for k in self.shown if row.get(k) is not None}
            self.progress.advance(update, **shown, **speed)
        if self._pending:
            self.metrics.write_timing(self.updates, {**self._row, **speed})
            self._row = {}
        self._pending = []

    def evaluated(self, row: dict[str, Any]) -> None:
        """Writes the result of an evaluation, unless a killed run got so far, and says it."""
        if (self.updates, row["split"]) not in self._evaluated:
            self.metrics.write_eval(self.updates, row)
        votes = consensus_of([row])
        known = {
            "pass_at_1.mean": "pass@1",
            f"cons_at.{votes}.mean": f"cons@{votes}",
            "rates.format": "format",
            "lengths.all.mean": "length",
            "loss": "loss",
        }
        flat = flatten(row)
        values = ", ".join(
            f"{name} {flat[key]:.3g}" for key, name in known.items() if flat.get(key) is not None
        )
        self.progress.say(f"update {self.updates}, {row['split']}: {values}")

    def save(
        self,
        state: Tree,
        *,
        extra: dict[str, np.ndarray],
        score: float | None,
    ) -> None:
        """Starts saving a checkpoint of the present update, unless there is one."""
        if self._saved_at == self.updates:
            return
        self.flush()
        meta = {**self.fixed, "phases": self.phases, "tokens": self.tokens}
        meta |= {"written": self.metrics.sync(), "versions": versions(), "notes": self.notes}
        with self.phase("checkpoint"):
            self.checkpoints.save(self.updates, state, extra, meta, score)
        self._saved_at = self.updates

    def after_update(
        self,
        state: Tree,
        *,
        extra: dict[str, np.ndarray],
        score: float | None,
    ) -> None:
        """Saves when it is time, or when a signal asks to stop.

        Raises:
          OSError: if the save before has failed meanwhile.
          Stopped: after saving, if a signal came.
        """
        self.checkpoints.check()
        due = self.updates % self.every == 0 or self.updates == self.total
        if due or self._asked:
            self.save(state, extra=extra, score=score)
        if self._asked:
            self.checkpoints.wait()
            raise Stopped(
                f"{self._asked}: saved update {self.updates} of {self.total} in {self.workdir}; "
                "the same command goes on from there"
            )

    def summarize(self, weights: Tree, more: dict[str, Any]) -> dict[str, Any]:
        """Writes and returns summary.json."""
        self.checkpoints.wait()
        speeds = {
            phase: self.tokens[kind] / self.phases[phase]
            for phase, kind in (("sample", "sampled"), ("update", "trained"))
            if self.phases.get(phase) and kind in self.tokens
        }
        values = {
            "steps": self.updates,
            "weights_sha256": digest(weights),
            "seconds": {**self.phases, "this_process": time.monotonic() - self.started},
            "tokens": self.tokens,
            "tokens_per_second": speeds,
            "notes": self.notes,
            **more,
        }
        return write_run_summary(self.workdir, self.config, values)
