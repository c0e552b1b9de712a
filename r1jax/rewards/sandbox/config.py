"""How programs run: which sandbox, and what it allows."""

import os
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from r1jax.config import Count, Range, UserError

RISK = "unsandboxed_i_accept_the_risk"
BACKENDS = ("auto", "bwrap", "limits", RISK)


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
      cpu_seconds: processor time of a test.
      wall_seconds: of a program with all its tests together, of processor time and by the clock.
        The clock goes on, up to four times as long, for a program that waits for processors; then
        it is an error. One that sleeps has failed.
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
    cpu_seconds: Annotated[float, Range(0, 3600, inside="low")]
    wall_seconds: Annotated[float, Range(0, 3600, inside="low")]
    memory_mb: Annotated[int, Range(64)]
    processes: Count
    files_mb: Count
    output_kb: Count

    def __post_init__(self):
        if self.backend not in BACKENDS:
            raise UserError(f"sandbox.backend: got {self.backend!r}, wanted one of {BACKENDS}")
        for path in (*self.read_only, *filter(None, [self.python])):
            if not os.path.isabs(path):
                raise UserError(f"sandbox: got the relative path {path!r}, wanted an absolute one")


class Backend(NamedTuple):
    """A way to run programs that has been seen to work, and "" or what to warn the user of."""

    name: str
    python: str
    warning: str
