"""Inside the sandbox: how the examiner has candidates forked and killed, and learns how they ended.

Modules that cost many ms to import are left out.
"""

import _socket
import errno
import os
import sys

from r1jax.rewards.sandbox.inside.kernel import SIGKILL
from r1jax.rewards.sandbox.inside.nursery import KILL
from r1jax.rewards.sandbox.inside.packing import plain_only, unpack
from r1jax.rewards.sandbox.inside.remote import UNREADABLE, Channel, Gone

SIGNALS = {SIGKILL: "killed", 11: "crashed (segmentation fault)", 6: "aborted"}


class Nursery:
    """The examiner's hold on the process that forks candidates.

    Attributes:
      candidates: how many it has forked; once there was one, what breaks may be its doing.
      seconds: CPU time that those have used which ended.
    """

    def __init__(self, control: _socket.socket, pid: int):
        self.control = control
        self.pid = pid
        self.channel = Channel(control, other=None, budget=None)
        self.candidates = 0
        self.seconds = 0.0

    def start(self, kind: bytes, fds: list[int]) -> None:
        """Has a candidate of a kind forked, which takes over the descriptors."""
        words = b"".join(fd.to_bytes(4, sys.byteorder) for fd in fds)
        try:
            self.control.sendmsg([kind], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, words)])
        except OSError as error:
            raise Gone("the program killed its examiner") from error
        self.candidates += 1
        for fd in fds:
            os.close(fd)

    def kill(self) -> None:
        """Has the candidate killed, if it lives."""
        try:
            self.control.send(KILL)
        except OSError as error:
            raise Gone("the program killed its examiner") from error

    def ending(self) -> tuple[int, float]:
        """Waits for the candidate's end: exit status or negative signal, and CPU seconds.

        Raises:
          OSError: if there never was one.
        """
        ending = unpack(self.channel.receive(), plain_only)
        if isinstance(ending, str):
            self.candidates -= 1
            raise OSError(ending)
        self.seconds += ending[1]
        return ending

    def end(self) -> None:
        """Ends the nursery and buries it: not every machine's first process cares for orphans."""
        self.control.close()
        os.waitpid(self.pid, 0)


def why_ended(ending: tuple[int, float], cpu_seconds: float, said: str) -> str:
    """Why a candidate ended that should not have, or "" for a good end."""
    status, seconds = ending
    # the count that the kernel kills by runs ahead of this one
    if seconds > cpu_seconds or (status == -SIGKILL and seconds > 0.5 * cpu_seconds):
        return f"time limit of {cpu_seconds:g} s CPU"
    if status < 0:
        return SIGNALS.get(-status, f"killed by signal {-status}")
    return said or (f"exit status {status}" if status else "")


def last_words(ours: _socket.socket, budget: int) -> str:
    """What a candidate that has ended said of its exception, if anything."""
    ours.setblocking(False)
    try:
        reply = unpack(Channel(ours, other=None, budget=budget).receive(), plain_only)
    except Gone:
        return ""
    except (ValueError, TypeError, RecursionError):
        return UNREADABLE
    told = reply[1] if type(reply) is tuple and len(reply) == 3 else None
    names, text = told if type(told) is tuple and len(told) == 2 else ((), "")
    if type(names) is not tuple or not names or {type(names[0]), type(text)} != {str}:
        return UNREADABLE
    return f"{names[0]}: {text}"


def stdin_file(text: str, *, in_memory: bool) -> int | None:
    """A file that holds a candidate's standard input and has no name, or None without space."""
    fd, data = -1, memoryview(text.encode("utf-8", "surrogatepass"))
    try:
        fd = os.memfd_create("stdin") if in_memory else os.open("/tmp", os.O_TMPFILE | os.O_RDWR)
        while data:
            data = data[os.write(fd, data) :]
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        if fd >= 0:
            os.close(fd)
        return None
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
