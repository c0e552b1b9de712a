"""One jitted GRPO update, and the log-probabilities it compares with."""

import dataclasses
from functools import partial
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from r1jax.config import Count, NonNegative, Range, Size, UserError
from r1jax.model import forward
from r1jax.model.config import ModelConfig
from r1jax.rl.grpo import grpo_loss
from r1jax.rl.logprobs import token_logps
from r1jax.sharding import batch_axes, constrain, out
from r1jax.train import packing, passes
from r1jax.train.accumulate import Measured, split, update
from r1jax.train.optimizer import OptimizerConfig
from r1jax.types import (
    ForwardOut,
    GrpoBatch,
    Max,
    Mean,
    Metric,
    PackedRows,
    Sum,
    TrainState,
    Tree,
    Weights,
)


@dataclasses.dataclass(frozen=True)
class GrpoConfig:
    """The objective, and how a rollout becomes updates (arXiv:2402.03300 and 2501.12948).

    Attributes:
      group_size: G, samples per prompt.
      prompts_per_rollout: questions sampled for at a time.
      minibatches: optimizer updates a rollout is split into, whole groups each.
      epochs: passes over a rollout.
      micro_tokens: positions of a micro-batch at most, unless a row on every device has more; the
        step sums the gradients of a minibatch's micro-batches. 0 chooses by platform and model
        (`auto_tokens`).
      ratio: "token" (DeepSeekMath, equation 3), "sequence" (the product over a sequence, as the R1
        paper prints it) or "sequence_geomean" (GSPO, arXiv:2507.18071).
      clip_low, clip_high: the ratio is clipped to 1 - clip_low .. 1 + clip_high; a clip_low of 1
        or more (R1 has 10) switches the lower clip off, since a ratio is never negative. With one
        update a rollout every ratio is 1, and nothing is clipped.
      kl_coef: beta, weight of the KL penalty against the reference, at least 0; 0 needs none.
      reduction: "seq_mean_token_mean" (GRPO) is the mean over sequences of the mean over their
        tokens, "token_mean" (DAPO) the mean over all tokens, "seq_sum_const" (Dr. GRPO) the sum
        over tokens divided by the number of sequences times `constant`.
      constant: of "seq_sum_const": tokens, the generation limit; else not read.
      advantage_ddof: 0 for the population's standard deviation of a group, 1 for the sample's.
      advantage_eps: added to that standard deviation, in reward units.
      divide_by_std: False leaves r - mean (Dr. GRPO, arXiv:2503.20783).
      mask_truncated: leave samples out of the loss that hit the length cap (DAPO's overlong
        filtering).
      reference_every: updates between hard replacements of the reference by the policy; 0 never.
      old_logps: "sampler" takes the log-probabilities it recorded, "trainer" computes them again.
        With one update a rollout the old ones are the trainer's own, and this key has no effect.
      replay_routes: send each token to the experts that the sampler sent it to.
      balance: weight of the sequence-wise balance loss during RL.
      bias_rate: step of the router-bias rule during RL; 0 freezes the biases.
      logit_chunk: positions whose logits live at a time.
    """

    group_size: Annotated[int, Range(2)]
    prompts_per_rollout: Count
    minibatches: Count
    epochs: Count
    micro_tokens: Size
    ratio: Literal["token", "sequence", "sequence_geomean"]
    clip_low: NonNegative
    clip_high: NonNegative
    kl_coef: NonNegative
    reduction: Literal["seq_mean_token_mean", "token_mean", "seq_sum_const"]
    constant: Size
    advantage_ddof: Annotated[int, Range(0, 1)]
    advantage_eps: NonNegative
    divide_by_std: bool
    mask_truncated: bool
    reference_every: Size
    old_logps: Literal["sampler", "trainer"]
    replay_routes: bool
    balance: NonNegative
    bias_rate: NonNegative
    logit_chunk: Count

    def __post_init__(self):
        if self.prompts_per_rollout % self.minibatches:
            raise UserError(
                f"prompts_per_rollout {self.prompts_per_rollout} do not split into "
                f"{self.minibatches} minibatches"
            )

    @property
    def updates_per_rollout(self) -> int:
        return self.minibatches * self.epochs

    @property
    def rescored(self) -> bool:
        """Whether the trainer computes the log-probabilities of a rollout again."""
        return self.old_logps == "trainer" and self.updates_per_rollout > 1


