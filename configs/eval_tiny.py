"""The shipped base, or a model of the demo, on the synthetic world: half a minute on two cores.

python -m r1jax.main --config=configs/eval_tiny.py --workdir=runs/exam \\
    --config.model=runs/demo/model
"""

import ml_collections

from configs import data, evaluate


def get_config() -> ml_collections.ConfigDict:
    c = evaluate.get_config()
    c.name = "synthetic world"
    c.file = None
    c.source = data.world(train=1, validation=1, test=1_000, ood=1_000, seed=0, search_share=0.25)
    evaluate.on_cpu(c)
    c.prompt.update(template="plain", instruction="")
    c.first = 128
    c.samples = c.samples_at_once = 16
    c.ks = (1, 2, 4, 8, 16)
    c.batch = 16
    c.max_new_tokens = 112
    c.prompt_buckets = (32,)
    c.sampler.update(temperature=1.0, top_p=1.0, cache_segments=2)
    c.execution.scan_layers = False
    c.reward.format = "think_answer"
    c.reward.judge.places = ("answer_tag", "answer_line")
    return c
