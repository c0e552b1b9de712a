"""Models written as Hugging Face directories.

`write_model` keeps a model to the bit, for `read`; `export_model` makes it ready for transformers,
vLLM and llama.cpp's converter: another dtype, a chat template, a window.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from r1jax.config import UserError
from r1jax.hub import convert, documents, safetensors
from r1jax.hub.gguf.tokenizer import pre_of
from r1jax.io.digests import host, leaves_by_path
from r1jax.io.progress import Progress
from r1jax.model.config import ModelConfig
from r1jax.text import templates
from r1jax.text.files import CONFIG, write_tokenizer
from r1jax.text.hf_tokenizer import HfTokenizer, read_json
from r1jax.text.sentencepiece_export import converter_settings, to_hugging_face
from r1jax.text.special_tokens import SETTINGS
from r1jax.text.tokenizer import SentencePieceTokenizer, Tokenizer
from r1jax.types import Weights

DTYPES = {
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}
SHARD_BYTES = 5 * 10**9  # of a saved model's file
TENSORS = 64  # between two lines of progress on no terminal


class Blocks:
    """Our arrays on the host, one layer at a time."""

    def __init__(self, weights: Weights):
        self._arrays = leaves_by_path(weights.params) | {"router_bias": weights.router_bias_LE}
        self._part: tuple[str, Any] | None = None
        self._held: dict[str, np.ndarray] = {}

    def dtype(self, piece: convert.Piece) -> np.dtype:
        return np.dtype(self._arrays[piece.path].dtype)

    def read(self, piece: convert.Piece) -> np.ndarray:
        """The block of our array that a piece fills."""
        stacked = piece.path.startswith(convert.STACKED)
        layer = piece.at[0] if stacked else None
        part = (piece.path.split("/")[0], layer)
        if self._part != part:
            self._part, self._held = part, {}
        if piece.path not in self._held:
            array = self._arrays[piece.path]
            self._held[piece.path] = host(array if layer is None else array[layer])
        return self._held[piece.path][piece.at[1:] if stacked else piece.at]


def cast(array: np.ndarray, dtype: np.dtype, name: str) -> np.ndarray:
    """The array in a dtype.

    Raises:
      UserError: if a value is too large for it; names the tensor.
    """
    with np.errstate(over="ignore"):
        stored = array.astype(dtype, copy=False)
    if dtype == np.float16 and not np.isfinite(stored).all():
        raise UserError(f"{name}: float16 ends at 65504, a value exceeds it; take bfloat16")
    return stored


def check_biases(model: ModelConfig, weights: Weights) -> None:
    """Checks that no softmax router chooses by a bias, which DeepSeek-V2 has not."""
    if convert.softmax_biases(model) and np.any(host(weights.router_bias_LE)):
        raise UserError(
            "transformers' deepseek_v2, the one with a softmax router, has no bias in the choice "
            "of experts, which this model has"
        )


def hugging_face_tokenizer(tokenizer: Tokenizer, template: str) -> HfTokenizer:
    """The tokenizer as Hugging Face has it.

    Args:
      tokenizer: one of Hugging Face's is taken as it is, with its chat template.
      template: ours, made the chat template; "chat" keeps to the tokenizer's own, or to none.

    Raises:
      UserError: if the template is unknown, or one whose marks the tokenizer lacks.
    """
    chat = None
    if template != templates.CHAT:
        templates.check_marks(tokenizer, template)
        chat = templates.as_chat(template, bos=tokenizer.bos_id is not None)
    if isinstance(tokenizer, SentencePieceTokenizer):
        return to_hugging_face(tokenizer, chat=chat)
    assert isinstance(tokenizer, HfTokenizer)
    return tokenizer if chat is None else tokenizer.with_chat(chat)


def _write(
    directory: Path,
    weights: Weights,
    *,
    table: list[convert.Piece],
    copies: Mapping[str, str],
    zeros: Mapping[str, tuple[int, ...]],
    dtype: str | None,
    shard_bytes: int,
    seen: Callable[[int], None],
) -> None:
    """Writes the tensors of a table, their copies, and zeros of shapes by name.

    `seen` hears after each how many are done.
    """
    rows = {piece.name: piece for piece in table}
    rows |= {copy: rows[name] for copy, name in copies.items()}
    blocks = Blocks(weights)
    done = 0

    def kind(piece: convert.Piece) -> np.dtype:
        if dtype is None:
            return blocks.dtype(piece)
        return DTYPES["float32" if piece.path == "router_bias" else dtype]

    def value(name: str) -> np.ndarray:
        nonlocal done
        seen(done := done + 1)
        if name in zeros:
            return np.zeros(zeros[name], tensors[name][0])
        piece = rows[name]
        return cast(piece.theirs(blocks.read(piece)), kind(piece), name)

    tensors = {name: (kind(piece), piece.shape) for name, piece in rows.items()}
    tensors |= {name: (DTYPES[dtype or "float32"], shape) for name, shape in zeros.items()}
    safetensors.write(directory, tensors, value, max_bytes=shard_bytes)


def _roles(tokenizer: HfTokenizer) -> dict[str, Any]:
    """The ids that config.json names."""
    return {
        "bos_token_id": tokenizer.named_bos_id,
        "eos_token_id": list(tokenizer.stop_ids),
        "pad_token_id": tokenizer.pad_id,
    }


def _write_config(directory: Path, document: Mapping[str, Any]) -> None:
    """Writes config.json, which makes a directory a model: the last of its files."""
    (directory / CONFIG).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def export_model(
    directory: Path,
    weights: Weights,
    *,
    model: ModelConfig,
    tokenizer: Tokenizer,
    template: str,
    sampling: Mapping[str, Any],
    dtype: str,
    max_positions: int,
    shard_bytes: int,
) -> None:
    """Writes safetensors (in shards, with their index), config.json and the tokenizer's files.

    transformers 5, and vLLM with it, puts a tokenizer of its own in place of ours wherever
    `model_type` is "qwen2". Such a network whose tokenizer works otherwise is written as the Llama
    that it is too.

    Args:
      directory: made if missing.
      weights: of the model.
      model: the network.
      tokenizer: the model's.
      template: as of `hugging_face_tokenizer`.
      sampling: fields of generation_config.json for what the tokenizer's lacks.
      dtype: "float32", "float16" or "bfloat16", of all tensors but the router's selection bias,
        which is float32.
      max_positions: as of `documents.document`.
      shard_bytes: of a file at the most; a larger tensor gets a file of its own.

    Raises:
      UserError: if transformers has no such architecture.
    """
    check_biases(model, weights)
    theirs = hugging_face_tokenizer(tokenizer, template).with_sampling(sampling)
    kind = documents.family(model)
    if kind == "qwen2" and pre_of(theirs) != kind:
        kind = "llama"
    zeros = convert.output_biases(model) if kind == "llama" else {}
    document = documents.document(model, kind=kind, dtype=dtype, max_positions=max_positions)
    table, copies = convert.pieces(model, interleaved=True), convert.copies(model)
    directory.mkdir(parents=True, exist_ok=True)
    _write_tokenizers(directory, theirs, tokenizer)
    title, total = f"writing {directory.name}", len(table) + len(copies) + len(zeros)
    with Progress(title, start=0, total=total, every=TENSORS) as progress:
        _write(
            directory,
            weights,
            table=table,
            copies=copies,
            zeros=zeros,
            dtype=dtype,
            shard_bytes=shard_bytes,
            seen=progress.advance,
        )
    _write_config(directory, {**document, **_roles(theirs)})


def _write_tokenizers(directory: Path, theirs: HfTokenizer, tokenizer: Tokenizer) -> None:
    """Writes a tokenizer; one of sentencepiece with what llama.cpp's converter reads of it."""
    if not isinstance(tokenizer, SentencePieceTokenizer):
        write_tokenizer(directory, theirs)
        return
    write_tokenizer(directory, theirs, tokenizer)
    path = directory / SETTINGS
    settings = {**read_json(path), **converter_settings(tokenizer)}
    path.write_text(json.dumps(settings, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_model(
    directory: Path, weights: Weights, *, model: ModelConfig, tokenizer: Tokenizer
) -> None:
    """Writes a model so that it is read back to the bit, whatever network it is.

    Args:
      directory: made if missing; another model in it is replaced.
      weights: written in the dtypes that they have.
      model: the network.
      tokenizer: a sentencepiece model is written with a tokenizer.json of the same ids beside it.
    """
    biases = convert.softmax_biases(model) if np.any(host(weights.router_bias_LE)) else []
    document = documents.saved_document(model, tokenizer, is_biased=bool(biases))
    theirs = hugging_face_tokenizer(tokenizer, templates.CHAT)
    directory.mkdir(parents=True, exist_ok=True)
    write_tokenizer(directory, theirs, tokenizer)
    _write(
        directory,
        weights,
        table=convert.pieces(model, interleaved=True) + biases,
        copies=convert.copies(model),
        zeros={},
        dtype=None,
        shard_bytes=SHARD_BYTES,
        seen=lambda _: None,
    )
    _write_config(directory, {**document, **_roles(theirs)})
