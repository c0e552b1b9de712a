"""Runs a program nobody trusts against tests, and says which it passed.

One bubblewrap container for each program: its own process, network and mount namespaces, read-only
system directories, a small tmpfs, and `harness` inside, which examines. Where bubblewrap does not
work, "limits" makes do with another uid, resource limits and a seccomp filter: weaker, for it
shares the kernel's process table and sees all of /usr.
"""

import functools
import math
import os
import secrets
import shutil
from resource import RLIMIT_AS, RLIMIT_CORE, RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_NPROC
from typing import Any, NamedTuple

from r1jax.config import UserError
from r1jax.rewards.sandbox import given, seccomp
from r1jax.rewards.sandbox.config import RISK, Backend, SandboxConfig, SandboxError
from r1jax.rewards.sandbox.inside import nursery
from r1jax.rewards.sandbox.inside.packing import pack, plain_only
from r1jax.rewards.sandbox.process import exchange, start

PYTHONS = ("/usr/bin/python3", "/usr/local/bin/python3")
RESULT_BYTES = 1024  # of a test, on average
WARNINGS = {
    "bwrap": "",
    "limits": "SANDBOX IS WEAK: bubblewrap does not work here ({why}); model-written programs run "
    "under another uid with limits and a seccomp filter only. Better: apt-get install bubblewrap",
    RISK: "NO SANDBOX: model-written programs run as this user, with resource limits only",
}


class Outcome(NamedTuple):
    """Of one test: whether the program passed, and why not."""

    passed: bool
    reason: str


def choose(config: SandboxConfig) -> Backend:
    """Returns the best backend that works, having run a small program in it; cached per process.

    Raises:
      UserError: if none does, or not the one that config names.
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
    raise UserError(
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
        backend=backend.name,
        python=backend.python,
        read_only=read_only,
        cpu_seconds=5.0,
        wall_seconds=20.0,
        memory_mb=512,
        processes=4,
        files_mb=16,
        output_kb=64,
    )
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
      program: Python source; the usual names need no import (`given.imports`).
      tests: each {"kind": "output", "input", "output"}, texts, compared as `outputs.compare` does;
        or {"kind": "code", "before", "names", "code"}: code that raises nothing if all is well,
        executed where the program cannot reach it, with names being the program's, after the code
        before, which runs without them.
      stop_at_failure: leave out the tests after the first that fails.

    Returns:
      One outcome for each test, in their order.

    Raises:
      SandboxError: if the sandbox failed, none works any more, or the machine was too busy to tell.
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
        "nonce": nonce,
        "given": given.imports(program, {n for test in tests for n in test.get("names", ())}),
        "program": program,
        "tests": tests,
        "stop": stop,
        "limits": _limits(backend, config),
        "cpu_seconds": _cpu_seconds(config),
        "all_seconds": config.wall_seconds,
        "output_bytes": config.output_kb << 10,
        "in_memory": backend.name != "bwrap",
    }
    bound = RESULT_BYTES * (len(tests) + 4)
    room = max((len(test.get("input", "")) for test in tests), default=0)
    with start(backend, config, room) as process:
        text, late = exchange(
            process,
            pack(job, plain_only),
            wall_seconds=config.wall_seconds,
            bound=bound,
            end=f"{nonce} done",
        )
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
        outcomes.append(Outcome(False, late or "the program killed its examiner"))
    return outcomes + [Outcome(False, "not run")] * (len(tests) - len(outcomes))


def _cpu_seconds(config: SandboxConfig) -> float:
    """Of one test: no more than all may use together."""
    return min(config.cpu_seconds, config.wall_seconds)


def _limits(backend: Backend, config: SandboxConfig) -> dict[int, int]:
    # user namespaces count processes apart, but the examiner and its like have the same uid there
    others = 1 if os.getuid() == 0 else 3
    return {
        RLIMIT_AS: config.memory_mb << 20,
        # in whole ticks, and those of a busy machine's other guests too; the examiner is exact
        RLIMIT_CPU: math.ceil(1.25 * _cpu_seconds(config) + 0.5),
        RLIMIT_NPROC: config.processes + others,
        RLIMIT_NOFILE: nursery.NOFILE,
        RLIMIT_FSIZE: 0 if backend.name == "limits" else config.files_mb << 20,
        RLIMIT_CORE: 0,
    }
