"""Runs a program nobody trusts against tests, and says which it passed.

One bubblewrap container for each program: its own process, network and mount namespaces, read-only
system directories, a small tmpfs, and `harness` inside, which examines. Where bubblewrap does not
work, "limits" makes do with another uid, resource limits and a seccomp filter: weaker, for it
shares the kernel's process table and sees all of /usr.
"""

import contextlib
import functools
import itertools
import math
import os
import secrets
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from resource import RLIMIT_AS, RLIMIT_CORE, RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_NPROC
from typing import Any, NamedTuple

from r1jax.rewards.sandbox import bubblewrap, seccomp
from r1jax.rewards.sandbox.inside import harness, nursery
from r1jax.rewards.sandbox.inside.packing import pack, plain_only

RISK = "unsandboxed_i_accept_the_risk"
BACKENDS = ("auto", "bwrap", "limits", RISK)
PYTHONS = ("/usr/bin/python3", "/usr/local/bin/python3")
INSIDE = Path(str(harness.__file__)).parent  # imported, it lies there compiled: 10 ms less
FIRST_UID = 0x70000000  # from here on systemd's table of uids has none in use
UIDS = 64  # of one process, two for each run: what still dies of a run is not counted to the next
INODES_PER_MB = 256  # files that fill a MiB with a page each; one costs about 1 KiB besides
INODES = 16  # for the examiner
START_SECONDS = 10.0  # a sandbox that has not started by then is broken
RESULT_BYTES = 1024  # of a test, on average
WARNINGS = {
    "bwrap": "",
    "limits": "SANDBOX IS WEAK: bubblewrap does not work here ({why}); model-written programs run "
    "under another uid with limits and a seccomp filter only. Better: apt-get install bubblewrap",
    RISK: "NO SANDBOX: model-written programs run as this user, with resource limits only",
}
_ROOT = "/judge"  # where the harness lies inside
_BOOT = (
    "import sys; sys.path[0] = {!r}; from r1jax.rewards.sandbox.inside import harness; "
    "harness.main()"
)
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",  # or the order of a printed set would be luck
}  # fmt: skip


class SandboxError(RuntimeError):
    """The sandbox failed, whatever the program is worth."""


@dataclass(frozen=True)
class SandboxConfig:
    """How programs run.

    Attributes:
      backend: "bwrap"; "limits", which needs root; RISK for none; "auto" for the first of bwrap and
        limits that works.
      python: path of the interpreter, which the sandbox must be able to see; "" for the system's.
      read_only: further directories that programs see and import from, such as the site-packages of
        a virtual environment that holds numpy for that interpreter.
      cpu_seconds: of a test.
      wall_seconds: of a program with all its tests.
      memory_mb: address space of each process, in MiB.
      processes: that a program may have at a time, with threads. "limits" allows threads only.
      files_mb: that a program may write in a test, in MiB of memory, as 256 files, folders and
        links for each MiB at most, whose names and inodes take another 1 to 2 KiB each. "limits"
        allows none.
      output_kb: that a program may print or answer in a test, in KiB.
    """

    backend: str
    python: str
    read_only: tuple[str, ...]
    cpu_seconds: float
    wall_seconds: float
    memory_mb: int
    processes: int
    files_mb: int
    output_kb: int

    def __post_init__(self):
        if self.backend not in BACKENDS:
            raise ValueError(f"sandbox.backend: got {self.backend!r}, wanted one of {BACKENDS}")
        for name in ("cpu_seconds", "wall_seconds"):
            if not 0 < getattr(self, name) <= 3600:
                raise ValueError(f"sandbox.{name}: got {getattr(self, name)}, wanted 0 to 3600")
        if self.memory_mb < 64:
            raise ValueError(f"sandbox.memory_mb: got {self.memory_mb}, wanted 64 or more")
        for name in ("processes", "files_mb", "output_kb"):
            if getattr(self, name) < 1:
                raise ValueError(f"sandbox.{name}: got {getattr(self, name)}, wanted 1 or more")
        for path in (*self.read_only, *filter(None, [self.python])):
            if not os.path.isabs(path):
                raise ValueError(f"sandbox: got the relative path {path!r}, wanted an absolute one")


class Backend(NamedTuple):
    """A way to run programs that has been seen to work, and "" or what to warn the user of."""

    name: str
    python: str
    warning: str


class Outcome(NamedTuple):
    """Of one test: whether the program passed, and why not."""

    passed: bool
    reason: str


def choose(config: SandboxConfig) -> Backend:
    """Returns the best backend that works, having run a small program in it; cached per process.

    Raises:
      ValueError: if none does, or not the one that config names.
    """
    return _choose(config.backend, config.python, config.read_only)


