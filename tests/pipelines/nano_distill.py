"""The smallest distillation with every moving part: student samples and fixed rows in turn."""

import ml_collections

from configs import distill_tiny


def get_config() -> ml_collections.ConfigDict:
    c = distill_tiny.get_config()
    c.updates = 4
    c.student = c.teacher = c.data = "given on the command line"
    c.task.sources.world.world.update(train=64, validation=16, test=16, ood=16)
    c.way = "mixed"
    c.seed = 7  # the first and the last of the four updates are on-policy
    c.stages = (dict(from_update=0, max_new_tokens=6, temperature=1.0),)
    c.prompt_buckets = (64,)
    c.length_buckets = (80,)
    c.prompts_per_update = c.samples_per_prompt = 2
    c.cache_segments = 1
    c.loss.update(divergence="jsd", beta=0.5, micro_batches=2, logit_chunk=16)
    c.optimizer.update(lr=1e-2, warmup_updates=0, total_updates=4)
    c.evaluation.update(
        every_updates=2, validation=2, test=2, ood=0, samples=2, consensus=2, batch=2
    )
    c.evaluation.sampler.update(cache_segments=1)
    c.execution.block_size = c.teacher_execution.block_size = 4
    c.checkpoint.update(every_updates=2, keep_last=2, keep_best=1)
    return c
