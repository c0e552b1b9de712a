"""Checks a run of stages against its lineage.

python -m r1jax.main --config=configs/lineage.py --workdir=runs/check --config.path=runs/r1_tiny
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
    c = ml_collections.ConfigDict()
    c.pipeline = "lineage"
    c.path = "runs/r1_tiny"
    return c
