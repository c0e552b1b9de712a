"""R1-Zero on questions in JSON lines of GSM8K's format, with the tiny base.

python -m r1jax.main --config=configs/r1_zero_jsonl_tiny.py --workdir=runs/gsm8k \\
    --config.task.sources.questions.files.train.path=train.jsonl \\
    --config.task.sources.questions.files.test.path=test.jsonl
"""

import ml_collections

from configs import data, r1_zero_tiny


def get_config() -> ml_collections.ConfigDict:
    c = r1_zero_tiny.get_config()
    c.task = data.task(
        questions=data.files(
            train=data.gsm8k("data/train.jsonl"), test=data.gsm8k("data/test.jsonl"), validation=16
        )
    )
    c.updates = 10
    c.optimizer.total_updates = 10
    c.prompt_buckets = (256, 768)
    c.length_buckets = (384, 896)
    c.grpo.update(prompts_per_rollout=4, logit_chunk=128)
    c.evaluation.update(every_updates=10, validation=4, test=4, ood=0, batch=4)
    return c