def _score(
    weights: Weights,
    rows: GrpoBatch | PackedRows,
    *,
    model: ModelConfig,
    temperature: float,
    chunk: int,
    replay: bool,
) -> tuple[Float[Array, "B T"], Float[Array, "B T"], ForwardOut]:
    """Log-probability of tokens_BT[:, t + 1] at every t, entropy there, and the forward pass."""
    seen = passes.forward_rows(
        weights,
        rows.tokens_BT,
        rows.positions_BT,
        rows.segments_BT,
        model=model,
        routes_LBTK=rows.routes_LBTK if replay and model.moe else None,
        with_mtp=False,
    )
    logp_BT, entropy_BT = token_logps(
        seen.hidden_BTD,
        forward.head(weights, config=model),
        passes.ahead(rows.tokens_BT, 1),
        forward.used_tokens(model),
        temperature=temperature,
        chunk=chunk,
        exact=model.exact,
    )
    return logp_BT, entropy_BT, seen


def _used(rows: GrpoBatch | PackedRows, pieces: int) -> Int[Array, ""]:
    """How many of the micro-batches that `split` makes there are up to the last with a token."""
    number_B = jnp.arange(rows.tokens_BT.shape[0]) % pieces + 1
    return jnp.where((rows.segments_BT > 0).any(1), number_B, 0).max()


def sequence_logps(
    weights: Weights,
    rows: GrpoBatch | PackedRows,
    *,
    micro_tokens: int,
    model: ModelConfig,
    temperature: float,
    chunk: int,
    replay: bool,
) -> Float[Array, "B T"]:
    """Log-probability of tokens_BT[:, t + 1] at every t; 0 in micro-batches that hold no token."""
    knobs = {"model": model, "temperature": temperature, "chunk": chunk, "replay": replay}
    score = partial(_score, weights, **knobs)
    pieces = packing.pieces(rows.tokens_BT.shape, micro_tokens=micro_tokens)
    if pieces == 1:
        return score(rows)[0]
    dealt = split(rows, batch_axes(rows), pieces=pieces)

    def write(i: Array, logp_NBT: Array) -> Array:
        logp_BT, _, _ = score(jax.tree.map(lambda x: x[i], dealt))
        return logp_NBT.at[i].set(logp_BT)

    layout = out("batch", "seq")
    zeros = jnp.zeros(dealt.tokens_BT.shape, jnp.float32)
    zeros_NBT = constrain(zeros, "none", "batch", "seq")
    logp_NBT = jax.lax.fori_loop(0, _used(rows, pieces), write, zeros_NBT)
    return jnp.reshape(logp_NBT.swapaxes(0, 1), rows.tokens_BT.shape, out_sharding=layout)


def loss(
    params: Tree,
    weights: Weights,
    batch: GrpoBatch,
    sequences: Float[Array, ""],
    *,
    model: ModelConfig,
    config: GrpoConfig,
    temperature: float,
    on_policy: bool,
) -> tuple[Float[Array, ""], Measured]:
    """The GRPO loss of a micro-batch (its share of the minibatch's), metrics and expert loads.

    `sequences` is their number in the whole minibatch.
    """
    logp_BT, entropy_BT, rows = _score(
        weights._replace(params=params),
        batch,
        model=model,
        temperature=temperature,
        chunk=config.logit_chunk,
        replay=config.replay_routes,
    )
    mask_BT = batch.weights_BT > 0
    old_BT = jax.lax.stop_gradient(logp_BT) if on_policy else batch.old_logp_BT
    total, means = grpo_loss(
        logp_BT,
        old_BT,
        batch.ref_logp_BT,
        batch.advantages_BT,
        batch.weights_BT,
        batch.segments_BT,
        clip_low=config.clip_low,
        clip_high=config.clip_high,
        kl_coef=config.kl_coef,
        ratio=config.ratio,
    )
    gap_BT = jnp.where(mask_BT, jnp.abs(jax.lax.stop_gradient(logp_BT) - batch.old_logp_BT), 0.0)
    differs_BT = (gap_BT != 0).astype(jnp.float32)
    metrics: dict[str, Metric] = {
        **means,
        "loss": Sum(jax.lax.stop_gradient(total)),
        "trainer_entropy": passes.mean_over(mask_BT, entropy_BT),
        "logp_gap_mean": passes.mean_over(mask_BT, gap_BT),
        "logp_gap_max": Max(gap_BT.max()),
        "differing_logps": passes.mean_over(mask_BT, differs_BT),
        "padding": passes.padding(batch.segments_BT),
    }
    if config.balance and model.moe:
        total = total + config.balance * rows.balance / sequences
    return total, (metrics, rows.load_LE)


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
    sequences = passes.documents(batch.segments_BT, batch.positions_BT)
    knobs = {"config": config, "temperature": temperature, "on_policy": on_policy}
    share = partial(loss, sequences=sequences, model=model, **knobs)
    pieces = packing.pieces(batch.tokens_BT.shape, micro_tokens=config.micro_tokens)
    return update(
        state,
        jax.grad(share, has_aux=True),
        batch,
        batch_axes(batch),
        pieces=pieces,
        opt=opt,
        bias_rate=config.bias_rate,
        used=_used(batch, pieces),
    )
