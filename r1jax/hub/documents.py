"""Our ModelConfig as the config.json of the Hugging Face architecture that it is."""

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Any

from r1jax.config import UserError
from r1jax.hub import families
from r1jax.hub.architectures import FAMILIES
from r1jax.model.config import ExecutionConfig, Gqa, Mla, ModelConfig, RopeConfig
from r1jax.text.files import OURS, saved_as
from r1jax.text.tokenizer import Tokenizer


def family(model: ModelConfig) -> str:
    """The `model_type` that describes a model.

    Raises:
      UserError: if transformers has no such architecture.
    """
    a = model.attention
    if isinstance(a, Mla):
        if model.moe is None:
            raise UserError("transformers has no architecture with latent attention and no MoE")
        v3, moe = model.moe.score == "sigmoid", model.moe
        if not v3 and (model.mtp or moe.normalise):
            raise UserError(
                "transformers' deepseek_v2, the one with a softmax router, has no MTP module and "
                "does not normalise the experts' weights"
            )
        if moe.group_score != ("top2" if v3 else "max"):
            raise UserError(
                f"transformers has no {moe.score} router whose groups score by {moe.group_score}"
            )
        return "deepseek_v3" if v3 else "deepseek_v2"
    if model.moe is not None or model.mtp or (a.qkv_bias and a.qk_norm):
        raise UserError("transformers has no architecture of grouped-query attention like this")
    return "qwen2" if a.qkv_bias else "qwen3" if a.qk_norm else "llama"


def _rope_document(rope: RopeConfig) -> dict[str, Any]:
    if rope.kind == "none":
        return {"rope_theta": rope.theta, "rope_scaling": None}
    names = {
        "yarn": ("beta_fast", "beta_slow", "mscale", "mscale_all_dim"),
        "llama3": ("low_freq_factor", "high_freq_factor"),
    }[rope.kind]
    scaling = {
        "rope_type": rope.kind,
        "factor": rope.factor,
        "original_max_position_embeddings": rope.original_length,
        **{name: getattr(rope, name) for name in names},
    }
    # "type" for readers older than "rope_type"
    return {"rope_theta": rope.theta, "rope_scaling": {**scaling, "type": rope.kind}}


def _latent_document(model: ModelConfig, a: Mla) -> dict[str, Any]:
    moe = model.moe
    assert moe is not None
    v3 = moe.score == "sigmoid"
    limited = "noaux_tc" if v3 else "group_limited_greedy" if moe.n_groups > 1 else "greedy"
    return {
        "q_lora_rank": a.q_lora_rank or None,
        "kv_lora_rank": a.kv_lora_rank,
        "qk_nope_head_dim": a.nope_dim,
        "qk_rope_head_dim": a.rope_dim,
        "v_head_dim": a.v_dim,
        "first_k_dense_replace": model.n_dense_layers,
        "moe_layer_freq": 1,
        "n_routed_experts": moe.n_experts,
        "n_shared_experts": moe.n_shared_experts,
        "num_experts_per_tok": moe.experts_per_token,
        "moe_intermediate_size": moe.hidden_dim,
        "n_group": moe.n_groups,
        "topk_group": moe.top_groups,
        "topk_method": limited,
        "scoring_func": moe.score,
        "norm_topk_prob": moe.normalise,
        "routed_scaling_factor": moe.route_scale,
        **({"num_nextn_predict_layers": int(model.mtp), "rope_interleave": True} if v3 else {}),
    }


