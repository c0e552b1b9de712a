"""DeepSeek-V3 and V2 by name, and three small ones of the same build."""

import ml_collections

from configs.models import tiny_moe

# d_model, layers, dense first, mlp_dim, heads, q rank, kv rank, nope, rope, v,
# experts, shared, per token, expert width, groups, groups kept, scale
SIZES = {
    "v3": (
        7168,
        61,
        3,
        18432,
        128,
        1536,
        512,
        128,
        64,
        128,
        256,
        1,
        8,
        2048,
        8,
        4,
        2.5,
    ),
    "v2": (5120, 60, 1, 12288, 128, 1536, 512, 128, 64, 128, 160, 2, 6, 1536, 8, 3, 16.0),
    "v2_lite": (2048, 27, 1, 10944, 16, 0, 512, 128, 64, 128, 64, 2, 6, 1408, 1, 1, 1.0),
    "tiny_a": (64, 3, 1, 128, 4, 32, 16, 16, 8, 24, 8, 1, 2, 32, 4, 2, 2.5),
    "tiny_b": (256, 6, 1, 704, 8, 96, 64, 32, 16, 32, 16, 1, 4, 128, 4, 2, 2.5),
    "tiny_c": (512, 8, 1, 1408, 8, 192, 128, 64, 32, 64, 32, 1, 4, 256, 8, 4, 2.5),
}
VOCABULARIES = {  # rows of the embedding, and ids in use where that is known
    "v3": (129280, 128815),
    "v2": (102400, 102400),
    "v2_lite": (102400, 102400),
    "tiny_a": (256, 256),
    "tiny_b": (512, 512),
    "tiny_c": (2048, 2048),
}


def get_model(name: str) -> ml_collections.ConfigDict:
    """Returns a model by its name in SIZES, to be trained from nothing, or planned for.

    The V2 models have V2's router: softmax scores, the best of a group, weights not normalised.

    Raises:
      ValueError: on another name.
    """
    if name not in SIZES:
        raise ValueError(f"DeepSeek model: got {name!r}, wanted one of {list(SIZES)}")
    (
        d,
        layers,
        dense,
        mlp,
        heads,
        q_rank,
        kv_rank,
        nope,
        rope,
        v,
        experts,
        shared,
        per_token,
        width,
        groups,
        top_groups,
        scale,
    ) = SIZES[name]
    v2, tiny = name.startswith("v2"), name.startswith("tiny")
    m = ml_collections.ConfigDict()
    m.vocab_size, m.n_tokens = VOCABULARIES[name]
    m.d_model, m.n_layers, m.n_dense_layers, m.mlp_dim = d, layers, dense, mlp
    m.norm_eps, m.tie_embeddings, m.mtp = 1e-6, False, name == "v3"
    m.init_std = 0.0 if tiny else 0.006  # 0.006 is too small for small widths: 1/sqrt(fan_in)
    m.param_dtype, m.compute_dtype, m.scan_layers, m.remat = "float32", "bfloat16", True, True
    m.attention_block = 512
    m.numerics = "fast"
    m.rope = tiny_moe.no_rope_scaling(10000.0)
    if not tiny:
        scales = 0.707 if name == "v2_lite" else 1.0
        m.rope.update(
            kind="yarn",
            factor=40.0,
            original_length=4096,
            beta_fast=32.0,
            beta_slow=1.0,
            mscale=scales,
            mscale_all_dim=scales,
        )
    m.attention = dict(
        n_heads=heads,
        q_lora_rank=q_rank,
        kv_lora_rank=kv_rank,
        nope_dim=nope,
        rope_dim=rope,
        v_dim=v,
    )
    m.moe = dict(
        n_experts=experts,
        n_shared_experts=shared,
        experts_per_token=per_token,
        hidden_dim=width,
        n_groups=groups,
        top_groups=top_groups,
        score="softmax" if v2 else "sigmoid",
        group_score="max" if v2 else "top2",
        normalise=not v2,
        route_scale=scale,
        dispatch="ragged",
        block_size=0,
    )
    return m
