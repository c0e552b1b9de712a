"""R1-Zero from Qwen2.5-Math-1.5B, on one GPU or a small TPU slice.

python -m r1jax.main --config=configs/r1_zero_qwen2_5_1_5b.py --workdir=runs/qwen \\
    --config.base=models/Qwen2.5-Math-1.5B \\
    --config.task.sources.questions.files.train.path=train.jsonl \\
    --config.task.sources.questions.files.test.path=test.jsonl

The base is a directory as Hugging Face has it. Its window is 4,096 tokens. Sizes are a start, not
measured here: a device of 80 GB holds weights and AdamW's moments (18 GB in float32) and a
micro-batch of 16,384 tokens with remat.
"""

import ml_collections

from configs import data, r1_zero


def get_config() -> ml_collections.ConfigDict:
    c = r1_zero.get_config()
    c.updates = 512
    c.base = "models/Qwen2.5-Math-1.5B"
    c.task = data.task(
        questions=data.files(
            train=data.gsm8k("data/train.jsonl"), test=data.gsm8k("data/test.jsonl"), validation=256
        )
    )
    c.stages = (dict(from_update=0, max_new_tokens=3_072, temperature=1.0, sources=()),)
    c.prompt_buckets = (256, 512, 1024)
    c.length_buckets = (1024, 2048, 4096)
    c.grpo.update(
        group_size=16,
        prompts_per_rollout=64,
        minibatches=4,
        micro_tokens=0,
        kl_coef=0.0,
        reference_every=0,
        constant=3_072,
    )
    c.optimizer.update(lr=1e-6, warmup_updates=10, total_updates=512)
    c.evaluation.update(every_updates=40, validation=256, test=512, batch=64)
    c.checkpoint.every_updates = 40
    return c
