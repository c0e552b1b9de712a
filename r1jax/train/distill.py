"""One jitted update that moves a student's distributions towards a teacher's."""

import dataclasses
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from r1jax.model import forward, moe
from r1jax.model.config import ModelConfig
from r1jax.rl.divergence import Compared, compare, sampled_loss
from r1jax.sharding import out
from r1jax.train import optimizer
from r1jax.train.optimizer import OptimizerConfig
from r1jax.types import ForwardOut, Mean, PackedBatch, TrainState, Tree, Weights


@dataclasses.dataclass(frozen=True)
class DistillLossConfig:
    """What a student is trained on (GKD, arXiv:2306.13649).

    Attributes:
      divergence: "forward" KL(p_T || p_S), "reverse" KL(p_S || p_T), or "jsd", what lies between.
      beta: of "jsd": weight of the teacher in the mixture, above 0 and below 1; else not read.
      estimator: "full" sums over the vocabulary; "sampled" takes the sampled token alone, for a
        policy gradient that averages to that of the reverse KL.
      temperature: of both distributions; of "sampled" that of the rollouts.
      reduction, constant: as of `rl.grpo.token_weights`.
      micro_batches: pieces of a batch whose gradients are summed inside the step.
      balance: weight of the sequence-wise balance loss of a student with experts.
      bias_rate: step of its router-bias rule; 0 freezes the biases.
      logit_chunk: positions whose logits live at a time.
    """

    divergence: Literal["forward", "reverse", "jsd"]
    beta: float
    estimator: Literal["full", "sampled"]
    temperature: float
    reduction: Literal["seq_mean_token_mean", "token_mean", "seq_sum_const"]
    constant: int
    micro_batches: int
    balance: float
    bias_rate: float
    logit_chunk: int

    def __post_init__(self):
        if self.divergence == "jsd" and not 0 < self.beta < 1:
            raise ValueError(
                f"beta {self.beta}: wanted above 0 and below 1 (the ends are the divergences "
                "'forward' and 'reverse')"
            )
        if self.estimator == "sampled" and self.divergence != "reverse":
            raise ValueError(
                f"estimator 'sampled' is one of the divergence 'reverse', got {self.divergence!r}"
            )
        if self.temperature <= 0:
            raise ValueError(f"temperature {self.temperature}: wanted above 0")
        if self.micro_batches < 1 or self.logit_chunk < 1:
            raise ValueError(
                f"micro_batches {self.micro_batches}, logit_chunk {self.logit_chunk}: need at "
                "least 1"
            )

    @property
    def between(self) -> float:
        """beta as `rl.divergence.divergence` takes it."""
        return {"forward": 0.0, "reverse": 1.0, "jsd": self.beta}[self.divergence]


def check_pair(model: ModelConfig, teacher: ModelConfig) -> None:
    """Raises unless two networks speak of the same ids.

    Raises:
      ValueError: if they know different numbers of tokens.
    """
    if model.n_tokens != teacher.n_tokens:
        raise ValueError(
            f"distillation compares logits id by id: the student has {model.n_tokens} tokens, the "
            f"teacher {teacher.n_tokens}"
        )


def _seen(weights: Weights, batch: PackedBatch, model: ModelConfig) -> ForwardOut:
    return forward.forward(
        weights, batch.tokens_BT, batch.positions_BT, batch.segments_BT,
        config=model, routes_LBTK=None, with_mtp=False, keep_cache=False, layers=None,
    )  # fmt: skip


