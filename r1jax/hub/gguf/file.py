"""A model in one GGUF file, as a Hugging Face directory would tell it.

The architecture llama stores the rows of queries and keys with rotary pairs side by side; here they
are put back half the width apart, as Hugging Face has them. deepseek2 stores an expert's matrices
as slices of one tensor, and the up-projection of keys (transposed) and values in two. Quantised
tensors are read as float32. It takes the package gguf (pip install 'r1jax[gguf]').
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from r1jax.config import MissingPackage, UserError
from r1jax.hub.gguf import names

# model_type of Hugging Face's config.json, by GGUF's architecture
KINDS = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "deepseek2": "deepseek_v3"}
SIGMOID = 2  # value of expert_gating_func
KEYS, VALUES, BOTH = (f".kv_b_proj.{part}weight" for part in ("keys.", "values.", ""))
SAMPLING = {  # fields of generation_config.json
    "temperature": "general.sampling.temp",
    "top_k": "general.sampling.top_k",
    "top_p": "general.sampling.top_p",
    "min_p": "general.sampling.min_p",
}
PADDING = "r1jax.padding_layers"  # first layers that do nothing (`gguf.write`)


class _Stored(NamedTuple):
    """Where a tensor stands in the file, and what of it is quantised how."""

    shape: tuple[int, ...]
    raw_dtype: np.dtype
    raw_shape: tuple[int, ...]
    begin: int
    kind: Any


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
        self.architecture = self.field("general.architecture")
        self.padding = self.known(PADDING, 0)
        if self.architecture not in KINDS:
            raise UserError(
                f"{path}: architecture {self.architecture!r}, r1jax reads only {sorted(KINDS)}"
            )
        self._tensors: dict[str, _Stored] = {}
        unknown = []
        for t in reader.tensors:
            name = names.to_hugging_face(t.name, padding=self.padding)
            if name is None:
                unknown.append(t.name)
                continue
            if name.startswith("model.layers.-"):  # of a layer that does nothing
                continue
            shape = tuple(int(n) for n in reversed(t.shape))
            stored = _Stored(shape, t.data.dtype, t.data.shape, t.data_offset, t.tensor_type)
            if "*" in name:
                nbytes = t.data.nbytes // shape[0]
                for e in range(shape[0]):
                    begin = stored.begin + e * nbytes
                    self._tensors[name.replace("*", str(e))] = stored._replace(
                        shape=shape[1:], raw_shape=stored.raw_shape[1:], begin=begin
                    )
            else:
                self._tensors[name] = stored
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
        kind, number, optional = self.architecture, self._number, self._optional
        heads, width = number("attention.head_count"), number("embedding_length")
        if heads < 1:
            raise UserError(
                f"{self.path}: {kind}.attention.head_count is {heads}, wanted 1 or more"
            )
        common = {
            "model_type": KINDS[kind],
            "hidden_act": "silu",
            "vocab_size": len(self.field("tokenizer.ggml.tokens")),
            "hidden_size": width,
            "num_hidden_layers": number("block_count") - self.padding,
            "num_attention_heads": heads,
            "intermediate_size": number("feed_forward_length"),
            "rms_norm_eps": number("attention.layer_norm_rms_epsilon"),
            "rope_theta": optional("rope.freq_base", 10_000.0),
            "max_position_embeddings": number("context_length"),
            "tie_word_embeddings": "lm_head.weight" not in self._tensors,
        }
        own = self._latent(heads) if kind == "deepseek2" else self._grouped(heads, width // heads)
        for name, wanted in (
            ("rope.scaling.type", "none"),
            ("rope.scale_linear", 1.0),
            ("rope.dimension_count", own.get("qk_rope_head_dim", own.get("head_dim"))),
        ):
            if (value := optional(name, wanted)) != wanted:
                raise UserError(
                    f"{self.path}: {kind}.{name} is {value!r}, r1jax has only {wanted!r}"
                )
        return common | own

    def _number(self, name: str) -> Any:
        return self.field(f"{self.architecture}.{name}")

    def _optional(self, name: str, otherwise: Any) -> Any:
        return self.known(f"{self.architecture}.{name}", otherwise)

    def _grouped(self, heads: int, share: int) -> dict[str, Any]:
        """The fields of grouped-query attention; `share` is a head's part of the width."""
        head_dim = self._optional("attention.key_length", share)
        if (value := self._optional("attention.value_length", head_dim)) != head_dim:
            raise UserError(
                f"{self.path}: {self.architecture}.attention.value_length is {value!r}, r1jax has "
                f"only {head_dim!r}"
            )
        return {
            "num_key_value_heads": self._optional("attention.head_count_kv", heads),
            "head_dim": head_dim,
            "attention_bias": self.architecture == "llama"
            and "model.layers.0.self_attn.v_proj.bias" in self._tensors,
        }

    def _latent(self, heads: int) -> dict[str, Any]:
        """The fields of latent attention and of experts."""
        number, optional = self._number, self._optional
        sigmoid = optional("expert_gating_func", 1) == SIGMOID
        groups = optional("expert_group_count", 1)
        rope = number("rope.dimension_count")
        return {
            "model_type": "deepseek_v3" if sigmoid else "deepseek_v2",
            "num_key_value_heads": heads,
            "q_lora_rank": optional("attention.q_lora_rank", None),
            "kv_lora_rank": number("attention.kv_lora_rank"),
            "qk_rope_head_dim": rope,
            "qk_nope_head_dim": number("attention.key_length_mla") - rope,
            "v_head_dim": number("attention.value_length_mla"),
            "first_k_dense_replace": number("leading_dense_block_count") - self.padding,
            "n_routed_experts": number("expert_count"),
            "n_shared_experts": optional("expert_shared_count", 0),
            "num_experts_per_tok": number("expert_used_count"),
            "moe_intermediate_size": number("expert_feed_forward_length"),
            "norm_topk_prob": optional("expert_weights_norm", False),
            "routed_scaling_factor": optional("expert_weights_scale", 1.0),
            "n_group": groups,
            "topk_group": optional("expert_group_used_count", groups),
            "topk_method": "noaux_tc" if sigmoid else "greedy",
        }

    def vocabulary(self) -> dict[str, Any]:
        """The tokenizer's fields as `hub.gguf.tokenizer.GgufVocabulary` names them.

        Raises:
          UserError: if it is neither a byte-level BPE nor sentencepiece's, or a field is missing.
        """

        def field(name: str) -> Any:
            return self.field(f"tokenizer.ggml.{name}")

        def known(name: str, otherwise: Any) -> Any:
            return self.known(f"tokenizer.ggml.{name}", otherwise)

        model = field("model")
        if model not in ("gpt2", "llama"):
            raise UserError(
                f"{self.path}: tokenizer.ggml.model is {model!r}, r1jax has only 'gpt2' (bytes) "
                "and 'llama' (sentencepiece)"
            )
        is_bpe = model == "gpt2"
        if not is_bpe and known("add_space_prefix", True):
            raise UserError(f"{self.path}: tokenizer.ggml.add_space_prefix: r1jax has only False")
        pre = field("pre") if is_bpe else ""
        return {
            "pre": pre,
            "tokens": field("tokens"),
            "token_type": field("token_type"),
            "merges": field("merges") if is_bpe else [],
            "scores": [] if is_bpe else field("scores"),
            "bos": known("bos_token_id", None),
            "eos": field("eos_token_id"),
            "turn_end": known("eot_token_id", None),
            "padding": known("padding_token_id", None),
            # where the file is silent llama.cpp goes by the kind
            "add_bos": known("add_bos_token", pre == "llama-bpe" or not is_bpe),
            "chat_template": self.known("tokenizer.chat_template", None),
            "chat_templates": {
                name: self.field(f"tokenizer.chat_template.{name}")
                for name in self.known("tokenizer.chat_templates", [])
                if name != "default"
            },
            "generation": {
                name: self.known(key, None) for name, key in SAMPLING.items() if key in self._fields
            },
        }

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Hugging Face's shape of every tensor."""
        shapes = {name: stored.shape for name, stored in self._tensors.items()}
        for keys in [name for name in shapes if name.endswith(KEYS)]:
            values = keys.replace(KEYS, VALUES)
            if values in shapes:
                heads, rank, width = shapes.pop(keys)
                rows = heads * (width + shapes.pop(values)[1])
                shapes[keys.replace(KEYS, BOTH)] = (rows, rank)
        return shapes

    def read(self, name: str) -> np.ndarray:
        """A tensor as Hugging Face has it, float32."""
        if name not in self._tensors and name.endswith(BOTH):
            keys_HRJ = self.read(name.replace(BOTH, KEYS))
            values_HJR = self.read(name.replace(BOTH, VALUES))
            both_HJR = np.concatenate([keys_HRJ.swapaxes(1, 2), values_HJR], axis=1)
            return both_HJR.reshape(-1, both_HJR.shape[2])
        stored = self._tensors[name]
        count = math.prod(stored.raw_shape)
        raw = np.fromfile(self.path, stored.raw_dtype, count, offset=stored.begin)
        if raw.size != count:
            raise UserError(f"{self.path}: {name} is cut short: truncated")
        try:
            value = self._dequantise(raw.reshape(stored.raw_shape), stored.kind)
        except NotImplementedError as error:
            raise UserError(f"{self.path}: {name}: {error}") from error
        if self.architecture != "llama" or not names.is_rotary(name):
            return value
        kind = "head_count" if ".q_proj." in name else "head_count_kv"
        heads = self._optional(f"attention.{kind}", self._number("attention.head_count"))
        rows = value.shape[0] // heads
        pairs = value.reshape(heads, rows // 2, 2, *value.shape[1:])
        return pairs.swapaxes(1, 2).reshape(value.shape)
