"""HumanEval (arXiv:2107.03374): 164 functions; programs run in a sandbox (see README).

python -m r1jax.main --config=configs/eval_humaneval.py --workdir=runs/eval_humaneval \\
    --config.model=MODEL --config.file.path=FILE
"""

import ml_collections

from configs import data, evaluate


def get_config() -> ml_collections.ConfigDict:
    c = evaluate.get_config()
    c.name = "HumanEval"
    c.file = data.humaneval("data/humaneval/test.jsonl")
    c.prompt.instruction = ""  # the question says what to give
    return c