def compare_models(
    weights: Weights,
    teacher: Weights,
    batch: PackedBatch,
    *,
    model: ModelConfig,
    teacher_model: ModelConfig,
    config: DistillLossConfig,
) -> tuple[Compared, ForwardOut]:
    """Student and teacher on the next token at every position, and the student's forward pass.

    Output matrices may be padded to different numbers of rows: the narrower one has all ids.
    """
    check_pair(model, teacher_model)
    seen, taught = _seen(weights, batch, model), _seen(teacher, batch, teacher_model)
    width = min(model.vocab_size, teacher_model.vocab_size)
    own_DV = forward.head(weights, config=model)[:, :width]
    its_UV = forward.head(teacher, config=teacher_model)[:, :width]
    compared = compare(
        seen.hidden_BTD, own_DV, jax.lax.stop_gradient(taught.hidden_BTD),
        jax.lax.stop_gradient(its_UV), jnp.pad(batch.tokens_BT[:, 1:], ((0, 0), (0, 1))),
        jnp.arange(width) < model.n_tokens, beta=config.between, temperature=config.temperature,
        chunk=config.logit_chunk,
    )  # fmt: skip
    return compared, seen


def loss(
    params: Tree,
    weights: Weights,
    teacher: Weights,
    batch: PackedBatch,
    *,
    model: ModelConfig,
    teacher_model: ModelConfig,
    config: DistillLossConfig,
) -> tuple[Float[Array, ""], tuple[dict[str, Mean], Float[Array, "L E"]]]:
    """A micro-batch's share of sum_t w loss_t, metrics over its weighted tokens, expert loads."""
    c, seen = compare_models(
        weights._replace(params=params), teacher, batch,
        model=model, teacher_model=teacher_model, config=config,
    )  # fmt: skip
    mask_BT = batch.weights_BT > 0
    sampled = config.estimator == "sampled"
    loss_BT = sampled_loss(c.logp_BT, c.teacher_logp_BT) if sampled else c.divergence_BT
    total = (batch.weights_BT * jnp.where(mask_BT, loss_BT, 0.0)).sum()
    tokens = mask_BT.sum().astype(jnp.float32)
    count = lambda x_BT: Mean(jax.lax.stop_gradient(jnp.where(mask_BT, x_BT, 0.0).sum()), tokens)
    metrics = {
        "loss": Mean(jax.lax.stop_gradient(total), jnp.float32(1)),
        "divergence": count(c.divergence_BT),
        "agreement": count(c.agree_BT),
        "entropy": count(c.entropy_BT),
        "teacher_entropy": count(c.teacher_entropy_BT),
        "logp": count(c.logp_BT),
        "teacher_logp": count(c.teacher_logp_BT),
    }
    if config.balance and model.moe:
        total = total + config.balance * seen.balance / config.micro_batches
    return total, (metrics, seen.load_LE)


def split(batch: PackedBatch, pieces: int) -> PackedBatch:
    """Adds a leading axis of micro-batches to every field: row b goes to piece b % pieces."""

    def cut(x_BT: Array) -> Array:
        shape = (x_BT.shape[0] // pieces, pieces, x_BT.shape[1])
        dealt = jnp.reshape(x_BT, shape, out_sharding=out("batch", "none", "seq"))
        return dealt.swapaxes(0, 1)

    return PackedBatch._make(map(cut, batch))


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
    grad = jax.grad(
        partial(loss, model=model, teacher_model=teacher_model, config=config), has_aux=True
    )
    params, weights = state.weights.params, state.weights
    if config.micro_batches == 1:
        grads, (metrics, load_LE) = grad(params, weights, teacher, batch)
    else:

        def accumulate(total: Tree, piece: PackedBatch):
            grads, aux = grad(params, weights, teacher, piece)
            return jax.tree.map(jnp.add, total, grads), aux

        zeros = jax.tree.map(jnp.zeros_like, params)
        pieces = split(batch, config.micro_batches)
        grads, (stacked, loads_NLE) = jax.lax.scan(accumulate, zeros, pieces)
        metrics = {k: Mean(m.total.sum(), m.weight.sum()) for k, m in stacked.items()}
        metrics["loss"] = metrics["loss"]._replace(weight=jnp.float32(1))  # it is a sum
        load_LE = loads_NLE.sum(0)
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
