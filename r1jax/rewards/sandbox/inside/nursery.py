"""Inside the sandbox: the process that forks candidates, and what a candidate does.

Forked from the harness before that reads the tests, it gets the program and nothing else. Each
candidate is its fork with limits, file descriptors of its own and, outside bubblewrap, a seccomp
filter; the nursery reports how it ended. Modules that cost many ms to import are left out.
"""

import _socket
import builtins
import os
import resource
import select
import sys

from r1jax.rewards.sandbox.inside.kernel import die_with_parent, install, limit
from r1jax.rewards.sandbox.inside.packing import Any, pack, plain_only, unpack
from r1jax.rewards.sandbox.inside.remote import PROGRAM, Channel, raised, serve

OUTPUT, CALLS, KILL = b"o", b"c", b"k"  # what the examiner asks for
SIGKILL = 9
NOFILE = 64
STACK = 64 << 20  # bytes, for deep recursion


def nurse(control: _socket.socket, setup: dict[str, Any]) -> None:
    """Forks a candidate for each request until the examiner hangs up; never returns.

    Args:
      control: to the examiner, which sends imports, the program and limits, then requests: a byte,
        with the candidate's file descriptors. Back go (exit status or negative signal, CPU
        seconds), or a text if no process could be had.
      setup: as `sandbox` makes it.
    """
    channel = Channel(control, other=None, budget=None)
    given, program, limits = unpack(channel.receive(), plain_only)
    while True:
        kind, ancillary, *_ = control.recvmsg(1, 64)
        if not kind:
            os._exit(0)
        if kind == KILL:  # meant for one that had ended by then
            continue
        words = ancillary[0][2]
        fds = [int.from_bytes(words[i : i + 4], sys.byteorder) for i in range(0, len(words), 4)]
        try:
            pid = os.fork()
        except OSError as error:
            channel.send(pack(f"cannot fork: {error}", plain_only))
            continue
        if not pid:
            control.close()
            _live(kind, fds, (given, program), limits, setup)
        for fd in fds:
            os.close(fd)
        ending = _await(pid, control, sweep=setup["sweep"])
        if setup["own_files"]:
            _empty("/tmp")
        channel.send(pack(ending, plain_only))


def _await(pid: int, control: _socket.socket, *, sweep: bool) -> tuple[int, float]:
    """Waits for a candidate's end, which the examiner may order."""
    pidfd = os.pidfd_open(pid)
    while pidfd not in (ready := select.select([pidfd, control], [], []))[0]:
        if not (ready[0] and control.recv(1)):
            os._exit(0)
        os.kill(pid, SIGKILL)
    os.close(pidfd)
    _, status, usage = os.wait4(pid, 0)
    if sweep:
        try:  # noqa: SIM105  # contextlib costs 2 ms to import
            os.kill(-1, SIGKILL)  # what the candidate left behind; the examiner's uid is another
        except ProcessLookupError:
            pass
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime


def _empty(folder: str) -> None:
    """Removes what a candidate wrote, as far as that can be done: the next is to find none of it.

    What stays, too deep or of a program that lives on, takes from the room of later tests only.
    """
    try:
        for entry in os.scandir(folder):
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry)
                continue
            os.chmod(entry, 0o700)
            _empty(entry.path)
            os.rmdir(entry)
    except (OSError, RecursionError):
        pass


def _live(
    kind: bytes,
    fds: list[int],
    sources: tuple[str, str],
    limits: dict[int, int],
    setup: dict[str, Any],
) -> None:
    """Turns this process into a candidate and ends it; sources are imports and the program."""
    if setup["tied"]:
        die_with_parent()
    last = fds.pop()
    for target, fd in enumerate(fds):  # standard input and output, or nothing
        os.dup2(fd, target)
    channel = Channel(_socket.socket(fileno=os.dup2(last, 3)), other=None, budget=None)
    os.closerange(4, NOFILE)
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    stack = STACK if hard == resource.RLIM_INFINITY else min(STACK, hard)
    resource.setrlimit(resource.RLIMIT_STACK, (stack, hard))
    for which, value in limits.items():
        limit(which, value)
    if setup["filter"]:
        install(setup["filter"])
    builtins.exit = builtins.quit = sys.exit  # of the module site, which is not loaded
    sys.argv = [PROGRAM]
    sys.stdin = os.fdopen(0, encoding="utf-8", errors="surrogateescape", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)
    status = 1
    try:
        status = _execute(kind, channel, *sources)
    finally:
        os._exit(status)


def _execute(kind: bytes, channel: Channel, given: str, program: str) -> int:
    """Returns the exit status, having told the examiner of an exception."""
    # not __main__ for calls: what a program does as a script would read an empty input
    module = type(sys)("__main__" if kind == OUTPUT else "solution")
    sys.modules[module.__name__] = module
    status = 0
    try:
        exec(given, vars(module))
        exec(compile(program, PROGRAM, "exec"), vars(module))
        if kind == CALLS:
            serve(channel, module)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException as error:  # whatever a program raises ends it
        status = 1
        channel.send(raised(error))
    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()
    sys.stdout.flush()
    return status & 255
