"""Makes the dense base of the student in configs/r1_tiny.py, Qwen2's architecture in miniature.

Corpus and tokenizer are those of the teacher's base (configs/pretrain_r1_tiny.py), so that the two
share their ids; it is smaller, and trained on less. It ships as `package:tiny_r1_student`.
"""

import ml_collections

from configs import pretrain_r1_tiny


def get_config() -> ml_collections.ConfigDict:
    c = pretrain_r1_tiny.get_config()
    c.updates = c.optimizer.total_updates = 800
    c.model.update(
        d_model=96, n_layers=3, n_dense_layers=3, mlp_dim=256, tie_embeddings=False, mtp=False
    )
    c.model.attention = dict(
        n_heads=4,
        n_kv_heads=2,
        head_dim=24,
        qkv_bias=True,
        qk_norm=False,
    )
    c.model.moe = None
    c.loss.update(balance=0.0, mtp=0.0)
    return c
