"""Models that experiments/benchmarks times: small enough for two CPU cores, built like big ones."""

import ml_collections

from configs.models import dense, tiny_moe


def _common(*, vocab_size: int, theta: float) -> ml_collections.ConfigDict:
    m = ml_collections.ConfigDict()
    m.vocab_size = vocab_size
    m.n_tokens = vocab_size - 1  # the last id is never drawn: as stop id it ends nothing early
    m.mtp = False
    m.init_std = 0.0  # 1/sqrt(fan_in)
    m.param_dtype = "float32"
    m.compute_dtype = "float32"
    m.scan_layers = False  # unrolled is faster on CPU, once compiled
    m.remat = False
    m.attention_block = 64
    m.numerics = "fast"
    m.rope = tiny_moe.no_rope_scaling(theta)
    return m


def _grouped(*, n_heads: int, n_kv_heads: int, head_dim: int) -> dict:
    return dict(
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        head_dim=head_dim,
        qkv_bias=False,
        qk_norm=False,
    )


def _dense_tiny() -> ml_collections.ConfigDict:
    """A Llama of 4.5M parameters."""
    m = _common(vocab_size=512, theta=10000.0)
    m.d_model = 256
    m.n_layers = m.n_dense_layers = 4
    m.mlp_dim = 1024
    m.norm_eps = 1e-6
    m.tie_embeddings = False
    m.attention = _grouped(n_heads=4, n_kv_heads=4, head_dim=64)
    m.moe = None
    return m


def _smollm2_135m() -> ml_collections.ConfigDict:
    """The shape of SmolLM2-135M (arXiv:2502.02737)."""
    m = dense.get_model("smollm2_135m")
    m.update(_common(vocab_size=49152, theta=1e5))
    return m


def _moe_tiny() -> ml_collections.ConfigDict:
    """A DeepSeek-V3 of 6.9M parameters, 3.2M of them active for a token."""
    m = _common(vocab_size=512, theta=10000.0)
    m.d_model = 256
    m.n_layers = 4
    m.n_dense_layers = 1
    m.mlp_dim = 1024
    m.norm_eps = 1e-6
    m.tie_embeddings = False
    m.attention = dict(
        n_heads=8,
        q_lora_rank=128,
        kv_lora_rank=64,
        nope_dim=32,
        rope_dim=16,
        v_dim=32,
    )
    m.moe = dict(
        n_experts=16,
        n_shared_experts=1,
        experts_per_token=4,
        hidden_dim=128,
        n_groups=4,
        top_groups=2,
        score="sigmoid",
        group_score="top2",
        normalise=True,
        route_scale=2.5,
        dispatch="blocks",
        block_size=0,
    )
    return m


def _smoke() -> ml_collections.ConfigDict:
    """The MoE model in miniature: says whether the benchmark runs, not how fast."""
    m = _moe_tiny()
    m.update(
        vocab_size=64,
        n_tokens=63,
        d_model=32,
        n_layers=1,
        n_dense_layers=0,
        attention=dict(
            n_heads=2,
            q_lora_rank=16,
            kv_lora_rank=16,
            nope_dim=8,
            rope_dim=4,
            v_dim=8,
        ),
        moe=dict(n_experts=8, experts_per_token=2, hidden_dim=16),
    )
    return m


def get_model(name: str) -> ml_collections.ConfigDict:
    """Returns the model of a workload.

    Args:
      name: "W1" a dense Llama, "W2" SmolLM2-135M's shape, "W3" a DeepSeek-V3; "smoke" a miniature.

    Raises:
      ValueError: on another name.
    """
    models = {"W1": _dense_tiny, "W2": _smollm2_135m, "W3": _moe_tiny, "smoke": _smoke}
    if name not in models:
        raise ValueError(f"benchmark model: got {name!r}, wanted one of {list(models)}")
    return models[name]()
