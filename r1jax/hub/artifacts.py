"""A model on disk: a Hugging Face directory, ours or another's, or a GGUF file.

Ours hold made_by.json beside, and in config.json what makes them come back exactly (`families`).
"""

import importlib.resources
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from r1jax.config import UserError
from r1jax.hub import families, read
from r1jax.hub.write import write_model
from r1jax.io.compiled import check_exact
from r1jax.io.digests import MADE_BY
from r1jax.model.config import ExecutionConfig, ModelConfig
from r1jax.text.files import CONFIG, read_tokenizer
from r1jax.text.hf_tokenizer import read_json
from r1jax.text.tokenizer import Tokenizer
from r1jax.types import Weights

PACKAGED = "package:"
OLD_WEIGHTS = "weights.safetensors"
WINDOW = "max_position_embeddings"


def resolve(name: str) -> Path:
    """Returns where a model is: a path, or "package:NAME" for one that ships with r1jax."""
    if name.startswith(PACKAGED):
        return Path(str(importlib.resources.files("r1jax.hub") / "assets" / name[len(PACKAGED) :]))
    return Path(name)


def command() -> str:
    """The command of this process without the directory it wrote to."""
    kept = [arg for arg in sys.argv[1:] if not arg.startswith("--workdir")]
    return " ".join(["python -m r1jax.main", *kept])


def is_old(directory: Path, document: Mapping[str, Any]) -> bool:
    """Whether a directory with this config.json is in the format that `hub.old` converts."""
    return "model_type" not in document and (directory / OLD_WEIGHTS).is_file()


def save_model(
    directory: str | Path,
    weights: Weights,
    *,
    model: ModelConfig,
    tokenizer: Tokenizer,
    made_by: Mapping[str, Any],
) -> None:
    """Writes a model directory, to be read back to the bit.

    Args:
      directory: made if missing; another model in it is replaced.
      weights: of the model, written in the dtypes that they have.
      model: the network, any that there is.
      tokenizer: whose ids the model reads.
      made_by: command, config and what else says where it comes from; becomes made_by.json.

    Raises:
      UserError: if the tokenizer has more ids than the embedding has rows.
    """
    directory = Path(directory)
    write_model(directory, weights, model=model, tokenizer=tokenizer)
    text = json.dumps(dict(made_by), indent=1, ensure_ascii=False)
    (directory / MADE_BY).write_text(f"{text}\n", encoding="utf-8")


def warn_beyond_window(name: str, *, longest: int, keys: str) -> None:
    """Says on stderr if a run goes beyond the positions that the model's config.json promises.

    Nothing is cut: rotary positions have no end, but what lies beyond was not trained.

    Args:
      name: as for `open_model`; a GGUF file, and a config.json without the field, promise nothing.
      longest: tokens of the longest prompt and completion of the run.
      keys: of the run's config that make it so long.
    """
    path = resolve(name) / CONFIG
    window = read_json(path).get(WINDOW)
    if type(window) is int and longest > window:
        print(
            f"warning: {path}: {WINDOW} is {window}, but {keys} make up to {longest} positions; "
            f"lower them, or raise {WINDOW} there if the model was trained for that",
            file=sys.stderr,
            flush=True,
        )


def load_model(name: str) -> tuple[Weights, ModelConfig, Tokenizer]:
    """Reads a model directory that `save_model` wrote, held and run as it was when saved.

    Raises:
      UserError: as `open_model` does, and if another program wrote the directory.
    """
    return _open(name, how=None, mesh=None)


def open_model(
    name: str, *, how: ExecutionConfig, mesh: Mesh | None
) -> tuple[Weights, ModelConfig, Tokenizer]:
    """Reads any model there is a reader for, and lays it out on the mesh.

    Args:
      name: a Hugging Face directory, of `save_model` or of others, a GGUF file, or "package:NAME".
      how: how the network is held and run.
      mesh: where the weights go; None keeps them on the default device.

    Raises:
      UserError: names the file and the tensor that is damaged, missing or not ours to read; a
        tokenizer that is not the one that the model was saved with; of a directory in r1jax's old
        format, the command that converts it.
    """
    if how.numerics == "exact":
        check_exact()
    path = resolve(name)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise UserError(f"model {name}: no such file")
        return read.open_gguf(path, how=how, mesh=mesh)
    return _open(name, how=how, mesh=mesh)


def _open(
    name: str, *, how: ExecutionConfig | None, mesh: Mesh | None
) -> tuple[Weights, ModelConfig, Tokenizer]:
    """Reads a directory; without `how`, as it was saved."""
    directory = resolve(name)
    where = directory / CONFIG
    if not where.is_file():
        raise UserError(f"model {name}: {directory} lacks {[CONFIG]}")
    document = read_json(where)
    if is_old(directory, document):
        raise UserError(
            f"model {name}: {directory} is in the old format ({OLD_WEIGHTS}); convert it: "
            f"python -m r1jax.hub.old {directory} {directory}_new"
        )
    how = families.saved_execution(document, str(where)) if how is None else how
    tokenizer = read_tokenizer(directory)
    return read.open_directory(directory, document, tokenizer=tokenizer, how=how, mesh=mesh)
