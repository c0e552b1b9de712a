"""What the compiler sets aside for a step, log-probabilities and prefill grows with the length."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import pytest

from r1jax.model import forward
from r1jax.train.grpo import grpo_step, sequence_logps
from r1jax.types import GrpoBatch

LENGTHS = (2048, 8192)


def batch_of(length: int, config) -> GrpoBatch:
    """One row of this length, in shapes alone."""
    top = config.moe.experts_per_token if config.moe else 0
    row, integers = jax.ShapeDtypeStruct((1, length), jnp.float32), (1, length)
    tokens = jax.ShapeDtypeStruct(integers, jnp.int32)
    routes = jax.ShapeDtypeStruct((config.n_moe_layers, *integers, top), jnp.int32)
    return GrpoBatch(tokens, tokens, tokens, row, row, row, row, routes)


def temporaries(program, *arrays) -> int:
    return jax.jit(program).lower(*arrays).compile().memory_analysis().temp_size_in_bytes


@pytest.fixture(scope="module", params=["mla_moe", "gqa_small"])
def config(request, models):
    return dataclasses.replace(models[request.param], attention_block=64, remat=True)


def grows(of_length) -> None:
    """Twice the length takes at most 2.2 times the memory; the square would take 4 times."""
    short, long = map(of_length, LENGTHS)
    assert long <= 2.2**2 * short, (short, long)


def test_a_step_needs_memory_for_its_length(config, grpo, opt, train_state, request):
    name = request.node.callspec.params["config"]
    state = train_state(name)
    how = dataclasses.replace(grpo, logit_chunk=64)
    step = partial(grpo_step, model=config, config=how, opt=opt, temperature=1.0, on_policy=True)
    grows(lambda length: temporaries(step, state, batch_of(length, config)))


def test_logps_need_memory_for_their_length(config, weights, request):
    shapes = weights(request.node.callspec.params["config"])
    score = partial(
        sequence_logps, model=config, temperature=1.0, chunk=64, replay=False, micro_tokens=1
    )
    grows(lambda length: temporaries(score, shapes, batch_of(length, config)))


def test_prefill_needs_memory_for_its_length(config, weights, request):
    shapes = weights(request.node.callspec.params["config"])
    prefill = partial(
        forward.forward,
        config=config,
        routes_LBTK=None,
        with_mtp=False,
        keep_cache=True,
        layers=None,
    )

    def of_length(length: int) -> int:
        tokens = jax.ShapeDtypeStruct((1, length), jnp.int32)
        return temporaries(prefill, shapes, tokens, tokens, tokens)

    grows(of_length)
