"""One jitted GRPO update, and the log-probabilities it compares with."""

import dataclasses
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from r1jax.model import forward, moe
from r1jax.model.config import ModelConfig
from r1jax.rl.grpo import grpo_loss
from r1jax.rl.logprobs import token_logps
from r1jax.sharding import batch_axes, out
from r1jax.train import optimizer
from r1jax.train.optimizer import OptimizerConfig
from r1jax.types import ForwardOut, GrpoBatch, Mean, TrainState, Tree, Weights


@dataclasses.dataclass(frozen=True)
class GrpoConfig:
    """The objective, and how a rollout becomes updates (arXiv:2402.03300 and 2501.12948).

    Attributes:
      group_size: G, samples per prompt.
      prompts_per_rollout: questions sampled for at a time.
      minibatches: optimizer updates a rollout is split into, whole groups each.
      epochs: passes over a rollout.
      micro_batches: pieces of a minibatch whose gradients are summed inside the step.
      ratio, clip_low, clip_high, kl_coef: as of `rl.grpo.grpo_loss`.
      reduction, constant: as of `rl.grpo.token_weights`.
      advantage_ddof, advantage_eps, divide_by_std: as of `rl.advantages.group_advantages`.
      mask_truncated: leave samples out of the loss that hit the length cap (DAPO's overlong
        filtering).
      reference_every: updates between hard replacements of the reference by the policy; 0 never.
      old_logps: "sampler" takes the log-probabilities it recorded, "trainer" computes them again; a
        rollout used for a single update needs neither.
      replay_routes: send each token to the experts that the sampler sent it to.
      balance: weight of the sequence-wise balance loss during RL.
      bias_rate: step of the router-bias rule during RL; 0 freezes the biases.
      logit_chunk: positions whose logits live at a time.
    """

    group_size: int
    prompts_per_rollout: int
    minibatches: int
    epochs: int
    micro_batches: int
    ratio: Literal["token", "sequence", "sequence_geomean"]
    clip_low: float
    clip_high: float
    kl_coef: float
    reduction: Literal["seq_mean_token_mean", "token_mean", "seq_sum_const"]
    constant: int
    advantage_ddof: int
    advantage_eps: float
    divide_by_std: bool
    mask_truncated: bool
    reference_every: int
    old_logps: Literal["sampler", "trainer"]
    replay_routes: bool
    balance: float
    bias_rate: float
    logit_chunk: int

    def __post_init__(self):
        if self.group_size < 2:
            raise ValueError(
                f"group_size {self.group_size}: a group of one says nothing, need at least 2"
            )
        if self.prompts_per_rollout % self.minibatches:
            raise ValueError(
                f"prompts_per_rollout {self.prompts_per_rollout} do not split into "
                f"{self.minibatches} minibatches"
            )
        rows = self.prompts_per_rollout // self.minibatches * self.group_size
        if rows % self.micro_batches:
            raise ValueError(
                f"{rows} sequences per update do not split into {self.micro_batches} micro_batches"
            )

    @property
    def updates_per_rollout(self) -> int:
        return self.minibatches * self.epochs

    @property
    def rows_per_update(self) -> int:
        return self.prompts_per_rollout // self.minibatches * self.group_size


def _shifted(tokens_BT: jax.Array) -> jax.Array:
    return jnp.pad(tokens_BT[:, 1:], ((0, 0), (0, 1)))


def _score(
    weights: Weights,
    batch: GrpoBatch,
    *,
    model: ModelConfig,
    temperature: float,
    chunk: int,
    replay: bool,
) -> tuple[Float[Array, "B T"], Float[Array, "B T"], ForwardOut]:
    positions_BT = jnp.broadcast_to(jnp.arange(batch.tokens_BT.shape[1]), batch.tokens_BT.shape)
    seen = forward.forward(
        weights, batch.tokens_BT, positions_BT, batch.segments_BT,
        config=model, routes_LBTK=batch.routes_LBTK if replay and model.moe else None,
        with_mtp=False, keep_cache=False, layers=None,
    )  # fmt: skip
    logp_BT, entropy_BT = token_logps(
        seen.hidden_BTD, forward.head(weights, config=model), _shifted(batch.tokens_BT),
        forward.used_tokens(model), temperature=temperature, chunk=chunk,
    )  # fmt: skip
    return logp_BT, entropy_BT, seen


def sequence_logps(
    weights: Weights,
    batch: GrpoBatch,
    *,
    model: ModelConfig,
    temperature: float,
    chunk: int,
    replay: bool,
    micro_batches: int,
) -> Float[Array, "B T"]:
    """Log-probability of tokens_BT[:, t + 1] at every t, micro-batch by micro-batch."""
    score = lambda b: _score(
        weights, b, model=model, temperature=temperature, chunk=chunk, replay=replay
    )[0]
    if micro_batches == 1:
        return score(batch)
    logp = jax.lax.map(score, split(batch, micro_batches))
    layout = out("batch", "seq")
    return jnp.reshape(logp.swapaxes(0, 1), batch.tokens_BT.shape, out_sharding=layout)


