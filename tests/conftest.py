"""Every test runs on 4 simulated CPU devices, with shapes checked and warnings as errors."""

import os

os.environ["JAX_PLATFORMS"] = os.environ.get("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from jaxtyping import install_import_hook

hook = install_import_hook("r1jax", "beartype.beartype")

import jax  # noqa: E402  # after the flags above
import pytest  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update(
    "jax_compilation_cache_dir", os.path.join(os.path.dirname(__file__), "../.jax_cache")
)


@pytest.fixture
def strict_dtypes():
    """Mixed dtypes raise instead of promoting."""
    with jax.numpy_dtype_promotion("strict"):
        yield
