"""The smallest run with every moving part: 2 rollouts of 2 minibatches, a cap that rises."""

import ml_collections

from configs import r1_zero_tiny


def get_config() -> ml_collections.ConfigDict:
    c = r1_zero_tiny.get_config()
    c.updates = 4
    c.base = "given on the command line"
    c.task.sources.world.world.update(train=64, validation=16, test=16, ood=16)
    c.stages = (
        dict(from_update=0, max_new_tokens=6, temperature=1.0, sources=()),
        dict(
            from_update=1, max_new_tokens=10, temperature=0.8, sources=()
        ),  # takes effect at update 2
    )
    c.prompt_buckets = (64,)
    c.length_buckets = (80,)
    c.samples_every = 2
    c.samples_shown = 4
    c.grpo.update(
        group_size=16,
        prompts_per_rollout=2,
        minibatches=2,
        micro_tokens=320,
        reference_every=3,
        kl_coef=0.01,
        constant=10,
        logit_chunk=16,
    )
    c.optimizer.update(lr=1e-2, warmup_updates=0, total_updates=4)
    c.evaluation.update(
        every_updates=2, validation=2, test=2, ood=2, samples=16, consensus=16, batch=2
    )
    c.execution.block_size = 4
    c.checkpoint.update(every_updates=2, keep_last=2, keep_best=1)
    return c