@functools.cache
def _choose(name: str, python: str, read_only: tuple[str, ...]) -> Backend:
    why: dict[str, str] = {}
    for candidate in ("bwrap", "limits") if name == "auto" else (name,):
        for path in [python] if python else PYTHONS:
            backend = Backend(
                candidate, path, WARNINGS[candidate].format(why=why.get("bwrap", "not tried"))
            )
            fault = _probe(backend, read_only)
            if not fault:
                return backend
            why.setdefault(candidate, fault)
    raise ValueError(
        f"sandbox.backend {name!r} does not work here: "
        + "; ".join(f"{key}: {fault}" for key, fault in why.items())
        + f". apt-get install bubblewrap (in a container, allow user namespaces), or set "
        f"sandbox.backend={RISK!r} to run model-written programs unprotected"
    )


def _probe(backend: Backend, read_only: tuple[str, ...]) -> str:
    """What is wrong with a backend, or ""."""
    if not shutil.which(backend.python):
        return f"no {backend.python}"
    if backend.name == "bwrap" and not shutil.which("bwrap"):
        return "no bwrap on PATH"
    if backend.name == "limits":
        if os.getuid():
            return "needs root, to change to another uid"
        if seccomp.compiled(alone=True) is None:
            return "needs libseccomp.so.2 (apt-get install libseccomp2)"
        if outside := [p for p in (backend.python, *read_only) if not p.startswith("/usr/")]:
            return f"sees nothing outside /usr, not {outside}"
    for path in read_only:
        if not os.path.isdir(path):
            return f"no directory {path}"
    config = SandboxConfig(
        backend=backend.name, python=backend.python, read_only=read_only, cpu_seconds=5.0,
        wall_seconds=20.0, memory_mb=512, processes=4, files_mb=16, output_kb=64,
    )  # fmt: skip
    tests = [{"kind": "output", "input": "2 3\n", "output": "6\n"}]
    try:
        (outcome,) = _run(
            backend, config, "a, b = map(int, input().split())\nprint(a * b)", tests, stop=True
        )
    except (OSError, SandboxError) as error:
        return str(error)
    return outcome.reason


def run(
    config: SandboxConfig, program: str, tests: list[dict[str, Any]], *, stop_at_failure: bool
) -> list[Outcome]:
    """Runs a program against tests, in one sandbox, each test in a process of its own.

    Args:
      config: how.
      program: Python source.
      tests: each {"kind": "output", "input", "output"}, texts, compared as `harness.compare` does;
        or {"kind": "code", "before", "names", "code"}: code that raises nothing if all is well,
        executed where the program cannot reach it, with names being the program's, after the code
        before, which runs without them.
      stop_at_failure: leave out the tests after the first that fails.

    Returns:
      One outcome for each test, in their order.

    Raises:
      SandboxError: if the sandbox failed, or none works any more.
    """
    try:
        return _run(choose(config), config, program, tests, stop=stop_at_failure)
    except (OSError, ValueError) as error:  # no memory for a process, say
        raise SandboxError(str(error)) from error


def _run(
    backend: Backend, config: SandboxConfig, program: str, tests: list[dict], *, stop: bool
) -> list[Outcome]:
    nonce = secrets.token_hex(16)
    job = {
        "nonce": nonce, "program": program, "tests": tests, "stop": stop,
        "limits": _limits(backend, config), "cpu_seconds": config.cpu_seconds,
        "output_bytes": config.output_kb << 10, "in_memory": backend.name != "bwrap",
    }  # fmt: skip
    bound = RESULT_BYTES * (len(tests) + 4)
    room = max((len(test.get("input", "")) for test in tests), default=0)
    with _start(backend, config, room) as process:
        text, late = _exchange(
            process, pack(job, plain_only), wall_seconds=config.wall_seconds, bound=bound,
            end=f"{nonce} done",
        )  # fmt: skip
        os.killpg(process.pid, 9)
        assert process.stderr is not None
        complaint = process.stderr.read(2000).decode("utf-8", "replace").strip()
    head, _, rest = text.partition("\n")
    if head != "ready":
        raise SandboxError(f"{backend.name} did not start: {complaint or text[:200] or 'no word'}")
    outcomes, done = [], False
    for line in rest.split("\n"):
        spoken, _, said = line.partition(" ")
        word, _, reason = said.partition(" ")
        if spoken == nonce and word in ("passed", "failed") and len(outcomes) < len(tests):
            outcomes.append(Outcome(word == "passed", reason))
        elif spoken == nonce and word == "error":
            raise SandboxError(f"{backend.name}: {reason}")
        elif spoken == nonce and word == "done":
            done = True
    if not done and len(outcomes) < len(tests):
        limit = f"wall time limit of {config.wall_seconds:g} s"
        outcomes.append(Outcome(False, limit if late else "the program killed its examiner"))
    return outcomes + [Outcome(False, "not run")] * (len(tests) - len(outcomes))


