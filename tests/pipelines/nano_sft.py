"""The smallest fine-tuning with every moving part; rows and questions are given by the test."""

import ml_collections

from configs import data, sft_tiny


def get_config() -> ml_collections.ConfigDict:
    c = sft_tiny.get_config()
    c.base = c.data.rows.path = "given by the test"
    c.validation = 1
    c.epochs = 80
    c.batch = 2
    c.length = 96
    c.packing_bins = 2
    c.micro_batches = 2
    c.loss.update(balance=1e-3, bias_rate=1e-3, logit_chunk=96)
    c.optimizer.update(lr=1e-2, warmup_updates=2)
    c.evaluate_every = 40
    questions = data.files(train=data.rows("given"), test=data.rows("given"), validation=2)
    c.exam.task = data.task(questions=questions)
    c.exam.update(max_new_tokens=24, prompt_buckets=(32,))
    c.exam.evaluation.update(
        every_updates=80, validation=2, test=2, samples=1, consensus=1, batch=2
    )
    c.exam.evaluation.sampler.update(temperature=0.0, cache_segments=1)
    c.execution.block_size = 4
    c.checkpoint.update(every_updates=40, keep_last=2, keep_best=1)
    return c
