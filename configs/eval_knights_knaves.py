"""Knights and knaves, 3 to 7 people: who tells the truth?

python -m r1jax.main --config=configs/eval_knights_knaves.py --workdir=runs/eval_knights_knaves \\
    --config.model=MODEL --config.file.path=FILE
"""

import ml_collections

from configs import data, evaluate


def get_config() -> ml_collections.ConfigDict:
    c = evaluate.get_config()
    c.name = "knights and knaves"
    c.file = data.knights_knaves("data/knights_knaves/test.jsonl")
    c.prompt.instruction = (
        "\n\nReason step by step. Then give your conclusion within <answer> and </answer>, one "
        "line a person: NAME is a knight, or NAME is a knave."
    )
    c.reward.judge.places = ("answer_tag", "boxed")
    return c
