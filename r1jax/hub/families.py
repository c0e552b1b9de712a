"""Architectures of Hugging Face's config.json, as our ModelConfig; `documents` is the way back.

An architecture is recognised by `model_type` alone. What a file asks for and we do not have is
refused by name; nothing is guessed but what transformers itself guesses for a missing field.

What `hub.artifacts.save_model` wrote has one key more, "r1jax": an object with

  execution: how the network was held and run, an ExecutionConfig;
  model: the fields of ModelConfig that differ from what the other keys say, nested as there: what
    no such network reads, and n_tokens if the tokenizer has other ids. Where transformers has no
    such network, model_type is "r1jax", and these are all fields but vocab_size;
  tokenizer: `file` and `sha256` of the tokenizer (`text.files.read_tokenizer`).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from r1jax import config as configs
from r1jax.config import UserError
from r1jax.hub.fields import standard
from r1jax.model.config import ExecutionConfig, Gqa, Mla, ModelConfig, MoeConfig, RopeConfig
from r1jax.text.files import OURS

Document = Mapping[str, Any]
FAMILIES = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "deepseek_v2": "DeepseekV2ForCausalLM",
    "deepseek_v3": "DeepseekV3ForCausalLM",
}


class _Fields:
    """A config.json whose missing or unsupported fields are errors that name them."""

    def __init__(self, document: Document, where: str):
        self.document, self.where = document, where

    def need(self, name: str) -> Any:
        if self.document.get(name) is None:
            raise UserError(f"{self.where}: lacks {name!r}, which {self.kind} needs")
        return self.document[name]

    def get(self, name: str, otherwise: Any) -> Any:
        value = self.document.get(name)
        return otherwise if value is None else value

    def group(self, name: str) -> "_Fields | None":
        """The fields of an inner object, or None where it is missing or empty."""
        value = self.get(name, None)
        if not value:
            return None
        if not isinstance(value, Mapping):
            raise UserError(f"{self.where}: {name} is {value!r:.40}, wanted an object")
        return _Fields({"model_type": self.kind, **value}, f"{self.where}: {name}")

    def refuse(self, name: str, *allowed: Any) -> None:
        """Raises unless the field is missing or has one of the allowed values."""
        value = self.document.get(name)
        if value is not None and value not in allowed:
            wanted = " or ".join(map(repr, allowed))
            raise UserError(f"{self.where}: {name} is {value!r}, r1jax has only {wanted}")

    @property
    def kind(self) -> str:
        kind = self.document.get("model_type")
        if kind not in FAMILIES:
            raise UserError(
                f"{self.where}: model_type is {kind!r}, r1jax has only {sorted(FAMILIES)}"
            )
        return str(kind)


def _rope(f: _Fields) -> RopeConfig:
    """`rope_parameters` (transformers 5), or `rope_theta` beside `rope_scaling`."""
    inner = f.group("rope_parameters") or f.group("rope_scaling") or _Fields({}, f.where)
    kind = inner.get("rope_type", inner.get("type", "default"))
    if kind not in ("default", "yarn", "llama3"):
        raise UserError(f"{f.where}: rope type {kind!r}, r1jax has only default, llama3 and yarn")
    inner.refuse("partial_rotary_factor", 1.0)
    f.refuse("partial_rotary_factor", 1.0)
    values = dict.fromkeys(
        ("factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "low_freq_factor",
         "high_freq_factor"), 0.0
    )  # fmt: skip
    theta = inner.get("rope_theta", f.get("rope_theta", 10_000.0))
    length = 0
    if kind != "default":
        values["factor"] = float(inner.need("factor"))
        length = int(inner.need("original_max_position_embeddings"))
    if kind == "llama3":
        values |= {n: float(inner.need(n)) for n in ("low_freq_factor", "high_freq_factor")}
    if kind == "yarn":
        values |= _yarn(f, inner)
    return RopeConfig(
        theta=float(theta), kind="none" if kind == "default" else kind, original_length=length,
        **values,
    )  # fmt: skip


def _yarn(f: _Fields, inner: _Fields) -> dict[str, float]:
    if inner.get("attention_factor", None) is not None:
        raise UserError(f"{inner.where}: attention_factor is set, r1jax has only mscale")
    inner.refuse("truncate", True)
    scales = [float(inner.get(name, 0)) for name in ("mscale", "mscale_all_dim")]
    if (scales[0] > 0) != (scales[1] > 0):
        raise UserError(
            f"{inner.where}: mscale {scales[0]} and mscale_all_dim {scales[1]}, r1jax has "
            "only both or neither"
        )
    if any(scales) and not f.kind.startswith("deepseek"):
        # transformers scales the softmax by them in DeepSeek's attention alone
        raise UserError(f"{inner.where}: mscale is set, which {f.kind} has no use for")
    fast, slow = (float(inner.get(n, v)) for n, v in (("beta_fast", 32), ("beta_slow", 1)))
    return {
        "beta_fast": fast, "beta_slow": slow, "mscale": scales[0], "mscale_all_dim": scales[1],
    }  # fmt: skip


def _grouped(f: _Fields) -> Gqa:
    heads = int(f.need("num_attention_heads"))
    f.refuse("use_sliding_window", False)
    f.refuse("attention_bias", False)
    f.refuse("mlp_bias", False)
    share = int(f.need("hidden_size")) // heads
    width = f.need("head_dim") if f.kind == "qwen3" else f.get("head_dim", share)
    return Gqa(
        n_heads=heads,
        n_kv_heads=int(f.get("num_key_value_heads", heads)),
        head_dim=int(width),
        qkv_bias=f.kind == "qwen2",
        qk_norm=f.kind == "qwen3",
    )


def _latent(f: _Fields) -> Mla:
    heads = int(f.need("num_attention_heads"))
    f.refuse("attention_bias", False)
    f.refuse("num_key_value_heads", heads)
    return Mla(
        n_heads=heads,
        q_lora_rank=int(f.get("q_lora_rank", 0)),
        kv_lora_rank=int(f.need("kv_lora_rank")),
        nope_dim=int(f.need("qk_nope_head_dim")),
        rope_dim=int(f.need("qk_rope_head_dim")),
        v_dim=int(f.need("v_head_dim")),
    )


def _moe(f: _Fields, how: ExecutionConfig) -> MoeConfig:
    v3 = f.kind == "deepseek_v3"
    f.refuse("moe_layer_freq", 1)
    f.refuse("scoring_func", "sigmoid" if v3 else "softmax")
    f.refuse("topk_method", *(("noaux_tc",) if v3 else ("greedy", "group_limited_greedy")))
    if not v3:
        f.refuse("norm_topk_prob", False)
    grouped = v3 or f.get("topk_method", "greedy") == "group_limited_greedy"
    return MoeConfig(
        n_experts=int(f.need("n_routed_experts")),
        n_shared_experts=int(f.get("n_shared_experts", 0)),
        experts_per_token=int(f.need("num_experts_per_tok")),
        hidden_dim=int(f.need("moe_intermediate_size")),
        n_groups=int(f.need("n_group")) if grouped else 1,
        top_groups=int(f.need("topk_group")) if grouped else 1,
        score="sigmoid" if v3 else "softmax", group_score="top2" if v3 else "max",
        normalise=v3 and bool(f.get("norm_topk_prob", True)),
        route_scale=float(f.need("routed_scaling_factor")),
        dispatch=how.dispatch, block_size=how.block_size,
    )  # fmt: skip


def _check_quantisation(f: _Fields) -> None:
    """Float8 in blocks of 128 x 128 is read (`hub.read`); nothing else is."""
    inner = f.group("quantization_config")
    if inner is not None:
        inner.need("quant_method")
        inner.refuse("quant_method", "fp8")
        inner.refuse("weight_block_size", [128, 128])


def is_interleaved(document: Document) -> bool:
    """Whether the rotary pairs of a checkpoint's latent attention stand side by side."""
    kind = document.get("model_type")
    # transformers' deepseek_v2 has no such field: always side by side, and so in what we write
    return kind in ("deepseek_v2", OURS) or (
        kind == "deepseek_v3" and bool(document.get("rope_interleave", True))
    )


