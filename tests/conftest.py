"""Every test runs on 4 simulated CPU devices, with shapes checked and warnings as errors."""

import os

from jaxlib.version import __version_info__ as jaxlib_version

os.environ["JAX_PLATFORMS"] = os.environ.get("JAX_PLATFORMS", "cpu")
flags = [os.environ.get("XLA_FLAGS", ""), "--xla_force_host_platform_device_count=4"]
# Compiling is the cost: old fusion emitters and no LLVM optimization make it 4 times cheaper.
# jaxlib 0.11 dropped the old ones, and ends the process at a flag that it does not know.
if jaxlib_version < (0, 11):
    flags.append("--xla_cpu_use_fusion_emitters=false")
os.environ["XLA_FLAGS"] = " ".join(flags)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from jaxtyping import install_import_hook  # noqa: E402

hook = install_import_hook("r1jax", "beartype.beartype")

import dataclasses  # noqa: E402  # after the flags above
from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

from configs import pretrain_tiny  # noqa: E402
from r1jax.data.world import writing  # noqa: E402
from r1jax.hub.artifacts import save_model  # noqa: E402
from r1jax.model import forward  # noqa: E402
from r1jax.model.config import Gqa, Mla, ModelConfig, MoeConfig, RopeConfig  # noqa: E402
from r1jax.sampling.config import SamplerConfig  # noqa: E402
from r1jax.text.tokenizer import train_sentencepiece  # noqa: E402
from r1jax.train import optimizer  # noqa: E402
from r1jax.train.grpo import GrpoConfig  # noqa: E402
from r1jax.train.optimizer import OptimizerConfig  # noqa: E402
from r1jax.types import GrpoBatch, PackedBatch, TrainState  # noqa: E402

settings.register_profile("r1jax", deadline=None)  # the first example compiles
settings.load_profile("r1jax")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_disable_most_optimizations", True)
jax.config.update(
    "jax_compilation_cache_dir", os.path.join(os.path.dirname(__file__), "../.jax_cache")
)

