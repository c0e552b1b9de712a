import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from r1jax import sharding
from r1jax.model import forward
from r1jax.sampling import program
from r1jax.sampling.program import Setup
from r1jax.train.grpo import grpo_step
from r1jax.train.next_token import NextTokenLossConfig, next_token_step

MESHES = [(4, 1, 1), (1, 4, 1), (1, 1, 4), (2, 2, 1), (2, 1, 2), (1, 2, 2)]


@pytest.fixture(scope="module")
def steps(models, opt, grpo):
    """Training steps that between them run every kind of layer: {name: (model name, step)}."""
    loss = NextTokenLossConfig(balance=0.01, mtp=0.0, bias_rate=1e-3, logit_chunk=12)
    # unclipped, so that the first moment holds a tenth of the raw gradients
    opt = dataclasses.replace(opt, clip_norm=1e9)
    pieces = dataclasses.replace(grpo, micro_tokens=48, replay_routes=True)
    mla, gqa = models["mla_moe_mtp"], models["gqa_moe"]
    pretrain = partial(
        next_token_step, labels_BT=None, model=mla, opt=opt, sources=(), micro_batches=2
    )
    return {
        "grpo": (
            "gqa_moe",
            partial(grpo_step, model=gqa, opt=opt, config=pieces, temperature=0.9, on_policy=False),
        ),
        "pretrain": ("mla_moe_mtp", partial(pretrain, config=loss)),
        "mtp": ("mla_moe_mtp", partial(pretrain, config=dataclasses.replace(loss, mtp=0.3))),
    }


@pytest.fixture(scope="module")
def one_device(steps, train_state, grpo_batch, packed_batch):
    """Inputs and outputs of each step without a mesh."""
    made = {}

    def of(name: str):
        if name not in made:
            model, step = steps[name]
            batch = grpo_batch(model) if name == "grpo" else packed_batch(model, rows=8)
            made[name] = (train_state(model), batch), jax.jit(step)(train_state(model), batch)
        return made[name]

    return of


@pytest.mark.parametrize(
    ("name", "shape"),
    [("mtp", (2, 2, 1)), *((name, shape) for name in ("grpo", "pretrain") for shape in MESHES)],
    ids=lambda x: x if isinstance(x, str) else "x".join(map(str, x)),
)
def test_a_step_on_any_mesh_equals_one_device(name, shape, steps, one_device, models):
    (state, batch), want = one_device(name)
    model, step = steps[name]
    mesh = sharding.make_mesh(**dict(zip(sharding.MESH_AXES, shape, strict=True)))
    axes = sharding.state_axes(state, forward.logical_axes(models[model]))
    with jax.set_mesh(mesh):
        placed = sharding.place(state, mesh, axes)
        got = jax.jit(step)(placed, sharding.place(batch, mesh, sharding.batch_axes(batch)))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), got, want)
    # the step gives the state back where it lay, so that its buffers can be donated
    same = jax.tree.map(lambda old, new: old.sharding == new.sharding, placed, got[0])
    assert all(jax.tree.leaves(same))


def test_the_sampler_traces_on_a_mesh(models, weights, sampler):
    model = models["mla_moe_mtp"]
    setup = Setup(model, sampler, stop_ids=(1,), pad_id=0, routes=True)
    mesh = sharding.make_mesh(data=2, expert=1, model=2)

    def draw(weights, layers, prompt_PT, key_P):
        length_P, numbers = jnp.full(4, 6), jnp.arange(4)
        prompts = program.prefill(weights, layers, prompt_PT, length_P, key_P, setup=setup)
        slots = program.begin(prompts, numbers, numbers, numbers > 0)
        slots = program.refill(slots, prompts, numbers, numbers, numbers == 0)
        slots = program.resize(slots, room=8)
        return program.advance(weights, layers, slots, *jnp.array([2, 0, 4]), setup=setup)

    with jax.set_mesh(mesh):
        placed = sharding.place(weights("mla_moe_mtp"), mesh, forward.logical_axes(model))
        prompt = sharding.place(jnp.ones((4, 6), jnp.int32), mesh, ("batch", "seq"))
        key_P = jax.random.split(jax.random.key(0), 4)
        layers = jax.eval_shape(partial(forward.unstack, config=model), placed)
        slots, segment = jax.eval_shape(draw, placed, layers, prompt, key_P)
    batch = sharding.spec("batch")[0]
    assert segment.logp_NS.sharding.spec[1] == batch
    assert slots.cache[0].first.sharding.spec[0] == batch


