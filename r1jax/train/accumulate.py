"""The skeleton of every training step: gradients of micro-batches, one update, the bias rule.

A step brings only `grad`: from the parameters, the weights they belong to and a piece of the batch
to the gradients of that piece's share of the objective, with what it measured on the way.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from r1jax.model import moe
from r1jax.sharding import is_axes, out
from r1jax.train import optimizer
from r1jax.train.optimizer import OptimizerConfig
from r1jax.types import Mean, Metric, TrainState, Tree, Weights

# Metrics, and the load of every expert; None of an objective that watches no router.
Measured = tuple[dict[str, Metric], Float[Array, "L E"] | None]
Grad = Callable[[Tree, Weights, Tree], tuple[Tree, Measured]]


def split(batch: Tree, axes: Tree, *, pieces: int) -> Tree:
    """Adds a leading axis of micro-batches to every array: row b goes to piece b % pieces.

    With rows dealt out like cards, every device's rows are spread over all pieces and none move.

    Args:
      batch: arrays that have one axis of rows each.
      axes: the same tree, of tuples of logical axis names; the axis of rows is called "batch".
      pieces: number of micro-batches.

    Raises:
      ValueError: if the rows do not split into the micro-batches.
    """

    def deal(names: tuple[str, ...], x: Array) -> Array:
        at = names.index("batch")
        rows = x.shape[at]
        if rows % pieces:
            raise ValueError(f"{rows} rows do not split into {pieces} micro_batches")
        shape = (*x.shape[:at], rows // pieces, pieces, *x.shape[at + 1 :])
        layout = out(*names[:at], "batch", "none", *names[at + 1 :])
        return jnp.moveaxis(jnp.reshape(x, shape, out_sharding=layout), at + 1, 0)

    return jax.tree.map(deal, axes, batch, is_leaf=is_axes)


def accumulate(
    grad: Grad,
    weights: Weights,
    batch: Tree,
    axes: Tree,
    *,
    pieces: int,
    used: Int[Array, ""] | None,
) -> tuple[Tree, dict[str, Mean], Float[Array, "L E"] | None]:
    """Sums of gradients and expert loads over the micro-batches of a batch, and merged metrics.

    Args:
      grad: gradients of a piece's share of the objective, so that all shares add up to it.
      weights: of the network; `params` is differentiated.
      batch, axes, pieces: the batch, and how `split` cuts it; one piece is the batch as it is.
      used: how many of the pieces are run, the first ones, where the others hold nothing; None for
        all. It is no constant of the program, so it costs no compilation.

    Returns:
      Gradients, metrics, and loads where `grad` gives any.
    """
    if pieces == 1:
        grads, (metrics, load_LE) = grad(weights.params, weights, batch)
    else:
        dealt = split(batch, axes, pieces=pieces)

        def one(i: Array | int) -> tuple[Tree, Measured]:
            return grad(weights.params, weights, jax.tree.map(lambda x: x[i], dealt))

        def add(i: Array, total: tuple[Tree, Measured]) -> tuple[Tree, Measured]:
            grads, (metrics, load_LE) = one(i)
            summed, (merged, loads_LE) = total
            summed = jax.tree.map(jnp.add, summed, grads)
            merged = {n: m.plus(metrics[n]) for n, m in merged.items()}  # type: ignore[arg-type]  # of one kind
            return summed, (merged, jax.tree.map(jnp.add, loads_LE, load_LE))

        def zeros(like: Tree) -> Tree:
            return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like)

        _, measured = jax.eval_shape(lambda: one(0))
        start = (jax.tree.map(jnp.zeros_like, weights.params), zeros(measured))
        count = pieces if used is None else used
        grads, (metrics, load_LE) = jax.lax.fori_loop(0, count, add, start)
    return grads, {name: metric.merged() for name, metric in metrics.items()}, load_LE


def _balanced(
    weights: Weights, load_LE: Float[Array, "L E"], applied: Float[Array, ""], *, rate: float
) -> Weights:
    """Moves the biases of the routers that ran by the sign rule; a skipped update moves none."""
    ran, bias_LE = load_LE.shape[0], weights.router_bias_LE
    moved_LE = moe.update_bias(bias_LE[:ran], load_LE, rate=rate)
    bias_LE = bias_LE.at[:ran].add(applied * (moved_LE - bias_LE[:ran]))
    return weights._replace(router_bias_LE=bias_LE)


def update(
    state: TrainState,
    grad: Grad,
    batch: Tree,
    axes: Tree,
    *,
    pieces: int,
    opt: OptimizerConfig,
    bias_rate: float,
    used: Int[Array, ""] | None = None,
) -> tuple[TrainState, dict[str, Mean]]:
    """One optimizer update on one batch, then the bias rule of every router that ran.

    Args:
      state: what is trained.
      grad, batch, axes, pieces: the gradients, and the micro-batches that they are summed over.
      used: of these, how many are run (`accumulate`).
      opt: the optimizer.
      bias_rate: step of the bias rule; 0 leaves the biases as they are.

    Returns:
      The new state, and metrics: those of `grad`, the optimizer's (grad_norm, lr, skipped) and,
      with experts, load_max_violation: the worst layer's maximal over mean load, minus 1.

    Raises:
      ValueError: if the rows do not split into the micro-batches.
    """
    grads, metrics, load_LE = accumulate(grad, state.weights, batch, axes, pieces=pieces, used=used)
    state, applied, more = optimizer.apply(state, grads, config=opt)
    metrics |= more
    if load_LE is not None and load_LE.shape[0]:
        metrics["load_max_violation"] = Mean(moe.max_violation(load_LE), jnp.float32(1))
        if bias_rate:
            weights = _balanced(state.weights, load_LE, applied, rate=bias_rate)
            state = state._replace(weights=weights)
    return state, metrics
