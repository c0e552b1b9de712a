"""Supervised fine-tuning of the shipped base on two CPU cores, with an exam on the synthetic world.

python -m r1jax.main --config=configs/sft_tiny.py --workdir=runs/sft \\
    --config.data.rows.path=rows.jsonl
"""

import ml_collections

from configs import data, sft


def get_config() -> ml_collections.ConfigDict:
    c = sft.get_config()
    c.base = "package:tiny_base"
    c.prompt.template = "plain"
    c.data = dict(rows=sft.rows("data/rows.jsonl"))
    c.validation = 16
    c.batch = 8
    c.length = 256
    c.packing_bins = 16
    c.micro_batches = 1
    c.loss.logit_chunk = 256
    c.optimizer.update(lr=5e-4)
    c.evaluate_every = 20
    c.exam = sft.exam(
        data.task(world=data.world(train=1, validation=64, test=64, ood=0, seed=0, search_share=0))
    )
    c.exam.update(max_new_tokens=112, prompt_buckets=(32,), reflective_words=("wait", "等等"))
    c.exam.reward.judge.places = ("boxed", "answer_tag", "answer_line")
    c.exam.evaluation.update(
        every_updates=20, validation=16, test=64, samples=2, consensus=2, batch=16
    )
    c.exam.evaluation.sampler.update(temperature=1.0, top_p=1.0, cache_segments=2)
    c.execution.update(
        param_dtype="float32",
        compute_dtype="float32",
        scan_layers=False,
        remat=False,
        attention_block=64,
        numerics="fast",
        dispatch="blocks",
    )
    c.checkpoint.update(every_updates=20)
    return c
