"""A model's config.json, ours or of others, as our ModelConfig; `documents` is the way back.

`architectures` reads Hugging Face's keys. What `hub.artifacts.save_model` wrote has one key more,
"r1jax": an object with

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
from r1jax.hub import architectures
from r1jax.hub.architectures import Document
from r1jax.model.config import ExecutionConfig, Gqa, Mla, ModelConfig
from r1jax.text.files import OURS


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
    execution = {"numerics": "fast", **_ours(document, where, "execution")}  # once the only ones
    return configs.build(ExecutionConfig, execution, f"{where}: {OURS}.execution")


def execution_fields(how: ExecutionConfig, *, has_experts: bool) -> dict[str, Any]:
    """The fields of a ModelConfig, nested, that say how it is held and run."""
    fields = dataclasses.asdict(how)
    experts = {name: fields.pop(name) for name in ("dispatch", "block_size")}
    experts["block_size"] = how.rows_of_expert
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
            model = architectures.model_config(document, where, n_tokens=n_tokens, how=how)
            if not changes:
                return model
            fields = dataclasses.asdict(model)
            changes = one_attention(changes, type(model.attention))
    except ValueError as error:
        text = str(error)
        raise UserError(text if text.startswith(where) else f"{where}: {text}") from error
    return configs.build(ModelConfig, _merged(fields, changes), f"{where}: {OURS}.model")
