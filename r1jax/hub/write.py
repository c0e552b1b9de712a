"""Our weights as a Hugging Face directory, for transformers, vLLM and llama.cpp's converter."""

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from r1jax.hub import convert, documents, safetensors
from r1jax.io.digests import host, leaves_by_path
from r1jax.io.progress import Progress
from r1jax.model.config import ModelConfig
from r1jax.text import templates
from r1jax.text.files import write_tokenizer
from r1jax.text.hf_tokenizer import HfTokenizer
from r1jax.text.sentencepiece_export import to_hugging_face
from r1jax.text.tokenizer import SentencePieceTokenizer, Tokenizer
from r1jax.types import Weights

DTYPES = {"float32": np.dtype(np.float32), "bfloat16": np.dtype(ml_dtypes.bfloat16)}
TENSORS = 64  # between two lines of progress on no terminal


class _Blocks:
    """Our arrays on the host, one layer at a time."""

    def __init__(self, weights: Weights):
        self._arrays = leaves_by_path(weights.params) | {"router_bias": weights.router_bias_LE}
        self._part: tuple[str, Any] | None = None
        self._held: dict[str, np.ndarray] = {}

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


def hugging_face_tokenizer(tokenizer: Tokenizer, template: str) -> HfTokenizer:
    """The tokenizer as Hugging Face has it.

    Args:
      tokenizer: one of Hugging Face's is taken as it is, with its chat template.
      template: ours, made the chat template of a tokenizer that has none; "chat" keeps to that.

    Raises:
      ValueError: if the template is unknown.
    """
    own = template == templates.CHAT
    if isinstance(tokenizer, SentencePieceTokenizer):
        return to_hugging_face(
            tokenizer, chat=None if own else templates.as_chat(template, bos=True)
        )
    assert isinstance(tokenizer, HfTokenizer)
    return (
        tokenizer
        if own
        else tokenizer.with_chat(templates.as_chat(template, bos=tokenizer.bos_id is not None))
    )


def export_model(
    directory: Path,
    weights: Weights,
    *,
    model: ModelConfig,
    tokenizer: HfTokenizer,
    dtype: str,
    max_positions: int,
    shard_bytes: int,
) -> None:
    """Writes safetensors (in shards, with their index), config.json and the tokenizer's files.

    Args:
      directory: made if missing.
      weights: of the model.
      model: the network.
      tokenizer: `hugging_face_tokenizer` of the model's.
      dtype: "float32" or "bfloat16", of all tensors but the router's selection bias, which is
        float32.
      max_positions: as of `documents.document`.
      shard_bytes: of a file at the most; a larger tensor gets a file of its own.

    Raises:
      ValueError: if transformers has no such architecture.
    """
    document = documents.document(model, dtype=dtype, max_positions=max_positions)
    document |= {
        "bos_token_id": tokenizer.named_bos_id, "eos_token_id": list(tokenizer.stop_ids),
        "pad_token_id": tokenizer.pad_id,
    }  # fmt: skip
    table = {p.name: p for p in convert.pieces(model, interleaved=True)}
    copies = convert.copies(model)

    def of(name: str) -> convert.Piece:
        return table[copies.get(name, name)]

    kind = lambda p: DTYPES["float32"] if p.path == "router_bias" else DTYPES[dtype]
    names = [*table, *copies]
    directory.mkdir(parents=True, exist_ok=True)
    write_tokenizer(directory, tokenizer)
    (directory / "config.json").write_text(json.dumps(document, indent=2) + "\n")
    blocks = _Blocks(weights)
    title = f"writing {directory.name}"
    with Progress(title, start=0, total=len(names), every=TENSORS) as progress:
        done = 0

        def value(name: str) -> np.ndarray:
            nonlocal done
            done += 1
            progress.advance(done)
            piece = of(name)
            return piece.theirs(blocks.read(piece)).astype(kind(piece))

        tensors = {name: (kind(of(name)), of(name).shape) for name in names}
        safetensors.write(directory, tensors, value, max_bytes=shard_bytes)