def document(
    model: ModelConfig, *, kind: str, dtype: str, max_positions: int | None
) -> dict[str, Any]:
    """Returns the config.json of a model, without the ids that its tokenizer names.

    Args:
      model: the network.
      kind: its `family`; or "llama" for a "qwen2", which the former has too (with a bias in the
        output, of zeros).
      dtype: of the tensors, such as "bfloat16".
      max_positions: longest sequence, in tokens, that readers may expect to work; None leaves that
        to them, but for YaRN's, which is what it stretches to.

    Raises:
      UserError: if transformers has no such architecture.
    """
    a = model.attention
    if model.rope.kind == "yarn":
        window = round(model.rope.factor * model.rope.original_length)
        max_positions = window if max_positions is None else max_positions
        if max_positions != window:
            raise UserError(
                f"max_positions {max_positions}: YaRN stretches {model.rope.original_length} to "
                f"{window}, and some readers take the factor from these two numbers"
            )
    if isinstance(a, Mla):
        kv_heads, own = a.n_heads, _latent_document(model, a)
    else:
        kv_heads, own = a.n_kv_heads, {"head_dim": a.head_dim}
        own |= {"use_sliding_window": False} if kind == "qwen2" else {}
    return {
        "architectures": [FAMILIES[kind]],
        "model_type": kind,
        "torch_dtype": dtype,
        "vocab_size": model.vocab_size,
        "hidden_size": model.d_model,
        "intermediate_size": model.mlp_dim,
        "num_hidden_layers": model.n_layers,
        "num_attention_heads": a.n_heads,
        "num_key_value_heads": kv_heads,
        "hidden_act": "silu",
        "rms_norm_eps": model.norm_eps,
        **({} if max_positions is None else {"max_position_embeddings": max_positions}),
        "initializer_range": model.init_std or 0.02,
        "tie_word_embeddings": model.tie_embeddings,
        "attention_bias": kind == "llama" and isinstance(a, Gqa) and a.qkv_bias,
        "attention_dropout": 0.0,
        "use_cache": True,
        **_rope_document(model.rope),
        **own,
    }


def _execution(model: ModelConfig) -> ExecutionConfig:
    """How a network is held and run."""
    moe = model.moe
    return ExecutionConfig(
        param_dtype=model.param_dtype,
        compute_dtype=model.compute_dtype,
        scan_layers=model.scan_layers,
        remat=model.remat,
        attention_block=model.attention_block,
        numerics=model.numerics,
        dispatch=moe.dispatch if moe else "blocks",  # no dense network reads these two
        block_size=moe.block_size if moe else 0,
    )


def _differences(fields: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, at any depth, that `known` lacks or has other values for."""
    different = {}
    for name, value in fields.items():
        if name in known and value == known[name]:
            continue
        old = known.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            value = _differences(value, old)
        different[name] = value
    return different


def saved_document(model: ModelConfig, tokenizer: Tokenizer, *, is_biased: bool) -> dict[str, Any]:
    """Returns the config.json of a model that is to be read back exactly (see `hub.families`).

    Args:
      model: the network, any that there is.
      tokenizer: its own.
      is_biased: whether a softmax router has a selection bias, which DeepSeek-V2 has not.

    Returns:
      What `document` says, or model_type "r1jax" where transformers has no such architecture, with
      the key "r1jax"; without the ids that the tokenizer names.

    Raises:
      UserError: if the tokenizer has more ids than the embedding has rows.
    """
    if tokenizer.size > model.vocab_size:
        raise UserError(
            f"model to save: the tokenizer has {tokenizer.size} ids, the embedding "
            f"{model.vocab_size} rows"
        )
    how, size = _execution(model), {"vocab_size": model.vocab_size}
    said: dict[str, Any] = {"model_type": OURS, "torch_dtype": model.param_dtype, **size}
    known = {**families.execution_fields(how, has_experts=model.moe is not None), **size}
    with contextlib.suppress(ValueError):  # where transformers has no such architecture
        if not is_biased:
            kind = family(model)
            theirs = document(model, kind=kind, dtype=model.param_dtype, max_positions=None)
            read = families.model_config(theirs, "", n_tokens=tokenizer.size, how=how)
            said, known = theirs, dataclasses.asdict(read)
    ours = {
        "execution": dataclasses.asdict(how),
        "model": _differences(dataclasses.asdict(model), known),
        "tokenizer": saved_as(tokenizer),
    }
    return {**said, OURS: ours}
