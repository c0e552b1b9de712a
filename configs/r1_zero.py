"""DeepSeek-R1-Zero with the paper's values (arXiv:2501.12948).

"Not published" marks where the papers are silent. It needs a base model with DeepSeek-V3's
architecture in `base` and a file of questions.
"""

import ml_collections

from configs import blocks, data, rewards


def get_config() -> ml_collections.ConfigDict:
    c = ml_collections.ConfigDict()
    c.pipeline = "r1_zero"
    c.seed = 0
    c.updates = 10_400
    c.base = "checkpoints/deepseek_v3_base"
    c.prompt = dict(template="r1_zero", instruction="", examples=())
    c.task = data.task(
        questions=data.files(
            train=data.rows("data/train.jsonl"), test=data.rows("data/test.jsonl"), validation=512
        )
    )
    c.reward = rewards.get_config()
    c.preferences = {}  # reward models, by name
    c.on_judge_error = "drop"
    c.reflective_words = (
        "wait",
        "mistake",
        "however",
        "but",
        "retry",
        "error",
        "verify",
        "wrong",
        "evaluate",
        "check",
    )
    c.stages = (
        dict(from_update=0, max_new_tokens=32_768, temperature=1.0, sources=()),
        dict(
            from_update=8_208, max_new_tokens=65_536, temperature=1.0, sources=()
        ),  # "8.2k", a rollout's start
    )
    c.prompt_buckets = (256, 512, 1024, 2048)
    c.length_buckets = (4096, 8192, 16_384, 34_816, 67_584)
    c.cache_segments = 8
    c.slots = 0
    c.samples_every = 16
    c.samples_shown = 16
    c.grpo = dict(
        group_size=16,
        prompts_per_rollout=512,  # 8,192 outputs
        minibatches=16,  # of 512 outputs
        epochs=1,
        micro_tokens=0,
        ratio="token",  # the papers print sequence probabilities; not published what the code does
        clip_low=0.2,  # not published for R1-Zero; R1's first RL stage has 10
        clip_high=0.2,
        kl_coef=0.001,
        reduction="seq_mean_token_mean",
        constant=65_536,
        advantage_ddof=0,  # not published
        advantage_eps=1e-6,  # not published
        divide_by_std=True,
        mask_truncated=False,  # not published
        reference_every=400,
        old_logps="trainer",
        replay_routes=True,  # not published
        balance=0.0,  # not published
        bias_rate=0.0,  # not published
        logit_chunk=512,
    )
    c.optimizer = blocks.optimizer(  # of AdamW's settings the learning rate alone is published
        3e-6, schedule="constant", warmup_updates=0, total_updates=10_400, final_lr_ratio=1.0
    )
    c.evaluation = blocks.evaluation(
        every_updates=160,
        validation=512,
        samples=16,
        sampler=blocks.sampler(temperature=1.0, top_p=1.0, cache_segments=8),
    )
    c.execution = blocks.training()
    c.mesh = dict(data=1, expert=1, model=1)
    c.checkpoint = dict(every_updates=80, keep_last=2, keep_best=1, allow_config_change=False)
    return c
