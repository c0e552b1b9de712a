"""Exact numerics: sampler and trainer compute the same bits, on one CPU device."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from r1jax.config import UserError
from r1jax.io import compiled
from r1jax.model import attention, blockwise
from r1jax.model.config import ExecutionConfig
from r1jax.model.layers import unfused

HOW = ExecutionConfig(
    param_dtype="float32",
    compute_dtype="float32",
    scan_layers=False,
    remat=False,
    attention_block=64,
    numerics="exact",
    dispatch="blocks",
    block_size=0,
)


def test_no_bit_differs_between_sampler_and_trainer():
    """Over slots, groups, buckets, row lengths, micro-batches and chunks, at temperature 0.7."""
    script = Path(__file__).with_name("exact_bits.py")
    environment = {**os.environ, "XLA_FLAGS": compiled.EXACT, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, str(script)],
        env=environment,
        cwd=script.parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for name, found in json.loads(done.stdout.splitlines()[-1]).items():
        assert found.pop("scored") > 300, name
        assert not any(found.values()), (name, found)


@pytest.mark.parametrize("position", [0, 5, 31, 32, 40])
def test_a_cached_query_attends_as_in_its_row(position):
    """To 1e-6 here, where XLA may choose other products for other shapes."""
    rng = np.random.default_rng(0)
    q, k, v = (
        jnp.asarray(rng.normal(size=shape), jnp.float32)
        for shape in ((3, 41, 2, 2, 16), (3, 2, 41, 16), (3, 2, 41, 8))
    )
    segments = jnp.ones((3, 41), jnp.int32)
    whole = attention.attend(q, k, v, segments, scale=0.3, block=16, exact=True)
    plain = attention.attend(q, k, v, segments, scale=0.3, block=0, exact=False)
    np.testing.assert_allclose(whole, plain, atol=1e-6)
    at = jnp.full(3, position)
    got = blockwise.attend_cached(q[:, position : position + 1], k, v, at, scale=0.3, block=16)
    np.testing.assert_allclose(got[:, 0], whole[:, position], atol=1e-6)


def test_unfused_is_the_identity_with_its_gradient():
    x = jnp.array([1.5, -0.0, jnp.inf, jnp.nan, 3e-41])
    np.testing.assert_array_equal(unfused(x), x)
    np.testing.assert_array_equal(jax.grad(lambda x: (unfused(x * x) * 2).sum())(x[:2]), [6.0, 0.0])


@pytest.mark.parametrize(("block_size", "rows"), [(0, 8), (4, 4)])
def test_experts_come_in_blocks_of_one_size(block_size, rows):
    assert dataclasses.replace(HOW, block_size=block_size).rows_of_expert == rows
    assert dataclasses.replace(HOW, numerics="fast", block_size=0).rows_of_expert == 0


@pytest.mark.parametrize("changes", [{"attention_block": 0}, {"dispatch": "dense"}])
def test_what_cannot_be_exact_is_refused(changes):
    with pytest.raises(UserError, match=r"numerics 'exact': got .*wanted at least 1 and 'blocks'"):
        dataclasses.replace(HOW, **changes)


def test_several_devices_are_refused():
    with pytest.raises(UserError, match=r"got 4 devices of kind 'cpu', wanted one CPU"):
        compiled.check_exact()


def test_products_that_depend_on_their_rows_are_refused(monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    monkeypatch.setattr(np, "array_equal", lambda a, b: False)
    with pytest.raises(UserError, match=f"XLA_FLAGS={compiled.EXACT}"):
        compiled.check_exact.__wrapped__()


@pytest.mark.parametrize(("numerics", "told"), [("exact", True), ("fast", False)])
def test_xla_is_told_once_where_a_run_is_exact(numerics, told, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=")
    for _ in range(2):
        compiled.choose_numerics({"model": {"numerics": numerics}})
    assert os.environ["XLA_FLAGS"].split()[1:] == [compiled.EXACT] * told
