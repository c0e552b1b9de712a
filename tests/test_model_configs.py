"""The sizes in configs/models have the parameters that their releases have."""

import pytest

from configs.models import deepseek, dense
from r1jax import config as configs
from r1jax.config import UserError
from r1jax.model import forward
from r1jax.model.config import ModelConfig

COUNTS = {  # of the main model, without an MTP module
    "smollm2_135m": 134_515_008,
    "qwen2_5_math_1_5b": 1_543_714_304,
    "r1_distill_qwen_1_5b": 1_777_088_000,
    "qwen2_5_math_7b": 7_615_616_512,
    "qwen2_5_14b": 14_770_033_664,
    "qwen2_5_32b": 32_763_876_352,
    "llama_3_1_8b": 8_030_261_248,
    "llama_3_3_70b": 70_553_706_496,
    "v3": 671_026_419_200,
    "v2_lite": 15_706_484_224,
    "tiny_a": 215_648,
    "tiny_b": 10_264_848,
    "tiny_c": 100_986_080,
}


def built(name: str) -> ModelConfig:
    values = (deepseek if name in deepseek.SIZES else dense).get_model(name)
    values.mtp = False
    return configs.build(ModelConfig, values.to_dict())


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_are_as_many_as_published(name):
    model = built(name)
    n = forward.count_params(model)
    if model.moe is not None and model.moe.score == "softmax":
        n -= model.n_routers * model.moe.n_experts  # V2 has no selection bias
    assert n == COUNTS[name]


@pytest.mark.parametrize("name", [*dense.SIZES, *deepseek.SIZES])
def test_every_size_is_a_model(name):
    assert built(name).n_tokens <= built(name).vocab_size


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="wanted one of"):
        dense.get_model("qwen9")
    with pytest.raises(ValueError, match="wanted one of"):
        deepseek.get_model("v9")


@pytest.mark.parametrize(
    ("name", "group", "size"),
    [
        ("d_model", "", -1),
        ("d_model", "", 0),
        ("mlp_dim", "", -1),
        ("mlp_dim", "", 0),
        ("n_heads", "attention", 0),
        ("n_kv_heads", "attention", -1),
        ("v_dim", "attention", -1),
        ("v_dim", "attention", 0),
        ("kv_lora_rank", "attention", 0),
        ("rope_dim", "attention", 0),
        ("head_dim", "attention", 0),
        ("n_groups", "moe", 0),
        ("hidden_dim", "moe", 0),
        ("experts_per_token", "moe", -1),
    ],
)
def test_a_size_that_no_network_has_is_named(name, group, size):
    grouped = name in ("n_kv_heads", "head_dim")
    model = dense.get_model("smollm2_135m") if grouped else deepseek.get_model("tiny_a")
    values = model.to_dict()
    (values[group] if group else values)[name] = size
    with pytest.raises(UserError, match=rf"{name}\D* {size}\b"):
        configs.build(ModelConfig, values)


def test_a_model_without_dense_layers_needs_no_width_of_them():
    values = deepseek.get_model("tiny_a").to_dict() | {"n_dense_layers": 0, "mlp_dim": 0}
    assert forward.count_params(configs.build(ModelConfig, values)) > 0
