"""One jitted update that moves a student's distributions towards a teacher's."""

import dataclasses
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from r1jax.config import Count, NonNegative, Positive, Share, Size, UserError
from r1jax.model import forward
from r1jax.model.config import ModelConfig
from r1jax.rl.divergence import compare, sampled_loss
from r1jax.sharding import batch_axes
from r1jax.train import passes
from r1jax.train.accumulate import Measured, update
from r1jax.train.optimizer import OptimizerConfig
from r1jax.types import Mean, Metric, PackedBatch, Sum, TrainState, Tree, Weights


@dataclasses.dataclass(frozen=True)
class DistillLossConfig:
    """What a student is trained on (GKD, arXiv:2306.13649).

    Attributes:
      divergence: "forward" KL(p_T || p_S), "reverse" KL(p_S || p_T), or "jsd", what lies between.
      beta: of "jsd": weight of the teacher in the mixture, above 0 and below 1; else not read.
      estimator: "full" sums over the vocabulary; "sampled" takes the sampled token alone, for a
        policy gradient that averages to that of the reverse KL.
      temperature: of both distributions; of "sampled" that of the rollouts.
      reduction: "seq_mean_token_mean" is the mean over sequences of the mean over their tokens,
        "token_mean" the mean over all tokens, "seq_sum_const" the sum over tokens divided by the
        number of sequences times `constant`.
      constant: of "seq_sum_const": tokens, at least 1; else not read.
      micro_batches: pieces of a batch whose gradients are summed inside the step.
      balance: weight of the sequence-wise balance loss of a student with experts.
      bias_rate: step of its router-bias rule; 0 freezes the biases.
      logit_chunk: positions whose logits live at a time.
    """

    divergence: Literal["forward", "reverse", "jsd"]
    beta: Share
    estimator: Literal["full", "sampled"]
    temperature: Positive
    reduction: Literal["seq_mean_token_mean", "token_mean", "seq_sum_const"]
    constant: Size
    micro_batches: Count
    balance: NonNegative
    bias_rate: NonNegative
    logit_chunk: Count

    def __post_init__(self):
        if self.divergence == "jsd" and not 0 < self.beta < 1:
            raise UserError(
                f"beta {self.beta}: wanted above 0 and below 1 (the ends are the divergences "
                "'forward' and 'reverse')"
            )
        if self.estimator == "sampled" and self.divergence != "reverse":
            raise UserError(
                f"estimator 'sampled' is one of the divergence 'reverse', got {self.divergence!r}"
            )

    @property
    def between(self) -> float:
        """beta as `rl.divergence.divergence` takes it."""
        return {"forward": 0.0, "reverse": 1.0, "jsd": self.beta}[self.divergence]


def check_pair(model: ModelConfig, teacher: ModelConfig) -> None:
    """Checks that two networks know the same ids.

    Raises:
      UserError: if they know different numbers of tokens.
    """
    if model.n_tokens != teacher.n_tokens:
        raise UserError(
            f"distillation compares logits id by id: the student has {model.n_tokens} tokens, the "
            f"teacher {teacher.n_tokens}"
        )


def loss(
    params: Tree,
    weights: Weights,
    batch: PackedBatch,
    teacher: Weights,
    documents: Float[Array, ""],
    *,
    model: ModelConfig,
    teacher_model: ModelConfig,
    config: DistillLossConfig,
) -> tuple[Float[Array, ""], Measured]:
    """A micro-batch's share of sum_t w loss_t, metrics over its weighted tokens, expert loads.

    Output matrices may be padded to different numbers of rows: the narrower one has all ids.
    """
    check_pair(model, teacher_model)
    weights = weights._replace(params=params)
    inputs = (batch.tokens_BT, batch.positions_BT, batch.segments_BT)
    whole = partial(passes.forward_rows, routes_LBTK=None, with_mtp=False)
    own, taught = whole(weights, *inputs, model=model), whole(teacher, *inputs, model=teacher_model)
    width = min(model.vocab_size, teacher_model.vocab_size)
    compared = compare(
        own.hidden_BTD,
        forward.head(weights, config=model)[:, :width],
        jax.lax.stop_gradient(taught.hidden_BTD),
        jax.lax.stop_gradient(forward.head(teacher, config=teacher_model)[:, :width]),
        passes.ahead(batch.tokens_BT, 1),
        jnp.arange(width) < model.n_tokens,
        beta=config.between,
        temperature=config.temperature,
        chunk=config.logit_chunk,
    )
    mask_BT = batch.weights_BT > 0
    loss_BT = compared.divergence_BT
    if config.estimator == "sampled":
        loss_BT = sampled_loss(compared.logp_BT, compared.teacher_logp_BT)
    total = (batch.weights_BT * jnp.where(mask_BT, loss_BT, 0.0)).sum()
    mean = partial(passes.mean_over, mask_BT)
    metrics: dict[str, Metric] = {
        "loss": Sum(jax.lax.stop_gradient(total)),
        "divergence": mean(compared.divergence_BT),
        "agreement": mean(compared.agree_BT),
        "entropy": mean(compared.entropy_BT),
        "teacher_entropy": mean(compared.teacher_entropy_BT),
        "logp": mean(compared.logp_BT),
        "teacher_logp": mean(compared.teacher_logp_BT),
        "padding": passes.padding(batch.segments_BT),
    }
    if config.balance and model.moe:
        total = total + config.balance * own.balance / documents
    return total, (metrics, own.load_LE)


def distill_step(
    state: TrainState,
    teacher: Weights,
    batch: PackedBatch,
    *,
    model: ModelConfig,
    teacher_model: ModelConfig,
    opt: OptimizerConfig,
    config: DistillLossConfig,
) -> tuple[TrainState, dict[str, Mean]]:
    """One optimizer update on one batch; gradients of its micro-batches are summed.

    Args:
      state: of the student.
      teacher: its weights receive nothing.
      batch: rows whose weights turn a sum over tokens into the objective (`rl.grpo.token_weights`).
      model, teacher_model: the two networks, of one tokenizer.
      opt: the optimizer.
      config: the objective.

    Returns:
      The new state, and metrics: loss, divergence, agreement, entropies, log-probabilities of the
      tokens that stand there, and those of the optimizer.
    """
    documents = passes.documents(batch.segments_BT, batch.positions_BT)
    given = {"teacher": teacher, "documents": documents}
    share = partial(loss, **given, model=model, teacher_model=teacher_model, config=config)
    grad, axes = jax.grad(share, has_aux=True), batch_axes(batch)
    pieces, rate = config.micro_batches, config.bias_rate
    return update(state, grad, batch, axes, pieces=pieces, opt=opt, bias_rate=rate)
