"""Containers of arrays that travel between the rooms of r1jax.

Axes: B sequences (= P*G), P prompts, G samples per prompt, T positions, S cached positions, C
completion positions, D residual, N heads, M kv heads, J query heads per kv head, H head width, X
rotary width, R kv rank, Q query rank, F ffn width, E experts, K experts per token, V vocab, L
layers (L here counts MoE layers).
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

Tree = Any  # a pytree of arrays: parameters, gradients, optimizer state


class Weights(NamedTuple):
    """Everything the network computes with. Only `params` receives gradients.

    Attributes:
      params: tree of float arrays, as `model.transformer` declares it.
      router_bias_LE: float32 selection bias of each MoE layer (the MTP module's router is the last
        row), moved by the sign rule of DeepSeek-V3 (arXiv:2412.19437, section 2.1.2), never by a
        gradient.
    """

    params: Tree
    router_bias_LE: Float[Array, "L E"]


class LayerCache(NamedTuple):
    """What one layer remembers of the S positions behind it, which stand on the last axis but one.

    GQA: `first` is the rotated keys [B, M, S, H], `second` the values [B, M, S, H].
    MLA: `first` is the normed latent [B, S, R], `second` the rotated shared key [B, S, X].
    """

    first: Float[Array, "..."]
    second: Float[Array, "..."]


class ForwardOut(NamedTuple):
    """What a pass over whole sequences gives back.

    Attributes:
      hidden_BTD: residual stream after the final norm, ready for the output head.
      mtp_hidden_BTD: the MTP module's hidden states (position t predicts token t + 2), or None.
      load_LE: number of (token, slot) assignments to each expert, over real tokens of the global
        batch.
      balance: sum over MoE layers and documents of the sequence-wise balance loss, without its
        weight.
      routes_LBTK: the experts that each token was sent to; feed it back as `routes` to repeat them.
      cache: one LayerCache per layer, or None when it was not asked for.
    """

    hidden_BTD: Float[Array, "B T D"]
    mtp_hidden_BTD: Float[Array, "B T D"] | None
    load_LE: Float[Array, "L E"]
    balance: Float[Array, ""]
    routes_LBTK: Int[Array, "L B T K"]
    cache: list[LayerCache] | None


class Rollout(NamedTuple):
    """What the sampler drew, on the host: P prompts, G continuations each, row b = p * G + g.

    Attributes:
      prompt_BT: the left-padded prompt of each row.
      prompt_mask_BT: True on real prompt tokens.
      completion_BC: sampled ids; `pad_id` after the end.
      mask_BC: True on sampled tokens, the stop token included.
      logp_BC: natural log-probability of each sampled token under the distribution it was drawn
        from.
      entropy_BC: entropy in nats of that distribution.
      truncated_B: True where the length cap came before a stop token.
      routes_LBTK: experts of every token of prompt + completion, for replay in the trainer, -1
        where a token never ran (L = 0 if they are not recorded).
    """

    prompt_BT: Int[Array, "B T"]
    prompt_mask_BT: Bool[Array, "B T"]
    completion_BC: Int[Array, "B C"]
    mask_BC: Bool[Array, "B C"]
    logp_BC: Float[Array, "B C"]
    entropy_BC: Float[Array, "B C"]
    truncated_B: Bool[Array, " B"]
    routes_LBTK: Int[Array, "L B T2 K"]


class Sequences(NamedTuple):
    """Sampled sequences, contiguous from position 0, that nobody has judged.

    `mask_BT` and `old_logp_BT` at t belong to the prediction of tokens_BT[:, t + 1].

    Attributes:
      tokens_BT: prompt and completion, then 0.
      segments_BT: 1 on real tokens, 0 on padding.
      mask_BT: True where a sampled token is predicted.
      old_logp_BT: log-probability of that token under the policy that sampled, elsewhere 0.
      routes_LBTK: experts of every token, -1 on padding (L = 0 if dense).
    """

    tokens_BT: Int[Array, "B T"]
    segments_BT: Int[Array, "B T"]
    mask_BT: Bool[Array, "B T"]
    old_logp_BT: Float[Array, "B T"]
    routes_LBTK: Int[Array, "L B T K"]


class Judged(NamedTuple):
    """Sequences that can be trained on: judged, and scored by the reference.

    Attributes:
      tokens_BT, segments_BT, routes_LBTK: those of `Sequences`.
      mask_BT: True where a token is predicted that the loss counts.
      old_logp_BT: log-probabilities under the policy that sampled.
      advantages_B: one advantage per sequence.
      ref_logp_BT: log-probabilities under the reference policy; 0 where a run has none.
    """

    tokens_BT: Int[Array, "B T"]
    segments_BT: Int[Array, "B T"]
    mask_BT: Bool[Array, "B T"]
    old_logp_BT: Float[Array, "B T"]
    routes_LBTK: Int[Array, "L B T K"]
    advantages_B: Float[Array, " B"]
    ref_logp_BT: Float[Array, "B T"]


class PackedBatch(NamedTuple):
    """Rows of concatenated documents for next-token training.

    Attributes:
      tokens_BT: token ids.
      segments_BT: 0 on padding, else the number of the document within its row, from 1.
      positions_BT: position of the token within its document, from 0.
      weights_BT: weight of predicting tokens_BT[:, t + 1] from position t; 0 where there is nothing
        to predict.
    """

    tokens_BT: Int[Array, "B T"]
    segments_BT: Int[Array, "B T"]
    positions_BT: Int[Array, "B T"]
    weights_BT: Float[Array, "B T"]


class PackedRows(NamedTuple):
    """Sampled sequences packed into rows, to be scored (fields as in `GrpoBatch`)."""

    tokens_BT: Int[Array, "B T"]
    segments_BT: Int[Array, "B T"]
    positions_BT: Int[Array, "B T"]
    routes_LBTK: Int[Array, "L B T K"]


class GrpoBatch(NamedTuple):
    """Sampled sequences packed into rows, with all that the GRPO loss needs as constants.

    `weights_BT`, `old_logp_BT`, `ref_logp_BT` at t belong to the prediction of tokens_BT[:, t + 1].

    Attributes:
      tokens_BT: sequences of prompt and completion one after the other, then padding.
      segments_BT: 0 on padding, else the number of the sequence within its row, from 1.
      positions_BT: position of the token within its sequence, from 0.
      weights_BT: token weights that sum the per-token loss to the objective
        (`rl.grpo.token_weights`).
      advantages_BT: the sequence's advantage on each of its tokens.
      old_logp_BT: log-probabilities under the policy that sampled.
      ref_logp_BT: log-probabilities under the reference policy.
      routes_LBTK: experts to replay, or L = 0 to route afresh.
    """

    tokens_BT: Int[Array, "B T"]
    segments_BT: Int[Array, "B T"]
    positions_BT: Int[Array, "B T"]
    weights_BT: Float[Array, "B T"]
    advantages_BT: Float[Array, "B T"]
    old_logp_BT: Float[Array, "B T"]
    ref_logp_BT: Float[Array, "B T"]
    routes_LBTK: Int[Array, "L B T K"]


class TrainState(NamedTuple):
    """All that a training step reads and writes.

    Attributes:
      weights: the policy (or the base model in the making).
      reference: weights of the reference policy, or None when nothing compares with one.
      opt_state: optax state over `weights.params`.
      updates: optimizer updates applied, skipped ones not counted.
      skipped: updates skipped so far because a gradient was not finite.
      skipped_in_a_row: of these, how many came last without a good one between.
    """

    weights: Weights
    reference: Weights | None
    opt_state: Tree
    updates: Int[Array, ""]
    skipped: Int[Array, ""]
    skipped_in_a_row: Int[Array, ""]


class Mean(NamedTuple):
    """A weighted mean in the making: total / weight."""

    total: Float[Array, ""]
    weight: Float[Array, ""]

    def plus(self, other: "Mean") -> "Mean":
        """The mean over the micro-batches of both."""
        return Mean(self.total + other.total, self.weight + other.weight)

    def merged(self) -> "Mean":
        """Itself."""
        return self


class Sum(NamedTuple):
    """A metric that adds up, such as a loss whose weights are shares of the whole batch."""

    total: Float[Array, ""]

    def plus(self, other: "Sum") -> "Sum":
        """The sum over the micro-batches of both."""
        return Sum(self.total + other.total)

    def merged(self) -> Mean:
        """The sum, with weight 1."""
        return Mean(self.total, jnp.float32(1))


class Max(NamedTuple):
    """A metric that is a maximum over the batch, at least 0."""

    value: Float[Array, ""]

    def plus(self, other: "Max") -> "Max":
        """The larger of both."""
        return Max(jnp.maximum(self.value, other.value))

    def merged(self) -> Mean:
        """The maximum, with weight 1."""
        return Mean(self.value, jnp.float32(1))


Metric = Mean | Sum | Max
