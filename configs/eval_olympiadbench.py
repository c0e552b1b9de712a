"""OlympiadBench, its text-only English questions with open answers.

python -m r1jax.main --config=configs/eval_olympiadbench.py --workdir=runs/eval_olympiadbench \\
    --config.model=MODEL --config.file.path=FILE
"""

import ml_collections

from configs import data, evaluate


def get_config() -> ml_collections.ConfigDict:
    c = evaluate.get_config()
    c.name = "OlympiadBench"
    c.file = data.olympiadbench("data/olympiadbench/test.jsonl")
    c.prompt_buckets = (128, 256, 512, 1024, 2048)
    return c
