"""One jitted update of next-token training: cross-entropy + balance + MTP."""

import dataclasses
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from r1jax.model import forward, moe
from r1jax.model.config import ModelConfig
from r1jax.rl.logprobs import token_logps
from r1jax.sharding import out
from r1jax.train import optimizer
from r1jax.train.optimizer import OptimizerConfig
from r1jax.types import Mean, PackedBatch, TrainState, Tree, Weights


@dataclasses.dataclass(frozen=True)
class NextTokenLossConfig:
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


class _Whole(NamedTuple):
    """What the sums of a batch are divided by, the same in each of its pieces."""

    tokens: Float[Array, ""]
    mtp_tokens: Float[Array, ""]
    pieces: int


def _shift(x_BT: Array, by: int) -> Array:
    return jnp.pad(x_BT[:, by:], ((0, 0), (0, by)))


def _mtp_weights(batch: PackedBatch) -> Float[Array, "B T"]:
    """Position t predicts token t + 2, which is t + 1's target, of the same document."""
    same_BT = batch.segments_BT == _shift(batch.segments_BT, 2)
    return jnp.where(same_BT, _shift(batch.weights_BT, 1), 0)


def _whole(batch: PackedBatch, pieces: int) -> _Whole:
    of = lambda weights_BT: jnp.maximum(weights_BT.sum(), 1.0)
    return _Whole(of(batch.weights_BT), of(_mtp_weights(batch)), pieces)


def _share(
    params: Tree,
    weights: Weights,
    batch: PackedBatch,
    labels_BT: Int[Array, "B T"] | None,
    whole: _Whole,
    *,
    model: ModelConfig,
    config: NextTokenLossConfig,
    sources: tuple[str, ...],
) -> tuple[Float[Array, ""], tuple[dict[str, Mean], Float[Array, "L E"]]]:
    """A piece's share of the whole batch's objective, its metrics and its expert loads."""
    weights = weights._replace(params=params)
    with_mtp = model.mtp and config.mtp > 0
    seen = forward.forward(
        weights, batch.tokens_BT, batch.positions_BT, batch.segments_BT,
        config=model, routes_LBTK=None, with_mtp=with_mtp, keep_cache=False, layers=None,
    )  # fmt: skip
    head_DV, used_V = forward.head(weights, config=model), forward.used_tokens(model)
    logps = partial(
        token_logps, head_DV=head_DV, used_V=used_V, temperature=1.0, chunk=config.logit_chunk
    )
    score = lambda hidden_BTD, ahead: logps(hidden_BTD, targets_BT=_shift(batch.tokens_BT, ahead))
    mean = lambda logp_BT, weights_BT: Mean(-(logp_BT * weights_BT).sum(), weights_BT.sum())

    logp_BT, _ = score(seen.hidden_BTD, 1)
    metrics = {
        "loss": mean(logp_BT, batch.weights_BT),
        "balance_loss": Mean(seen.balance, jnp.float32(1)),
    }
    if labels_BT is not None:
        for label, name in enumerate(sources):
            mine_BT = jnp.where(labels_BT == label, batch.weights_BT, 0.0)
            metrics[f"loss_{name}"] = mean(jax.lax.stop_gradient(logp_BT), mine_BT)
    objective = metrics["loss"].total / whole.tokens + config.balance * seen.balance / whole.pieces
    if with_mtp:
        assert seen.mtp_hidden_BTD is not None
        metrics["mtp_loss"] = mean(score(seen.mtp_hidden_BTD, 2)[0], _mtp_weights(batch))
        objective = objective + config.mtp * (metrics["mtp_loss"].total / whole.mtp_tokens)
    return objective, (metrics, seen.load_LE)


def loss(
    params: Tree,
    weights: Weights,
    batch: PackedBatch,
    labels_BT: Int[Array, "B T"] | None,
    *,
    model: ModelConfig,
    config: NextTokenLossConfig,
    sources: tuple[str, ...],
) -> tuple[Float[Array, ""], tuple[dict[str, Mean], Float[Array, "L E"]]]:
    """Mean next-token cross-entropy in nats, plus the weighted balance and MTP losses.

    Args:
      params: what is differentiated, in place of `weights.params`.
      weights: everything else of the network.
      batch: rows with the weight of each target; the loss is one weighted mean over all of them.
      labels_BT: number of the source of the target at t + 1, or None.
      model: the network.
      config: weights of the parts.
      sources: names of the labels; the metrics tell each one's loss as "loss_NAME".

    Returns:
      The objective, and (metrics, expert loads).
    """
    return _share(
        params, weights, batch, labels_BT, _whole(batch, 1), model=model, config=config,
        sources=sources,
    )  # fmt: skip


def _dealt(x_BT: Array, pieces: int) -> Array:
    """Adds a leading axis of pieces: row b goes to piece b % pieces, as in `grpo_step.split`."""
    rows, length = x_BT.shape
    layout = out("batch", "none", "seq")
    shaped = jnp.reshape(x_BT, (rows // pieces, pieces, length), out_sharding=layout)
    return jnp.moveaxis(shaped, 1, 0)


def next_token_step(
    state: TrainState,
    batch: PackedBatch,
    labels_BT: Int[Array, "B T"] | None,
    *,
    model: ModelConfig,
    opt: OptimizerConfig,
    config: NextTokenLossConfig,
    sources: tuple[str, ...],
    micro_batches: int,
) -> tuple[TrainState, dict[str, Mean]]:
    """One update on one batch, followed by the bias rule of every router.

    The rows are taken in `micro_batches` pieces whose gradients are summed; the sums are divided by
    the weight of the whole batch, so the pieces add up to it. Other arguments are as of `loss`.

    Raises:
      ValueError: if the rows do not split into the micro-batches.
    """
    if batch.tokens_BT.shape[0] % micro_batches:
        raise ValueError(
            f"{batch.tokens_BT.shape[0]} rows do not split into {micro_batches} micro_batches"
        )
    share = partial(_share, model=model, config=config, sources=sources)
    params, weights, whole = state.weights.params, state.weights, _whole(batch, micro_batches)
    grad = jax.grad(lambda p, rows, labels: share(p, weights, rows, labels, whole), has_aux=True)
    if micro_batches == 1:
        grads, (metrics, load_LE) = grad(params, batch, labels_BT)
    else:

        def accumulate(total, piece):
            grads, aux = grad(params, *piece)
            return jax.tree.map(jnp.add, total, grads), aux

        pieces = jax.tree.map(lambda x: _dealt(x, micro_batches), (batch, labels_BT))
        zeros = jax.tree.map(jnp.zeros_like, params)
        grads, (stacked, loads) = jax.lax.scan(accumulate, zeros, pieces)
        metrics = {k: Mean(m.total.sum(), m.weight.sum()) for k, m in stacked.items()}
        load_LE = loads.sum(0)
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