def _ours(document: Document, where: str, name: str) -> dict[str, Any]:
    """An object below the key "r1jax"; empty where it is missing."""
    section = document.get(OURS, {})
    value = section.get(name, {}) if isinstance(section, Mapping) else section
    if not isinstance(value, Mapping):
        raise UserError(f"{where}: {OURS}.{name}: got {value!r:.40}, wanted an object")
    return dict(value)


def saved_execution(document: Document, where: str) -> ExecutionConfig:
    """How a network that `hub.artifacts.save_model` wrote was held and run.

    Raises:
      UserError: if a config.json of others is asked for that.
    """
    if OURS not in document:
        raise UserError(f"{where}: lacks {OURS!r}, so the caller must say how to hold the model")
    execution = _ours(document, where, "execution")
    return configs.build(ExecutionConfig, execution, f"{where}: {OURS}.execution")


def execution_fields(how: ExecutionConfig, *, has_experts: bool) -> dict[str, Any]:
    """The fields of a ModelConfig, nested, that say how it is held and run."""
    fields = dataclasses.asdict(how)
    experts = {name: fields.pop(name) for name in ("dispatch", "block_size")}
    return {**fields, "moe": experts} if has_experts else fields


def _merged(fields: Document, changes: Document) -> dict[str, Any]:
    """The fields with those of `changes` put in their place, at any depth."""
    merged = dict(fields)
    for name, value in changes.items():
        old = fields.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = _merged(old, value)
        merged[name] = value
    return merged


