"""A model in one GGUF file of the Llama architecture, as a Hugging Face directory would tell it.

GGUF stores the rows of queries and keys with rotary pairs side by side; here they are put back half
the width apart, as Hugging Face has them. Quantised tensors are read as float32. It takes the
package gguf (pip install 'r1jax[gguf]').
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from r1jax.config import MissingPackage, UserError

# GGUF's name of a tensor, without "blk.N.", and ours of Hugging Face's
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
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


class _Stored(NamedTuple):
    """Where a tensor stands in the file, and what of it is quantised how."""

    shape: tuple[int, ...]
    raw_dtype: np.dtype
    raw_shape: tuple[int, ...]
    begin: int
    kind: Any


def _name(name: str) -> str | None:
    """Hugging Face's name, or None for a tensor that has none."""
    stem, _, kind = name.rpartition(".")
    if stem in OUTER:
        return f"{OUTER[stem]}.{kind}"
    parts = stem.split(".")
    if len(parts) == 3 and parts[0] == "blk" and parts[2] in INNER:
        return f"model.layers.{parts[1]}.{INNER[parts[2]]}.{kind}"
    return None


class GgufFile:
    """An opened file; tensors are dequantised when they are asked for."""

    def __init__(self, path: Path):
        """Opens a file.

        Raises:
          ImportError: if the package gguf is not installed.
          UserError: names the file if it is damaged, or has another architecture or unknown
            tensors.
        """
        try:
            import gguf
        except ImportError as error:
            raise MissingPackage(
                f"{path}: reading GGUF takes gguf: pip install 'r1jax[gguf]'"
            ) from error
        self.path, self._dequantise = path, gguf.quants.dequantize
        try:
            reader = gguf.GGUFReader(path)
        except (ValueError, IndexError, OSError) as error:
            raise UserError(f"{path}: no whole GGUF file: {error}") from error
        # the reader keeps several arrays for every token: it goes before any tensor is read
        self._fields = {name: field.contents() for name, field in reader.fields.items()}
        architecture = self.field("general.architecture")
        if architecture != "llama":
            raise UserError(f"{path}: architecture {architecture!r}, r1jax reads only 'llama'")
        self._tensors: dict[str, _Stored] = {}
        unknown = []
        for t in reader.tensors:
            name = _name(t.name)
            if name is None:
                unknown.append(t.name)
                continue
            shape = tuple(int(n) for n in reversed(t.shape))
            self._tensors[name] = _Stored(
                shape, t.data.dtype, t.data.shape, t.data_offset, t.tensor_type
            )
        if unknown:
            raise UserError(f"{path}: tensors that r1jax has no place for: {unknown}")

    def field(self, name: str) -> Any:
        """A metadata field.

        Raises:
          UserError: if the file lacks it.
        """
        if name not in self._fields:
            raise UserError(f"{self.path}: lacks the field {name}")
        return self._fields[name]

    def known(self, name: str, otherwise: Any) -> Any:
        """A metadata field, or another value where the file lacks it."""
        return self._fields.get(name, otherwise)

    def config(self) -> dict[str, Any]:
        """The config.json that describes the model.

        Raises:
          UserError: if a field is missing, or asks for what r1jax lacks.
        """

        def number(name: str) -> Any:
            return self.field(f"llama.{name}")

        def optional(name: str, otherwise: Any) -> Any:
            return self.known(f"llama.{name}", otherwise)

        heads, width = number("attention.head_count"), number("embedding_length")
        if heads < 1:
            raise UserError(f"{self.path}: llama.attention.head_count is {heads}, wanted 1 or more")
        head_dim = optional("attention.key_length", width // heads)
        for name, wanted in (
            ("rope.scaling.type", "none"),
            ("rope.scale_linear", 1.0),
            ("rope.dimension_count", head_dim),
            ("attention.value_length", head_dim),
        ):
            if (value := optional(name, wanted)) != wanted:
                raise UserError(
                    f"{self.path}: llama.{name} is {value!r}, r1jax has only {wanted!r}"
                )
        return {
            "model_type": "llama",
            "architectures": ["LlamaForCausalLM"],
            "hidden_act": "silu",
            "vocab_size": len(self.field("tokenizer.ggml.tokens")),
            "hidden_size": width,
            "num_hidden_layers": number("block_count"),
            "num_attention_heads": heads,
            "intermediate_size": number("feed_forward_length"),
            "num_key_value_heads": optional("attention.head_count_kv", heads),
            "head_dim": head_dim,
            "rms_norm_eps": number("attention.layer_norm_rms_epsilon"),
            "rope_theta": optional("rope.freq_base", 10_000.0),
            "max_position_embeddings": number("context_length"),
            "tie_word_embeddings": "lm_head.weight" not in self._tensors,
        }

    def vocabulary(self) -> dict[str, Any]:
        """The tokenizer's fields as `hub.gguf.tokenizer.GgufVocabulary` names them.

        Raises:
          UserError: if it is no byte-level BPE, or a field is missing.
        """

        def field(name: str) -> Any:
            return self.field(f"tokenizer.ggml.{name}")

        def known(name: str, otherwise: Any) -> Any:
            return self.known(f"tokenizer.ggml.{name}", otherwise)

        if field("model") != "gpt2":
            raise UserError(
                f"{self.path}: tokenizer.ggml.model is {field('model')!r}, r1jax has only 'gpt2' "
                "(byte-level BPE)"
            )
        pre = field("pre")
        return {
            "pre": pre,
            "tokens": field("tokens"),
            "token_type": field("token_type"),
            "merges": field("merges"),
            "bos": known("bos_token_id", None),
            "eos": field("eos_token_id"),
            "turn_end": known("eot_token_id", None),
            "padding": known("padding_token_id", None),
            # where the file is silent llama.cpp goes by the kind
            "add_bos": known("add_bos_token", pre == "llama-bpe"),
            "chat_template": self.known("tokenizer.chat_template", None),
        }

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Hugging Face's shape of every tensor."""
        return {name: stored.shape for name, stored in self._tensors.items()}

    def read(self, name: str) -> np.ndarray:
        """A tensor as Hugging Face has it, float32."""
        stored = self._tensors[name]
        count = math.prod(stored.raw_shape)
        raw = np.fromfile(self.path, stored.raw_dtype, count, offset=stored.begin)
        if raw.size != count:
            raise UserError(f"{self.path}: {name} is cut short: truncated")
        try:
            value = self._dequantise(raw.reshape(stored.raw_shape), stored.kind)
        except NotImplementedError as error:
            raise UserError(f"{self.path}: {name}: {error}") from error
        kind = "head_count" if ".q_proj." in name else "head_count_kv"
        if ".q_proj." not in name and ".k_proj." not in name:
            return value
        heads = self.known(f"llama.attention.{kind}", self.field("llama.attention.head_count"))
        rows = value.shape[0] // heads
        pairs = value.reshape(heads, rows // 2, 2, *value.shape[1:])
        return pairs.swapaxes(1, 2).reshape(value.shape)
