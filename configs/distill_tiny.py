"""Logit distillation on a laptop: the demo's mixture of experts teaches the dense student.

python -m r1jax.main --config=configs/distill_tiny.py --workdir=runs/distill_tiny
"""

import ml_collections

from configs import distill, r1_zero_tiny


def get_config() -> ml_collections.ConfigDict:
    c, world = distill.get_config(), r1_zero_tiny.get_config()
    c.updates = 100
    c.student = "package:tiny_r1_student"
    c.teacher = "runs/r1/stages/dev2/model"
    c.prompt = world.prompt
    c.task = world.task
    c.reward = world.reward
    c.reflective_words = world.reflective_words
    c.loss.update(reduction="token_mean", constant=112, micro_batches=1, logit_chunk=144)
    c.stages = (dict(from_update=0, max_new_tokens=112, temperature=1.0),)
    c.prompt_buckets = world.prompt_buckets
    c.length_buckets = world.length_buckets
    c.prompts_per_update = 16
    c.samples_per_prompt = 4
    c.cache_segments = 2
    c.optimizer.update(lr=1e-3, warmup_updates=5, total_updates=100)
    c.evaluation = world.evaluation
    c.execution = world.execution
    c.teacher_execution = world.execution
    c.checkpoint.every_updates = 20
    return c
