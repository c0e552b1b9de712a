"""MATH-500: 16 samples each, as the paper; tables by level and subject.

python -m r1jax.main --config=configs/eval_math500.py --workdir=runs/eval_math500 \\
    --config.model=MODEL --config.file.path=FILE
"""

import ml_collections

from configs import data, evaluate


def get_config() -> ml_collections.ConfigDict:
    c = evaluate.get_config()
    c.name = "MATH-500"
    c.file = data.math500("data/math500/test.jsonl")
    return c
