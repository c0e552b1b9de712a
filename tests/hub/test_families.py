import dataclasses

import pytest

from r1jax.hub import documents, families, fields
from r1jax.model import forward
from r1jax.model.config import ExecutionConfig

HOW = ExecutionConfig(
    param_dtype="bfloat16",
    compute_dtype="bfloat16",
    scan_layers=True,
    remat=False,
    attention_block=64,
    numerics="fast",
    dispatch="ragged",
    block_size=0,
)
R1 = {
    "model_type": "deepseek_v3",
    "vocab_size": 129280,
    "hidden_size": 7168,
    "num_hidden_layers": 61,
    "first_k_dense_replace": 3,
    "moe_layer_freq": 1,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "n_group": 8,
    "topk_group": 4,
    "routed_scaling_factor": 2.5,
    "scoring_func": "sigmoid",
    "topk_method": "noaux_tc",
    "norm_topk_prob": True,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "rope_theta": 10000,
    "max_position_embeddings": 163840,
    "rope_scaling": {
        "type": "yarn",
        "factor": 40,
        "original_max_position_embeddings": 4096,
        "beta_fast": 32,
        "beta_slow": 1,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
    },
    "rms_norm_eps": 1e-6,
    "hidden_act": "silu",
    "attention_bias": False,
    "tie_word_embeddings": False,
    "num_nextn_predict_layers": 0,
}
V2_LITE = {
    "model_type": "deepseek_v2",
    "vocab_size": 102400,
    "hidden_size": 2048,
    "num_hidden_layers": 27,
    "first_k_dense_replace": 1,
    "intermediate_size": 10944,
    "moe_intermediate_size": 1408,
    "n_routed_experts": 64,
    "n_shared_experts": 2,
    "num_experts_per_tok": 6,
    "n_group": 1,
    "topk_group": 1,
    "routed_scaling_factor": 1.0,
    "scoring_func": "softmax",
    "topk_method": "greedy",
    "norm_topk_prob": False,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "q_lora_rank": None,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "rms_norm_eps": 1e-6,
}
QWEN3 = {
    "model_type": "qwen3",
    "vocab_size": 151936,
    "hidden_size": 1024,
    "num_hidden_layers": 28,
    "intermediate_size": 3072,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
    "rope_parameters": {"rope_theta": 1e6, "rope_type": "default"},
}
LLAMA = {
    "model_type": "llama",
    "vocab_size": 128256,
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-5,
    "rope_theta": 5e5,
    "tie_word_embeddings": False,
    "rope_scaling": {
        "rope_type": "llama3",
        "factor": 8,
        "low_freq_factor": 1,
        "high_freq_factor": 4,
        "original_max_position_embeddings": 8192,
    },
}
QWEN2 = {
    "model_type": "qwen2",
    "vocab_size": 152064,
    "hidden_size": 3584,
    "num_hidden_layers": 28,
    "intermediate_size": 18944,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e4,
    "tie_word_embeddings": False,
    "use_sliding_window": False,
}


def build(document, **changes):
    return families.model_config({**document, **changes}, "config.json", n_tokens=100, how=HOW)


@pytest.mark.parametrize(
    ("document", "count"),
    [
        (R1, 671_026_419_200),
        (V2_LITE, 15_706_484_224),
        (QWEN2, 7_615_616_512),
        (LLAMA, 8_030_261_248),
    ],
    ids=["R1", "V2-Lite", "Qwen2.5-Math-7B", "Llama-3.1-8B"],
)
def test_published_configs_give_the_published_sizes(document, count):
    model = build(document)
    n = forward.count_params(model)
    if document is V2_LITE:
        assert model.moe is not None
        n -= model.n_routers * model.moe.n_experts  # no selection bias in its checkpoint
    assert n == count


def test_a_wide_head_and_the_new_place_of_theta_are_read():
    model = build(QWEN3)
    assert (model.attention.head_dim, model.rope.theta, model.rope.kind) == (128, 1e6, "none")
    assert model.attention.qk_norm and not model.attention.qkv_bias and model.tie_embeddings


@pytest.mark.parametrize("value", [0, -1, "7", 7.0, True, [7]], ids=repr)
@pytest.mark.parametrize(
    "document", [R1, V2_LITE, LLAMA, QWEN2], ids=["R1", "V2", "Llama", "Qwen2"]
)
def test_every_count_of_a_family_is_checked(document, value):
    """Where 0 does mean something (no compression, no shared expert), only the type is wrong."""
    names = {k for k, v in document.items() if type(v) is int} - {*fields.POSITIVE}
    assert len(names) >= 6
    for name in names:
        if value == 0 and name in fields.WHOLE:
            continue
        with pytest.raises(ValueError, match=rf"{name} is .*, wanted an integer of at least"):
            build(document, **{name: value})


def test_yarn_is_read_under_either_name():
    new = {**R1["rope_scaling"], "rope_type": "yarn", "rope_theta": 1e4}
    del new["type"]
    moved = {k: v for k, v in R1.items() if k not in ("rope_scaling", "rope_theta")}
    assert build({**moved, "rope_parameters": new}).rope == build(R1).rope
    assert build(R1).rope.mscale_all_dim == 1.0


