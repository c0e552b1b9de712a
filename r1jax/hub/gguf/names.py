"""Names of the tensors in a GGUF file, and those of Hugging Face for the same numbers."""

import re

# GGUF's name of a tensor, without "blk.N.", and that of Hugging Face
OUTER = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
INNER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_q_a": "self_attn.q_a_proj",
    "attn_q_a_norm": "self_attn.q_a_layernorm",
    "attn_q_b": "self_attn.q_b_proj",
    "attn_kv_a_mqa": "self_attn.kv_a_proj_with_mqa",
    "attn_kv_a_norm": "self_attn.kv_a_layernorm",
    "attn_k_b": "self_attn.kv_b_proj.keys",  # two parts of one matrix there
    "attn_v_b": "self_attn.kv_b_proj.values",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "ffn_gate_inp": "mlp.gate",
    "ffn_gate_shexp": "mlp.shared_experts.gate_proj",
    "ffn_up_shexp": "mlp.shared_experts.up_proj",
    "ffn_down_shexp": "mlp.shared_experts.down_proj",
    "ffn_gate_exps": "mlp.experts.*.gate_proj",  # one tensor for all experts
    "ffn_up_exps": "mlp.experts.*.up_proj",
    "ffn_down_exps": "mlp.experts.*.down_proj",
}
BIAS = ("exp_probs_b.bias", "mlp.gate.e_score_correction_bias")  # of the choice of experts
EXPERT = re.compile(r"\.experts\.\d+\.")
_THEIRS = {theirs: ours for ours, theirs in INNER.items()}
_OUTER = {theirs: ours for ours, theirs in OUTER.items()}


def is_rotary(name: str) -> bool:
    """Whether a tensor of Hugging Face makes queries or keys that rotate."""
    return ".q_proj." in name or ".k_proj." in name


def to_hugging_face(name: str, *, padding: int) -> str | None:
    """Hugging Face's name of a GGUF tensor; None for one that has none.

    All experts of a layer are one tensor, with "*" for their number. Layers are counted from
    `padding` on; the names of those before stand for no tensor that anyone reads.
    """
    stem, _, kind = name.rpartition(".")
    if stem in OUTER:
        return f"{OUTER[stem]}.{kind}"
    parts = name.split(".", 2)
    if len(parts) != 3 or parts[0] != "blk" or not parts[1].isdigit():
        return None
    prefix = f"model.layers.{int(parts[1]) - padding}."
    if parts[2] == BIAS[0]:
        return prefix + BIAS[1]
    inner = parts[2].rpartition(".")[0]
    return f"{prefix}{INNER[inner]}.{kind}" if inner in INNER else None


def to_gguf(name: str, *, padding: int) -> str:
    """GGUF's name of a tensor of Hugging Face; that of any expert is that of all."""
    stem, _, kind = name.rpartition(".")
    if stem in _OUTER:
        return f"{_OUTER[stem]}.{kind}"
    _, _, layer, inner = name.split(".", 3)
    prefix = f"blk.{int(layer) + padding}."
    if inner == BIAS[1]:
        return prefix + BIAS[0]
    inner = EXPERT.sub(".experts.*.", f".{inner}").rpartition(".")[0]
    return f"{prefix}{_THEIRS[inner.removeprefix('.')]}.{kind}"
