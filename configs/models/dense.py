"""Dense students by name: Qwen2.5, Qwen3, Llama 3 and SmolLM2, as their config.json has them."""

import ml_collections

from configs.models import tiny_moe

# d_model, layers, mlp_dim, heads, kv heads, head_dim, vocabulary, theta, eps, tied
SIZES = {
    "smollm2_135m": (576, 30, 1536, 9, 3, 64, 49152, 1e5, 1e-5, True),
    "qwen2_5_0_5b": (896, 24, 4864, 14, 2, 64, 151936, 1e6, 1e-6, True),
    "qwen2_5_math_1_5b": (1536, 28, 8960, 12, 2, 128, 151936, 1e4, 1e-6, True),
    "r1_distill_qwen_1_5b": (1536, 28, 8960, 12, 2, 128, 151936, 1e4, 1e-6, False),
    "qwen2_5_math_7b": (3584, 28, 18944, 28, 4, 128, 152064, 1e4, 1e-6, False),
    "qwen2_5_14b": (5120, 48, 13824, 40, 8, 128, 152064, 1e6, 1e-5, False),
    "qwen2_5_32b": (5120, 64, 27648, 40, 8, 128, 152064, 1e6, 1e-5, False),
    "qwen3_0_6b": (1024, 28, 3072, 16, 8, 128, 151936, 1e6, 1e-6, True),
    "llama_3_1_8b": (4096, 32, 14336, 32, 8, 128, 128256, 5e5, 1e-5, False),
    "llama_3_3_70b": (8192, 80, 28672, 64, 8, 128, 128256, 5e5, 1e-5, False),
}


def get_model(name: str) -> ml_collections.ConfigDict:
    """Returns a model by its name in SIZES, to be trained from nothing, or planned for.

    A checkpoint needs none of this: its own config.json says what it is.

    Raises:
      ValueError: on another name.
    """
    if name not in SIZES:
        raise ValueError(f"dense model: got {name!r}, wanted one of {list(SIZES)}")
    d, layers, mlp, heads, kv, width, vocabulary, theta, eps, tied = SIZES[name]
    m = ml_collections.ConfigDict()
    m.vocab_size = m.n_tokens = vocabulary  # a tokenizer says how many are in use
    m.d_model, m.mlp_dim = d, mlp
    m.n_layers = m.n_dense_layers = layers
    m.norm_eps, m.tie_embeddings, m.mtp, m.init_std = eps, tied, False, 0.02
    m.param_dtype, m.compute_dtype, m.scan_layers, m.remat = "float32", "bfloat16", True, True
    m.attention_block = 512
    m.numerics = "fast"
    m.rope = tiny_moe.no_rope_scaling(theta)
    if name.startswith("llama"):
        m.rope.update(
            kind="llama3",
            factor=8.0,
            original_length=8192,
            low_freq_factor=1.0,
            high_freq_factor=4.0,
        )
    m.attention = dict(
        n_heads=heads,
        n_kv_heads=kv,
        head_dim=width,
        qkv_bias="qwen2_5" in name or "distill_qwen" in name,
        qk_norm="qwen3" in name,
    )
    m.moe = None
    return m
