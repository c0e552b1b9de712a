"""Labels sampled replies to requests of the synthetic world as safe or not, by its rules.

python -m r1jax.main --config=configs/preference_labels.py --workdir=runs/labels \\
    --config.input=sampled.jsonl
"""

import ml_collections

from configs import preference


def get_config() -> ml_collections.ConfigDict:
    c = preference.get_config()
    c.task = "labels"
    c.kinds = ("harmless",)
    c.sees = "all"
    c.rules = None
    return c
