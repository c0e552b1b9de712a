"""The laptop's DeepSeek-V3 in miniature: MLA, one dense layer, two MoE layers, an MTP module."""

import ml_collections


def no_rope_scaling(theta: float) -> ml_collections.ConfigDict:
    """Plain rotary embedding."""
    return ml_collections.ConfigDict(
        dict(
            theta=theta,
            kind="none",
            factor=1.0,
            original_length=0,
            beta_fast=0.0,
            beta_slow=0.0,
            mscale=0.0,
            mscale_all_dim=0.0,
            low_freq_factor=0.0,
            high_freq_factor=0.0,
        )
    )


def get_model() -> ml_collections.ConfigDict:
    """1.4M parameters with the MTP module; of the main model's 1.0M a token uses 0.6M."""
    m = ml_collections.ConfigDict()
    m.vocab_size = 512
    m.n_tokens = 512  # replaced by the tokenizer's own size
    m.d_model = 128
    m.n_layers = 3
    m.n_dense_layers = 1
    m.mlp_dim = 288
    m.norm_eps = 1e-6
    m.tie_embeddings = False
    m.mtp = True
    m.init_std = 0.0  # 1/sqrt(fan_in); the paper's 0.006 is too small at this width
    m.param_dtype = "float32"
    m.compute_dtype = "float32"  # XLA:CPU gains nothing from bfloat16
    m.scan_layers = False
    m.remat = False
    m.attention_block = 64
    m.numerics = "fast"
    m.rope = no_rope_scaling(10000.0)
    m.attention = dict(
        n_heads=4,
        q_lora_rank=0,
        kv_lora_rank=32,
        nope_dim=16,
        rope_dim=16,
        v_dim=32,
    )
    m.moe = dict(
        n_experts=8,
        n_shared_experts=1,
        experts_per_token=2,
        hidden_dim=96,
        n_groups=4,
        top_groups=2,
        score="sigmoid",
        group_score="top2",
        normalise=True,
        route_scale=1.0,
        dispatch="blocks",
        block_size=0,
    )
    return m
