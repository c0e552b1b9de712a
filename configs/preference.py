"""Judges pairs of sampled replies, four times each in random order, as DeepSeek-R1 does.

python -m r1jax.main --config=configs/preference.py --workdir=runs/pairs \\
    --config.input=sampled.jsonl

The judge knows the truth of the synthetic world and adds noise; configs/preference_model.py asks a
model.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    c = ml_collections.ConfigDict()
    c.pipeline = "preference"
    c.seed = 0
    c.input = "sampled.jsonl"
    c.task = "pairs"
    c.kinds = ("helpful",)
    c.sees = "summary"
    c.pairs_per_question = 4  # not published
    c.judgements = 4
    c.least_verdicts = 3
    c.margin = 1.0
    c.batch = 256
    c.rules = dict(
        scale=4.0,  # a reply worth half a point more is much better
        noise=0.7,
        position_bias=0.3,
    )
    c.model = None
    return c
