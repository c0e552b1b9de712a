"""AdamW with warm-up and schedule, and an update that refuses non-finite gradients."""

import dataclasses
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from r1jax.config import Count, Decay, NonNegative, Positive, Share, Size
from r1jax.types import Mean, TrainState, Tree


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with warm-up and a schedule.

    Attributes:
      lr: peak learning rate.
      schedule: after warm-up: "constant", or "cosine" down to lr * final_lr_ratio at total_updates.
      warmup_updates: updates of linear warm-up, from lr / warmup_updates; 0 for none.
      total_updates: update at which the cosine ends; "constant" does not read it.
      final_lr_ratio: the cosine's end as a share of lr, 0 to 1.
      b1: decay of the mean of the gradients, 0 to below 1.
      b2: decay of the mean of the squared gradients, 0 to below 1.
      eps: added to the root of that mean.
      weight_decay: share of a weight that is taken off per update, times the learning rate; norms
        and biases are spared.
      clip_norm: global gradient norm above which gradients are scaled down.
      max_skipped_in_a_row: updates with non-finite gradients are skipped; after so many in a row
        the run stops.
    """

    lr: NonNegative
    schedule: Literal["constant", "cosine"]
    warmup_updates: Size
    total_updates: Size
    final_lr_ratio: Share
    b1: Decay
    b2: Decay
    eps: Positive
    weight_decay: NonNegative
    clip_norm: Positive
    max_skipped_in_a_row: Count


def schedule(config: OptimizerConfig) -> optax.Schedule:
    """Learning rate by update: linear warm-up, then constant or cosine."""
    if config.schedule == "constant":
        after = optax.constant_schedule(config.lr)
    else:
        steps = max(config.total_updates - config.warmup_updates, 1)
        after = optax.cosine_decay_schedule(config.lr, steps, config.final_lr_ratio)
    if not config.warmup_updates:
        return after
    # the first update already moves: warm-up starts at lr / warmup_updates, not at 0
    start = config.lr / config.warmup_updates
    warm = optax.linear_schedule(start, config.lr, config.warmup_updates)
    return optax.join_schedules([warm, after], [config.warmup_updates])


def make(config: OptimizerConfig) -> optax.GradientTransformation:
    """Clip by global norm, then AdamW; weight decay spares vectors (norms, biases)."""

    def decays(path: tuple[Any, ...], leaf: object) -> bool:
        name = jax.tree_util.keystr(path)
        return "norm" not in name and "bias" not in name

    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(
            schedule(config),
            b1=config.b1,
            b2=config.b2,
            eps=config.eps,
            weight_decay=config.weight_decay,
            mask=partial(jax.tree_util.tree_map_with_path, decays),
        ),
    )


def apply(
    state: TrainState, grads: Tree, *, config: OptimizerConfig
) -> tuple[TrainState, Float[Array, ""], dict[str, Mean]]:
    """One optimizer update of `state.weights.params`, or none where a gradient is not finite.

    Returns:
      The new state, 1.0 if the update was applied (else 0.0), and metrics (grad_norm, lr, skipped).
    """
    norm = optax.global_norm(grads)
    finite = jnp.isfinite(norm)
    safe = jax.tree.map(lambda g: jnp.where(finite, g, jnp.zeros_like(g)), grads)
    updates, opt_state = make(config).update(safe, state.opt_state, state.weights.params)
    params = optax.apply_updates(state.weights.params, updates)
    kept = partial(jax.tree.map, partial(jnp.where, finite))  # the new tree, or else the old
    one = finite.astype(jnp.int32)
    after = state._replace(
        weights=state.weights._replace(params=kept(params, state.weights.params)),
        opt_state=kept(opt_state, state.opt_state),
        updates=state.updates + one,
        skipped=state.skipped + 1 - one,
        skipped_in_a_row=(state.skipped_in_a_row + 1) * (1 - one),
    )
    metrics = {
        "grad_norm": Mean(jnp.where(finite, norm, 0.0), finite.astype(jnp.float32)),
        "lr": Mean(jnp.asarray(schedule(config)(state.updates), jnp.float32), jnp.float32(1)),
        "skipped": Mean((1 - one).astype(jnp.float32), jnp.float32(1)),
    }
    return after, finite.astype(jnp.float32), metrics
