"""One jitted update of next-token training: cross-entropy + balance + MTP."""

import dataclasses
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from r1jax.config import Count, NonNegative
from r1jax.model import forward
from r1jax.model.config import ModelConfig
from r1jax.rl.logprobs import token_logps
from r1jax.sharding import batch_axes
from r1jax.train.accumulate import Measured, update
from r1jax.train.optimizer import OptimizerConfig
from r1jax.train.passes import ahead, documents, forward_rows
from r1jax.types import Mean, Metric, PackedBatch, TrainState, Tree, Weights


@dataclasses.dataclass(frozen=True)
class NextTokenLossConfig:
    """Weights of the parts of the loss (DeepSeek-V3, arXiv:2412.19437).

    Attributes:
      balance: alpha of the sequence-wise balance loss.
      mtp: lambda of the multi-token-prediction loss; 0 leaves the module untrained.
      bias_rate: gamma of the selection-bias update after each optimizer step; 0 freezes the biases.
      logit_chunk: positions whose logits live at a time.
    """

    balance: NonNegative
    mtp: NonNegative
    bias_rate: NonNegative
    logit_chunk: Count


class _Whole(NamedTuple):
    """What the sums of a batch are divided by, the same in each of its pieces."""

    tokens: Float[Array, ""]
    mtp_tokens: Float[Array, ""]
    documents: Float[Array, ""]


def _mtp_weights(batch: PackedBatch) -> Float[Array, "B T"]:
    """Position t predicts token t + 2, which is t + 1's target, of the same document."""
    same_BT = batch.segments_BT == ahead(batch.segments_BT, 2)
    return jnp.where(same_BT, ahead(batch.weights_BT, 1), 0)


def _whole(batch: PackedBatch) -> _Whole:
    tokens, mtp_tokens = batch.weights_BT.sum(), _mtp_weights(batch).sum()
    return _Whole(jnp.maximum(tokens, 1.0), jnp.maximum(mtp_tokens, 1.0), _documents(batch))


def _documents(batch: PackedBatch) -> Float[Array, ""]:
    return documents(batch.segments_BT, batch.positions_BT)


def _mean(logp_BT: Float[Array, "B T"], weights_BT: Float[Array, "B T"]) -> Mean:
    """The cross-entropy as a weighted mean over positions."""
    return Mean(-(logp_BT * weights_BT).sum(), weights_BT.sum())


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
) -> tuple[Float[Array, ""], Measured]:
    """A piece's share of the whole batch's objective, its metrics and its expert loads."""
    weights = weights._replace(params=params)
    with_mtp = model.mtp and config.mtp > 0
    rows = forward_rows(
        weights,
        batch.tokens_BT,
        batch.positions_BT,
        batch.segments_BT,
        model=model,
        routes_LBTK=None,
        with_mtp=with_mtp,
    )
    logps = partial(
        token_logps,
        head_DV=forward.head(weights, config=model),
        used_V=forward.used_tokens(model),
        temperature=1.0,
        chunk=config.logit_chunk,
    )
    logp_BT, _ = logps(rows.hidden_BTD, targets_BT=ahead(batch.tokens_BT, 1))
    nats = _mean(logp_BT, batch.weights_BT)
    metrics: dict[str, Metric] = {
        "loss": nats,
        "balance_loss": Mean(rows.balance, _documents(batch)),
    }
    if labels_BT is not None:
        for label, name in enumerate(sources):
            own_BT = jnp.where(labels_BT == label, batch.weights_BT, 0.0)
            metrics[f"loss_{name}"] = _mean(jax.lax.stop_gradient(logp_BT), own_BT)
    objective = nats.total / whole.tokens + config.balance * rows.balance / whole.documents
    if with_mtp:
        assert rows.mtp_hidden_BTD is not None
        mtp_logp_BT, _ = logps(rows.mtp_hidden_BTD, targets_BT=ahead(batch.tokens_BT, 2))
        mtp = metrics["mtp_loss"] = _mean(mtp_logp_BT, _mtp_weights(batch))
        objective = objective + config.mtp * (mtp.total / whole.mtp_tokens)
    return objective, (metrics, rows.load_LE)


def loss(
    params: Tree,
    weights: Weights,
    batch: PackedBatch,
    labels_BT: Int[Array, "B T"] | None,
    *,
    model: ModelConfig,
    config: NextTokenLossConfig,
    sources: tuple[str, ...],
) -> tuple[Float[Array, ""], Measured]:
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
        params,
        weights,
        batch,
        labels_BT,
        _whole(batch),
        model=model,
        config=config,
        sources=sources,
    )


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
    the weight of the whole batch, so the pieces add up to it.

    Args:
      state: what is trained.
      batch: rows with the weight of each target; the loss is one weighted mean over all of them.
      labels_BT: number of the source of the target at t + 1, or None.
      model: the network.
      opt: the optimizer.
      config: weights of the parts of the loss, and the rate of the bias rule.
      sources: names of the labels; the metrics tell each one's loss as "loss_NAME".
      micro_batches: number of pieces.

    Raises:
      ValueError: if the rows do not split into the micro-batches.
    """
    share = partial(_share, model=model, config=config, sources=sources)
    whole = _whole(batch)

    def grad(params: Tree, weights: Weights, piece: Tree) -> tuple[Tree, Measured]:
        return jax.grad(share, has_aux=True)(params, weights, *piece, whole)

    return update(
        state,
        grad,
        (batch, labels_BT),
        (batch_axes(batch), None if labels_BT is None else ("batch", "seq")),
        pieces=micro_batches,
        opt=opt,
        bias_rate=config.bias_rate,
    )
