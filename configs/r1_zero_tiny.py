"""R1-Zero on a laptop: the shipped base, the synthetic world, a few minutes on two CPU cores."""

import ml_collections

from configs import blocks, data, r1_zero


def small_groups(cap: int, *, longest: int) -> dict:
    """Changes of `config.grpo` for two CPU cores.

    Args:
      cap: tokens of a completion at most.
      longest: tokens of prompt and completion at most; all logits stand at once.
    """
    return dict(
        group_size=8,
        prompts_per_rollout=16,
        minibatches=1,
        micro_tokens=0,
        reference_every=0,
        kl_coef=1e-3,
        constant=cap,
        logit_chunk=longest,
    )


def get_config() -> ml_collections.ConfigDict:
    c = r1_zero.get_config()
    c.updates = 80
    c.base = "package:tiny_base"
    c.prompt.template = "plain"
    c.task = data.task(
        world=data.world(
            train=100_000, validation=1_000, test=1_000, ood=1_000, seed=0, search_share=0.25
        )
    )
    c.reward.judge.places = ("answer_tag", "answer_line")  # base models often answer without tags
    c.reflective_words = ("wait", "等等")
    c.stages = (dict(from_update=0, max_new_tokens=112, temperature=1.0, sources=()),)
    c.prompt_buckets = (32,)
    c.length_buckets = (64, 96, 144)
    c.cache_segments = 2
    c.samples_every = 20
    c.grpo.update(small_groups(112, longest=144))
    c.optimizer.update(lr=3e-4, warmup_updates=5, total_updates=80)
    c.evaluation.update(every_updates=20, validation=64, test=128, ood=32, batch=16)
    c.evaluation.sampler.update(cache_segments=2)
    c.execution = blocks.on_cpu()
    c.checkpoint.every_updates = 20
    return c
