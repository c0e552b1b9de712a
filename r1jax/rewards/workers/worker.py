"""A process that judges, one job a line, within limits of its own; it may be killed at any time.

python -m r1jax.rewards.workers.worker '{"memory_mb": 2048}' reads jobs as JSON lines and writes
verdicts. It imports nothing of JAX.
"""

import json
import math
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from r1jax.rewards.answers import symbolic
from r1jax.rewards.sandbox import code
from r1jax.rewards.score import Verdict, failed


class Function(NamedTuple):
    """What a job may ask for, and what is loaded before its time is counted."""

    prepare: Callable[[], None]
    run: Callable[..., Verdict]


FUNCTIONS = {
    "symbolic": Function(symbolic.prepare, symbolic.equal),
    "code": Function(lambda: None, code.run),
}


class OutOfBounds(BaseException):
    """No Exception: libraries catch those, and would call an answer wrong that was never judged."""


_TICK = 0.05  # seconds of processor time between two looks at the limits
_PAGE = resource.getpagesize()
_ends = {"cpu": math.inf, "bytes": math.inf}


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _look(number: int, frame: object) -> None:
    """Raises where a limit is reached, before allocations fail in some library's hands."""
    if _used() > _ends["cpu"]:
        raise OutOfBounds("processor time")
    with open("/proc/self/statm") as file:
        if int(file.read().split()[0]) * _PAGE > _ends["bytes"]:
            raise OutOfBounds("memory")


def _limit_cpu(seconds: float) -> None:
    """Ends the job after so much processor time; if C code never returns, the kernel kills."""
    _ends["cpu"] = _used() + seconds
    last = math.ceil(_used() + 2 * seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (last, resource.RLIM_INFINITY))
    # processor time, not the clock's: on a busy machine a right answer stays right
    signal.setitimer(signal.ITIMER_PROF, min(seconds, _TICK), _TICK)


def judged(job: dict[str, Any]) -> Verdict:
    """Returns the verdict of a job, an error if its time or the memory ran out."""
    function = FUNCTIONS[job["function"]]
    function.prepare()
    try:
        try:
            _limit_cpu(job["cpu_seconds"])
            verdict = function.run(**job["arguments"])
            _look(0, None)  # the timer is coarse
            return verdict
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except OutOfBounds as error:
        if error.args[0] == "processor time":
            return failed(f"the judge took more than {job['cpu_seconds']:g} s of processor time")
        return failed("the judge ran out of memory")
    except MemoryError:
        return failed("the judge ran out of memory")
    except RecursionError:
        return failed("the judge recursed too deep")


def main(limits: dict[str, Any]) -> None:
    """Serves until the input ends, as it does when the parent dies."""
    signal.signal(signal.SIGPROF, _look)
    size = limits["memory_mb"] * 2**20
    _ends["bytes"] = 0.8 * size
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # what a library prints must not pass for a verdict
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        job = json.loads(line)
        verdict = judged(job)
        replies.write(json.dumps([job["number"], *verdict]) + "\n")
        replies.flush()
        if verdict.error:
            return  # a fresh process is cheap, one that ran out of memory is not to be trusted


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
