"""Reads a Hugging Face directory or a GGUF file and saves it in another dtype.

python -m r1jax.main --config=configs/import_checkpoint.py --workdir=runs/import \\
    --config.model=models/SmolLM2-135M-Instruct
"""

import ml_collections

from configs import blocks


def get_config() -> ml_collections.ConfigDict:
    c = ml_collections.ConfigDict()
    c.pipeline = "import_checkpoint"
    c.model = ""  # a Hugging Face directory, or a GGUF file
    c.execution = blocks.on_cpu() | dict(param_dtype="bfloat16")
    c.mesh = dict(data=1, expert=1, model=1)
    return c
