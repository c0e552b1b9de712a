"""Frozen, checked configuration: what a ConfigDict becomes at the door of main.

Defaults live in configs/ only: every field here is required, an unknown key is an error that names
the nearest.
"""

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def _fail(path: str, message: str) -> typing.NoReturn:
    raise ValueError(f"{path}: {message}")


def _scalar(kind: Any, value: Any, path: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        _fail(path, f"got {value!r} ({type(value).__name__}), wanted {kind.__name__}")
    return value


def _value(kind: Any, value: Any, path: str) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None if type(None) in args else _fail(path, "got None, wanted a value")
        (inner,) = [a for a in args if a is not type(None)]
        return _value(inner, value, path)
    if origin is typing.Literal:
        return value if value in args else _fail(path, f"got {value!r}, wanted one of {list(args)}")
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            _fail(path, f"got {value!r}, wanted a list")
        return tuple(_value(args[0], v, f"{path}[{i}]") for i, v in enumerate(value))
    if origin is dict:
        return {str(k): _value(args[1], v, f"{path}.{k}") for k, v in value.items()}
    if dataclasses.is_dataclass(kind):
        return build(typing.cast(type, kind), value, path)
    return _scalar(kind, value, path)


def build(kind: type[T], values: Any, path: str = "config") -> T:
    """Builds a frozen dataclass (with nested ones) from a ConfigDict or dict.

    Args:
      kind: the dataclass.
      values: mapping with exactly its fields; ints are taken where floats are wanted.
      path: where we are, for the error.

    Raises:
      ValueError: names what is unknown (with the nearest known key), missing, or of the wrong type;
        cross-field checks of `__post_init__` speak with the same path.
    """
    if not isinstance(values, Mapping) and not hasattr(values, "items"):
        _fail(path, f"got {values!r}, wanted a group of keys")
    hints = typing.get_type_hints(kind)
    known = [f.name for f in dataclasses.fields(typing.cast(Any, kind))]
    given = list(values.keys())
    unknown, missing = [k for k in given if k not in known], [k for k in known if k not in given]
    if unknown or missing:
        near = {k: difflib.get_close_matches(k, known, 1) for k in unknown}
        hint = "".join(f"; did you mean {m[0]!r} for {k!r}?" for k, m in near.items() if m)
        _fail(path, f"unknown keys {unknown}, missing keys {missing}{hint}")
    fields = {k: _value(hints[k], values[k], f"{path}.{k}") for k in known}
    try:
        return kind(**fields)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Returns {"grpo.lr": 1e-4, ...} of a nested dataclass or dict, for diffs and summaries."""
    items: Mapping = config if isinstance(config, Mapping) else dataclasses.asdict(config)
    flat: dict[str, Any] = {}
    for key, value in items.items():
        flat.update(
            flatten(value, f"{prefix}{key}.")
            if isinstance(value, Mapping)
            else {f"{prefix}{key}": value}
        )
    return flat


@dataclasses.dataclass(frozen=True)
class RopeConfig:
    """Rotary position embedding; fields of scalings that `kind` does not name are 0, never read."""

    theta: float
    kind: typing.Literal["none", "yarn", "llama3"]
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

    kind: typing.Literal["mla", "gqa"]
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
    score: typing.Literal["sigmoid", "softmax"]
    group_score: typing.Literal["top2", "max"]
    normalise: bool
    route_scale: float
    dispatch: typing.Literal["blocks", "ragged", "dense"]
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
    param_dtype: typing.Literal["float32", "bfloat16"]
    compute_dtype: typing.Literal["float32", "bfloat16"]
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

    param_dtype: typing.Literal["float32", "bfloat16"]
    compute_dtype: typing.Literal["float32", "bfloat16"]
    scan_layers: bool
    remat: bool
    dispatch: typing.Literal["blocks", "ragged", "dense"]
    block_size: int


def executed(model: ModelConfig, how: ExecutionConfig) -> ModelConfig:
    """The same network, held and run in another way."""
    moe = model.moe and dataclasses.replace(
        model.moe, dispatch=how.dispatch, block_size=how.block_size
    )
    return dataclasses.replace(
        model, param_dtype=how.param_dtype, compute_dtype=how.compute_dtype,
        scan_layers=how.scan_layers, remat=how.remat, moe=moe,
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class MeshConfig:
    """Devices along each mesh axis; their product must be the number of devices."""

    data: int
    expert: int
    model: int


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with warm-up and a schedule.

    Attributes:
      lr: peak learning rate.
      schedule: after warm-up: "constant", or "cosine" down to lr * final_lr_ratio at total_updates.
      clip_norm: global gradient norm above which gradients are scaled down.
      max_skipped_in_a_row: updates with non-finite gradients are skipped; after so many in a row
        the run stops.
    """

    lr: float
    schedule: typing.Literal["constant", "cosine"]
    warmup_updates: int
    total_updates: int
    final_lr_ratio: float
    b1: float
    b2: float
    eps: float
    weight_decay: float
    clip_norm: float
    max_skipped_in_a_row: int

    def __post_init__(self):
        if self.max_skipped_in_a_row < 1:
            raise ValueError(f"max_skipped_in_a_row {self.max_skipped_in_a_row}: need at least 1")


@dataclasses.dataclass(frozen=True)
class SamplerConfig:
    """How tokens are drawn.

    Attributes:
      temperature: 0 is greedy.
      top_k: keep the k most likely; 0 keeps all.
      top_p: keep the smallest set of tokens with at least this mass; 1 keeps all.
      min_p: keep tokens with at least this share of the best one's probability; 0 keeps all.
      repetition_penalty: above 1 makes ids that the prompt or the completion holds less likely,
        before the temperature; 1 leaves them.
      cache_segments: the cache grows in so many steps, so that early tokens attend over less.
      streams: programs that share the prompts and run side by side, each with randomness of its
        own. On CPU a decoding step's attention keeps one core busy: a stream per core took 0.7
        times as long. 1 elsewhere, and on a mesh.
    """

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repetition_penalty: float
    cache_segments: int
    streams: int

    def __post_init__(self):
        if self.repetition_penalty <= 0:
            raise ValueError(f"repetition_penalty {self.repetition_penalty}: wanted more than 0")
        if self.streams < 1 or self.cache_segments < 1:
            raise ValueError(
                f"streams {self.streams}, cache_segments {self.cache_segments}: need at least 1"
            )
        if self.temperature < 0:
            raise ValueError(f"temperature {self.temperature} is negative")
        if not 0 < self.top_p <= 1 or not 0 <= self.min_p <= 1 or self.top_k < 0:
            raise ValueError(
                f"top_p {self.top_p}, min_p {self.min_p}, top_k {self.top_k} are out of range"
            )


@dataclasses.dataclass(frozen=True)
class CheckpointConfig:
    """What is kept on disk.

    Attributes:
      every_updates: save after so many updates.
      keep_last: newest checkpoints kept.
      keep_best: best ones by validation score kept beside them.
      allow_config_change: resume although the config differs from the checkpoint's.
    """

    every_updates: int
    keep_last: int
    keep_best: int
    allow_config_change: bool

    def __post_init__(self):
        if self.every_updates < 1:
            raise ValueError(f"every_updates {self.every_updates}: need at least 1")
