"""R1-Zero on a task that nobody here wrote: chain_sum of reasoning-gym.

It needs pip install 'r1jax[tasks]'. The tiny base never saw these questions: this shows the
plumbing, not a result.
"""

import ml_collections

from configs import data, r1_zero_tiny


def get_config() -> ml_collections.ConfigDict:
    c = r1_zero_tiny.get_config()
    options = dict(min_terms=2, max_terms=2, min_digits=1, max_digits=2)
    c.task = data.task(
        sums=data.gym(
            task="chain_sum", train=5_000, validation=500, test=500, seed=0, options=options
        )
    )
    c.updates = 40
    c.optimizer.total_updates = 40
    c.prompt_buckets = (96,)
    c.length_buckets = (128, 224)
    c.evaluation.update(validation=16, test=16, ood=0)
    return c
