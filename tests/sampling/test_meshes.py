"""The sampler runs on 2 of the 4 simulated devices, along each axis of the mesh."""

import jax
import numpy as np
import pytest
from jax.sharding import AxisType

from r1jax import sharding
from r1jax.model import forward
from r1jax.sampling.sampler import Sampler


@pytest.fixture(scope="module")
def draw(models, sampler):
    """Two prompts' rollout by a tiny network's name; a new program for each mesh."""

    def of(name, weights):
        made = Sampler(
            model=models[name],
            config=sampler,
            max_new=4,
            stop_ids=(3,),
            pad_id=0,
            buckets=(3,),
            routes=True,
        )
        return made(weights, [[5, 6, 7], [8]], jax.random.key(1), group=2, cap=4)

    return of


@pytest.fixture(scope="module")
def one_device(draw, weights):
    made = {}

    def of(name):
        if name not in made:
            made[name] = draw(name, weights(name))
        return made[name]

    return of


@pytest.mark.parametrize("axis", sharding.MESH_AXES)
@pytest.mark.parametrize("name", ["gqa_norm", "mla_moe_mtp"])
def test_a_rollout_on_two_devices_equals_one(name, axis, draw, one_device, weights, models):
    want = one_device(name)
    sizes = [2 if a == axis else 1 for a in sharding.MESH_AXES]
    mesh = jax.make_mesh(
        sizes, sharding.MESH_AXES, axis_types=(AxisType.Explicit,) * 3, devices=jax.devices()[:2]
    )
    with jax.set_mesh(mesh):
        got = draw(name, sharding.place(weights(name), mesh, forward.logical_axes(models[name])))
    for field, values in want._asdict().items():
        np.testing.assert_allclose(getattr(got, field), values, atol=1e-5)


def test_heads_that_the_model_axis_does_not_divide_are_named(models, weights):
    """gqa_norm has 2 heads of keys and values for its 4 of queries."""
    mesh = sharding.make_mesh(data=1, expert=1, model=4)
    with pytest.raises(
        ValueError, match=r"attention.* has heads = 2, which 4 devices \('model',\)"
    ):
        axes = forward.logical_axes(models["gqa_norm"])
        sharding.place(weights("gqa_norm"), mesh, axes)
