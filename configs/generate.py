"""Asks a model, in the terminal or by a file of prompts.

python -m r1jax.main --config=configs/generate.py --workdir=runs/talk --config.model=runs/demo/model
"""

import ml_collections


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
    c.sampler = dict(
        temperature=0.6, top_k=0, top_p=0.95, min_p=0.0, repetition_penalty=1.0, cache_segments=4,
        streams=1,
    )  # fmt: skip
    c.execution = dict(
        param_dtype="float32", compute_dtype="float32", scan_layers=False, remat=False,
        dispatch="blocks", block_size=0,
    )  # fmt: skip
    c.mesh = dict(data=1, expert=1, model=1)
    return c
