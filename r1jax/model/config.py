"""What a network is, and how it is held and run."""

import dataclasses
from typing import Literal

from r1jax.config import Count, NonNegative, Positive, Size, UserError, check


@dataclasses.dataclass(frozen=True)
class RopeConfig:
    """Rotary position embedding; fields of scalings that `kind` does not name are 0, never read.

    Attributes:
      theta: base of the angles: pair j of a width X turns by theta^(-2j/X) at each position.
      kind: scaling for longer contexts: "none", "yarn" (arXiv:2309.00071) or "llama3".
      factor: what slow pairs are slowed down by, at least 1.
      original_length: tokens of context before the scaling.
      beta_fast: yarn: pairs that turn more often than this within original_length stay as they are.
      beta_slow: yarn: pairs that turn less often than this are slowed down by the whole factor.
      mscale, mscale_all_dim: yarn: the first over the second scales cos and sin, the second alone
        the softmax; mscale_all_dim 0 takes yarn's own.
      low_freq_factor: llama3: wavelengths above original_length / low_freq_factor are slowed down.
      high_freq_factor: llama3: wavelengths below original_length / high_freq_factor stay.
    """

    theta: Positive
    kind: Literal["none", "yarn", "llama3"]
    factor: NonNegative
    original_length: Size
    beta_fast: NonNegative
    beta_slow: NonNegative
    mscale: NonNegative
    mscale_all_dim: NonNegative
    low_freq_factor: NonNegative
    high_freq_factor: NonNegative


@dataclasses.dataclass(frozen=True)
class Mla:
    """Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434).

    Attributes:
      n_heads: heads.
      q_lora_rank: width of the compressed query; 0 for no compression.
      kv_lora_rank: width of the latent that keys and values come from.
      nope_dim: width of a head's query and key without position.
      rope_dim: width of the rotary key that all heads share, even.
      v_dim: width of a head's value.
    """

    n_heads: Count
    q_lora_rank: Size
    kv_lora_rank: Count
    nope_dim: Size
    rope_dim: Count
    v_dim: Count

    def __post_init__(self):
        if self.rope_dim % 2:
            raise UserError(f"rotary width {self.rope_dim} is odd")

    @property
    def rotary_dim(self) -> int:
        return self.rope_dim


@dataclasses.dataclass(frozen=True)
class Gqa:
    """Grouped-query attention (arXiv:2305.13245).

    Attributes:
      n_heads: query heads.
      n_kv_heads: heads of keys and values, a divisor of n_heads.
      head_dim: width of a head, even.
      qkv_bias: whether queries, keys and values have a bias (Qwen2).
      qk_norm: whether queries and keys are normed per head (Qwen3).
    """

    n_heads: Count
    n_kv_heads: Count
    head_dim: Count
    qkv_bias: bool
    qk_norm: bool

    def __post_init__(self):
        if self.n_kv_heads < 1 or self.n_heads % self.n_kv_heads:
            raise UserError(
                f"n_heads {self.n_heads} is no multiple of n_kv_heads {self.n_kv_heads}"
            )
        if self.head_dim % 2:
            raise UserError(f"rotary width {self.head_dim} is odd")

    @property
    def rotary_dim(self) -> int:
        return self.head_dim

    @property
    def queries_per_kv(self) -> int:
        """Query heads that share a head of keys and values."""
        return self.n_heads // self.n_kv_heads


