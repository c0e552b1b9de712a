"""What a program did with its time, seen from outside its sandbox, in /proc.

The clock alone would judge the machine: on a busy one a program waits for processors. So a program
is late by its own doing only if it used up its processor time, or sleeps.
"""

import os
import time
from typing import NamedTuple

PATIENCE = 4  # times the wall time, for programs that wait for a busy machine's processors
SAMPLES, PAUSE = 20, 0.02  # looks at whether it sleeps, and seconds between them
AWAKE = 0.15  # of the looks, that find a sleeping program at work
_TICKS = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """Of a process and its descendants: CPU seconds, and whether a thread runs or could."""

    seconds: float
    busy: bool


def _stat(path: str) -> list[str]:
    """Fields of a stat file from the state on, [] if the process is gone."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []


def _tree(root: int) -> dict[int, list[str]]:
    """Fields of a process and its descendants."""
    stats = {
        int(name): _stat(f"/proc/{name}/stat") for name in os.listdir("/proc") if name.isdigit()
    }
    children: dict[int, list[int]] = {}
    for pid, fields in stats.items():
        if fields:
            children.setdefault(int(fields[1]), []).append(pid)
    found, todo = {}, [root]
    while todo:
        pid = todo.pop()
        if stats.get(pid):
            found[pid] = stats[pid]
        todo.extend(children.get(pid, ()))
    return found


def usage(root: int) -> Usage:
    """Returns what a process and its descendants have used, the buried ones too, and do."""
    seconds, busy = 0.0, False
    for pid, fields in _tree(root).items():
        seconds += sum(map(int, fields[11:15])) / _TICKS
        try:
            threads = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue
        # D waits for a disk
        busy |= any((_stat(f"/proc/{pid}/task/{t}/stat") or "-")[0] in ("R", "D") for t in threads)
    return Usage(seconds, busy)


def sleeps(root: int) -> bool:
    """Returns whether a process and its descendants wait for nothing that a machine owes them."""
    busy = 0
    for _ in range(SAMPLES):
        busy += usage(root).busy
        time.sleep(PAUSE)
    return busy <= AWAKE * SAMPLES
