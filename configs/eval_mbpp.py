"""MBPP, tasks 11 to 510; programs run in a sandbox (see README).

python -m r1jax.main --config=configs/eval_mbpp.py --workdir=runs/eval_mbpp \\
    --config.model=MODEL --config.file.path=FILE
"""

import ml_collections

from configs import data, evaluate


def get_config() -> ml_collections.ConfigDict:
    c = evaluate.get_config()
    c.name = "MBPP"
    c.file = data.mbpp("data/mbpp/mbpp.jsonl")
    c.prompt.instruction = ""  # the question says what to give
    c.prompt_buckets = (128, 256, 512, 1024, 4096)  # a few tests are long
    return c
