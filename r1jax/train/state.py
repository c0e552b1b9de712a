"""The state before the first update."""

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from r1jax import sharding
from r1jax.train import optimizer
from r1jax.train.optimizer import OptimizerConfig
from r1jax.types import TrainState, Weights


def initial_state(
    weights: Weights, *, opt: OptimizerConfig, reference: bool, mesh: Mesh | None, axes: Weights
) -> TrainState:
    """The weights with an optimizer that has seen no gradient.

    Args:
      weights: to be trained.
      opt: the optimizer's config.
      reference: whether to keep a copy of them, for a KL term.
      mesh: where the state is spread, if any.
      axes: logical axes of every weight.
    """
    kept = jax.tree.map(jnp.copy, weights) if reference else None
    opt_state = optimizer.make(opt).init(weights.params)
    state = TrainState(weights, kept, opt_state, *(jnp.zeros((), jnp.int32) for _ in range(3)))
    return sharding.spread_state(state, mesh, axes)
