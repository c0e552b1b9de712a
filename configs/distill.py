"""Distillation by logits (GKD, arXiv:2306.13649) between two of Qwen's models, which share a
tokenizer; DeepSeek-R1's own distillation is by its replies (configs/sft.py).

python -m r1jax.main --config=configs/distill.py --workdir=runs/distill \\
    --config.student=Qwen2.5-0.5B --config.teacher=Qwen2.5-7B-Instruct

--config.way=offline reads training rows from --config.data; --config.way=mixed takes either, the
student's samples with chance lam. --config.loss.estimator=sampled asks the teacher for the
log-probability of the sampled tokens alone.
"""

import ml_collections

from configs import blocks, data, rewards

BOXED = "\n\nReason step by step, and put your final answer within \\boxed{}."


def get_config() -> ml_collections.ConfigDict:
    c = ml_collections.ConfigDict()
    c.pipeline = "distill"
    c.seed = 0
    c.updates = 1000
    c.student = "checkpoints/qwen2_5_0_5b"
    c.teacher = "checkpoints/qwen2_5_7b_instruct"
    c.prompt = dict(template="chat", instruction=BOXED, examples=())
    c.task = data.task(
        questions=data.files(
            train=data.rows("data/train.jsonl"), test=data.rows("data/test.jsonl"), validation=512
        )
    )
    c.data = ""
    c.way = "on_policy"
    c.lam = 0.5  # GKD's settings for XSum
    c.loss = dict(
        divergence="reverse",
        beta=0.5,
        estimator="full",
        temperature=1.0,
        reduction="token_mean",
        constant=2048,
        micro_batches=8,
        balance=0.0,
        bias_rate=0.0,
        logit_chunk=256,
    )
    c.reward = rewards.get_config()
    c.reward.format = "think"
    c.reward.judge.places = ("boxed", "answer_tag")
    c.reflective_words = ("wait", "mistake", "however", "verify", "check")
    c.stages = (dict(from_update=0, max_new_tokens=2048, temperature=1.0),)
    c.prompt_buckets = (256, 512)
    c.length_buckets = (1024, 2560)
    c.prompts_per_update = 32
    c.samples_per_prompt = 4
    c.cache_segments = 8
    c.slots = 0
    c.optimizer = blocks.optimizer(
        1e-5, schedule="cosine", warmup_updates=50, total_updates=1000, final_lr_ratio=0.1
    )
    c.evaluation = blocks.evaluation(
        every_updates=100,
        validation=128,
        samples=4,
        sampler=blocks.sampler(temperature=1.0, top_p=1.0, cache_segments=8),
    )
    c.execution = blocks.training()
    # it needs no gradient: half the memory, nothing computed twice
    c.teacher_execution = blocks.inference()
    c.mesh = dict(data=1, expert=1, model=1)
    c.checkpoint = dict(every_updates=50, keep_last=2, keep_best=1, allow_config_change=False)
    return c
