"""Architectures of Hugging Face's config.json, as our ModelConfig.

An architecture is recognised by `model_type` alone. What a file asks for and we do not have is
refused by name; nothing is guessed but what transformers itself guesses for a missing field.
"""

from collections.abc import Mapping
from typing import Any

from r1jax.config import UserError
from r1jax.hub.fields import standard
from r1jax.model.config import ExecutionConfig, Gqa, Mla, ModelConfig, MoeConfig, RopeConfig

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
    names = "factor beta_fast beta_slow mscale mscale_all_dim low_freq_factor high_freq_factor"
    values: dict[str, float] = dict.fromkeys(names.split(), 0.0)
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
        theta=float(theta),
        kind="none" if kind == "default" else kind,
        original_length=length,
        **values,
    )


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
        "beta_fast": fast,
        "beta_slow": slow,
        "mscale": scales[0],
        "mscale_all_dim": scales[1],
    }


def _grouped(f: _Fields) -> Gqa:
    heads = int(f.need("num_attention_heads"))
    f.refuse("use_sliding_window", False)
    biased = f.kind == "qwen2"
    if f.kind == "llama":  # then the output has one too: zeros, or `tensors` refuses it
        biased = bool(f.get("attention_bias", False))
    else:
        f.refuse("attention_bias", False)
    f.refuse("mlp_bias", False)
    share = int(f.need("hidden_size")) // heads
    width = f.need("head_dim") if f.kind == "qwen3" else f.get("head_dim", share)
    return Gqa(
        n_heads=heads,
        n_kv_heads=int(f.get("num_key_value_heads", heads)),
        head_dim=int(width),
        qkv_bias=biased,
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
        score="sigmoid" if v3 else "softmax",
        group_score="top2" if v3 else "max",
        normalise=v3 and bool(f.get("norm_topk_prob", True)),
        route_scale=float(f.need("routed_scaling_factor")),
        dispatch=how.dispatch,
        block_size=how.rows_of_expert,
    )


def _check_quantisation(f: _Fields) -> None:
    """Float8 in blocks of 128 x 128 is read (`hub.read`); nothing else is."""
    inner = f.group("quantization_config")
    if inner is not None:
        inner.need("quant_method")
        inner.refuse("quant_method", "fp8")
        inner.refuse("weight_block_size", [128, 128])


def model_config(
    document: Document, where: str, *, n_tokens: int, how: ExecutionConfig
) -> ModelConfig:
    """What a config.json of one of FAMILIES describes, without what we add to it.

    Args:
      document: its contents.
      where: its name, for errors.
      n_tokens: ids that the tokenizer has.
      how: what the file does not say.

    Raises:
      ValueError: names the field that is missing, or that asks for what r1jax lacks.
    """
    kind = _Fields(document, where).kind
    f = _Fields(standard(document, kind, where), where)
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
        vocab_size=int(f.need("vocab_size")),
        n_tokens=n_tokens,
        d_model=int(f.need("hidden_size")),
        n_layers=n_layers,
        n_dense_layers=dense,
        mlp_dim=int(f.need("intermediate_size")),
        norm_eps=float(f.need("rms_norm_eps")),
        tie_embeddings=bool(f.get("tie_word_embeddings", False)),
        mtp=bool(modules),
        init_std=float(f.get("initializer_range", 0.02)),
        param_dtype=how.param_dtype,
        compute_dtype=how.compute_dtype,
        scan_layers=how.scan_layers,
        remat=how.remat,
        attention_block=how.attention_block,
        numerics=how.numerics,
        rope=_rope(f),
        attention=_latent(f) if latent else _grouped(f),
        moe=moe,
    )
