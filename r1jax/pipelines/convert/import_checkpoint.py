"""Reads a model that others made, checks all of it, and saves it in the dtype of our runs."""

import dataclasses
import time
from pathlib import Path
from typing import Literal

import jax

from r1jax import sharding
from r1jax.config import flatten
from r1jax.hub.artifacts import command, open_model, save_model
from r1jax.io.digests import digest
from r1jax.io.summary import check_writable, write_run_summary
from r1jax.model.config import ExecutionConfig
from r1jax.sharding import MeshConfig


@dataclasses.dataclass(frozen=True)
class ImportConfig:
    """What is read.

    Attributes:
      model: a directory of Hugging Face's, or a GGUF file.
      execution: its param_dtype is that of the files written.
      mesh: where the weights go.
    """

    pipeline: Literal["import_checkpoint"]
    model: str
    execution: ExecutionConfig
    mesh: MeshConfig


def run(config: ImportConfig, workdir: Path) -> None:
    """Writes workdir/model and a summary with the size, the speed and the memory it took."""
    check_writable(workdir)
    with sharding.use(**dataclasses.asdict(config.mesh)) as mesh:
        start = time.monotonic()
        weights, model, tokenizer = open_model(config.model, how=config.execution, mesh=mesh)
        seconds = time.monotonic() - start
        leaves = jax.tree.leaves(weights)
        nbytes, parameters = sum(x.nbytes for x in leaves), sum(x.size for x in leaves)
        made_by = {"command": command(), "config": flatten(config)}
        save_model(workdir / "model", weights, model=model, tokenizer=tokenizer, made_by=made_by)
        values = {
            "weights_sha256": digest(weights),
            "seconds": {"read": seconds},
            "parameters": parameters,
            "bytes": nbytes,
            "bytes_per_second": nbytes / seconds,
        }
    write_run_summary(workdir, config, values)
    print(
        f"{parameters:,} parameters, {nbytes / 1e9:.2f} GB in {seconds:.1f} s "
        f"({nbytes / seconds / 1e6:.0f} MB/s), model in {workdir / 'model'}",
        flush=True,
    )
