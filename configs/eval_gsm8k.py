"""GSM8K (arXiv:2110.14168): 1,319 word problems, 16 samples each.

python -m r1jax.main --config=configs/eval_gsm8k.py --workdir=runs/eval_gsm8k \\
    --config.model=MODEL --config.file.path=FILE
"""

import ml_collections

from configs import data, evaluate


def get_config() -> ml_collections.ConfigDict:
    c = evaluate.get_config()
    c.name = "GSM8K"
    c.file = data.gsm8k("data/gsm8k/test.jsonl")
    c.max_new_tokens = 8192
    return c
