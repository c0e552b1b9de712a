"""A model as one GGUF file, for llama.cpp: what its own converter does not know comes out right.

The converter knows tokenizers by their hashes and sentencepiece in few families; this knows ours.
The package gguf writes the bytes (pip install 'r1jax[gguf]').
"""

import dataclasses
import math
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from r1jax.config import MissingPackage, UserError
from r1jax.hub import convert, documents
from r1jax.hub.gguf import names
from r1jax.hub.gguf import tokenizer as vocabulary
from r1jax.hub.gguf.file import BOTH, KEYS, KINDS, PADDING, SAMPLING, SIGMOID, VALUES
from r1jax.hub.write import DTYPES, TENSORS, Blocks, cast, check_biases, hugging_face_tokenizer
from r1jax.io.progress import Progress
from r1jax.model.config import Gqa, Mla, ModelConfig
from r1jax.text.tokenizer import Tokenizer
from r1jax.types import Weights

# llama.cpp takes a DeepSeek without compressed queries only at this depth
LITE_LAYERS = (26, 27)
TYPES = {"float32": ("F32", 0), "float16": ("F16", 1), "bfloat16": ("BF16", 32)}


class _Entry(NamedTuple):
    """One tensor of the file.

    Attributes:
      name: there.
      shape: there.
      parts: the tensors of Hugging Face that it is made from; none for zeros.
      make: makes it from their arrays.
    """

    name: str
    shape: tuple[int, ...]
    parts: tuple[str, ...]
    make: Callable[[list[np.ndarray]], np.ndarray]

    @property
    def is_matrix(self) -> bool:
        """Whether it may have a small dtype: llama.cpp wants vectors and routers in float32."""
        return len(self.shape) > 1 and "ffn_gate_inp" not in self.name


def _padding(model: ModelConfig) -> int:
    """Layers that do nothing, to be put first, with which llama.cpp takes the model.

    Raises:
      UserError: if it is deeper than that.
    """
    a = model.attention
    if not isinstance(a, Mla) or a.q_lora_rank or model.n_layers in LITE_LAYERS:
        return 0
    if model.n_layers > max(LITE_LAYERS):
        raise UserError(
            f"llama.cpp has DeepSeek without compressed queries only at {LITE_LAYERS} layers, this "
            f"model has {model.n_layers}"
        )
    return max(LITE_LAYERS) - model.n_layers


def _architecture(model: ModelConfig) -> str:
    """llama.cpp's; its qwen2 has heads that make up the width, a wider one is a llama with biases.

    Raises:
      UserError: if there is none.
    """
    a, kind = model.attention, documents.family(model)
    if isinstance(a, Mla):
        return "deepseek2"
    if kind == "qwen2" and a.n_heads * a.head_dim != model.d_model:
        return "llama"
    return kind


def _fields(model: ModelConfig, *, padding: int, max_positions: int, dtype: str) -> dict[str, Any]:
    """The fields of a model without its tokenizer; None where there is none."""
    a, moe = model.attention, model.moe
    architecture = _architecture(model)
    assert architecture in KINDS
    own: dict[str, Any]
    if isinstance(a, Gqa):
        own = {
            "attention.head_count_kv": a.n_kv_heads,
            "attention.key_length": a.head_dim,
            "attention.value_length": a.head_dim,
        }
    else:
        assert moe is not None
        own = {
            "attention.head_count_kv": 1,  # the latent is the one key of all heads
            "attention.q_lora_rank": a.q_lora_rank or None,
            "attention.kv_lora_rank": a.kv_lora_rank,
            "attention.key_length": a.kv_lora_rank + a.rope_dim,
            "attention.value_length": a.kv_lora_rank,
            "attention.key_length_mla": a.nope_dim + a.rope_dim,
            "attention.value_length_mla": a.v_dim,
            "leading_dense_block_count": model.n_dense_layers + padding,
            "expert_count": moe.n_experts,
            "expert_used_count": moe.experts_per_token,
            "expert_shared_count": moe.n_shared_experts,
            "expert_feed_forward_length": moe.hidden_dim,
            "expert_weights_scale": float(moe.route_scale),
            "expert_weights_norm": moe.normalise,
            "expert_gating_func": SIGMOID if moe.score == "sigmoid" else 1,
            "expert_group_count": moe.n_groups,
            "expert_group_used_count": moe.top_groups,
        }
    own |= {
        "vocab_size": model.vocab_size,
        "context_length": max_positions,
        "embedding_length": model.d_model,
        "block_count": model.n_layers + padding,
        "feed_forward_length": model.mlp_dim,
        "attention.head_count": a.n_heads,
        "attention.layer_norm_rms_epsilon": float(model.norm_eps),
        "rope.freq_base": float(model.rope.theta),
        "rope.dimension_count": a.rotary_dim,
    }
    general = {"general.file_type": TYPES[dtype][1], PADDING: padding or None}
    return general | {f"{architecture}.{name}": value for name, value in own.items()}


