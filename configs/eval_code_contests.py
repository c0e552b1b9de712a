"""CodeContests: programs from standard input to standard output, in a sandbox (see README).

python -m r1jax.main --config=configs/eval_code_contests.py --workdir=runs/eval_code_contests \\
    --config.model=MODEL --config.file.path=FILE
"""

import ml_collections

from configs import data, evaluate


def get_config() -> ml_collections.ConfigDict:
    c = evaluate.get_config()
    c.name = "CodeContests"
    c.file = data.code_contests("data/code_contests/test.jsonl")
    c.prompt.instruction = ""  # the question says what to give
    c.prompt_buckets = (512, 1024, 2048, 4096)
    c.reward.judge.sandbox.update(memory_mb=1024, wall_seconds=60.0)
    return c
