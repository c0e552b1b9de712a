"""AIME 2024: 30 questions, 64 samples each, cons@64 (arXiv:2501.12948, appendix D.1).

python -m r1jax.main --config=configs/eval_aime24.py --workdir=runs/eval_aime24 \\
    --config.model=MODEL --config.file.path=FILE
"""

import ml_collections

from configs import data, evaluate


def get_config() -> ml_collections.ConfigDict:
    c = evaluate.get_config()
    c.name = "AIME 2024"
    c.file = data.aime24("data/aime24/test.jsonl")
    c.samples = 64
    c.ks = (1, 4, 16, 64)
    return c
