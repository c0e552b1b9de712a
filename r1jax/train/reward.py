"""The reward model: the policy's network with a scalar head, and one jitted update of it."""

from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from r1jax import sharding
from r1jax.model import forward
from r1jax.model.config import ModelConfig
from r1jax.rl import preference
from r1jax.sharding import out
from r1jax.train.accumulate import Measured, update
from r1jax.train.optimizer import OptimizerConfig
from r1jax.train.passes import forward_rows
from r1jax.types import Mean, Metric, TrainState, Tree, Weights


class RewardBatch(NamedTuple):
    """P questions with G replies each: of pairs the chosen and the rejected one, else one.

    Attributes:
      tokens_PGT: prompt, reply and EOS from position 0, then padding.
      lengths_PG: real tokens of each.
      label_P: 1 for safe, 0 for unsafe; pairs do not read it.
    """

    tokens_PGT: Int[Array, "P G T"]
    lengths_PG: Int[Array, "P G"]
    label_P: Float[Array, " P"]


AXES: Tree = RewardBatch._make((("batch", "none", "seq"), ("batch", "none"), ("batch",)))


def spread_batch(batch: RewardBatch, mesh: Mesh | None) -> RewardBatch:
    """The batch, laid out on the mesh if there is one."""
    return jax.tree.map(jnp.asarray, batch) if mesh is None else sharding.place(batch, mesh, AXES)


def with_head(weights: Weights) -> Weights:
    """The network with a scalar head of zeros beside it: every text scores 0 at first."""
    head_D = jnp.zeros_like(weights.params["final_norm"], dtype=jnp.float32)
    return weights._replace(params={"network": weights.params, "head_D": head_D})


def logical_axes(model: ModelConfig) -> Weights:
    """The logical axis names of `with_head`'s weights."""
    axes = forward.logical_axes(model)
    return axes._replace(params={"network": axes.params, "head_D": ("act_embed",)})


def score(
    weights: Weights,
    tokens_BT: Int[Array, "B T"],
    lengths_B: Int[Array, " B"],
    *,
    model: ModelConfig,
) -> Float[Array, " B"]:
    """The reward of each text: h . head at its last token, h after the final norm, in float32.

    Args:
      weights: of `with_head`.
      tokens_BT: texts from position 0; whatever stands behind them changes nothing.
      lengths_B: real tokens of each, at least 1.
      model: the network.
    """
    at_BT = jnp.broadcast_to(jnp.arange(tokens_BT.shape[1])[None], tokens_BT.shape)
    lengths_B1 = lengths_B[:, None]
    hidden_BTD = forward_rows(
        weights._replace(params=weights.params["network"]),
        tokens_BT,
        at_BT,
        (at_BT < lengths_B1).astype(jnp.int32),
        model=model,
        routes_LBTK=None,
        with_mtp=False,
    ).hidden_BTD
    is_last_BT1 = (at_BT == lengths_B1 - 1)[:, :, None]
    last_BD = jnp.where(is_last_BT1, hidden_BTD.astype(jnp.float32), 0.0).sum(1)
    return jnp.einsum("bd,d->b", last_BD, weights.params["head_D"], out_sharding=out("batch"))


def loss(
    params: Tree,
    weights: Weights,
    batch: RewardBatch,
    *,
    model: ModelConfig,
    kind: Literal["pairs", "labels"],
    margin: float,
    centre: float,
) -> tuple[Float[Array, ""], dict[str, Metric]]:
    """The mean loss of a batch, all its replies in one forward pass, and metrics."""
    p, g, t = batch.tokens_PGT.shape
    tokens_BT = jnp.reshape(batch.tokens_PGT, (p * g, t), out_sharding=out("batch", "seq"))
    lengths_B = jnp.reshape(batch.lengths_PG, (p * g,), out_sharding=out("batch"))
    score_B = score(weights._replace(params=params), tokens_BT, lengths_B, model=model)
    score_PG = jnp.reshape(score_B, (p, g), out_sharding=out("batch", "none"))
    if kind == "pairs":
        total = preference.bradley_terry(
            score_PG[:, 0], score_PG[:, 1], margin=margin, centre=centre
        )
        ahead_P = score_PG[:, 0] - score_PG[:, 1]
    else:
        total = preference.pointwise(score_PG[:, 0], batch.label_P)
        ahead_P = score_PG[:, 0] * (2 * batch.label_P - 1)
    n = jnp.float32(p)
    metrics: dict[str, Metric] = {
        "loss": Mean(total * n, n),
        "accuracy": Mean(((jnp.sign(ahead_P) + 1) / 2).sum(), n),  # a tie is half right
        "ahead": Mean(ahead_P.sum(), n),
        "score": Mean(score_B.sum() / g, n),
    }
    return total, jax.lax.stop_gradient(metrics)


def reward_step(
    state: TrainState,
    batch: RewardBatch,
    *,
    model: ModelConfig,
    opt: OptimizerConfig,
    kind: Literal["pairs", "labels"],
    margin: float,
    centre: float,
    micro_batches: int,
) -> tuple[TrainState, dict[str, Mean]]:
    """One optimizer update on one batch, of network and head; router biases stay as they are.

    The gradients of `micro_batches` pieces are averaged, which is the gradient of the whole.
    """
    mean = partial(loss, model=model, kind=kind, margin=margin, centre=centre)

    def grad(params: Tree, weights: Weights, piece: RewardBatch) -> tuple[Tree, Measured]:
        grads, metrics = jax.grad(mean, has_aux=True)(params, weights, piece)
        return jax.tree.map(lambda g: g / micro_batches, grads), (metrics, None)

    return update(state, grad, batch, AXES, pieces=micro_batches, opt=opt, bias_rate=0.0)
