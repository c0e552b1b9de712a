r"""Cold start: the right and readable samples of R1-Zero, laid out as R1 replies.

python -m r1jax.main --config=configs/sample.py --workdir=runs/zero --config.model=runs/demo/model
python -m r1jax.main --config=configs/cold_start.py --workdir=runs/cold \
    --config.inputs.zero.path=runs/zero/answers.jsonl

The rows are in runs/cold/sft. Another input is a base that was shown a few examples: `sample` with
--config.prompt.examples of them. `rewrite_by(model=...)` asks a model to rewrite.
"""

from typing import Any

import ml_collections

from configs import data, rewards, sample

REQUEST = (
    "Rewrite this solution. Keep its steps, add none, and write in the language of the question. "
    "Put the thoughts between <think> and </think>, then a short solution that ends in "
    "\\boxed{{answer}}.\n\nQuestion: {question}\n\nThoughts: {thought}\n\nAnswer: {answer}"
)


def given(path: str, *, questions: str = "", limit: int = 0) -> dict[str, Any]:
    """An input: answers.jsonl of `sample`, or of `evaluate` with its questions.jsonl."""
    return dict(path=path, questions=questions, limit=limit)


def rewrite_by(*, model: str, request: str = REQUEST) -> dict[str, Any]:
    """`config.rewriter.model` for the kind "model": a model that follows requests."""
    c = sample.get_config()
    reward = rewards.get_config()
    reward.format = "think"
    reward.judge.places = ("boxed",)
    return dict(
        model=model,
        prompt=dict(template="chat", instruction="", examples=()),
        request=request,
        tries=4,
        batch=8,
        max_new_tokens=2_048,
        prompt_buckets=(512, 1_024, 2_048),
        sampler=dict(c.sampler, temperature=0.7),
        reward=reward.to_dict(),
        execution=dict(c.execution),
        mesh=dict(c.mesh),
    )


def get_config() -> ml_collections.ConfigDict:
    c = ml_collections.ConfigDict()
    c.pipeline = "cold_start"
    c.seed = 0
    c.inputs = dict(zero=given("runs/zero/answers.jsonl"))
    c.filters = sample.get_filters()
    c.rewriter = dict(
        kind="layout",
        summaries=dict(en="The answer is \\boxed{{answer}}.", zh="答案是\\boxed{{answer}}。"),
        model=None,
    )
    c.near = dict(n=5, threshold=0.8)  # near-duplicates: ours, the paper says nothing
    c.per_question = 1
    c.task = data.task(
        world=data.world(
            train=100_000, validation=1_000, test=1_000, ood=1_000, seed=0, search_share=0.25
        )
    )
    c.shard_rows = 10_000
    return c
