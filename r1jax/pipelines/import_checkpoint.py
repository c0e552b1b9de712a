"""Reads a model of others once, checks all of it, and saves it held as we want to run it."""

import dataclasses
import time
from pathlib import Path
from typing import Literal

import jax

from r1jax import sharding
from r1jax.config import flatten
from r1jax.hub.artifacts import command, open_model, save_model
from r1jax.io.digests import digest
from r1jax.io.summary import check_writable, facts, peak_memory_bytes, write_summary
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
        seconds, peak = time.monotonic() - start, peak_memory_bytes()
        leaves = jax.tree.leaves(weights)
        nbytes = sum(x.nbytes for x in leaves)
        made_by = {"command": command(), "config": flatten(config)}
        save_model(workdir / "model", weights, model=model, tokenizer=tokenizer, made_by=made_by)
        summary = {
            "pipeline": config.pipeline, "config": flatten(config), "seed": None, **facts(),
            "weights_sha256": digest(weights), "seconds": {"read": seconds},
            "parameters": sum(x.size for x in leaves), "bytes": nbytes,
            "bytes_per_second": nbytes / seconds, "peak_memory_bytes": peak,
        }  # fmt: skip
    write_summary(workdir, summary)
    print(
        f"{summary['parameters']:,} parameters, {nbytes / 1e9:.2f} GB in {seconds:.1f} s "
        f"({nbytes / seconds / 1e6:.0f} MB/s), model in {workdir / 'model'}",
        flush=True,
    )