def _limits(backend: Backend, config: SandboxConfig) -> dict[int, int]:
    # user namespaces count processes apart, but the examiner and its like have the same uid there
    others = 1 if os.getuid() == 0 else 3
    return {
        RLIMIT_AS: config.memory_mb << 20,
        # in whole ticks, and those of a busy machine's other guests too; the examiner is exact
        RLIMIT_CPU: math.ceil(1.25 * config.cpu_seconds + 0.5),
        RLIMIT_NPROC: config.processes + others,
        RLIMIT_NOFILE: nursery.NOFILE,
        RLIMIT_FSIZE: 0 if backend.name == "limits" else config.files_mb << 20,
        RLIMIT_CORE: 0,
    }


def _exchange(
    process: subprocess.Popen, job: bytes, *, wall_seconds: float, bound: int, end: str
) -> tuple[str, bool]:
    """Hands over the job and returns what came back, and whether time ran out.

    Reading stops at the text `end`, at the end of the stream, and after `bound` bytes.
    """
    assert process.stdin is not None and process.stdout is not None
    stdin, stdout = process.stdin.fileno(), process.stdout.fileno()
    os.set_blocking(stdin, False)
    poll = select.poll()
    poll.register(stdin, select.POLLOUT)
    poll.register(stdout, select.POLLIN)
    todo, got = memoryview(job), bytearray()
    deadline = time.monotonic() + START_SECONDS
    while len(got) <= bound and end.encode() not in got:
        left = deadline - time.monotonic()
        if left <= 0:
            return got.decode("utf-8", "replace"), True
        for fd, _ in poll.poll(1000 * left):
            if fd == stdin:
                try:
                    todo = todo[os.write(stdin, todo) :]
                except BrokenPipeError:
                    todo = todo[:0]
                if not todo:
                    poll.unregister(stdin)
                    process.stdin.close()
                continue
            chunk = os.read(stdout, 1 << 16)
            if not chunk:
                return got.decode("utf-8", "replace"), False
            if not got:
                deadline = time.monotonic() + wall_seconds
            got += chunk
    return got.decode("utf-8", "replace"), False


_runs = itertools.count()


def _uid() -> int:
    return FIRST_UID + UIDS * os.getpid() + 2 * (next(_runs) % (UIDS // 2))


@contextlib.contextmanager
def _start(backend: Backend, config: SandboxConfig, room: int) -> Iterator[subprocess.Popen]:
    """The sandbox's first process, which dies with this one; killed and reaped on exit.

    Args:
      room: bytes that its tmpfs needs for inputs.
    """
    bwrap = backend.name == "bwrap"
    weak = backend.name == "limits"
    setup = {
        "uid": _uid() if os.getuid() == 0 and (bwrap or weak) else 0,
        "root": "/usr" if weak else "", "own_pids": bwrap, "tied": not bwrap,
        "filter": (seccomp.compiled(alone=True) or b"") if weak else b"",
        "inodes": INODES + INODES_PER_MB * config.files_mb if bwrap else 0,
        "paths": list(config.read_only), "memory_bytes": config.memory_mb << 20,
        "seconds": math.ceil(config.wall_seconds + START_SECONDS),
    }  # fmt: skip
    root = _ROOT if bwrap else str(INSIDE.parents[3])
    python = [
        backend.python, "-s", "-S", "-B", "-X", "utf8", "-c", _BOOT.format(root),
        pack(setup, plain_only).hex(),
    ]  # fmt: skip
    with contextlib.ExitStack() as stack:
        fds = []
        if bwrap and (program := seccomp.compiled(alone=False)) is not None:
            fds.append(os.memfd_create("filter"))
            stack.callback(os.close, fds[0])
            os.write(fds[0], program)
            os.lseek(fds[0], 0, os.SEEK_SET)
        place = stack.enter_context(tempfile.TemporaryDirectory()) if backend.name == RISK else "/"
        container = bubblewrap.command(
            size=(config.files_mb << 20) + 8 * room, read_only=config.read_only, inside=INSIDE,
            root=_ROOT, filters=fds,
        )  # fmt: skip
        process = subprocess.Popen(
            container + python if bwrap else python, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_ENVIRONMENT, cwd=place,
            pass_fds=fds, start_new_session=True,
        )  # fmt: skip
        with process:
            try:
                yield process
            finally:
                os.killpg(process.pid, 9)  # not reaped yet, it still has this id