def _side_by_side(parts: list[np.ndarray], *, heads: int) -> np.ndarray:
    """Rows of queries or keys with their rotary pairs as llama.cpp's llama turns them."""
    (tensor,) = parts
    rows = tensor.reshape(heads, 2, -1, *tensor.shape[1:])
    return rows.swapaxes(1, 2).reshape(tensor.shape)


def _of_piece(piece: convert.Piece, model: ModelConfig, *, padding: int) -> list[_Entry]:
    """The tensors that a tensor of Hugging Face becomes; an expert but the first becomes none."""
    a, parts = model.attention, (piece.name,)

    def entry(
        name: str,
        shape: tuple[int, ...] = piece.shape,
        make: Callable[[list[np.ndarray]], np.ndarray] = lambda x: x[0],
    ) -> _Entry:
        return _Entry(names.to_gguf(name, padding=padding), shape, parts, make)

    if names.EXPERT.search(piece.name):
        assert model.moe is not None
        n = model.moe.n_experts
        if ".experts.0." not in piece.name:
            return []
        parts = tuple(piece.name.replace(".experts.0.", f".experts.{e}.") for e in range(n))
        return [entry(piece.name, (n, *piece.shape), np.stack)]
    if isinstance(a, Mla):
        if not piece.name.endswith(BOTH):
            return [entry(piece.name)]
        heads, rank, nope = a.n_heads, a.kv_lora_rank, a.nope_dim

        def both(arrays: list[np.ndarray]) -> np.ndarray:
            return arrays[0].reshape(heads, -1, rank)

        keys, values = (piece.name.replace(BOTH, part) for part in (KEYS, VALUES))
        return [
            entry(keys, (heads, rank, nope), lambda x: both(x)[:, :nope].swapaxes(1, 2)),
            entry(values, (heads, a.v_dim, rank), lambda x: both(x)[:, nope:]),
        ]
    if _architecture(model) == "llama" and names.is_rotary(piece.name):
        heads = a.n_heads if ".q_proj." in piece.name else a.n_kv_heads
        return [entry(piece.name, make=partial(_side_by_side, heads=heads))]
    return [entry(piece.name)]


def _entries(model: ModelConfig, table: list[convert.Piece], *, padding: int) -> list[_Entry]:
    """Every tensor of the file, layer by layer.

    Layers of padding are zeros, which add nothing to the residual stream.
    """
    shallow = dataclasses.replace(model, n_layers=max(padding, 1), n_dense_layers=max(padding, 1))
    pads = [
        entry._replace(parts=())
        for piece in convert.pieces(shallow, interleaved=True)
        if padding and piece.name.startswith("model.layers.")
        for entry in _of_piece(piece, model, padding=0)
    ]
    return pads + [e for piece in table for e in _of_piece(piece, model, padding=padding)]


