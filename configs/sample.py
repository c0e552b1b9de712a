"""Rejection sampling: completions of a checkpoint, those that are right and readable kept.

python -m r1jax.main --config=configs/sample.py --workdir=runs/samples \\
    --config.model=runs/demo/model

As it stands: the synthetic world, half a minute on two CPU cores. The training rows are in
runs/samples/sft, every completion with what rejected it in answers.jsonl. R1 adds 200k rows that
are no reasoning to 600k: c.mixture = dict(general=mixed("general.jsonl", share=0.25)).
"""

from typing import Any

import ml_collections

from configs import blocks, data, rewards


def get_filters() -> ml_collections.ConfigDict:
    """The paper's filters; it publishes no threshold, so these are ours. None and False: off."""
    return ml_collections.ConfigDict(
        dict(
            finished=True,
            correct=True,
            format=True,
            language=0.9,  # least share of the thought's words in the question's language
            repetition=0.2,  # largest share of repeated n-grams
            paragraph=4_000,  # characters
            no_code=True,
            tokens=None,
            thought=None,
        )
    )


def mixed(path: str, *, share: float, repeat: bool = False) -> dict[str, Any]:
    """A part of `config.mixture`: training rows of a file or folder, and their share of all."""
    return dict(path=path, share=share, repeat=repeat)


def get_config() -> ml_collections.ConfigDict:
    c = ml_collections.ConfigDict()
    c.pipeline = "sample"
    c.seed = 0
    c.model = "package:tiny_base"
    c.prompt = dict(template="plain", instruction="", examples=())
    c.task = data.task(
        world=data.world(
            train=100_000, validation=1_000, test=1_000, ood=1_000, seed=0, search_share=0.25
        )
    )
    c.prompts = dict(world=512)
    c.samples = 8  # of a question; the paper says "multiple"
    c.samples_at_once = 8
    c.batch = 32
    c.max_new_tokens = 112
    c.prompt_buckets = (32,)
    c.sampler = blocks.sampler(temperature=1.0, top_p=1.0, cache_segments=2)
    c.reward = rewards.get_config()
    c.reward.judge.places = ("boxed", "answer_tag", "answer_line")
    c.filters = get_filters()
    c.keep = 1
    c.prefer = "first"
    c.mixture = ml_collections.ConfigDict()
    c.shard_rows = 10_000
    c.level = 0.95
    c.execution = blocks.on_cpu()
    c.mesh = dict(data=1, expert=1, model=1)
    return c
