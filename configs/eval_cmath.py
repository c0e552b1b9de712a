"""CMATH: Chinese word problems of grades 1 to 6.

python -m r1jax.main --config=configs/eval_cmath.py --workdir=runs/eval_cmath \\
    --config.model=MODEL --config.file.path=FILE
"""

import ml_collections

from configs import data, evaluate


def get_config() -> ml_collections.ConfigDict:
    c = evaluate.get_config()
    c.name = "CMATH"
    c.file = data.cmath("data/cmath/test.jsonl")
    c.prompt.instruction = "\n\n请逐步推理，并把最终答案写在\\boxed{}中。"
    return c
