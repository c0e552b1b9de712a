"""MMLU: 57 subjects, four options; --config.first=1000 asks the first thousand.

python -m r1jax.main --config=configs/eval_mmlu.py --workdir=runs/eval_mmlu \\
    --config.model=MODEL --config.file.path=FILE
"""

import ml_collections

from configs import data, evaluate


def get_config() -> ml_collections.ConfigDict:
    c = evaluate.get_config()
    c.name = "MMLU"
    c.file = data.mmlu("data/mmlu/test.jsonl")
    c.prompt.instruction = (
        "\n\nReason step by step, and put the letter of your choice within \\boxed{}."
    )
    c.samples = c.samples_at_once = 1
    c.ks = (1,)
    c.batch = 128
    c.prompt_buckets = (128, 256, 512, 1024, 2048)
    return c
