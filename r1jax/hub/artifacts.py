"""A model on disk: weights.safetensors, a tokenizer and config.json in one directory.

`open_model` takes those of others too: Hugging Face's directories and GGUF files.
"""

import dataclasses
import importlib.resources
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from r1jax import config as configs
from r1jax import sharding
from r1jax.hub import read, safetensors
from r1jax.hub.weights import save_weights
from r1jax.model import forward
from r1jax.model.config import ExecutionConfig, ModelConfig, executed
from r1jax.text.files import read_tokenizer, write_tokenizer
from r1jax.text.tokenizer import Tokenizer
from r1jax.types import Weights

PACKAGED = "package:"
WEIGHTS = "weights.safetensors"


def resolve(name: str) -> Path:
    """Returns where a model is: a path, or "package:NAME" for one that ships with r1jax."""
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
    tokenizer: Tokenizer,
    made_by: Mapping[str, Any],
) -> None:
    """Writes a model directory; `made_by` (command, config, ...) is kept in config.json."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    write_tokenizer(directory, tokenizer)
    tree = {"params": weights.params, "router_bias": weights.router_bias_LE}
    if not weights.router_bias_LE.size:
        del tree["router_bias"]
    made_with = {"tokenizer": tokenizer.fingerprint}
    save_weights(directory / WEIGHTS, tree, made_with)
    document = {"model": dataclasses.asdict(model), "made_by": dict(made_by)}
    (directory / "config.json").write_text(
        json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    )


def _document(directory: Path, name: str) -> dict[str, Any]:
    path = directory / "config.json"
    if not path.is_file():
        raise ValueError(f"model {name}: {directory} lacks ['config.json']")
    try:
        document = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error})") from error
    if not isinstance(document, dict):
        raise ValueError(f"{path}: got {document!r:.40}, wanted an object")
    return document


def _read_own(
    name: str, document: Mapping[str, Any], *, how: ExecutionConfig | None, mesh: Mesh | None
) -> tuple[Weights, ModelConfig, Tokenizer]:
    """Reads what `save_model` wrote, array by array to its place, held as `how` says."""
    directory = resolve(name)
    path = directory / WEIGHTS
    if not path.is_file():
        raise ValueError(f"model {name}: {directory} lacks {[WEIGHTS]}")
    model = configs.build(
        ModelConfig, document.get("model", {}), f"{directory / 'config.json'}: model"
    )
    tokenizer = read_tokenizer(directory)
    tensors, metadata = safetensors.read_header(path)
    if metadata.get("tokenizer") != tokenizer.fingerprint or tokenizer.size > model.vocab_size:
        raise ValueError(
            f"model {name}: its tokenizer ({tokenizer.size} ids, {tokenizer.fingerprint[:12]}) "
            f"does not match {WEIGHTS} (vocabulary {model.vocab_size}, made with "
            f"{str(metadata.get('tokenizer'))[:12]})"
        )
    _check(name, tensors, _named(_shapes(model)))
    model = model if how is None else executed(model, how)
    held, axes = _named(_shapes(model)), _named(forward.logical_axes(model))

    def leaf(at: str) -> jax.Array:
        value = safetensors.read(tensors[at]).astype(held[at].dtype, copy=False)
        return sharding.put(value, mesh, axes[at], at)

    like = _shapes(model).params
    leaves = [leaf(f"params/{path}") for path in read.named_leaves(like)]
    params = jax.tree.unflatten(jax.tree.structure(like), leaves)
    bias = held["router_bias"]
    routers = leaf("router_bias") if bias.size else jnp.zeros(bias.shape, bias.dtype)
    return Weights(params, routers), model, tokenizer


def _shapes(model: ModelConfig) -> Weights:
    return jax.eval_shape(lambda: forward.init(jax.random.key(0), config=model))


def _named(weights: Weights) -> dict[str, Any]:
    """The leaves by the names of the file."""
    params = read.named_leaves(weights.params)
    named = {f"params/{path}": leaf for path, leaf in params.items()}
    return {**named, "router_bias": weights.router_bias_LE}


def load_model(name: str) -> tuple[Weights, ModelConfig, Tokenizer]:
    """Reads a model directory that `save_model` wrote, by path or "package:NAME", as it is.

    Raises:
      ValueError: if a file is missing or damaged, a tensor is missing, unexpected or misshapen, or
        the tokenizer is not the one that the weights were made with; names file and tensor.
    """
    return _read_own(name, _document(resolve(name), name), how=None, mesh=None)


def open_model(
    name: str, *, how: ExecutionConfig, mesh: Mesh | None
) -> tuple[Weights, ModelConfig, Tokenizer]:
    """Reads any model there is a reader for, and lays it out on the mesh.

    Args:
      name: a directory of `save_model`, a Hugging Face directory, a GGUF file, or "package:NAME".
      how: how the network is held and run.
      mesh: where the weights go; None keeps them on the default device.

    Raises:
      ValueError: names the file and the tensor that is damaged, missing or not ours to read.
    """
    path = resolve(name)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ValueError(f"model {name}: no such file")
        return read.open_gguf(path, how=how, mesh=mesh)
    document = _document(path, name)
    if "model_type" in document:
        tokenizer = read_tokenizer(path)
        return read.open_directory(path, document, tokenizer=tokenizer, how=how, mesh=mesh)
    return _read_own(name, document, how=how, mesh=mesh)


def _check(name: str, tensors: Mapping[str, safetensors.Tensor], want: Mapping[str, Any]) -> None:
    have = {k: (t.shape, str(t.dtype)) for k, t in tensors.items()}
    need = {k: (x.shape, str(x.dtype)) for k, x in want.items() if x.size}
    wrong = [
        f"{k}: got {have[k]}, wanted {need[k]}"
        for k in have.keys() & need.keys()
        if have[k] != need[k]
    ]
    if have.keys() != need.keys() or wrong:
        raise ValueError(
            f"model {name}: missing {sorted(need.keys() - have.keys())}, "
            f"unexpected {sorted(have.keys() - need.keys())}, wrong {sorted(wrong)}"
        )
