"""The special tokens that a model directory names, and the ids that its configs give."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r1jax.config import UserError

SETTINGS, OLD = "tokenizer_config.json", "special_tokens_map.json"
NAMES = tuple(f"{role}_token" for role in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))
OTHERS = "extra_special_tokens"  # an object of names that need not end in "_token"


def named_tokens(
    settings: Mapping[str, Any], old: Mapping[str, Any], directory: Path
) -> dict[str, str]:
    """Returns the texts of the special tokens by name, as a chat template sees them.

    They are transformers' seven names, every other text whose key ends in "_token", and the object
    `extra_special_tokens`. Where the settings list no added tokens, special_tokens_map.json stands
    above them, as in transformers 5.

    Args:
      settings: of tokenizer_config.json.
      old: of special_tokens_map.json.
      directory: of both, for errors.

    Raises:
      UserError: if one of the seven is no text.
    """
    merged = {**settings, **({} if "added_tokens_decoder" in settings else old)}
    tokens: dict[str, str] = {}
    for name, value in merged.items():
        text = value.get("content") if isinstance(value, Mapping) else value
        if name in NAMES and value is not None and not isinstance(text, str):
            file = OLD if settings.get(name) != value else SETTINGS
            raise UserError(f"{directory / file}: {name} is {value!r:.40}")
        if name.endswith("_token") and isinstance(text, str):
            tokens[name] = text
    others = merged.get(OTHERS)
    if isinstance(others, Mapping):
        tokens |= {name: text for name, text in others.items() if isinstance(text, str)}
    return tokens


def as_settings(tokens: Mapping[str, str]) -> dict[str, Any]:
    """Returns the fields of tokenizer_config.json that `named_tokens` reads back."""
    named = {name: text for name, text in tokens.items() if name.endswith("_token")}
    others = {name: text for name, text in tokens.items() if name not in named}
    return {**named, **({OTHERS: others} if others else {})}


def ids(document: Mapping[str, Any], role: str, path: Path, *, size: int) -> list[int]:
    """Returns the ids that a config gives to a role, such as its "eos_token_id"; perhaps none.

    Args:
      document: of config.json or generation_config.json.
      role: "bos", "eos" or "pad".
      path: of the document, for errors.
      size: ids that the tokenizer has.

    Raises:
      UserError: if they are no ids, or not the tokenizer's.
    """
    key = f"{role}_token_id"
    value = document.get(key)
    numbers = [] if value is None else value if isinstance(value, list) else [value]
    if any(type(i) is not int for i in numbers):
        raise UserError(f"{path}: {key} is {value!r:.40}, wanted an id or several")
    strangers = [i for i in numbers if not 0 <= i < size]
    if strangers:
        raise UserError(f"{path}: {key}: ids {strangers} are not within the tokenizer's {size}")
    return numbers
