"""What runs inside the sandbox: the examiner of one program.

It alone sees the tests, what they expect, and the nonce without which `sandbox` believes no result.
Before it reads them it forks the nursery, which knows none of this and forks the candidates that
execute the program, one for each test. The examiner compares outputs and runs the code of tests
itself; a candidate only prints, or answers calls. As root the two sides live under different uids,
else both hide from debuggers. Modules that cost many ms to import are left out.
"""

import _socket
import os
import resource
import select
import sys
from _signal import alarm  # pyright: ignore[reportMissingImports]  # signal takes 6 ms

from r1jax.rewards.sandbox.inside.candidates import Nursery, last_words, stdin_file, why_ended
from r1jax.rewards.sandbox.inside.kernel import (
    bound_inodes,
    die_with_parent,
    drop_capabilities,
    hide,
    limit,
)
from r1jax.rewards.sandbox.inside.nursery import CALLS, OUTPUT, nurse
from r1jax.rewards.sandbox.inside.outputs import compare
from r1jax.rewards.sandbox.inside.packing import Any, pack, plain_only, unpack
from r1jax.rewards.sandbox.inside.remote import EXITED, OVERRUN, Channel, Gone, Remote, describe

NOBODY = 65534
LINE = 800  # bytes of a reason


def judge_output(test: dict[str, Any], job: dict[str, Any], nursery: Nursery) -> str:
    """Returns "" if the program answers an input with the wanted output, else why not."""
    stdin = stdin_file(test["input"], in_memory=job["in_memory"])
    if stdin is None:
        return "file limit: an earlier test left no space"
    ours, theirs = _socket.socketpair()
    read, write = os.pipe()
    nursery.start(OUTPUT, [stdin, write, theirs.detach()])
    output, ending, sources = bytearray(), None, [nursery.control, read]
    while ending is None:
        ready, _, _ = select.select(sources, [], [])
        if read in ready:
            chunk = os.read(read, 1 << 16)
            output += chunk
            if len(output) > job["output_bytes"]:
                nursery.kill()
            if not chunk or len(output) > job["output_bytes"]:
                sources.remove(read)
        else:
            ending = nursery.ending()
    os.set_blocking(read, False)
    try:
        while len(output) <= job["output_bytes"] and (chunk := os.read(read, 1 << 16)):
            output += chunk
    except BlockingIOError:  # something that the candidate left behind still holds the pipe
        pass
    os.close(read)
    words = last_words(ours, job["output_bytes"])
    ours.close()
    if len(output) > job["output_bytes"]:
        return f"output limit of {job['output_bytes'] >> 10} KiB"
    if fault := why_ended(ending, job["cpu_seconds"], words):
        return fault
    return compare(output.decode("utf-8", "replace"), test["output"])


def _run(test: dict[str, Any], remote: Remote) -> str:
    """Runs the code of a test; returns "" or what it raised."""
    scope: dict[str, Any] = {"__name__": "test"}
    try:
        exec(compile(test["before"], "before", "exec"), scope)
        scope.update((name, remote.name(name)) for name in test["names"])
        exec(compile(test["code"], "test", "exec"), scope)
        return ""
    except Gone as error:
        return str(error)
    except (Exception, SystemExit) as error:  # any end but a quiet one is a failure
        try:
            return f"{type(error).__name__}: {describe(error, 'test')}"
        except BaseException:  # the text of an exception may be a call to the program
            return type(error).__name__


def judge_code(test: dict[str, Any], job: dict[str, Any], nursery: Nursery) -> str:
    """Returns "" if the code of a test runs through, the program's names being handles."""
    ours, theirs = _socket.socketpair()
    nursery.start(CALLS, [theirs.detach()])
    remote = Remote(Channel(ours, other=nursery.control, budget=job["output_bytes"]))
    fault = _run(test, remote)
    gone = remote.gone  # a test that caught what came of it has failed all the same
    nursery.kill()
    ending = nursery.ending()
    ours.close()
    if gone == OVERRUN:
        return f"output limit of {job['output_bytes'] >> 10} KiB"
    if gone.startswith(EXITED):
        return gone
    if ending[1] > job["cpu_seconds"] or (gone and ending[0]):
        return why_ended(ending, job["cpu_seconds"], "")
    return fault or gone


