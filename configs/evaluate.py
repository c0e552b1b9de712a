"""Examines a model on GSM8K's format by the paper's protocol; the other exams start from here.

python -m r1jax.main --config=configs/eval_gsm8k.py --workdir=runs/gsm8k \\
    --config.model=runs/demo/model --config.file.path=test.jsonl

Answers are stored as they come, and the same command goes on where a killed run stopped.
--config.compare=runs/other adds a paired comparison with another model's exam.
"""

import ml_collections

from configs import blocks, data, rewards

BOXED = "\n\nReason step by step, and put your final answer within \\boxed{}."


def get_config() -> ml_collections.ConfigDict:
    c = ml_collections.ConfigDict()
    c.pipeline = "evaluate"
    c.seed = 0
    c.name = "questions"
    c.model = "package:tiny_base"
    c.prompt = dict(template="chat", instruction=BOXED, examples=())  # zero-shot, as in the paper
    c.file = data.rows("data/test.jsonl")
    c.source = None
    c.split = "test"
    c.first = 0
    c.samples = 16  # the paper's k: 64 for AIME and GPQA, 16 for MATH, 8 for LiveCodeBench
    c.samples_at_once = 16
    c.ks = (1, 2, 4, 8, 16)
    c.batch = 8
    c.max_new_tokens = 32_768
    c.prompt_buckets = (128, 256, 512, 1024)
    c.sampler = blocks.sampler(temperature=0.6, top_p=0.95, cache_segments=8)
    c.reward = rewards.get_config()
    c.reward.format = "think"
    c.reward.judge.places = ("boxed", "answer_tag")
    c.level = 0.95
    c.compare = ""
    c.draws = 10_000
    c.execution = blocks.inference()
    c.mesh = dict(data=1, expert=1, model=1)
    return c


def on_cpu(c: ml_collections.ConfigDict) -> None:
    """Sizes for two CPU cores: short answers, float32."""
    c.samples = c.samples_at_once = 4
    c.ks = (1, 2, 4)
    c.max_new_tokens = 256
    c.sampler.update(cache_segments=4)
    c.execution.update(
        param_dtype="float32", compute_dtype="float32", scan_layers=True, dispatch="blocks"
    )
