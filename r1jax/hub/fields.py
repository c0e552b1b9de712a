"""The fields of a Hugging Face config.json: their types, and one place for each setting.

Transformers reads some settings from two places, and where both are filled it takes one in silence:
`rope_scaling` hides `rope_parameters`, an `original_max_position_embeddings` beside them hides the
one within. Here the two must agree. What is missing is filled in as transformers 5 does.
"""

import math
from collections.abc import Mapping
from typing import Any

from r1jax.config import UserError

Document = Mapping[str, Any]

COUNTS = (  # at least 1
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
    "original_max_position_embeddings",
    "sliding_window",
    "n_routed_experts",
    "num_experts_per_tok",
    "moe_intermediate_size",
    "n_group",
    "topk_group",
    "kv_lora_rank",
    "qk_nope_head_dim",
    "qk_rope_head_dim",
    "v_head_dim",
    "moe_layer_freq",
)
WHOLE = (  # at least 0
    "q_lora_rank",
    "n_shared_experts",
    "first_k_dense_replace",
    "num_nextn_predict_layers",
    "max_window_layers",
)
POSITIVE = (
    "rope_theta",
    "routed_scaling_factor",
    "partial_rotary_factor",
    "factor",
    "low_freq_factor",
    "high_freq_factor",
)
NUMBERS = (  # at least 0
    "rms_norm_eps",
    "initializer_range",
    "beta_fast",
    "beta_slow",
    "mscale",
    "mscale_all_dim",
)
FLAGS = (
    "tie_word_embeddings",
    "attention_bias",
    "mlp_bias",
    "use_sliding_window",
    "norm_topk_prob",
    "rope_interleave",
    "truncate",
)
TEXTS = ("hidden_act", "scoring_func", "topk_method", "rope_type", "type")
ROPES = ("rope_scaling", "rope_parameters")  # transformers reads the first of them
ROPE = {  # keys of these objects that are read, or mean nothing
    "rope_type",
    "type",
    "rope_theta",
    "factor",
    "original_max_position_embeddings",
    "beta_fast",
    "beta_slow",
    "mscale",
    "mscale_all_dim",
    "attention_factor",
    "truncate",
    "low_freq_factor",
    "high_freq_factor",
    "partial_rotary_factor",
    "finetuned",
}
ALIASES = {  # other names of a field, for latent attention: transformers' attribute_map
    "deepseek_v3": {
        "num_mtp_layers": "num_nextn_predict_layers",
        "num_local_experts": "n_routed_experts",
    },
    "deepseek_v2": {"num_experts": "n_routed_experts"},
}
SCALED = ("yarn", "llama3")  # need an original length
WINDOW_LAYERS = 28  # max_window_layers of Qwen where none is given


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


KINDS = (
    (COUNTS, "an integer of at least 1", lambda value: _is_integer(value) and value >= 1),
    (WHOLE, "an integer of at least 0", lambda value: _is_integer(value) and value >= 0),
    (POSITIVE, "a number above 0", lambda value: _is_number(value) and value > 0),
    (NUMBERS, "a number of at least 0", lambda value: _is_number(value) and value >= 0),
    (FLAGS, "true or false", lambda value: isinstance(value, bool)),
    (TEXTS, "a text", lambda value: isinstance(value, str)),
)


def check(document: Document, where: str) -> None:
    """Checks the types and ranges of the known fields of an object; null is as good as missing.

    Raises:
      UserError: names the first field that is wrong.
    """
    for names, wanted, holds in KINDS:
        for name in names:
            value = document.get(name)
            if value is not None and not holds(value):
                raise UserError(f"{where}: {name} is {value!r:.40}, wanted {wanted}")


