"""One run a directory: a lock that ends with its process, however that ends."""

import contextlib
import fcntl
import os
import platform
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import jax

from r1jax.config import UserError
from r1jax.io.summary import check_writable

LOCK = ".lock"  # in the workdir; it stays there, empty while no run holds it

_holders: dict[Path, int] = {}  # the directories that this process holds, with the thread


@contextlib.contextmanager
def held(workdir: str | Path) -> Iterator[None]:
    """Makes the directory if need be and keeps other runs out of it while the block lasts.

    The kernel keeps the lock (flock) and drops it with the process, so SIGKILL leaves none behind.
    A block within a block of the same thread is part of the same run. So are the processes of
    `jax.distributed`: the first of them holds the lock for all. Where the file system knows no
    locks, a line on stderr says that a second run would not be noticed.

    Raises:
      UserError: if another run holds the directory, with its process; or as `check_writable`.
    """
    check_writable(workdir)
    path, thread = Path(workdir).resolve(), threading.get_ident()
    part = jax.distributed.is_initialized() and jax.process_index() > 0
    if part or _holders.get(path) == thread:
        yield
        return
    with (path / LOCK).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise UserError(
                f"workdir {path}: held by {holder}; wait for that run, stop it, or take another "
                "--workdir"
            ) from error
        except OSError as error:
            print(
                f"warning: {path}: no locks here ({error.strerror}); a second run in this workdir "
                "would not be noticed",
                file=sys.stderr,
                flush=True,
            )
        file.truncate(0)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        file.write(f"process {os.getpid()} on {platform.node()} since {since}\n")
        file.flush()
        _holders[path] = thread
        try:
            yield
        finally:
            del _holders[path]
            file.truncate(0)