def split(batch: GrpoBatch, pieces: int) -> GrpoBatch:
    """Adds a leading axis of micro-batches to every field: row b goes to piece b % pieces.

    With rows dealt out like cards, every device's rows are spread over all pieces and none move.
    """

    def cut(x: Array, axes: tuple[str, ...]) -> Array:
        at = axes.index("batch")
        shape = (*x.shape[:at], x.shape[at] // pieces, pieces, *x.shape[at + 1 :])
        layout = out(*axes[:at], "batch", "none", *axes[at + 1 :])
        return jnp.moveaxis(jnp.reshape(x, shape, out_sharding=layout), at + 1, 0)

    return GrpoBatch._make(map(cut, batch, batch_axes(batch)))


def loss(
    params: Tree,
    weights: Weights,
    batch: GrpoBatch,
    *,
    model: ModelConfig,
    config: GrpoConfig,
    temperature: float,
    on_policy: bool,
) -> tuple[Float[Array, ""], tuple[dict[str, Mean], Float[Array, "L E"]]]:
    """The GRPO loss of a micro-batch (its share of the minibatch's), metrics and expert loads."""
    weights = weights._replace(params=params)
    logp_BT, entropy_BT, seen = _score(
        weights,
        batch,
        model=model,
        temperature=temperature,
        chunk=config.logit_chunk,
        replay=config.replay_routes,
    )
    mask_BT = batch.weights_BT > 0
    old_BT = jax.lax.stop_gradient(logp_BT) if on_policy else batch.old_logp_BT
    total, metrics = grpo_loss(
        logp_BT, old_BT, batch.ref_logp_BT, batch.advantages_B, batch.weights_BT,
        clip_low=config.clip_low, clip_high=config.clip_high, kl_coef=config.kl_coef,
        ratio=config.ratio,
    )  # fmt: skip
    gap_BT = jnp.where(mask_BT, jnp.abs(jax.lax.stop_gradient(logp_BT) - batch.old_logp_BT), 0.0)
    tokens = mask_BT.sum().astype(jnp.float32)
    metrics |= {
        "loss": Mean(jax.lax.stop_gradient(total), jnp.float32(1)),
        "trainer_entropy": Mean(jnp.where(mask_BT, entropy_BT, 0.0).sum(), tokens),
        "logp_gap_mean": Mean(gap_BT.sum(), tokens),
        "logp_gap_max": Mean(gap_BT.max(), jnp.float32(1)),
    }
    if config.balance and model.moe:
        total = total + config.balance * seen.balance / config.micro_batches
    return total, (metrics, seen.load_LE)


def _merge(metrics: dict[str, Mean]) -> dict[str, Mean]:
    """Adds up metrics of micro-batches (leading axis); the loss is a sum, a maximum stays one."""
    merged = {k: Mean(m.total.sum(), m.weight.sum()) for k, m in metrics.items()}
    merged["loss"] = Mean(metrics["loss"].total.sum(), jnp.float32(1))
    merged["logp_gap_max"] = Mean(metrics["logp_gap_max"].total.max(), jnp.float32(1))
    return merged


def grpo_step(
    state: TrainState,
    batch: GrpoBatch,
    *,
    model: ModelConfig,
    opt: OptimizerConfig,
    config: GrpoConfig,
    temperature: float,
    on_policy: bool,
) -> tuple[TrainState, dict[str, Mean]]:
    """One optimizer update on one minibatch; gradients of its micro-batches are summed.

    `on_policy` says that the weights are still those which sampled: the old log-probabilities are
    then the new ones with a stopped gradient, and batch.old_logp_BT serves only to measure the
    sampler-trainer gap.
    """
    grad = jax.grad(
        partial(loss, model=model, config=config, temperature=temperature, on_policy=on_policy),
        has_aux=True,
    )
    params, weights = state.weights.params, state.weights
    if config.micro_batches == 1:
        grads, (metrics, load_LE) = grad(params, weights, batch)
    else:

        def accumulate(total, piece):
            grads, aux = grad(params, weights, piece)
            return jax.tree.map(jnp.add, total, grads), aux

        zeros = jax.tree.map(jnp.zeros_like, params)
        grads, (stacked, loads) = jax.lax.scan(
            accumulate, zeros, split(batch, config.micro_batches)
        )
        metrics, load_LE = _merge(stacked), loads.sum(0)
    state, applied, more = optimizer.apply(state, grads, config=opt)
    metrics |= more
    if load_LE.shape[0]:
        metrics["load_max_violation"] = Mean(moe.max_violation(load_LE), jnp.float32(1))
        if config.bias_rate:
            bias_LE, n = state.weights.router_bias_LE, load_LE.shape[0]
            moved = moe.update_bias(bias_LE[:n], load_LE, rate=config.bias_rate)
            bias_LE = bias_LE.at[:n].add(applied * (moved - bias_LE[:n]))
            state = state._replace(weights=state.weights._replace(router_bias_LE=bias_LE))
    return state, metrics
