"""A model on disk: weights.safetensors, tokenizer.model and config.json in one directory."""

import dataclasses
import hashlib
import importlib.resources
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from r1jax import config as configs
from r1jax.config import ModelConfig
from r1jax.data.tokenizer import SentencePieceTokenizer
from r1jax.io.weights import load_weights, save_weights
from r1jax.model import forward
from r1jax.types import Weights

PACKAGED = "package:"


def resolve(name: str) -> Path:
    """Returns the directory of a model: a path, or "package:NAME" for one that ships with r1jax."""
    if name.startswith(PACKAGED):
        return Path(str(importlib.resources.files("r1jax") / "assets" / name[len(PACKAGED) :]))
    return Path(name)


def command() -> str:
    """The command of this process without the directory it wrote to."""
    kept = [arg for arg in sys.argv[1:] if not arg.startswith("--workdir")]
    return " ".join(["python -m r1jax.main", *kept])


def save_model(
    directory: str | Path,
    weights: Weights,
    *,
    model: ModelConfig,
    tokenizer: SentencePieceTokenizer,
    made_by: Mapping[str, Any],
) -> None:
    """Writes a model directory; `made_by` (command, config, ...) is kept in config.json."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "tokenizer.model").write_bytes(tokenizer.model)
    fingerprint = hashlib.sha256(tokenizer.model).hexdigest()
    tree = {"params": weights.params, "router_bias": weights.router_bias_LE}
    if not weights.router_bias_LE.size:
        del tree["router_bias"]
    save_weights(
        directory / "weights.safetensors", jax.device_get(tree), {"tokenizer": fingerprint}
    )
    document = {"model": dataclasses.asdict(model), "made_by": dict(made_by)}
    (directory / "config.json").write_text(
        json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    )


def load_model(name: str) -> tuple[Weights, ModelConfig, SentencePieceTokenizer]:
    """Reads a model directory, by path or "package:NAME".

    Raises:
      ValueError: if a file is missing or damaged, a tensor is missing, unexpected or misshapen, or
        the tokenizer is not the one that the weights were made with; names file and tensor.
    """
    directory = resolve(name)
    missing = [
        f
        for f in ("config.json", "weights.safetensors", "tokenizer.model")
        if not (directory / f).is_file()
    ]
    if missing:
        raise ValueError(f"model {name}: {directory} lacks {missing}")
    try:
        document = json.loads((directory / "config.json").read_text())
    except ValueError as error:
        raise ValueError(f"{directory / 'config.json'}: not JSON ({error})") from error
    if not isinstance(document, dict):
        raise ValueError(f"{directory / 'config.json'}: got {document!r:.40}, wanted an object")
    model = configs.build(
        ModelConfig, document.get("model", {}), f"{directory / 'config.json'}: model"
    )
    tokenizer = SentencePieceTokenizer.load(directory / "tokenizer.model")
    tree, metadata = load_weights(directory / "weights.safetensors")
    fingerprint = hashlib.sha256(tokenizer.model).hexdigest()
    if metadata.get("tokenizer") != fingerprint or tokenizer.size > model.vocab_size:
        raise ValueError(
            f"model {name}: tokenizer.model ({tokenizer.size} pieces, sha256 {fingerprint[:12]}) "
            f"does not match weights.safetensors (vocabulary {model.vocab_size}, made with "
            f"{str(metadata.get('tokenizer'))[:12]})"
        )
    want = jax.eval_shape(lambda: forward.init(jax.random.key(0), config=model))
    _check(name, "params", tree.get("params", {}), want.params)
    bias = tree.get("router_bias", jnp.zeros(want.router_bias_LE.shape, jnp.float32))
    _check(name, "router_bias", bias, want.router_bias_LE)
    return Weights(jax.tree.map(jnp.asarray, tree["params"]), jnp.asarray(bias)), model, tokenizer


def _check(name: str, what: str, got: Any, want: Any) -> None:
    flat = lambda t: {
        jax.tree_util.keystr(p): (x.shape, str(x.dtype))
        for p, x in jax.tree_util.tree_leaves_with_path(t)
    }
    have, need = flat(got), flat(want)
    wrong = [
        f"{k}: got {have[k]}, wanted {need[k]}"
        for k in have.keys() & need.keys()
        if have[k] != need[k]
    ]
    if have.keys() != need.keys() or wrong:
        raise ValueError(
            f"model {name}: {what}: missing {sorted(need.keys() - have.keys())}, "
            f"unexpected {sorted(have.keys() - need.keys())}, wrong {sorted(wrong)}"
        )
