"""A worker whose jobs misbehave, for test_pool."""

import ctypes
import json
import os
import signal
import sys
import time

from r1jax.rewards.score import Verdict
from r1jax.rewards.workers import worker


def echo(text: str) -> Verdict:
    print("a library that prints")
    return Verdict(1.0, text, False)


def sleep(seconds: float) -> Verdict:
    time.sleep(seconds)
    return Verdict(1.0, "slept", False)


def spin() -> Verdict:
    while True:
        try:
            sum(range(1000))
        except Exception:
            return Verdict(0.0, "a library swallowed the alarm", False)


def spin_in_c() -> Verdict:
    """Never comes back to Python, where an alarm could be raised."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPROF})
    libc = ctypes.CDLL(None)
    while True:
        libc.memset(ctypes.create_string_buffer(2**24), 1, 2**24)


def hog() -> Verdict:
    return Verdict(float(len(bytearray(2**32))), "4 GiB", False)


def hog_quietly() -> Verdict:
    held = []
    while True:
        try:
            held.append(bytearray(2**20))
        except Exception:
            return Verdict(0.0, "a library swallowed what was raised", False)


def recurse() -> Verdict:
    return recurse()


def die(path: str) -> Verdict:
    """Kills its process the first time only."""
    if not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return Verdict(1.0, "the second time", False)


def die_always() -> Verdict:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def flood() -> Verdict:
    return Verdict(1.0, "x" * 2**22, False)


def babble() -> Verdict:
    """Says what is no verdict, where verdicts are read."""
    for fd in range(3, 20):
        try:
            os.write(fd, b'{"reward": 1}\n')
        except OSError:
            continue
    return Verdict(1.0, "babbled", False)


def pid() -> Verdict:
    return Verdict(1.0, str(os.getpid()), False)


JOBS = (
    echo,
    sleep,
    spin,
    spin_in_c,
    hog,
    hog_quietly,
    recurse,
    die,
    die_always,
    flood,
    babble,
    pid,
)

if __name__ == "__main__":
    table = {job.__name__: worker.Function(lambda: None, job) for job in JOBS}
    worker.FUNCTIONS.clear()
    worker.FUNCTIONS.update(table)
    worker.main(json.loads(sys.argv[1]))
