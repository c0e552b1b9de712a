"""Asks a model, in the terminal or by a file of prompts.

python -m r1jax.main --config=configs/generate.py --workdir=runs/talk --config.model=runs/demo/model
"""

import ml_collections

from configs import blocks


def get_config() -> ml_collections.ConfigDict:
    c = ml_collections.ConfigDict()
    c.pipeline = "generate"
    c.seed = 0
    c.model = "package:tiny_base"
    c.prompt = dict(template="plain", instruction="", examples=())
    c.input = ""  # JSON lines; "" asks in the terminal
    c.samples = 1
    c.batch = 8
    c.max_new_tokens = 512
    c.prompt_buckets = (64, 128, 256, 512, 1024)
    c.chunk = 4
    c.sampler = blocks.sampler(temperature=0.6, top_p=0.95, cache_segments=4)
    c.execution = blocks.on_cpu()
    c.mesh = dict(data=1, expert=1, model=1)
    return c
