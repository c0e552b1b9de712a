"""The first process of a sandbox: how it is started, given its job, heard and ended."""

import contextlib
import itertools
import math
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from r1jax.rewards.sandbox import bubblewrap, clock, seccomp
from r1jax.rewards.sandbox.config import RISK, Backend, SandboxConfig, SandboxError
from r1jax.rewards.sandbox.inside import harness
from r1jax.rewards.sandbox.inside.packing import pack, plain_only

INSIDE = Path(str(harness.__file__)).parent  # imported, it lies there compiled: 10 ms less
FIRST_UID = 0x70000000  # from here on systemd's table of uids has none in use
UIDS = 64  # of one process, two for each run: what still dies of a run is not counted to the next
INODES_PER_MB = 256  # files that fill a MiB with a page each; one costs about 1 KiB besides
INODES = 16  # for the examiner
START_SECONDS = 10.0  # a sandbox that has not started by then is broken
_ROOT = "/judge"  # where the harness lies inside
_BOOT = (
    "import sys; sys.path[0] = {!r}; from r1jax.rewards.sandbox.inside import harness; "
    "harness.main()"
)
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",  # or the order of a printed set would be luck
}
_runs = itertools.count()


def _uid() -> int:
    return FIRST_UID + UIDS * os.getpid() + 2 * (next(_runs) % (UIDS // 2))


@contextlib.contextmanager
def start(backend: Backend, config: SandboxConfig, room: int) -> Iterator[subprocess.Popen]:
    """The sandbox's first process, which dies with this one; killed and reaped on exit.

    Args:
      room: bytes that its tmpfs needs for inputs.
    """
    bwrap = backend.name == "bwrap"
    weak = backend.name == "limits"
    setup = {
        "uid": _uid() if os.getuid() == 0 and (bwrap or weak) else 0,
        "root": "/usr" if weak else "",
        "own_pids": bwrap,
        "tied": not bwrap,
        "filter": (seccomp.compiled(alone=True) or b"") if weak else b"",
        "inodes": INODES + INODES_PER_MB * config.files_mb if bwrap else 0,
        "paths": list(config.read_only),
        "memory_bytes": config.memory_mb << 20,
        "seconds": math.ceil(clock.PATIENCE * config.wall_seconds + START_SECONDS),
    }
    root = _ROOT if bwrap else str(INSIDE.parents[3])
    python = [
        backend.python,
        "-s",
        "-S",
        "-B",
        "-X",
        "utf8",
        "-c",
        _BOOT.format(root),
        pack(setup, plain_only).hex(),
    ]
    with contextlib.ExitStack() as stack:
        fds = []
        if bwrap and (program := seccomp.compiled(alone=False)) is not None:
            fds.append(os.memfd_create("filter"))
            stack.callback(os.close, fds[0])
            os.write(fds[0], program)
            os.lseek(fds[0], 0, os.SEEK_SET)
        place = stack.enter_context(tempfile.TemporaryDirectory()) if backend.name == RISK else "/"
        container = bubblewrap.command(
            size=(config.files_mb << 20) + 8 * room,
            read_only=config.read_only,
            inside=INSIDE,
            root=_ROOT,
            filters=fds,
        )
        process = subprocess.Popen(
            container + python if bwrap else python,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_ENVIRONMENT,
            cwd=place,
            pass_fds=fds,
            start_new_session=True,
        )
        with process:
            try:
                yield process
            finally:
                os.killpg(process.pid, 9)  # not reaped yet, it still has this id


def exchange(
    process: subprocess.Popen, job: bytes, *, wall_seconds: float, bound: int, end: str
) -> tuple[str, str]:
    """Hands over the job and returns what came back, and why time ran out, or "".

    Reading stops at the text `end`, at the end of the stream, and after `bound` bytes.

    Raises:
      SandboxError: if the clock ran out for a program that waited for processors.
    """
    assert process.stdin is not None and process.stdout is not None
    stdin, stdout = process.stdin.fileno(), process.stdout.fileno()
    os.set_blocking(stdin, False)
    poll = select.poll()
    poll.register(stdin, select.POLLOUT)
    poll.register(stdout, select.POLLIN)
    todo, got = memoryview(job), bytearray()
    began = time.monotonic()
    deadline = began + START_SECONDS
    while len(got) <= bound and end.encode() not in got:
        left = deadline - time.monotonic()
        if left <= 0:
            why = _late(process.pid, wall_seconds, began) if got else "it did not start"
            # what is to be read now came while we looked
            if why and all(fd != stdout for fd, _ in poll.poll(0)):
                return got.decode("utf-8", "replace"), why
            deadline = max(deadline, time.monotonic()) + wall_seconds / 4
            continue
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
                return got.decode("utf-8", "replace"), ""
            if not got:
                began = time.monotonic()
                deadline = began + wall_seconds
            got += chunk
    return got.decode("utf-8", "replace"), ""


def _late(pid: int, wall_seconds: float, began: float) -> str:
    """Why a program is late by its own doing, or "" to go on waiting."""
    if clock.usage(pid).seconds >= wall_seconds:
        return f"time limit of {wall_seconds:g} s CPU for all tests"
    if clock.sleeps(pid):
        return f"wall time limit of {wall_seconds:g} s"
    passed = time.monotonic() - began
    if passed >= clock.PATIENCE * wall_seconds:
        raise SandboxError(
            f"the machine is too busy: {passed:.0f} s by the clock gave the program "
            f"{clock.usage(pid).seconds:.1f} s CPU of {wall_seconds:g}"
        )
    return ""
