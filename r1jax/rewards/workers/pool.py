"""Judging in processes that can be killed: persistent workers, ordered verdicts, hard limits."""

import atexit
import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

from r1jax.config import UserError
from r1jax.rewards.score import Verdict, failed

_ROOT = Path(__file__).resolve().parents[3]
_REPLY_BYTES = 2**20
_TRIES = 3
_BATCH_OVER = "the time for the whole batch was over"
# sets of SymPy iterate in the order of hashes: a fixed seed judges alike in every process
_FIXED = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_KEPT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR")


class Job(NamedTuple):
    """Work for a worker.

    Attributes:
      function: a key of `worker.FUNCTIONS`.
      arguments: of that function, as JSON has it.
      cpu_seconds: processor time of the worker itself, after which it gives up.
      wall_seconds: time after which the worker is killed.
    """

    function: str
    arguments: Mapping[str, Any]
    cpu_seconds: float
    wall_seconds: float


class _Died(Exception):
    """The worker is gone, and nobody here killed it."""


def _wait(fd: int, event: int, deadline: float) -> None:
    """Waits until something can be read or written; TimeoutError at the deadline."""
    with selectors.DefaultSelector() as ready:
        ready.register(fd, event)
        if not ready.select(max(0.0, deadline - time.monotonic())):
            raise TimeoutError


class _Worker:
    """One process, and the pipes to it."""

    def __init__(self, module: str, memory_mb: int):
        path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, json.dumps({"memory_mb": memory_mb})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=kept | _FIXED | {"PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C asks the run to stop, not its judges
        )
        self.number = 0

    def ask(self, job: Job, deadline: float) -> Verdict:
        """Sends a job and waits for its verdict.

        Raises:
          TimeoutError: if the deadline passed.
          _Died: if the process is gone, or says what is no verdict.
        """
        self.number += 1
        line = json.dumps({"number": self.number, **job._asdict()}) + "\n"
        self._send(line.encode(), deadline)
        try:
            number, value, reason, error = json.loads(self._reply(deadline))
            if number == self.number:
                return Verdict(float(value), str(reason), bool(error))
        except ValueError as odd:
            raise _Died from odd
        raise _Died

    def _send(self, line: bytes, deadline: float) -> None:
        assert self.process.stdin is not None
        pipe = self.process.stdin.fileno()
        os.set_blocking(pipe, False)  # a worker that is stopped reads no long job
        while line:
            _wait(pipe, selectors.EVENT_WRITE, deadline)
            try:
                line = line[os.write(pipe, line) :]
            except BrokenPipeError as error:
                raise _Died from error

    def _reply(self, deadline: float) -> bytes:
        assert self.process.stdout is not None
        reply = b""
        while not reply.endswith(b"\n"):
            _wait(self.process.stdout.fileno(), selectors.EVENT_READ, deadline)
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more or len(reply) > _REPLY_BYTES:
                raise _Died
            reply += more
        return reply

    def end(self, patience: float) -> int:
        """Waits so many seconds, then kills; returns the exit code, negative for a signal."""
        try:
            code = self.process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        return code


class _Task(NamedTuple):
    job: Job
    deadline: float
    verdict: Future


class Pool:
    """Persistent worker processes. Safe to use from several threads; a context manager.

    Workers start with the first job that each gets. One that is killed from outside is replaced and
    its job done again, so the verdicts are the same; one that breaks its limits is killed and
    replaced, and its job is an error.

    Args:
      workers: processes.
      memory_mb: address space of each, in MiB.
      module: what they run: `r1jax.rewards.workers.worker`, or one that speaks as it does.
    """

    def __init__(self, *, workers: int, memory_mb: int, module: str):
        if workers < 1 or memory_mb < 256:
            raise UserError(
                f"judges: got {workers} workers of {memory_mb} MiB, wanted 1 or more of 256 or more"
            )
        self.memory_mb, self.module = memory_mb, module
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(workers)]
        self._processes: dict[int, _Worker] = {}
        self._closed, self._owner = False, os.getpid()
        self._gate = threading.Lock()
        self.replaced = 0  # workers, since the beginning
        for thread in self._threads:
            thread.start()
        atexit.register(self.close)

    def map(self, jobs: Sequence[Job], *, seconds: int | float) -> list[Verdict]:
        """Returns the verdicts of the jobs, in their order.

        Args:
          jobs: the work.
          seconds: for all of it together; what is not done by then is an error, and whoever still
            works on it is killed.

        Raises:
          RuntimeError: if the pool is closed, or was made before a fork.
        """
        if os.getpid() != self._owner:
            raise RuntimeError("these judges serve the process that this one was forked from")
        deadline = time.monotonic() + seconds
        tasks = [_Task(job, deadline, Future()) for job in jobs]
        with self._gate:
            if self._closed:
                raise RuntimeError("these judges are dismissed: the pool is closed")
            for task in tasks:
                self._tasks.put(task)
        return [task.verdict.result() for task in tasks]

    def processes(self) -> list[int]:
        """Ids of the worker processes that are there."""
        return [w.process.pid for w in self._processes.values() if w.process.poll() is None]

    def close(self) -> None:
        """Ends the workers at once; what they still had to do is an error."""
        with self._gate:
            if self._closed or os.getpid() != self._owner:
                return
            self._closed = True
            for _ in self._threads:
                self._tasks.put(None)
        atexit.unregister(self.close)
        for worker in list(self._processes.values()):
            worker.process.kill()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _serve(self) -> None:
        me = threading.get_ident()
        while (task := self._tasks.get()) is not None:
            try:
                task.verdict.set_result(self._judged(me, task))
            except BaseException as error:  # whoever waits must hear of it, or waits for ever
                task.verdict.set_exception(error)
        if me in self._processes:
            self._processes.pop(me).end(0.0)

    def _judged(self, me: int, task: _Task) -> Verdict:
        code = 0
        for _ in range(_TRIES):
            now = time.monotonic()
            if now >= task.deadline:
                return failed(_BATCH_OVER)
            if me not in self._processes:
                try:
                    self._processes[me] = _Worker(self.module, self.memory_mb)
                except OSError as error:
                    return failed(f"no judge could be started: {error}")
            if self._closed:  # looked at only now: `close` kills the workers that it sees
                return failed("the judges were dismissed")
            limit = min(now + task.job.wall_seconds, task.deadline)
            try:
                verdict = self._processes[me].ask(task.job, limit)
            except TimeoutError:
                self._replace(me, 0.0)
                late = f"the judge gave no verdict within {task.job.wall_seconds:g} s"
                return failed(_BATCH_OVER if limit == task.deadline else late)
            except _Died:
                code = self._replace(me, 1.0)
                if code == -signal.SIGXCPU:
                    return failed("the judge used up its processor time where nothing stops it")
            else:
                if verdict.error:
                    self._replace(me, 1.0)
                return verdict
        return failed(f"the judge died {_TRIES} times, the last time with exit code {code}")

    def _replace(self, me: int, patience: float) -> int:
        with self._gate:
            self.replaced += 1
        return self._processes.pop(me).end(patience)
