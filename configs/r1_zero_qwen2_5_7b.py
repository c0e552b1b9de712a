"""R1-Zero from Qwen2.5-Math-7B on eight devices: as the 1.5B, spread wider.

python -m r1jax.main --config=configs/r1_zero_qwen2_5_7b.py --workdir=runs/qwen7b \\
    --config.base=models/Qwen2.5-Math-7B \\
    --config.task.sources.questions.files.train.path=train.jsonl \\
    --config.task.sources.questions.files.test.path=test.jsonl

Weights and AdamW's moments are 91 GB in float32: 11.4 GB on each of eight devices. Sizes are a
start, not measured here.
"""

import ml_collections

from configs import r1_zero_qwen2_5_1_5b


def get_config() -> ml_collections.ConfigDict:
    c = r1_zero_qwen2_5_1_5b.get_config()
    c.base = "models/Qwen2.5-Math-7B"
    c.grpo.update(prompts_per_rollout=128, minibatches=8)
    c.mesh = dict(data=4, expert=1, model=2)
    return c
