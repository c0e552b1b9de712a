"""Control arm: configs/r1_zero_tiny.py with rewards from a coin."""

import ml_collections

from configs import r1_zero_tiny


def get_config() -> ml_collections.ConfigDict:
    c = r1_zero_tiny.get_config()
    c.reward.kind = "random"
    return c
