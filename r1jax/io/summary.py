"""summary.json: what a run ran on, what it used, and its results."""

import os
import platform
import resource
import sys
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from r1jax.config import UserError, flatten
from r1jax.io.digests import differences
from r1jax.io.disk import write_json

PACKAGES = (
    *("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy", "r1jax"),
    "mpmath",  # verdicts rest on it
    *("tokenizers", "sentencepiece"),
)


def check_writable(workdir: str | Path) -> None:
    """Makes the directory if need be and writes, then removes, a file in it.

    Raises:
      UserError: names the directory and the reason why a run could write nothing there.
    """
    path = Path(workdir).absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
        # Permission bits mean nothing to root or on a full disk: only a write shows.
        with tempfile.NamedTemporaryFile(dir=path, prefix=".writable-") as file:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise UserError(f"workdir {path}: is a file, wanted a directory") from error
    except NotADirectoryError as error:
        above = next(p for p in path.parents if p.exists() and not p.is_dir())
        raise UserError(f"workdir {path}: {above} is a file, wanted a directory") from error
    except OSError as error:
        raise UserError(f"workdir {path}: cannot be written: {error.strerror}") from error


def write_summary(workdir: str | Path, summary: Mapping[str, Any]) -> Path:
    """Writes `summary.json`, whole or not at all, and returns its path.

    Raises:
      ValueError: if a number is NaN or infinite.
      TypeError: if a value is no JSON.
    """
    path = Path(workdir) / "summary.json"
    write_json(path, summary, indent=2)
    return path


def write_run_summary(
    workdir: str | Path, config: Any, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Writes `summary.json` of a run: its config, seed and devices, `values`, its peak memory.

    Args:
      workdir: of the run.
      config: its frozen dataclass, with a field `pipeline`, and `seed` where it has one.
      values: the run's own results.

    Returns:
      The whole summary.

    Raises:
      ValueError: if a number is NaN or infinite.
      TypeError: if a value is no JSON.
    """
    flat = flatten(config)
    summary = {
        "pipeline": flat["pipeline"],
        "config": flat,
        **{name: flat[name] for name in ("seed",) if name in flat},
        **facts(),
        **values,
        "peak_memory_bytes": peak_memory_bytes(),
    }
    write_summary(workdir, summary)
    return summary


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed as a package"


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that a result depends on."""
    return {
        "python": platform.python_version(),
        **{package: _version(package) for package in PACKAGES},
    }


def version_changes(before: Mapping[str, str]) -> list[str]:
    """Returns a line that names the versions that are others now, or no line.

    Args:
      before: as `versions` returned them; {} if nothing is known of them.
    """
    changed = differences(before, versions()) if before else []
    lines = "; ".join(line.replace(": checkpoint ", ": was ") for line in changed)
    return [f"other versions than before, so results may differ: {lines}"] if changed else []


def facts() -> dict[str, Any]:
    """Returns the devices and versions a result depends on; nothing that names the machine."""
    devices = jax.devices()
    return {
        "device_kind": devices[0].device_kind,
        "platform": devices[0].platform,
        "device_count": len(devices),
        "process_count": jax.process_count(),
        "machine": platform.machine(),
        "cpu_count": os.cpu_count(),
        "versions": versions(),
    }


def peak_memory_bytes() -> dict[str, int]:
    """Returns the most memory used so far, in bytes, by "host" (this process) and devices.

    Devices whose backend keeps no such count, CPUs among them, are left out.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    used = {"host": peak if sys.platform == "darwin" else peak * 1024}
    for device in jax.local_devices():
        stats = device.memory_stats() or {}
        if "peak_bytes_in_use" in stats:
            used[f"{device.platform}:{device.id}"] = stats["peak_bytes_in_use"]
    return used