def standard(document: Document, kind: str, where: str) -> dict[str, Any]:
    """Returns a config.json of transformers with each setting in one place, its types checked.

    The rotary embedding is in `rope_parameters`, with all that transformers fills in; aliases have
    the names that we read; `use_sliding_window` is False where no layer has a window.

    Args:
      document: as it was read.
      kind: its model_type.
      where: its name, for errors.

    Raises:
      UserError: names the field that is wrong, or the two places that disagree.
    """
    check(document, where)
    one = _with_aliases(dict(document), kind, where)
    for name in ROPES:
        if document.get(name) and not isinstance(document[name], Mapping):
            raise UserError(f"{where}: {name} is {document[name]!r:.40}, wanted an object")
    ropes = {name: _rope(one, name, where) for name in ROPES if document.get(name)}
    if len(ropes) == 2 and ropes["rope_scaling"] != ropes["rope_parameters"]:
        pairs = [ropes[name].items() for name in ROPES]
        keys = sorted({key for key, _ in pairs[0] ^ pairs[1]})
        raise UserError(
            f"{where}: rope_scaling and rope_parameters differ in {keys}; transformers 5 reads "
            "rope_scaling alone: delete one of them"
        )
    rope = next(iter(ropes.values()), None) or _rope(one, "rope_parameters", where)
    for name in (*ROPES, "rope_theta", "original_max_position_embeddings"):
        one.pop(name, None)
    heads, width = one.get("num_attention_heads"), one.get("hidden_size")
    grouped = kind not in ALIASES
    if grouped and one.get("head_dim") is None and heads and width and width % heads:
        raise UserError(
            f"{where}: hidden_size {width} is no multiple of num_attention_heads {heads}, and "
            "there is no head_dim"
        )
    return {**_without_windows(one, where), "rope_parameters": rope}


def _with_aliases(document: dict[str, Any], kind: str, where: str) -> dict[str, Any]:
    for alias, name in ALIASES.get(kind, {}).items():
        value = document.pop(alias, None)
        if value is None:
            continue
        check({name: value}, f"{where}: {alias}")
        if document.get(name) not in (None, value):
            raise UserError(f"{where}: {alias} is {value}, but {name} is {document[name]}")
        document[name] = value
    return document


def _once(places: Mapping[str, Any], where: str) -> Any:
    """The value of a setting that several places may give; None if none does."""
    values = {place: value for place, value in places.items() if value is not None}
    if len(set(values.values())) > 1:
        raise UserError(f"{where}: {values} are one setting: delete all of them but one")
    return next(iter(values.values()), None)


def _rope(document: Document, name: str, where: str) -> dict[str, Any]:
    """One of the two objects, with what transformers fills in."""
    inner = {key: value for key, value in (document.get(name) or {}).items() if value is not None}
    place = f"{where}: {name}"
    if strangers := sorted(inner.keys() - ROPE):
        raise UserError(f"{place}: r1jax does not read {strangers}")
    check(inner, place)
    kind = _once({key: inner.pop(key, None) for key in ("rope_type", "type")}, place) or "default"

    def setting(key: str) -> Any:
        return _once({key: document.get(key), f"{name}.{key}": inner.get(key)}, where)

    rope = {**inner, "rope_type": kind, "rope_theta": setting("rope_theta") or 10_000.0}
    if kind in SCALED:
        key = "original_max_position_embeddings"
        rope[key] = setting(key) or document.get("max_position_embeddings")
        if rope[key] is None:
            raise UserError(f"{place}: lacks {key!r}, and there is no max_position_embeddings")
        if inner.get("factor", 1) < 1:
            raise UserError(f"{place}: factor is {inner['factor']}, wanted at least 1")
    if kind == "yarn":
        rope["beta_fast"] = inner.get("beta_fast") or 32
        rope["beta_slow"] = inner.get("beta_slow") or 1
    return rope


def _without_windows(document: dict[str, Any], where: str) -> dict[str, Any]:
    """The document without its sliding window, if no layer has one."""
    layers, kinds = document.get("num_hidden_layers"), document.get("layer_types")
    if kinds is not None and (
        not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds)
    ):
        raise UserError(f"{where}: layer_types is {kinds!r:.40}, wanted a list of texts")
    if kinds is not None and layers is not None and len(kinds) != layers:
        raise UserError(f"{where}: {len(kinds)} layer_types, but num_hidden_layers is {layers}")
    first = document.get("max_window_layers")
    nowhere = (
        "sliding_attention" not in kinds
        if kinds is not None
        else ("sliding_window" in document and document["sliding_window"] is None)
        or (layers or 0) <= (WINDOW_LAYERS if first is None else first)
    )
    return document | ({"use_sliding_window": False} if nowhere else {})