PLAIN_ROPE = RopeConfig(
    theta=10000.0,
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
V3_ROPE = dataclasses.replace(
    PLAIN_ROPE,
    kind="yarn",
    factor=40.0,
    original_length=4096,
    beta_fast=32.0,
    beta_slow=1.0,
    mscale=1.0,
    mscale_all_dim=1.0,
)
MLA = Mla(
    n_heads=4,
    q_lora_rank=32,
    kv_lora_rank=16,
    nope_dim=16,
    rope_dim=8,
    v_dim=24,
)
GQA = Gqa(
    n_heads=8,
    n_kv_heads=4,
    head_dim=8,
    qkv_bias=False,
    qk_norm=False,
)
V3_MOE = MoeConfig(
    n_experts=8,
    n_shared_experts=1,
    experts_per_token=2,
    hidden_dim=32,
    n_groups=4,
    top_groups=2,
    score="sigmoid",
    group_score="top2",
    normalise=True,
    route_scale=2.5,
    dispatch="blocks",
    block_size=4,
)
V2_MOE = dataclasses.replace(
    V3_MOE,
    n_shared_experts=2,
    n_groups=1,
    top_groups=1,
    score="softmax",
    group_score="max",
    normalise=False,
    route_scale=1.0,
    block_size=0,
)
MLA_MOE = ModelConfig(
    vocab_size=256,
    n_tokens=250,
    d_model=64,
    n_layers=3,
    n_dense_layers=1,
    mlp_dim=128,
    norm_eps=1e-6,
    tie_embeddings=False,
    mtp=False,
    init_std=0.0,
    param_dtype="float32",
    compute_dtype="float32",
    scan_layers=False,
    remat=False,
    attention_block=64,
    numerics="fast",
    rope=PLAIN_ROPE,
    attention=MLA,
    moe=V3_MOE,
)
DENSE = dataclasses.replace(
    MLA_MOE,
    vocab_size=64,
    n_tokens=64,
    d_model=32,
    n_layers=2,
    n_dense_layers=2,
    mlp_dim=48,
    moe=None,
)


@pytest.fixture(scope="session")
def rope() -> RopeConfig:
    """No scaling."""
    return PLAIN_ROPE


@pytest.fixture(scope="session")
def v3_rope() -> RopeConfig:
    """DeepSeek-V3's YaRN."""
    return V3_ROPE


@pytest.fixture(scope="session")
def models() -> dict[str, ModelConfig]:
    """Tiny networks that differ where code paths do."""
    replace = dataclasses.replace
    yarn = replace(V3_ROPE, original_length=16, factor=4.0)
    bias = replace(GQA, qkv_bias=True)
    norm = replace(GQA, n_heads=4, n_kv_heads=2, head_dim=12, qk_norm=True)
    return {
        "mla_moe": MLA_MOE,
        "mla_moe_mtp": replace(MLA_MOE, n_layers=1, n_dense_layers=0, mtp=True),
        "gqa_moe": replace(
            MLA_MOE,
            n_layers=1,
            n_dense_layers=0,
            tie_embeddings=True,
            attention=replace(bias, qk_norm=True),
        ),
        "mla_v2": replace(
            MLA_MOE, n_layers=2, rope=yarn, attention=replace(MLA, q_lora_rank=0), moe=V2_MOE
        ),
        "mla_dense": replace(DENSE, attention=MLA),
        "gqa_bias": replace(DENSE, attention=bias, tie_embeddings=True),
        "gqa_norm": replace(DENSE, attention=norm),
        "gqa_small": replace(DENSE, n_layers=1, n_dense_layers=1, attention=GQA),
    }


@pytest.fixture(scope="session")
def weights(models):
    """Weights of a tiny network by its name: NumPy's (init would compile), nothing trivial."""
    made = {}

    def of(name: str):
        if name not in made:
            rng = np.random.default_rng(0)

            def draw(path, x):
                centre = 1.0 if "norm" in jax.tree_util.keystr(path) else 0.0
                return jnp.asarray(rng.normal(centre, 0.15, size=x.shape), x.dtype)

            made[name] = jax.tree_util.tree_map_with_path(draw, forward.shapes(models[name]))
        return made[name]

    return of


@pytest.fixture(scope="session")
def run(models):
    """forward.forward of a tiny network by its name, jitted once."""
    made = {}

    def of(name: str, weights, tokens, positions, segments):
        if name not in made:
            made[name] = jax.jit(
                partial(
                    forward.forward,
                    config=models[name],
                    routes_LBTK=None,
                    with_mtp=models[name].mtp,
                    keep_cache=False,
                    layers=None,
                )
            )
        return made[name](weights, tokens, positions, segments)

    return of


@pytest.fixture(scope="session")
def opt() -> OptimizerConfig:
    # eps above the noise of tiny gradients, whose sign AdamW would else blow up to a full step
    return OptimizerConfig(
        lr=1e-2,
        schedule="constant",
        warmup_updates=0,
        total_updates=100,
        final_lr_ratio=0.1,
        b1=0.9,
        b2=0.95,
        eps=1e-2,
        weight_decay=0.1,
        clip_norm=1.0,
        max_skipped_in_a_row=3,
    )


@pytest.fixture(scope="session")
def grpo() -> GrpoConfig:
    return GrpoConfig(
        group_size=4,
        prompts_per_rollout=2,
        minibatches=1,
        epochs=1,
        micro_tokens=1_000,
        ratio="token",
        clip_low=0.2,
        clip_high=0.28,
        kl_coef=0.04,
        reduction="seq_mean_token_mean",
        constant=8,
        advantage_ddof=0,
        advantage_eps=1e-6,
        divide_by_std=True,
        mask_truncated=False,
        reference_every=0,
        old_logps="sampler",
        replay_routes=False,
        balance=0.01,
        bias_rate=1e-3,
        logit_chunk=4,
    )


@pytest.fixture(scope="session")
def sampler() -> SamplerConfig:
    return SamplerConfig(
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        min_p=0.0,
        repetition_penalty=1.0,
        cache_segments=1,
        slots=0,
    )


@pytest.fixture(scope="session")
def train_state(models, weights, opt):
    """A fresh TrainState of a tiny network by its name."""

    def of(name: str) -> TrainState:
        zero = jnp.zeros((), jnp.int32)
        w = weights(name)
        return TrainState(w, None, optimizer.make(opt).init(w.params), zero, zero, zero)

    return of


@pytest.fixture(scope="session")
def grpo_batch(models):
    """Sequences of 4 to 9 real tokens of 12, the first 2 of each a prompt; routed afresh."""

    def of(name: str, *, rows: int = 8) -> GrpoBatch:
        rng, m, length = np.random.default_rng(1), models[name], 12
        real = np.arange(length)[None] < rng.integers(4, 10, size=(rows, 1))
        sampled = real & (np.arange(length)[None] >= 2)
        mask = np.pad(sampled[:, 1:], ((0, 0), (0, 1)))
        top = m.moe.experts_per_token if m.moe else 0
        arrays = {
            "tokens_BT": rng.integers(1, m.n_tokens, size=real.shape) * real,
            "segments_BT": real.astype(np.int32),
            "positions_BT": np.arange(length)[None] * real,
            "weights_BT": mask / mask.sum(1, keepdims=True) / rows,
            "advantages_BT": np.tile(rng.normal(size=rows)[:, None], length),
            "old_logp_BT": -4 + 0.3 * rng.normal(size=real.shape),
            "ref_logp_BT": -4 + 0.3 * rng.normal(size=real.shape),
            "routes_LBTK": np.full((m.n_moe_layers, *real.shape, top), -1),
        }
        return GrpoBatch(**{name: jnp.asarray(a) for name, a in arrays.items()})

    return of


@pytest.fixture(scope="session")
def packed_batch(models):
    """Rows of two documents (5 and 4 tokens) and one of padding; token 0 is on padding only."""

    def of(name: str, *, rows: int = 4) -> PackedBatch:
        rng = np.random.default_rng(2)
        segments = np.tile(np.array([[1] * 5 + [2] * 4 + [0] * 3], np.int32), (rows, 1))
        positions = np.tile(np.array([[*range(5), *range(4), 0, 0, 0]], np.int32), (rows, 1))
        tokens = rng.integers(1, models[name].n_tokens, size=segments.shape).astype(np.int32)
        follows = (segments[:, 1:] == segments[:, :-1]) & (segments[:, 1:] > 0)
        weights = np.pad(follows, ((0, 0), (0, 1))).astype(np.float32)
        arrays = (tokens * (segments > 0), segments, positions, weights)
        return PackedBatch(*(jnp.asarray(a) for a in arrays))

    return of


@pytest.fixture
def strict_dtypes():
    """Mixed dtypes raise instead of promoting."""
    with jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture(scope="session")
def nano_base(tmp_path_factory) -> Path:
    """A model directory of 2 layers: random weights, a tokenizer of 300 documents of the world."""
    rates = writing.Rates(**pretrain_tiny.get_rates().to_dict())
    texts = ["".join(writing.document(0, i, rates=rates)) for i in range(300)]
    tokenizer = train_sentencepiece(texts, vocab_size=448)
    attention = dataclasses.replace(
        MLA, n_heads=2, q_lora_rank=0, kv_lora_rank=16, nope_dim=8, rope_dim=8, v_dim=12
    )
    moe = dataclasses.replace(V3_MOE, n_experts=4, hidden_dim=16, n_groups=2)
    model = dataclasses.replace(
        MLA_MOE,
        vocab_size=448,
        n_tokens=tokenizer.size,
        d_model=32,
        n_layers=2,
        mlp_dim=48,
        attention=attention,
        moe=moe,
    )
    directory = tmp_path_factory.mktemp("nano_base")
    weights = forward.init(jax.random.key(0), config=model)
    save_model(directory, weights, model=model, tokenizer=tokenizer, made_by={})
    return directory
