"""Writes a model for other programs: in another dtype, with a chat template and a longest sequence.

python -m r1jax.main --config=configs/export.py --workdir=runs/export --config.model=runs/demo/model
"""

import ml_collections

from configs import blocks


def get_config() -> ml_collections.ConfigDict:
    c = ml_collections.ConfigDict()
    c.pipeline = "export"
    c.model = "package:tiny_base"
    c.format = "hugging_face"  # a directory; "gguf" for llama.cpp
    c.dtype = "bfloat16"
    c.template = "plain"  # "chat" keeps the chat template that the model came with
    c.max_positions = 4096
    # for engines: DeepSeek-R1's; nothing but top_p cuts the tail
    c.sampling = dict(temperature=0.6, top_p=0.95, top_k=0, min_p=0.0)
    c.shard_megabytes = 5_000
    c.execution = blocks.on_cpu()
    c.mesh = dict(data=1, expert=1, model=1)
    return c
