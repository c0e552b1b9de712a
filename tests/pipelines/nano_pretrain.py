"""The smallest pretraining run with every moving part."""

import ml_collections

from configs import pretrain_tiny


def get_config() -> ml_collections.ConfigDict:
    c = pretrain_tiny.get_config()
    c.updates = 4
    c.batch = 2
    c.length = 256
    c.packing_bins = 4
    c.evaluate_every = 2
    c.corpus.update(documents=100, held_out=20)
    c.tokenizer.update(vocab_size=448, documents=100)
    c.model.update(vocab_size=448, n_tokens=448, d_model=32, n_layers=2, mlp_dim=48)
    c.model.attention.update(n_heads=2, kv_lora_rank=16, nope_dim=8, rope_dim=8)
    c.model.attention.v_dim = 12
    c.model.moe.update(n_experts=4, hidden_dim=16, n_groups=2, top_groups=2, block_size=16)
    c.loss.logit_chunk = 64
    c.optimizer.update(warmup_updates=1, total_updates=4)
    c.checkpoint.update(every_updates=2)
    return c