@dataclasses.dataclass(frozen=True)
class MoeConfig:
    """DeepSeekMoE (arXiv:2412.19437, section 2.1.2): routed experts with a shared one beside them.

    Attributes:
      n_experts: routed experts of a layer.
      n_shared_experts: experts that every token takes, as one MLP of their joint width.
      experts_per_token: routed experts of a token.
      hidden_dim: width of an expert.
      n_groups: groups of experts, a divisor of n_experts.
      top_groups: best groups of a token, out of which its experts are chosen.
      score: "sigmoid" (V3, with selection bias) or "softmax" (V2).
      group_score: a group counts by the sum of its two best ("top2", V3) or its best ("max", V2).
      normalise: divide the selected weights by their sum (V3).
      route_scale: factor on the routed weights, after normalising.
      dispatch: "blocks" (sorted rows in blocks of one expert: fast on CPU), "ragged"
        (jax.lax.ragged_dot: GPU, TPU), "dense" (every expert on every token: the oracle of the
        tests).
      block_size: rows of a block; 0 chooses by the number of rows per expert, and lets few rows
        (decoding) take the dense way.
    """

    n_experts: Count
    n_shared_experts: Size
    experts_per_token: Count
    hidden_dim: Count
    n_groups: Count
    top_groups: Count
    score: Literal["sigmoid", "softmax"]
    group_score: Literal["top2", "max"]
    normalise: bool
    route_scale: Positive
    dispatch: Literal["blocks", "ragged", "dense"]
    block_size: Size

    def __post_init__(self):
        if self.n_experts % self.n_groups:
            raise UserError(
                f"n_experts {self.n_experts} is no multiple of n_groups {self.n_groups}"
            )
        per_group = self.n_experts // self.n_groups
        if self.group_score == "top2" and per_group < 2:
            raise UserError(f"{per_group} expert per group, but the group score sums the best two")
        if self.top_groups > self.n_groups or self.top_groups * per_group < self.experts_per_token:
            raise UserError(
                f"{self.top_groups} of {self.n_groups} groups of {per_group} experts cannot give "
                f"{self.experts_per_token} experts per token"
            )


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """A decoder-only transformer: DeepSeek-V3's, or a dense Llama/Qwen with `moe = None`.

    Attributes:
      vocab_size: rows of the embedding.
      n_tokens: ids the tokenizer really has; logits of the rows beyond are masked out.
      d_model: width of the residual stream.
      n_layers: layers of the main model, without the MTP module.
      n_dense_layers: first layers with a dense MLP; the rest are MoE layers (all dense when `moe`
        is None).
      mlp_dim: width of a dense layer's MLP.
      norm_eps: added to the mean square in each norm.
      tie_embeddings: whether the embedding is the output matrix too.
      mtp: whether there is one multi-token-prediction module.
      init_std: standard deviation of the initial weights; 0 takes 1/sqrt(fan_in).
      param_dtype: of the weights; routers are float32 in any case.
      compute_dtype: of the activations; softmax, norms and losses are float32 in any case.
      scan_layers: run equal layers as a scan (compile time) instead of one after the other (speed
        on CPU).
      remat: recompute each layer's activations in the backward pass.
      attention_block: positions of a block of attention. Rows longer than two blocks are attended
        in blocks, and their memory grows with the length, not with its square; 0 never does so.
      numerics: as of `ExecutionConfig`.
      attention: latent or grouped-query attention; its keys say which.
      moe: the experts; None for a dense model.
    """

    vocab_size: Count
    n_tokens: Count
    d_model: Count
    n_layers: Count
    n_dense_layers: Size
    mlp_dim: Size
    norm_eps: NonNegative
    tie_embeddings: bool
    mtp: bool
    init_std: NonNegative
    param_dtype: Literal["float32", "bfloat16"]
    compute_dtype: Literal["float32", "bfloat16"]
    scan_layers: bool
    remat: bool
    attention_block: Size
    numerics: Literal["fast", "exact"]
    rope: RopeConfig
    attention: Mla | Gqa
    moe: MoeConfig | None

    def __post_init__(self):
        for part in filter(None, (self, self.rope, self.attention, self.moe)):
            check(part)
        if self.n_dense_layers and not self.mlp_dim:
            raise UserError("mlp_dim: got 0, wanted at least 1 for dense layers")
        if not 0 <= self.n_dense_layers <= self.n_layers:
            raise UserError(
                f"n_dense_layers {self.n_dense_layers} is not within n_layers {self.n_layers}"
            )
        if self.moe is None and self.n_dense_layers != self.n_layers:
            raise UserError(
                f"moe is None, but only {self.n_dense_layers} of {self.n_layers} layers are dense"
            )
        if self.n_tokens > self.vocab_size:
            raise UserError(f"n_tokens {self.n_tokens} exceeds vocab_size {self.vocab_size}")

    @property
    def exact(self) -> bool:
        """Whether sampler and trainer compute the same bits."""
        return self.numerics == "exact"

    @property
    def n_moe_layers(self) -> int:
        """MoE layers of the main model."""
        return self.n_layers - self.n_dense_layers

    @property
    def n_routers(self) -> int:
        """Rows of the router bias: MoE layers, and one for the MTP module if that is MoE too."""
        return self.n_moe_layers + int(self.mtp and self.moe is not None)


