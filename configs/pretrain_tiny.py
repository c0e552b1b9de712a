"""Makes the tiny base model that ships with r1jax, from nothing, on two CPU cores."""

import ml_collections

from configs import blocks
from configs.models import tiny_moe


def get_rates() -> ml_collections.ConfigDict:
    """How often each behaviour is planted in the corpus (`r1jax.data.world.writing.Rates`)."""
    return ml_collections.ConfigDict(
        dict(
            chain=0.45,
            search=0.2,
            drill=0.15,
            drill_tries=0.5,
            drill_fits=0.5,
            bare=0.56,
            worked=0.30,
            search_bare=0.5,
            bare_right=0.2,
            slip=0.3,
            give_up=0.35,
            full_tags=0.55,
            answer_tag_only=0.15,
            mixed=0.1,
        )
    )


def get_config() -> ml_collections.ConfigDict:
    c = ml_collections.ConfigDict()
    c.pipeline = "pretrain"
    c.seed = 0
    c.updates = 1_000
    c.batch = 48  # rows
    c.length = 128  # tokens; the longest document has about 100
    c.packing_bins = 64
    c.evaluate_every = 200
    c.corpus = dict(
        documents=200_000,
        held_out=4_000,
        seed=0,
        rates=get_rates(),
        assistant=None,
        template="plain",
        jsonl="",
    )
    c.tokenizer = dict(vocab_size=512, documents=20_000)
    c.model = tiny_moe.get_model()
    c.loss = dict(
        balance=1e-4,  # alpha of DeepSeek-V3
        mtp=0.3,  # lambda of its first 10T tokens
        bias_rate=1e-3,  # gamma
        logit_chunk=128,
    )
    c.optimizer = blocks.optimizer(
        4e-3, schedule="cosine", warmup_updates=100, total_updates=1_000, final_lr_ratio=0.03
    ) | dict(weight_decay=0.1)
    c.mesh = dict(data=1, expert=1, model=1)
    c.checkpoint = dict(every_updates=200, keep_last=2, keep_best=0, allow_config_change=False)
    return c