@pytest.mark.parametrize("name", ["mla_moe_mtp", "mla_v2", "gqa_bias", "gqa_norm"])
def test_every_weight_has_one_logical_axis_per_axis(name, models, weights):
    axes = forward.logical_axes(models[name])

    def is_axes(node):
        return type(node) is tuple and all(isinstance(n, str) for n in node)

    ranks = jax.tree.map(
        lambda names, w: len(names) == w.ndim, axes, weights(name), is_leaf=is_axes
    )
    assert all(jax.tree.leaves(ranks))
    jax.tree.map(lambda names: sharding.spec(*names), axes, is_leaf=is_axes)


def test_optimizer_moments_lie_where_their_weights_do(models, train_state):
    state = train_state("mla_moe")._replace(reference=train_state("mla_moe").weights)
    weights_axes = forward.logical_axes(models["mla_moe"])
    axes = sharding.state_axes(state, weights_axes)
    adam = axes.opt_state[1][0]
    assert adam.mu == adam.nu == weights_axes.params
    assert adam.count == axes.updates == ()
    assert axes.reference == weights_axes


def test_batch_axes_follow_the_names_of_the_fields(grpo_batch, packed_batch):
    grpo_axes = sharding.batch_axes(grpo_batch("mla_moe"))
    assert grpo_axes.tokens_BT == ("batch", "seq")
    assert grpo_axes.advantages_BT == ("batch", "seq")
    assert grpo_axes.routes_LBTK == ("layers", "batch", "seq", "none")
    assert set(sharding.batch_axes(packed_batch("mla_moe"))) == {("batch", "seq")}


def test_spec_reads_the_table():
    assert sharding.spec("batch", "seq", "heads") == PartitionSpec(
        ("data", "expert"), None, "model"
    )


def test_an_unknown_axis_raises():
    with pytest.raises(ValueError, match=r"unknown logical axes \['hedas'\]"):
        sharding.spec("batch", "hedas")


@pytest.mark.parametrize("names", [("heads", "mlp"), ("batch", "embed"), ("batch", "experts")])
def test_two_axes_on_one_mesh_axis_raise(names):
    with pytest.raises(ValueError, match="use a mesh axis twice"):
        sharding.spec(*names)


def test_without_a_mesh_nothing_moves():
    x = jnp.ones((2, 3))
    assert sharding.constrain(x, "batch", "seq") is x
    assert sharding.out("batch", "seq") is None
    with pytest.raises(ValueError, match="unknown logical axes"):
        sharding.constrain(x, "bacth", "seq")


def test_a_mesh_needs_as_many_devices():
    with pytest.raises(ValueError, match="8 x expert 1 x model 1 = 8, but there are 4 devices"):
        sharding.make_mesh(data=8, expert=1, model=1)


@pytest.mark.parametrize(
    ("shape", "filled"),
    [((-1, 1, 1), (4, 1, 1)), ((2, -1, 1), (2, 2, 1)), ((2, 2, -1), (2, 2, 1))],
)
def test_an_axis_of_minus_1_takes_the_devices_left(shape, filled):
    assert dataclasses.astuple(sharding.MeshConfig(*shape)) == filled


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((-1, -1, 1), "wanted at least 1 each, or one -1"),
        ((0, 1, 1), "wanted at least 1 each, or one -1"),
        ((-2, 1, 1), "wanted at least 1 each, or one -1"),
        ((3, -1, 1), "4 devices do not divide by 3"),
    ],
)
def test_a_mesh_without_sense_is_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        sharding.MeshConfig(*shape)


def test_devices_that_a_mesh_leaves_idle_are_told(capsys):
    with sharding.use(data=2, expert=1, model=1) as mesh:
        assert mesh is not None and mesh.size == 2
    assert capsys.readouterr().err == (
        "warning: the mesh uses 2 of 4 devices; one of its axes as -1 takes all\n"
    )
    with sharding.use(data=2, expert=2, model=1):
        assert capsys.readouterr().err == ""


def test_place_names_the_leaf_that_does_not_divide():
    mesh = sharding.make_mesh(data=1, expert=1, model=4)
    with pytest.raises(ValueError, match=r"\['up'\] has mlp = 6, which 4 devices \('model',\)"):
        sharding.place({"up": jnp.ones((2, 6))}, mesh, {"up": ("embed", "mlp")})
