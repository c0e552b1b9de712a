import dataclasses

import jax
import pytest

from experiments.benchmarks import loading
from r1jax.hub.artifacts import load_model
from r1jax.hub.write import export_model
from r1jax.model import forward


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_measurement_counts_the_model_as_it_is_held(dtype, nano_base, tmp_path):
    weights, model, tokenizer = load_model(str(nano_base))
    export_model(
        tmp_path,
        weights,
        model=model,
        tokenizer=tokenizer,
        template="plain",
        sampling={},
        dtype="bfloat16",
        max_positions=64,
        shard_bytes=10**6,
    )
    row = loading.measure(str(tmp_path), dtype)
    held = dataclasses.replace(model, param_dtype=dtype)
    want = jax.eval_shape(lambda: forward.init(jax.random.key(0), config=held))
    assert row["model_bytes"] == sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(want))
    assert all(value > 0 for name, value in row.items() if "over_model" not in name)
