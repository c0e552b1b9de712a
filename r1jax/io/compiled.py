"""Compiled programs are kept from run to run, in the user's cache folder."""

import functools
import hashlib
import os
import platform
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from r1jax.config import UserError, flatten

EXACT = "--xla_cpu_experimental_ynn_fusion_type="  # nothing: no product of YNNPACK


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
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    chosen = jax.config.jax_compilation_cache_dir  # pyright: ignore  # flags of jax have no types
    if chosen:
        return Path(chosen)
    jax.config.update("jax_compilation_cache_dir", str(folder()))
    return folder()


def choose_numerics(config: Any) -> None:
    """Tells XLA, before it starts, if a run wants exact numerics.

    YNNPACK's products of 2 rows and of 512 differ in their bits (jaxlib 0.10.2 and 0.12.0.1, CPU).

    Args:
      config: of the run, built.
    """
    wanted = any(key.endswith("numerics") and v == "exact" for key, v in flatten(config).items())
    if wanted and EXACT not in os.environ.get("XLA_FLAGS", "").split():
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {EXACT}".strip()


@functools.cache
def check_exact() -> None:
    """Tries whether products and sums here have the same bits for 2 rows as for 64.

    Raises:
      UserError: if not, or on several devices: says what to set.
    """
    if (kind := jax.default_backend()) != "cpu" or jax.device_count() > 1:
        raise UserError(
            f"numerics 'exact': got {jax.device_count()} devices of kind {kind!r}, wanted one CPU"
        )
    x_MD = np.random.default_rng(0).normal(size=(64, 192)).astype(np.float32)
    w_DF = np.random.default_rng(1).normal(size=(192, 576)).astype(np.float32)
    run = jax.jit(lambda x, w: jnp.exp((x @ w) / 50).sum(1))
    if not np.array_equal(run(x_MD, w_DF)[:2], run(x_MD[:2], w_DF)):
        raise UserError(
            "numerics 'exact': the bits of a product depend on its rows; wanted "
            f"XLA_FLAGS={EXACT} in the environment before jax starts (r1jax.main sets it)"
        )
