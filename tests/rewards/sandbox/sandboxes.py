"""Sandboxes for tests, and what they leave behind."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from r1jax.rewards.sandbox import process
from r1jax.rewards.sandbox import run as sandbox
from r1jax.rewards.sandbox.config import SandboxConfig
from r1jax.rewards.sandbox.inside.packing import pack, plain_only

REAL = ("bwrap", "limits")


def config(backend: str, **changes) -> SandboxConfig:
    """Limits wide enough for honest programs on a loaded machine."""
    fields: dict[str, Any] = dict(
        backend=backend, python="", read_only=(), cpu_seconds=10.0, wall_seconds=30.0,
        memory_mb=256, processes=8, files_mb=4, output_kb=64,
    )  # fmt: skip
    return SandboxConfig(**(fields | changes))


def need(backend: str) -> str:
    """The backend, or a skipped test with the reason where the machine cannot have it."""
    try:
        sandbox.choose(config(backend))
    except ValueError as error:
        pytest.skip(f"no {backend} on this machine: {error}")
    return backend


def without_root(script: str) -> str:
    """What a script prints that another user runs, who can read the sandbox and little else."""
    root = Path(sandbox.__file__).parents[3]
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        os.chmod(place, 0o755)
        for path in (root / "r1jax/config.py", *root.glob("r1jax/rewards/**/*.py")):
            (copy := Path(place, path.relative_to(root))).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        user = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}
        return subprocess.run(
            [sandbox.PYTHONS[0], "-c", script], env={"PYTHONPATH": place, "PATH": "/usr/bin:/bin"},
            cwd="/", stdout=subprocess.PIPE, text=True, check=True, **user,
        ).stdout  # fmt: skip


def processes(pid: int) -> list[str]:
    """What runs in sandboxes that a process started: as root each has uids of its own."""
    first = process.FIRST_UID + process.UIDS * pid
    uids = range(first, first + process.UIDS)
    marks = [pack(uid, plain_only).hex() for uid in uids]
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_text("utf-8", "replace").replace("\0", " ")
            owner = os.stat(path).st_uid
            status = (path / "stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if status != "Z" and (owner in uids or any(mark in command for mark in marks)):
            found.append(f"{path.name} {command[:60]}")
    return found


def soon_none(pid: int) -> bool:
    """Whether no such process is left after a while: the kernel clears up behind us."""
    for _ in range(200):
        if not processes(pid):
            return True
        time.sleep(0.05)
    return False
