"""Compiled programs are kept from run to run, in the user's cache folder."""

import hashlib
import os
import platform
from pathlib import Path

import jax


def folder() -> Path:
    """Where programs for this kind of processor are kept, below XDG_CACHE_HOME or ~/.cache.

    A home folder may serve unlike machines, and code that XLA made for one processor may not run on
    another.
    """
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    kind = f"{platform.machine()} {platform.processor()} {features}"
    return caches / "r1jax" / "compiled" / hashlib.sha256(kind.encode()).hexdigest()[:16]


def keep_compiled() -> Path:
    """Keeps every compiled program and returns where; JAX_COMPILATION_CACHE_DIR may say where.

    A program is known by its own content, so all workdirs share it. By itself JAX would leave out
    those that took under a second: 127 of 136 in a small run. A second run of 4 small updates in a
    new workdir took 10 CPU seconds instead of 27.
    """
    chosen = jax.config.jax_compilation_cache_dir  # pyright: ignore  # flags of jax have no types
    if chosen:
        return Path(chosen)
    jax.config.update("jax_compilation_cache_dir", str(folder()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    return folder()
