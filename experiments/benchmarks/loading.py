"""How much memory reading a checkpoint takes beyond the model, and how fast it is.

python -m experiments.benchmarks.loading                     # a synthetic Llama in bfloat16
python -m experiments.benchmarks.loading --model=DIRECTORY   # of Hugging Face, or a GGUF file

Each repeat is a process of its own, whose memory is looked at before and after; before, it reads a
miniature once, so that what libraries load and JAX compiles on first use (some 80 MB) is not taken
for the model's. Speed is compared with reading the same bytes plainly just before, so that the page
cache is warm for both.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

import jax
import ml_dtypes
import numpy as np

from configs.models import dense
from r1jax import config as configs
from r1jax.hub import convert, documents, safetensors
from r1jax.hub.artifacts import open_model
from r1jax.model.config import ExecutionConfig, ModelConfig
from r1jax.text.sentencepiece_export import to_hugging_face
from r1jax.text.tokenizer import train_sentencepiece

BF16 = np.dtype(ml_dtypes.bfloat16)
SHARD_BYTES = 400 * 10**6


def write_synthetic(directory: Path, *, layers: int, vocabulary: int) -> None:
    """A Llama as wide as Qwen3-0.6B; no tensor is zero, so that no page is saved."""
    values = dense.get_model("qwen3_0_6b")
    values.update(
        attention={"qk_norm": False}, n_layers=layers, n_dense_layers=layers, tie_embeddings=False
    )
    values.update(vocab_size=vocabulary, n_tokens=vocabulary)
    model = configs.build(ModelConfig, values.to_dict())
    table = {p.name: p for p in convert.pieces(model, interleaved=False)}
    rng = np.random.default_rng(0)

    def tensor(name: str) -> np.ndarray:
        bits = rng.integers(0x3C00, 0x3C80, size=table[name].shape, dtype=np.uint16)
        return bits.view(BF16)  # all within 0.0078 and 0.0157

    kinds = {name: (BF16, piece.shape) for name, piece in table.items()}
    safetensors.write(directory, kinds, tensor, max_bytes=SHARD_BYTES)
    document = documents.document(
        model, kind=documents.family(model), dtype="bfloat16", max_positions=4096
    )
    (directory / "config.json").write_text(json.dumps(document))
    tokenizer = to_hugging_face(train_sentencepiece(["a b c"] * 9, vocab_size=270), chat=None)
    for name, content in tokenizer.files().items():
        (directory / name).write_bytes(content)


def memory_bytes(name: str) -> int:
    """VmRSS (now) or VmHWM (at most so far) of this process; Linux only."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def read_plainly(path: Path) -> float:
    """Seconds to read the files' bytes and forget them."""
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    start = time.perf_counter()
    for file in files:
        with file.open("rb", buffering=0) as handle:
            while handle.read(1 << 24):
                pass
    return time.perf_counter() - start


def measure(path: str, param_dtype: Literal["float32", "bfloat16"]) -> dict[str, float]:
    """Opens a model once, in this process, after a miniature."""
    how = ExecutionConfig(
        param_dtype=param_dtype,
        compute_dtype="float32",
        scan_layers=False,
        remat=False,
        attention_block=64,
        numerics="fast",
        dispatch="blocks",
        block_size=0,
    )
    with tempfile.TemporaryDirectory() as folder:
        write_synthetic(Path(folder), layers=1, vocabulary=512)
        open_model(folder, how=how, mesh=None)
    plain = read_plainly(Path(path))
    before, start = memory_bytes("VmRSS"), time.perf_counter()
    weights, *_ = open_model(path, how=how, mesh=None)
    jax.block_until_ready(weights)
    seconds = time.perf_counter() - start
    size = sum(x.nbytes for x in jax.tree.leaves(weights))
    return {
        "model_bytes": size,
        "peak_over_model": (memory_bytes("VmHWM") - before) / size,
        "left_over_model": (memory_bytes("VmRSS") - before) / size,
        "seconds": seconds,
        "bytes_per_second": size / seconds,
        "times_plain_reading": seconds / plain,
    }


def _repeat(path: str, dtype: str) -> dict[str, float]:
    command = [sys.executable, "-m", "experiments.benchmarks.loading", "--once"]
    command += [f"--model={path}", f"--param_dtype={dtype}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="", help="what to read; nothing makes a synthetic one")
    parser.add_argument("--param_dtype", default="bfloat16", choices=("bfloat16", "float32"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--once", action="store_true", help="measure in this process, print JSON")
    arguments = parser.parse_args()
    if arguments.once:
        print(json.dumps(measure(arguments.model, arguments.param_dtype)))
        return
    with tempfile.TemporaryDirectory() as folder:
        if not arguments.model:
            write_synthetic(Path(folder), layers=28, vocabulary=131_072)
        path = arguments.model or folder
        rows = [_repeat(path, arguments.param_dtype) for _ in range(arguments.repeats)]
    for name in rows[0]:
        median = statistics.median(row[name] for row in rows)
        print(f"{name:20} {median:,.3f}" if median < 1_000 else f"{name:20} {median:,.0f}")


if __name__ == "__main__":
    main()
