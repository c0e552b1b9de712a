"""AMC in the layout of Qwen2.5-Math: 64 samples each.

python -m r1jax.main --config=configs/eval_amc.py --workdir=runs/eval_amc \\
    --config.model=MODEL --config.file.path=FILE
"""

import ml_collections

from configs import data, evaluate


def get_config() -> ml_collections.ConfigDict:
    c = evaluate.get_config()
    c.name = "AMC"
    c.file = data.amc("data/amc23/test.jsonl")
    c.samples = 64
    c.ks = (1, 4, 16, 64)
    return c
