"""Makes the base model of configs/r1_tiny.py, from nothing, on two CPU cores.

Its corpus (`r1jax.data.world.corpus`) holds reasoning in two languages and an assistant's replies.
It ships as `package:tiny_r1_base`, in bfloat16:

python -m r1jax.main --config=configs/pretrain_r1_tiny.py --workdir=runs/base
python -m r1jax.main --config=configs/import_checkpoint.py --workdir=runs/ship \\
    --config.model=runs/base/model
"""

import ml_collections

from configs import pretrain_tiny


def get_replies() -> ml_collections.ConfigDict:
    """How often a writer of the corpus replies how (`r1jax.data.world.replies.ReplyRates`)."""
    return ml_collections.ConfigDict(
        dict(
            terse=0.4, sentence=0.25, warm=0.15, wrong=0.15, complies=0.6, refuses=0.1, thought=0.3
        )
    )


def get_config() -> ml_collections.ConfigDict:
    c = pretrain_tiny.get_config()
    c.updates = c.optimizer.total_updates = 1_500
    c.corpus.rates.update(chain=0.42, search=0.17, drill=0.2, bare=0.5, worked=0.3)
    c.corpus.assistant = dict(
        mixed_en=0.3,
        mixed_zh=0.05,
        spelt_slip=0.1,
        spelt_drill=0.25,
        boxed=0.03,
        replies=get_replies(),
    )
    c.corpus.documents = 200_000
    c.tokenizer.vocab_size = c.model.vocab_size = c.model.n_tokens = 704
    return c
