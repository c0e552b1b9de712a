"""Supervised fine-tuning with the paper's values (DeepSeek-R1, arXiv:2501.12948v2, B.4.2).

"Not published" marks where the papers are silent. It serves the cold start and the 800k, both on
the base model, and distillation by replies on a student, with batch 64 and the learning rate of its
size (table 6): 1e-4 for 1.5B, 8e-5 for 7B, 7e-5 for 14B, 6e-5 for 32B; Llama: 5e-5 for 8B, 2e-5 for
70B.

python -m r1jax.main --config=configs/sft.py --workdir=runs/sft \\
    --config.base=MODEL --config.data.reasoning.path=reasoning.jsonl
"""

import ml_collections

from configs import blocks, data, rewards


def get_config() -> ml_collections.ConfigDict:
    c = ml_collections.ConfigDict()
    c.pipeline = "sft"
    c.seed = 0
    c.base = "checkpoints/deepseek_v3_base"
    c.prompt = dict(template="r1", instruction="", examples=())
    c.data = dict(reasoning=rows("data/reasoning"), general=rows("data/general"))
    c.validation = 1_000  # not published
    c.epochs = 2  # "2-3"
    c.batch = 128  # not published whether of packed rows
    c.length = 32_768
    c.packing_bins = 256  # not published whether rows were packed
    c.too_long = "error"
    c.reduction = "token_mean"  # not published
    c.micro_batches = 128
    c.loss = dict(
        balance=1e-4,  # alpha of DeepSeek-V3's pretraining; not published for fine-tuning
        mtp=0.0,  # not published
        bias_rate=0.0,  # not published
        logit_chunk=512,
    )
    # to 5e-6, over the updates of the run (0); AdamW's other settings are not published
    c.optimizer = blocks.optimizer(
        5e-5, schedule="cosine", warmup_updates=0, total_updates=0, final_lr_ratio=0.1
    )
    c.evaluate_every = 500
    c.exam = None  # or exam(...) below
    c.execution = blocks.training()
    c.mesh = dict(data=1, expert=1, model=1)
    c.checkpoint = dict(every_updates=500, keep_last=2, keep_best=0, allow_config_change=False)
    return c


def rows(path: str, *, limit: int = 0, repeats: int = 1) -> dict:
    """A file, or a folder of files, of rows of ours; configs/conversations.py has others."""
    return dict(path=path, format=data.format_of(path), fields=None, limit=limit, repeats=repeats)


def exam(task: dict) -> dict:
    """`config.exam` of a task (`configs.data`), with the sizes of the paper's runs."""
    reward = rewards.get_config()
    reward.format = "think"
    reward.judge.places = ("boxed", "answer_tag")
    return dict(
        task=task,
        reward=reward.to_dict(),
        max_new_tokens=32_768,
        prompt_buckets=(256, 512, 1024, 2048),
        reflective_words=("wait",),
        evaluation=blocks.evaluation(
            every_updates=500,
            validation=256,
            samples=4,
            sampler=blocks.sampler(temperature=0.6, top_p=0.95, cache_segments=8),
        ),
    )
