"""Judges pairs of sampled replies by a model, which is asked as Arena-Hard's judge is.

python -m r1jax.main --config=configs/preference_model.py --workdir=runs/pairs \\
    --config.input=sampled.jsonl --config.model.model=PATH/MODEL
"""

import ml_collections

from configs import blocks, preference


def get_config() -> ml_collections.ConfigDict:
    c = preference.get_config()
    c.batch = 4  # pairs: 16 prompts at a time
    c.rules = None
    c.model = dict(
        model="checkpoints/deepseek_v3",
        prompt=dict(template="chat", instruction="", examples=()),
        sampler=blocks.sampler(temperature=0.6, top_p=0.95, cache_segments=4),
        max_new_tokens=1024,
        prompt_buckets=(512, 1024, 2048, 4096),
        execution=blocks.inference(),
        mesh=dict(data=1, expert=1, model=1),
    )
    return c