def test_the_softmax_router_of_v2_is_told_apart():
    moe = build(V2_LITE).moe
    assert (moe.score, moe.group_score, moe.normalise, moe.n_groups) == ("softmax", "max", False, 1)
    grouped = build(V2_LITE, topk_method="group_limited_greedy", n_group=8, topk_group=3).moe
    assert (grouped.n_groups, grouped.top_groups) == (8, 3)


@pytest.mark.parametrize(
    ("document", "changes", "message"),
    [
        (LLAMA, {"model_type": "gemma"}, "gemma.*only.*llama"),
        (LLAMA, {"hidden_size": None}, "lacks 'hidden_size'"),
        (LLAMA, {"rms_norm_eps": None}, "lacks 'rms_norm_eps'"),
        (LLAMA, {"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
        (QWEN2, {"attention_bias": True}, "attention_bias is True"),
        (LLAMA, {"rope_scaling": {"rope_type": "longrope", "factor": 2}}, "longrope"),
        (LLAMA, {"rope_scaling": {"rope_type": "llama3", "factor": 8}}, "original_max_position"),
        (QWEN2, {"quantization_config": {"quant_method": "awq"}}, "quant_method is 'awq'"),
        (
            R1,
            {"quantization_config": {"quant_method": "fp8", "weight_block_size": [64, 64]}},
            "weight_block_size is",
        ),
        (QWEN2, {"quantization_config": "fp8"}, "quantization_config is 'fp8', wanted an object"),
        (LLAMA, {"rope_scaling": "yarn"}, "rope_scaling is 'yarn', wanted an object"),
        (LLAMA, {"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5"),
        (QWEN2, {"layer_types": ["full_attention", "sliding_attention"] * 14}, "sliding_attention"),
        (QWEN3, {"head_dim": None}, "lacks 'head_dim'"),
        (R1, {"routed_scaling_factor": None}, "lacks 'routed_scaling_factor'"),
        (R1, {"n_group": 3}, "config.json: n_experts 256 is no multiple of n_groups 3"),
        (R1, {"rope_scaling": {**R1["rope_scaling"], "mscale": None}}, "only both or neither"),
        (QWEN2, {"rope_scaling": R1["rope_scaling"]}, "which qwen2 has no use for"),
        (V2_LITE, {"norm_topk_prob": True}, "norm_topk_prob is True"),
        (
            QWEN2,
            {"use_sliding_window": True, "max_window_layers": 20},
            "use_sliding_window is True",
        ),
        (R1, {"num_nextn_predict_layers": 2}, "num_nextn_predict_layers is 2"),
        (R1, {"scoring_func": "softmax"}, "scoring_func is 'softmax'"),
        (R1, {"kv_lora_rank": None}, "lacks 'kv_lora_rank'"),
        (V2_LITE, {"moe_layer_freq": 2}, "moe_layer_freq is 2"),
    ],
)
def test_what_we_lack_or_miss_is_refused_by_name(document, changes, message):
    with pytest.raises(ValueError, match=message):
        build(document, **changes)


@pytest.mark.parametrize(
    "document", [R1, V2_LITE, QWEN2, QWEN3, LLAMA], ids=lambda d: d["model_type"]
)
def test_the_family_of_a_model_is_found_again(document):
    assert documents.family(build(document)) == document["model_type"]


def test_a_model_that_nobody_else_has_is_told():
    model = build(R1)
    odd = dataclasses.replace(model, moe=None, n_dense_layers=61)
    with pytest.raises(ValueError, match="latent attention and no MoE"):
        documents.family(odd)


@pytest.mark.parametrize(
    ("document", "changes", "message"),
    [
        (QWEN2, {"mtp": True}, "no architecture of grouped-query attention"),
        (R1, {"moe": {"group_score": "max"}}, "no sigmoid router whose groups score by max"),
        (V2_LITE, {"moe": {"normalise": True}}, "does not normalise"),
        (V2_LITE, {"mtp": True}, "has no MTP module"),
    ],
)
def test_what_the_format_cannot_say_is_not_written(document, changes, message):
    model = build(document)
    inner = changes.get("moe")
    moe = dataclasses.replace(model.moe, **inner) if inner and model.moe else model.moe
    model = dataclasses.replace(model, moe=moe, mtp=changes.get("mtp", model.mtp))
    with pytest.raises(ValueError, match=message):
        documents.family(model)


def test_with_yarn_the_window_is_what_it_stretches_to():
    assert documents.document(build(R1), kind="deepseek_v3", dtype="bfloat16", max_positions=163840)
    with pytest.raises(ValueError, match="YaRN stretches 4096 to 163840"):
        documents.document(build(R1), kind="deepseek_v3", dtype="bfloat16", max_positions=4096)


@pytest.mark.parametrize(
    ("kind", "flag", "want"),
    [
        ("deepseek_v3", None, True),
        ("deepseek_v3", False, False),
        ("deepseek_v2", False, True),
        ("llama", True, False),
    ],
)
def test_only_deepseeks_rotary_pairs_stand_side_by_side(kind, flag, want):
    document = {"model_type": kind} | ({} if flag is None else {"rope_interleave": flag})
    assert families.is_interleaved(document) is want