def examine(job: dict[str, Any], nursery: Nursery, results: int) -> None:
    """Judges the tests in their order and reports each as a line that begins with the nonce."""

    def report(word: str, text: str) -> None:
        text = "memory limit" if text.startswith("MemoryError") else " ".join(text.split())
        # first encoded, then cut: a lone surrogate is one character and six bytes
        said = text.encode("utf-8", "backslashreplace")[:LINE].decode("utf-8", "ignore")
        os.write(results, f"{job['nonce']} {word} {said}\n".encode())

    judges = {"output": judge_output, "code": judge_code}
    try:
        nursery.channel.send(pack((job["given"], job["program"], job["limits"]), plain_only))
        for test in job["tests"]:
            fault = judges[test["kind"]](test, job, nursery)
            spent = nursery.seconds > job["all_seconds"]
            if spent and not fault:
                fault = f"time limit of {job['all_seconds']:g} s CPU for all tests"
            report("failed" if fault else "passed", fault)
            if spent or (fault and job["stop"]):
                break
        nursery.end()
        report("done", "")
    except Gone:
        report("failed", "the program killed its examiner")
    except OSError as error:
        if nursery.candidates:  # or a program could buy an error, which no one counts against it
            report("failed", f"the program broke its sandbox: {error}")
        else:
            report("error", str(error))


def _identities(uid: int) -> tuple[int, int]:
    """Uids of the examiner and of candidates: uid and the next, where the kernel maps them."""
    with open("/proc/self/uid_map") as file:
        maps = [[int(word) for word in line.split()] for line in file]
    if any(first <= uid and uid + 1 < first + count for first, _, count in maps):
        return uid, uid + 1
    return NOBODY, NOBODY


def _become(uid: int | None, *, capable: bool, shared: bool, tied: bool) -> None:
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    if capable:
        drop_capabilities()
    if shared:
        hide()
    if tied:
        die_with_parent()


def main() -> None:
    """Judges the job on standard input, with the setup in the first argument; both are packed."""
    setup = unpack(bytes.fromhex(sys.argv[1]), plain_only)
    null, results = os.open("/dev/null", os.O_RDWR), os.dup(1)
    os.dup2(null, 1)
    examiner, candidate = _identities(setup["uid"]) if setup["uid"] else (None, None)
    shared = examiner == candidate
    setup["sweep"] = setup["own_pids"] and not shared
    setup["own_files"] = setup["own_pids"]
    if capable := setup["inodes"] > 0:  # as bubblewrap alone leaves it
        bound_inodes("/tmp", setup["inodes"])
    if shared or setup["tied"]:
        import ctypes  # noqa: F401  # while its files can be seen
    sys.path[:] = [*sys.path[1:], *setup["paths"]]  # the first is where this file lies
    if root := setup["root"]:
        os.chroot(root)
        os.chdir("/")
        sys.path[:] = [path.removeprefix(root) for path in sys.path if path.startswith(root + "/")]
        sys.path_importer_cache.clear()
    ours, theirs = _socket.socketpair()
    pid = os.fork()
    if not pid:
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.closerange(3, theirs.fileno())
        ours.detach()
        _become(candidate, capable=capable, shared=shared, tied=setup["tied"])
        nurse(theirs, setup)
    theirs.close()
    alarm(setup["seconds"])  # ends all of this if whoever started it died too soon to be noticed
    _become(examiner, capable=capable, shared=shared, tied=setup["tied"])
    os.write(results, b"ready\n")
    data = bytearray()
    while chunk := os.read(0, 1 << 20):
        data += chunk
    job = unpack(bytes(data), plain_only)
    limit(resource.RLIMIT_AS, setup["memory_bytes"] + 8 * len(data))
    examine(job, Nursery(ours, pid), results)
    os._exit(0)
