import dataclasses

import jax
import pytest

from r1jax.model import forward, parameters

NAMES = ["mla_moe", "mla_moe_mtp", "gqa_moe", "mla_v2", "mla_dense", "gqa_bias", "gqa_norm"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_shapes_are_those_of_fresh_weights(name, dtype, models):
    config = dataclasses.replace(models[name], param_dtype=dtype)
    fresh = jax.eval_shape(lambda: forward.init(jax.random.key(0), config=config))
    assert forward.shapes(config) == fresh
    assert forward.count_params(config) == sum(x.size for x in jax.tree.leaves(fresh))


def test_the_order_of_declaration_stays(models):
    """Random bits follow it: a seed would give other weights."""
    both = dataclasses.replace(models["gqa_bias"].attention, qk_norm=True)
    gqa = dataclasses.replace(models["gqa_bias"], attention=both, mtp=True, tie_embeddings=False)
    attention = ["qkv", "out", "qkv_bias", "q_norm", "k_norm"]
    layer = [f"attention/{name}" for name in attention]
    layer += ["norms/attention", "norms/mlp", "mlp/up", "mlp/down"]
    module = ["embedding_norm", "hidden_norm", "final_norm", "project"]
    assert list(parameters.table(gqa)) == [
        *("embedding", "final_norm", *(f"dense_layers/{path}" for path in layer), "head"),
        *(f"mtp/{path}" for path in layer + module),
    ]


def test_the_order_within_a_moe_layer_with_mla_stays(models):
    latent = ["q_up", "kv_down", "kv_norm", "kv_up", "out", "q_down", "q_latent_norm"]
    assert list(parameters.layer(models["mla_moe"], is_moe=True)) == [
        *(f"attention/{name}" for name in latent),
        *("norms/attention", "norms/mlp", "experts/gate", "experts/up", "experts/down"),
        *("mlp/up", "mlp/down"),
    ]


def test_a_stack_has_one_more_axis(models):
    one = parameters.layer(models["mla_moe"], is_moe=True)["experts/up"]
    stack = parameters.table(models["mla_moe"])["moe_layers/experts/up"]
    assert stack.shape == (2, *one.shape) and stack.axes == ("layers", *one.axes)
    assert (stack.mean, stack.std, stack.dtype) == (one.mean, one.std, one.dtype)


def test_gqa_starts_at_one_over_the_root_of_its_fan_in(models):
    """Widths: 32 d, 8 heads of 8."""
    table = parameters.layer(models["gqa_bias"], is_moe=False)
    starts = {name: table[f"attention/{name}"] for name in ("qkv", "out", "qkv_bias")}
    assert {name: p.std for name, p in starts.items()} == {
        "qkv": 32**-0.5,
        "out": 64**-0.5,
        "qkv_bias": 0.0,
    }
