"""Where arrays lie on the device mesh: the mesh axes, the one table of logical axes, and helpers.

Nobody else writes a PartitionSpec. Meshes are explicit (`AxisType.Explicit`), so that a layout
error shows at trace time on any machine; without a mesh everything here is a no-op.
"""

import contextlib
import dataclasses
import math
import sys
from collections.abc import Iterator
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from r1jax.config import UserError
from r1jax.types import GrpoBatch, PackedBatch, PackedRows, TrainState, Tree, Weights


@dataclasses.dataclass(frozen=True)
class MeshConfig:
    """Devices along each mesh axis. One axis may be -1, for the devices that the others leave.

    Attributes:
      data: share the rows of a batch, and the weights along the residual stream.
      expert: share the experts, and the rows of a batch too.
      model: share heads, the widths of the MLPs, and the vocabulary.
    """

    data: int
    expert: int
    model: int

    def __post_init__(self):
        axes = dataclasses.asdict(self)
        free = [axis for axis, size in axes.items() if size == -1]
        if len(free) > 1 or any(size < 1 for axis, size in axes.items() if axis not in free):
            raise UserError(f"got {axes}, wanted at least 1 each, or one -1: the devices left")
        if free:
            taken, devices = -math.prod(axes.values()), jax.device_count()
            if devices % taken:
                raise UserError(f"{axes}: {devices} devices do not divide by {taken}")
            object.__setattr__(self, free[0], devices // taken)


AnyBatch = TypeVar("AnyBatch", GrpoBatch, PackedBatch, PackedRows)
MESH_AXES = ("data", "expert", "model")

# Logical axis -> mesh axis or axes. Weights have embed, heads, head_dim, latent, mlp, vocab,
# experts, layers, none; activations batch, seq, act_embed, and heads, mlp, vocab as weights do.
AXIS_RULES: dict[str, str | tuple[str, ...] | None] = {
    "batch": ("data", "expert"),
    "seq": None,
    "embed": "data",
    "act_embed": None,
    "heads": "model",
    "head_dim": None,
    "latent": None,
    "mlp": "model",
    "vocab": "model",
    "experts": "expert",
    "layers": None,
    "none": None,
}


def make_mesh(*, data: int, expert: int, model: int) -> Mesh:
    """Returns an explicit mesh of data x expert x model devices, the first of those there are.

    Raises:
      UserError: if there are fewer, or several processes would not use all of theirs.
    """
    n, wanted = jax.device_count(), data * expert * model
    if wanted > n or (wanted < n and jax.process_count() > 1):
        raise UserError(
            f"mesh: data {data} x expert {expert} x model {model} = {wanted}, but there are {n} "
            "devices"
        )
    shape, types = (data, expert, model), (AxisType.Explicit,) * 3
    return jax.make_mesh(shape, MESH_AXES, axis_types=types, devices=jax.devices()[:wanted])


@contextlib.contextmanager
def use(*, data: int, expert: int, model: int) -> Iterator[Mesh | None]:
    """Sets a run's mesh for a block; warns of devices that it leaves idle.

    One device needs none: everything here stays a no-op.
    """
    used, devices = data * expert * model, jax.device_count()
    if used < devices:
        text = f"the mesh uses {used} of {devices} devices; one of its axes as -1 takes all"
        print(f"warning: {text}", file=sys.stderr, flush=True)
    if used == 1:
        yield None
        return
    mesh = make_mesh(data=data, expert=expert, model=model)
    with jax.set_mesh(mesh):
        yield mesh


def spec(*logical: str) -> PartitionSpec:
    """Returns the PartitionSpec of an array whose axes have these logical names.

    Raises:
      UserError: on a name that the table lacks, or two axes on one mesh axis.
    """
    unknown = [name for name in logical if name not in AXIS_RULES]
    if unknown:
        raise UserError(
            f"sharding: unknown logical axes {unknown}; the table has {sorted(AXIS_RULES)}"
        )
    entries = [AXIS_RULES[name] for name in logical]
    used = [
        axis for entry in entries for axis in ((entry,) if isinstance(entry, str) else entry or ())
    ]
    if len(used) != len(set(used)):
        raise UserError(f"sharding: axes {logical} would use a mesh axis twice: {used}")
    return PartitionSpec(*entries)


def has_mesh() -> bool:
    """Whether a mesh is set (`jax.set_mesh`)."""
    return not jax.sharding.get_abstract_mesh().empty


def batch_shards() -> int:
    """Devices of the mesh that share the rows of a batch; 1 without a mesh."""
    shape = jax.sharding.get_abstract_mesh().shape
    return math.prod(shape[axis] for axis in AXIS_RULES["batch"] or ()) if has_mesh() else 1


def out(*logical: str) -> PartitionSpec | None:
    """The `out_sharding=` of an ambiguous op; None without a mesh."""
    checked = spec(*logical)
    return checked if has_mesh() else None


def constrain(x: jax.Array, *logical: str) -> jax.Array:
    """Moves x to the layout of these logical axes; returns x itself without a mesh."""
    checked = spec(*logical)
    return jax.sharding.reshard(x, checked) if has_mesh() else x


def layout(
    shape: tuple[int, ...], mesh: Mesh | None, names: tuple[str, ...], what: str
) -> NamedSharding | None:
    """Where an array of this shape belongs on the mesh; None without one.

    Args:
      shape: of the array.
      mesh: where to, or None.
      names: logical axis names; () replicates.
      what: its name, for the error.

    Raises:
      UserError: if a sharded axis does not divide by its mesh axes.
    """
    if mesh is None:
        return None
    entries = spec(*names)
    for size, name, entry in zip(shape, names, entries, strict=bool(names)):
        along = (entry,) if isinstance(entry, str) else entry or ()
        ways = math.prod(mesh.shape[axis] for axis in along)
        if size % ways:
            raise UserError(
                f"sharding: {what} has {name} = {size}, which {ways} devices {along} do not divide"
            )
    return NamedSharding(mesh, entries)


def put(x: Any, mesh: Mesh | None, names: tuple[str, ...], what: str) -> jax.Array:
    """Puts an array where `layout` says; without a mesh, on the default device."""
    where = layout(x.shape, mesh, names, what)
    return jnp.asarray(x) if where is None else jax.device_put(x, where)


def place(tree: Tree, mesh: Mesh, axes: Tree) -> Tree:
    """Puts a tree of arrays on the mesh.

    Args:
      tree: arrays.
      mesh: where to.
      axes: a tree of the same structure, of tuples of logical axis names; () replicates.

    Raises:
      UserError: if a sharded axis does not divide by its mesh axes; names the leaf.
    """

    def laid_out(path, names, x):
        return put(x, mesh, names, jax.tree_util.keystr(path))

    return jax.tree_util.tree_map_with_path(laid_out, axes, tree, is_leaf=is_axes)


def is_axes(node: object) -> bool:
    """Whether a node of a tree is an array's logical axis names."""
    return type(node) is tuple and all(isinstance(name, str) for name in node)


def batch_axes(batch: GrpoBatch | PackedBatch | PackedRows) -> Tree:
    """Logical axes of a batch, read off its names: routes_LBTK has layers, batch, seq, none."""
    letters = {"B": "batch", "T": "seq", "L": "layers", "K": "none"}
    names = (field.rsplit("_", 1)[1] for field in batch._fields)
    return type(batch)._make(tuple(letters[letter] for letter in name) for name in names)


def state_axes(state: TrainState, weights_axes: Weights) -> Tree:
    """Logical axes of a training state; optimizer moments lie where their weights do.

    Args:
      state: the state, of arrays or of shapes.
      weights_axes: `model.forward.logical_axes` of the network.
    """
    like = jax.tree.structure(state.weights.params)

    def is_moment(node: Tree) -> bool:
        return jax.tree.structure(node) == like

    scalars: Tree = {name: () for name in ("updates", "skipped", "skipped_in_a_row")}
    return TrainState(
        weights=weights_axes,
        reference=None if state.reference is None else weights_axes,
        opt_state=jax.tree.map(
            lambda node: weights_axes.params if is_moment(node) else (),
            state.opt_state,
            is_leaf=is_moment,
        ),
        **scalars,
    )


def spread_batch(batch: AnyBatch, mesh: Mesh | None) -> AnyBatch:
    """The batch, laid out on the mesh if there is one."""
    return batch if mesh is None else place(batch, mesh, batch_axes(batch))


def spread_state(state: TrainState, mesh: Mesh | None, weights_axes: Weights) -> TrainState:
    """The training state, laid out on the mesh if there is one."""
    return state if mesh is None else place(state, mesh, state_axes(state, weights_axes))
