"""Writes a model for transformers, vLLM and llama.cpp, with nothing that only we read."""

import dataclasses
import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from r1jax import sharding
from r1jax.config import Count, Positive, Range, Share, Size
from r1jax.hub.artifacts import open_model
from r1jax.hub.gguf.write import export_gguf
from r1jax.hub.write import export_model
from r1jax.io.digests import digest
from r1jax.io.summary import check_writable, write_run_summary
from r1jax.model.config import ExecutionConfig
from r1jax.sharding import MeshConfig


@dataclasses.dataclass(frozen=True)
class SamplingDefaults:
    """How engines draw where a request does not say; what the model came with goes before.

    Attributes:
      temperature: above 0.
      top_p: share of the most likely tokens to keep, up to 1.
      top_k: most likely tokens to keep; 0 keeps all.
      min_p: least probability of a token to keep, as a share of the best one's.
    """

    temperature: Positive
    top_p: Annotated[float, Range(0, 1, inside="low")]
    top_k: Size
    min_p: Share

    def fields(self) -> dict[str, Any]:
        """Those of generation_config.json."""
        return {"do_sample": True, **dataclasses.asdict(self)}


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """What is written.

    Attributes:
      model: a model directory, a GGUF file, or "package:NAME".
      format: "hugging_face", a directory; or "gguf", a file for llama.cpp.
      dtype: of the tensors in the files.
      template: of `text.templates`, made the chat template of the directory; "chat" keeps the
        model's own, or none.
      max_positions: longest sequence, in tokens, that readers may expect to work.
      sampling: how engines draw.
      shard_megabytes: size of a file, at the most.
    """

    pipeline: Literal["export"]
    model: str
    format: Literal["hugging_face", "gguf"]
    dtype: Literal["float32", "float16", "bfloat16"]
    template: str
    max_positions: Count
    sampling: SamplingDefaults
    shard_megabytes: Count
    execution: ExecutionConfig
    mesh: MeshConfig


def run(config: ExportConfig, workdir: Path) -> None:
    """Writes workdir/hugging_face or workdir/model.gguf, and a summary."""
    check_writable(workdir)
    is_gguf = config.format == "gguf"
    path = workdir / ("model.gguf" if is_gguf else "hugging_face")
    with sharding.use(**dataclasses.asdict(config.mesh)) as mesh:
        weights, model, tokenizer = open_model(config.model, how=config.execution, mesh=mesh)
        start = time.monotonic()
        size = config.shard_megabytes * 10**6
        write = export_gguf if is_gguf else partial(export_model, shard_bytes=size)
        write(
            path,
            weights,
            model=model,
            tokenizer=tokenizer,
            template=config.template,
            sampling=config.sampling.fields(),
            dtype=config.dtype,
            max_positions=config.max_positions,
        )
        seconds = {"write": time.monotonic() - start}
        values = {"weights_sha256": digest(weights), "seconds": seconds}
    write_run_summary(workdir, config, values)
    print(f"{config.format} in {path}", flush=True)