def one_attention(fields: Any, kind: type[Mla | Gqa] | None) -> Any:
    """The fields of a ModelConfig without those that its attention does not have.

    Models were once saved with the fields of both kinds of attention; a key `kind` said which
    were read.

    Args:
      fields: as saved then or now, nested.
      kind: of the attention; None where only the key `kind` says it.
    """
    attention = fields.get("attention") if isinstance(fields, Mapping) else None
    if not isinstance(attention, Mapping):
        return fields
    kind = kind or {"mla": Mla, "gqa": Gqa}.get(str(attention.get("kind")))
    if kind is None:
        return fields
    names = {k: {f.name for f in dataclasses.fields(k)} for k in (Mla, Gqa)}
    unread = {"kind"} | (names[Mla] ^ names[Gqa]) - names[kind]
    return {**fields, "attention": {k: v for k, v in attention.items() if k not in unread}}


def model_config(
    document: Document, where: str, *, n_tokens: int, how: ExecutionConfig
) -> ModelConfig:
    """What a config.json describes.

    Args:
      document: its contents.
      where: its name, for errors.
      n_tokens: ids that the tokenizer has, often fewer than rows of the embedding.
      how: what the file does not say.

    Raises:
      UserError: names the field that is missing, or that asks for what r1jax lacks.
    """
    changes = _ours(document, where, "model")
    try:
        if document.get("model_type") == OURS:
            changes = one_attention(changes, None)
            fields = execution_fields(how, has_experts=changes.get("moe") is not None)
            fields["vocab_size"] = document.get("vocab_size")
        else:
            kind = _Fields(document, where).kind
            f = _Fields(standard(document, kind, where), where)
            model = _model_config(f, n_tokens=n_tokens, how=how)
            if not changes:
                return model
            fields = dataclasses.asdict(model)
            changes = one_attention(changes, type(model.attention))
    except ValueError as error:
        text = str(error)
        raise UserError(text if text.startswith(where) else f"{where}: {text}") from error
    return configs.build(ModelConfig, _merged(fields, changes), f"{where}: {OURS}.model")


def _model_config(f: _Fields, *, n_tokens: int, how: ExecutionConfig) -> ModelConfig:
    latent, n_layers = f.kind.startswith("deepseek"), int(f.need("num_hidden_layers"))
    f.refuse("hidden_act", "silu")
    _check_quantisation(f)
    kinds = set(f.get("layer_types", ["full_attention"]))
    if kinds != {"full_attention"}:
        raise UserError(f"{f.where}: layer_types {sorted(kinds)}, r1jax has only full_attention")
    modules = int(f.get("num_nextn_predict_layers", 0)) if f.kind == "deepseek_v3" else 0
    if modules > 1:
        raise UserError(f"{f.where}: num_nextn_predict_layers is {modules}, r1jax has only 0 and 1")
    dense = min(int(f.need("first_k_dense_replace")), n_layers) if latent else n_layers
    moe = _moe(f, how) if latent else None
    return ModelConfig(
        vocab_size=int(f.need("vocab_size")), n_tokens=n_tokens, d_model=int(f.need("hidden_size")),
        n_layers=n_layers, n_dense_layers=dense, mlp_dim=int(f.need("intermediate_size")),
        norm_eps=float(f.need("rms_norm_eps")),
        tie_embeddings=bool(f.get("tie_word_embeddings", False)), mtp=bool(modules),
        init_std=float(f.get("initializer_range", 0.02)), param_dtype=how.param_dtype,
        compute_dtype=how.compute_dtype, scan_layers=how.scan_layers, remat=how.remat,
        rope=_rope(f), attention=_latent(f) if latent else _grouped(f), moe=moe,
    )  # fmt: skip