EXACT_BLOCK = 8  # rows of a block of experts under exact numerics


@dataclasses.dataclass(frozen=True)
class ExecutionConfig:
    """How a network is held and run: speed and memory, not what it is.

    Attributes:
      param_dtype: of the weights; routers are float32 in any case.
      compute_dtype: of the activations; softmax, norms and losses are float32 in any case.
      scan_layers: run equal layers as a scan (compile time) instead of one after the other (speed
        on CPU).
      remat: recompute each layer's activations in the backward pass.
      attention_block: positions of a block of attention. Rows longer than two blocks are attended
        in blocks, and their memory grows with the length, not with its square; 0 never does so.
      numerics: "exact" makes the sampler's log-probabilities and the trainer's the same bits,
        whatever stands beside a row, on one CPU device; "fast" is faster.
      dispatch: how experts are applied: "blocks" on CPU, "ragged" on GPU and TPU, "dense" (every
        expert on every token) in tests.
      block_size: of "blocks": rows of a block; 0 chooses it by the number of rows per expert.
    """

    param_dtype: Literal["float32", "bfloat16"]
    compute_dtype: Literal["float32", "bfloat16"]
    scan_layers: bool
    remat: bool
    attention_block: Size
    numerics: Literal["fast", "exact"]
    dispatch: Literal["blocks", "ragged", "dense"]
    block_size: Size

    def __post_init__(self):
        if self.numerics == "exact" and not (self.attention_block and self.dispatch == "blocks"):
            raise UserError(
                f"numerics 'exact': got attention_block {self.attention_block}, dispatch "
                f"{self.dispatch!r}, wanted at least 1 and 'blocks'"
            )

    @property
    def rows_of_expert(self) -> int:
        """`block_size`; exact numerics need one that does not depend on the number of rows."""
        return self.block_size or (EXACT_BLOCK if self.numerics == "exact" else 0)


def check_trained(param_dtype: str, where: str) -> None:
    """Checks that weights in training are float32; there are no other master weights.

    bfloat16 has 8 significant bits: an update of 1e-6 on a weight of 0.02 is lost in rounding.

    Args:
      param_dtype: of the weights that an optimizer updates.
      where: the group of keys, for the error.

    Raises:
      UserError: if they are not.
    """
    if param_dtype != "float32":
        raise UserError(
            f"{where}.param_dtype: got {param_dtype!r}, wanted 'float32' for weights in training: "
            "small updates are lost in bfloat16 (compute_dtype may be bfloat16)"
        )


def executed(model: ModelConfig, how: ExecutionConfig) -> ModelConfig:
    """The same network, held and run in another way."""
    fields = dataclasses.asdict(how)
    experts = {name: fields.pop(name) for name in ("dispatch", "block_size")}
    experts["block_size"] = how.rows_of_expert
    moe = model.moe and dataclasses.replace(model.moe, **experts)
    return dataclasses.replace(model, moe=moe, **fields)
