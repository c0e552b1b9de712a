"""Judges stored completions: to audit a reward, or to judge an exam's answers again.

python -m r1jax.main --config=configs/judge.py --workdir=runs/judged \\
    --config.input=completions.jsonl

A line such as {"kind": "maths", "completion": "... \\\\boxed{42}", "answer": "42"}; for programs
{"kind": "code", "completion": "...", "tests": {"asserts": ["assert f(1) == 2"], "setup": ""}}.
"""

import ml_collections

from configs import rewards


def get_config() -> ml_collections.ConfigDict:
    c = ml_collections.ConfigDict()
    c.pipeline = "judge"
    c.input = "completions.jsonl"
    c.questions = ""  # an exam's questions.jsonl, where the rows are its answers.jsonl
    c.batch = 256
    c.cap = 32_768
    c.reward = rewards.get_config()
    return c
