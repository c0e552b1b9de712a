"""One jitted update of next-token training: cross-entropy + balance + MTP."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp

from r1jax.config import ModelConfig, OptimizerConfig
from r1jax.model import forward, moe
from r1jax.rl.logprobs import token_logps
from r1jax.train import optimizer
from r1jax.types import Mean, PackedBatch, TrainState, Tree, Weights


@dataclasses.dataclass(frozen=True)
class PretrainLossConfig:
    """Weights of the parts of the loss (DeepSeek-V3, arXiv:2412.19437).

    Attributes:
      balance: alpha of the sequence-wise balance loss.
      mtp: lambda of the multi-token-prediction loss; 0 leaves the module untrained.
      bias_rate: gamma of the selection-bias update after each optimizer step.
      logit_chunk: positions whose logits live at a time.
    """

    balance: float
    mtp: float
    bias_rate: float
    logit_chunk: int


def loss(
    params: Tree,
    weights: Weights,
    batch: PackedBatch,
    *,
    model: ModelConfig,
    config: PretrainLossConfig,
) -> tuple[jax.Array, tuple[dict[str, Mean], jax.Array]]:
    """Mean next-token cross-entropy in nats, plus the weighted balance and MTP losses."""
    weights = weights._replace(params=params)
    with_mtp = model.mtp and config.mtp > 0
    seen = forward.forward(
        weights, batch.tokens_BT, batch.positions_BT, batch.segments_BT,
        config=model, routes_LBTK=None, with_mtp=with_mtp, keep_cache=False, layers=None,
    )  # fmt: skip
    shift = lambda x, n: jnp.pad(x[:, n:], ((0, 0), (0, n)))
    head_DV, used_V = forward.head(weights, config=model), forward.used_tokens(model)
    logps = partial(
        token_logps, head_DV=head_DV, used_V=used_V, temperature=1.0, chunk=config.logit_chunk
    )

    def cross_entropy(hidden_BTD, weights_BT, ahead) -> Mean:
        logp_BT, _ = logps(hidden_BTD, targets_BT=shift(batch.tokens_BT, ahead))
        return Mean(-(logp_BT * weights_BT).sum(), jnp.maximum(weights_BT.sum(), 1.0))

    mean = lambda m: m.total / m.weight
    metrics = {
        "loss": cross_entropy(seen.hidden_BTD, batch.weights_BT, 1),
        "balance_loss": Mean(seen.balance, jnp.float32(1)),
    }
    objective = mean(metrics["loss"]) + config.balance * seen.balance
    if with_mtp:
        assert seen.mtp_hidden_BTD is not None
        # position t predicts token t + 2, which is t + 1's target, of the same document
        same_BT = batch.segments_BT == shift(batch.segments_BT, 2)
        weights_BT = jnp.where(same_BT, shift(batch.weights_BT, 1), 0)
        metrics["mtp_loss"] = cross_entropy(seen.mtp_hidden_BTD, weights_BT, 2)
        objective = objective + config.mtp * mean(metrics["mtp_loss"])
    return objective, (metrics, seen.load_LE)


def pretrain_step(
    state: TrainState,
    batch: PackedBatch,
    *,
    model: ModelConfig,
    opt: OptimizerConfig,
    config: PretrainLossConfig,
) -> tuple[TrainState, dict[str, Mean]]:
    """One update on one batch, followed by the bias rule of every router."""
    grads, (metrics, load_LE) = jax.grad(loss, has_aux=True)(
        state.weights.params, state.weights, batch, model=model, config=config
    )
    state, applied, more = optimizer.apply(state, grads, config=opt)
    metrics |= more
    if load_LE.shape[0]:
        metrics["load_max_violation"] = Mean(moe.max_violation(load_LE), jnp.float32(1))
        bias_LE = state.weights.router_bias_LE
        moved = moe.update_bias(bias_LE[: load_LE.shape[0]], load_LE, rate=config.bias_rate)
        bias_LE = bias_LE.at[: load_LE.shape[0]].add(
            applied * (moved - bias_LE[: load_LE.shape[0]])
        )
        state = state._replace(weights=state.weights._replace(router_bias_LE=bias_LE))
    return state, metrics
