"""What a network is, and how it is held and run."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class RopeConfig:
    """Rotary position embedding; fields of scalings that `kind` does not name are 0, never read."""

    theta: float
    kind: Literal["none", "yarn", "llama3"]
    factor: float
    original_length: int
    beta_fast: float
    beta_slow: float
    mscale: float
    mscale_all_dim: float
    low_freq_factor: float
    high_freq_factor: float


@dataclasses.dataclass(frozen=True)
class AttentionConfig:
    """Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434) or grouped-query attention.

    MLA reads n_heads, q_lora_rank (0: no query compression), kv_lora_rank, nope_dim, rope_dim,
    v_dim. GQA reads n_heads, n_kv_heads, head_dim, qkv_bias, qk_norm.
    """

    kind: Literal["mla", "gqa"]
    n_heads: int
    n_kv_heads: int
    head_dim: int
    qkv_bias: bool
    qk_norm: bool
    q_lora_rank: int
    kv_lora_rank: int
    nope_dim: int
    rope_dim: int
    v_dim: int

    def __post_init__(self):
        if self.kind == "gqa" and self.n_heads % self.n_kv_heads:
            raise ValueError(
                f"n_heads {self.n_heads} is no multiple of n_kv_heads {self.n_kv_heads}"
            )
        if self.rotary_dim % 2:
            raise ValueError(f"rotary width {self.rotary_dim} is odd")

    @property
    def rotary_dim(self) -> int:
        return self.rope_dim if self.kind == "mla" else self.head_dim


@dataclasses.dataclass(frozen=True)
class MoeConfig:
    """DeepSeekMoE (arXiv:2412.19437, section 2.1.2): routed experts with a shared one beside them.

    Attributes:
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

    n_experts: int
    n_shared_experts: int
    experts_per_token: int
    hidden_dim: int
    n_groups: int
    top_groups: int
    score: Literal["sigmoid", "softmax"]
    group_score: Literal["top2", "max"]
    normalise: bool
    route_scale: float
    dispatch: Literal["blocks", "ragged", "dense"]
    block_size: int

    def __post_init__(self):
        if self.n_experts % self.n_groups:
            raise ValueError(
                f"n_experts {self.n_experts} is no multiple of n_groups {self.n_groups}"
            )
        per_group = self.n_experts // self.n_groups
        if self.group_score == "top2" and per_group < 2:
            raise ValueError(f"{per_group} expert per group, but the group score sums the best two")
        if (
            not 1 <= self.top_groups <= self.n_groups
            or self.top_groups * per_group < self.experts_per_token
        ):
            raise ValueError(
                f"{self.top_groups} of {self.n_groups} groups of {per_group} experts cannot give "
                f"{self.experts_per_token} experts per token"
            )


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """A decoder-only transformer: DeepSeek-V3's, or a dense Llama/Qwen with `moe = None`.

    Attributes:
      vocab_size: rows of the embedding.
      n_tokens: ids the tokenizer really has; logits of the rows beyond are masked out.
      n_dense_layers: first layers with a dense MLP; the rest are MoE layers (all dense when `moe`
        is None).
      mtp: whether there is one multi-token-prediction module.
      init_std: standard deviation of the initial weights; 0 takes 1/sqrt(fan_in).
      scan_layers: run equal layers as a scan (compile time) instead of one after the other (speed
        on CPU).
      remat: recompute each layer's activations in the backward pass.
    """

    vocab_size: int
    n_tokens: int
    d_model: int
    n_layers: int
    n_dense_layers: int
    mlp_dim: int
    norm_eps: float
    tie_embeddings: bool
    mtp: bool
    init_std: float
    param_dtype: Literal["float32", "bfloat16"]
    compute_dtype: Literal["float32", "bfloat16"]
    scan_layers: bool
    remat: bool
    rope: RopeConfig
    attention: AttentionConfig
    moe: MoeConfig | None

    def __post_init__(self):
        if not 0 <= self.n_dense_layers <= self.n_layers:
            raise ValueError(
                f"n_dense_layers {self.n_dense_layers} is not within n_layers {self.n_layers}"
            )
        if self.moe is None and self.n_dense_layers != self.n_layers:
            raise ValueError(
                f"moe is None, but only {self.n_dense_layers} of {self.n_layers} layers are dense"
            )
        if self.n_tokens > self.vocab_size:
            raise ValueError(f"n_tokens {self.n_tokens} exceeds vocab_size {self.vocab_size}")

    @property
    def n_moe_layers(self) -> int:
        """MoE layers of the main model."""
        return self.n_layers - self.n_dense_layers

    @property
    def n_routers(self) -> int:
        """Rows of the router bias: MoE layers, and one for the MTP module if that is MoE too."""
        return self.n_moe_layers + int(self.mtp and self.moe is not None)


@dataclasses.dataclass(frozen=True)
class ExecutionConfig:
    """How a network is held and run: speed and memory, not what it is.

    Attributes are those of ModelConfig and MoeConfig.
    """

    param_dtype: Literal["float32", "bfloat16"]
    compute_dtype: Literal["float32", "bfloat16"]
    scan_layers: bool
    remat: bool
    dispatch: Literal["blocks", "ragged", "dense"]
    block_size: int


def check_trained(param_dtype: str, where: str) -> None:
    """Checks that weights in training are float32; there are no other master weights.

    bfloat16 has 8 significant bits: an update of 1e-6 on a weight of 0.02 is lost in rounding.

    Args:
      param_dtype: of the weights that an optimizer updates.
      where: the group of keys, for the error.

    Raises:
      ValueError: if they are not.
    """
    if param_dtype != "float32":
        raise ValueError(
            f"{where}.param_dtype: got {param_dtype!r}, wanted 'float32' for weights in training: "
            "small updates are lost in bfloat16 (compute_dtype may be bfloat16)"
        )


def executed(model: ModelConfig, how: ExecutionConfig) -> ModelConfig:
    """The same network, held and run in another way."""
    moe = model.moe and dataclasses.replace(
        model.moe, dispatch=how.dispatch, block_size=how.block_size
    )
    return dataclasses.replace(
        model, param_dtype=how.param_dtype, compute_dtype=how.compute_dtype,
        scan_layers=how.scan_layers, remat=how.remat, moe=moe,
    )  # fmt: skip
