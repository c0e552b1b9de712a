"""The format of models before they were Hugging Face directories, read once more.

python -m r1jax.hub.old OLD NEW     # writes the model of the directory OLD to the directory NEW

It was weights.safetensors with our arrays by their paths, config.json with "model" and "made_by",
and a tokenizer; its sha256 stood in the metadata of the weights.
"""

import argparse
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from r1jax import config as configs
from r1jax.config import UserError
from r1jax.hub import families, read, safetensors
from r1jax.hub.artifacts import OLD_WEIGHTS, is_old, save_model
from r1jax.model.config import ModelConfig
from r1jax.text.files import CONFIG, NAMES, read_tokenizer
from r1jax.text.hf_tokenizer import read_json
from r1jax.types import Weights


def _weights(path: Path, tensors: Mapping[str, safetensors.Tensor], model: ModelConfig) -> Weights:
    shapes = read.shapes(model)
    params = {f"params/{n}": x for n, x in read.named_leaves(shapes.params).items()}
    named = {**params, "router_bias": shapes.router_bias_LE}
    wanted = {n: (x.shape, np.dtype(x.dtype)) for n, x in named.items() if x.size}
    there = {n: (tensor.shape, tensor.dtype) for n, tensor in tensors.items()}
    wrong = sorted(n for n in wanted.keys() | there.keys() if wanted.get(n) != there.get(n))
    if wrong:
        lines = [f"{n}: got {there.get(n)}, wanted {wanted.get(n)}" for n in wrong[:5]]
        raise UserError(f"{path}: {'; '.join(lines)}, of {len(wrong)} such tensors")

    def leaf(n):
        return jnp.asarray(safetensors.read(tensors[n]))

    tree = jax.tree.unflatten(jax.tree.structure(shapes.params), [leaf(n) for n in params])
    bias = shapes.router_bias_LE
    return Weights(tree, leaf("router_bias") if bias.size else jnp.zeros(bias.shape, bias.dtype))


def convert(old: Path, new: Path) -> None:
    """Writes a model in the old format as `artifacts.save_model` does, with what lay beside it.

    Args:
      old: directory in the old format; nothing in it changes.
      new: directory to make.

    Raises:
      UserError: if `old` is not in the old format or damaged, or `new` holds something.
    """
    document = read_json(old / CONFIG)
    if not is_old(old, document):
        raise UserError(f"{old}: no model in the old format, with {CONFIG} and {OLD_WEIGHTS}")
    if new.exists() and any(new.iterdir()):
        raise UserError(f"{new}: holds files already")
    fields = families.one_attention(document.get("model", {}), None)
    model = configs.build(ModelConfig, fields, f"{old / CONFIG}: model")
    tensors, metadata = safetensors.read_header(old / OLD_WEIGHTS)
    tokenizer = read_tokenizer(old)
    if metadata.get("tokenizer") != tokenizer.fingerprint:
        raise UserError(f"{old}: its tokenizer does not match {OLD_WEIGHTS}")
    weights = _weights(old / OLD_WEIGHTS, tensors, model)
    made_by = document.get("made_by", {})
    save_model(new, weights, model=model, tokenizer=tokenizer, made_by=made_by)
    for path in old.iterdir():
        if path.is_file() and path.name not in (CONFIG, OLD_WEIGHTS, *NAMES):
            shutil.copy2(path, new / path.name)  # the head of a reward model


def main() -> None:
    parser = argparse.ArgumentParser(description="Converts a model in the old format.")
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    arguments = parser.parse_args()
    try:
        convert(arguments.old, arguments.new)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(f"model in {arguments.new}")


if __name__ == "__main__":
    main()