def _add(writer: Any, name: str, value: Any) -> None:
    """Writes a field in the type that llama.cpp wants: uint32, but int32 for top_k."""
    if isinstance(value, bool):
        writer.add_bool(name, value)
    elif isinstance(value, str):
        writer.add_string(name, value)
    elif isinstance(value, list):
        writer.add_array(name, value)
    elif isinstance(value, float):
        writer.add_float32(name, value)
    else:
        (writer.add_int32 if name.endswith("top_k") else writer.add_uint32)(name, value)


def export_gguf(
    path: Path,
    weights: Weights,
    *,
    model: ModelConfig,
    tokenizer: Tokenizer,
    template: str,
    sampling: Mapping[str, Any],
    dtype: str,
    max_positions: int,
) -> None:
    """Writes a GGUF file with the vocabulary, the chat template and how to sample.

    An MTP module is left out, which llama.cpp does not run; a line on stderr says so.

    Args:
      path: of the file; replaced.
      weights: of the model.
      model: the network.
      tokenizer: the model's.
      template: as of `hub.write.hugging_face_tokenizer`.
      sampling: as of `hub.write.export_model`.
      dtype: of matrices: "float32", "float16" or "bfloat16"; vectors and routers are float32.
      max_positions: longest sequence, in tokens, that readers may expect to work.

    Raises:
      ImportError: if the package gguf is not installed.
      UserError: if llama.cpp has no such network or tokenizer.
    """
    try:
        import gguf
    except ImportError as error:
        raise MissingPackage(f"{path}: GGUF takes gguf: pip install 'r1jax[gguf]'") from error
    check_biases(model, weights)
    if model.mtp:
        print(
            f"warning: {path}: the MTP module is left out, which llama.cpp does not run",
            file=sys.stderr,
            flush=True,
        )
        model = dataclasses.replace(model, mtp=False)
    if model.rope.kind != "none":
        raise UserError(
            f"rope {model.rope.kind!r}: r1jax writes GGUF without scaled positions; export it as "
            "format 'hugging_face' and use llama.cpp's converter"
        )
    if model.moe and model.moe.score == "softmax" and model.moe.n_groups > 1:
        raise UserError("llama.cpp has no softmax router with groups of experts")
    padding = _padding(model)
    theirs = hugging_face_tokenizer(tokenizer, template).with_sampling(sampling)
    fields = _fields(model, padding=padding, max_positions=max_positions, dtype=dtype)
    fields |= vocabulary.fields(tokenizer, theirs, rows=model.vocab_size)
    fields |= {key: theirs.generation.get(name) for name, key in SAMPLING.items()}
    table = convert.pieces(model, interleaved=True)
    entries, rows = _entries(model, table, padding=padding), {p.name: p for p in table}
    architecture = next(name for name in fields if name.endswith(".block_count")).split(".")[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, architecture)
    for name, value in fields.items():
        if value is not None:
            _add(writer, name, value)

    def kind(entry: _Entry) -> str:
        return dtype if entry.is_matrix else "float32"

    for entry in entries:
        shape = (*entry.shape[:-1], entry.shape[-1] * DTYPES[kind(entry)].itemsize)
        raw = gguf.GGMLQuantizationType[TYPES[kind(entry)][0]]
        nbytes = math.prod(shape)
        writer.add_tensor_info(entry.name, shape, np.dtype(np.uint8), nbytes, raw_dtype=raw)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    blocks = Blocks(weights)
    with Progress(f"writing {path.name}", start=0, total=len(entries), every=TENSORS) as progress:
        for done, entry in enumerate(entries, 1):
            arrays = [rows[part].theirs(blocks.read(rows[part])) for part in entry.parts]
            array = entry.make(arrays) if arrays else np.zeros(entry.shape, np.float32)
            stored = cast(array, DTYPES[kind(entry)], entry.name)
            writer.write_tensor_data(np.ascontiguousarray(stored).view(np.uint8))
            progress.advance(done)
    writer.close()
