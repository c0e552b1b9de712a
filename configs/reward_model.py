"""A reward model with the values of DeepSeek-R1 (arXiv:2501.12948, section 3.1).

python -m r1jax.main --config=configs/reward_model.py --workdir=runs/reward \\
    --config.base=runs/sft/model --config.data=pairs.jsonl

For safety --config.kind=labels --config.sees=all --config.balance_lengths=False. "Not published"
marks where the papers are silent.
"""

import ml_collections

from configs import blocks


def get_config() -> ml_collections.ConfigDict:
    c = ml_collections.ConfigDict()
    c.pipeline = "reward_model"
    c.seed = 0
    c.base = "checkpoints/deepseek_r1"  # "the same architecture as R1, with a reward head"
    c.kind = "pairs"
    c.data = "data/pairs.jsonl"
    c.first = 0
    c.validation = 1_000  # not published
    c.prompt = dict(template="r1", instruction="", examples=())
    c.sees = "summary"  # of helpfulness; safety sees "all"
    c.balance_lengths = True  # lengths "are balanced"; how is not published
    c.too_long = "drop"  # not published
    c.epochs = 1
    c.batch = 256
    c.length_buckets = (512, 1024, 2048, 4096, 8192)
    c.micro_batches = 32
    c.margin = 0.0
    c.centre = 0.0  # 0.01 is usual where scores of several questions are compared
    c.optimizer = blocks.optimizer(  # of AdamW's settings the learning rate alone is published
        6e-6, schedule="constant", warmup_updates=0, total_updates=0, final_lr_ratio=1.0
    )
    c.evaluate_every = 50
    c.evaluate_batch = 64
    c.level = 0.95
    c.execution = blocks.training()
    c.mesh = dict(data=1, expert=1, model=1)
    c.checkpoint = dict(every_updates=50, keep_last=2, keep_best=1, allow_config_change=False)
    return c


def on_cpu(c: ml_collections.ConfigDict) -> None:
    """Sizes for two CPU cores: float32, short texts, no recomputing."""
    c.execution.update(
        param_dtype="float32",
        compute_dtype="float32",
        remat=False,
        attention_block=64,
        numerics="fast",
        dispatch="blocks",
    )
