"""What `save_model` writes of a network and reads back, whatever network it is."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from r1jax.hub import documents, families, read
from r1jax.hub.artifacts import load_model
from r1jax.hub.write import write_model
from r1jax.io.digests import digest
from r1jax.model.config import ExecutionConfig, Gqa, Mla, ModelConfig, executed
from r1jax.text.files import OURS
from r1jax.types import Weights

HOW = ExecutionConfig(
    param_dtype="bfloat16",
    compute_dtype="bfloat16",
    scan_layers=True,
    remat=True,
    attention_block=64,
    numerics="fast",
    dispatch="ragged",
    block_size=0,
)
FAMILIES = {
    "mla_moe": "deepseek_v3",
    "mla_moe_mtp": "deepseek_v3",
    "mla_v2": "deepseek_v2",
    "gqa_bias": "qwen2",
    "gqa_norm": "qwen3",
    "gqa_small": "llama",
    "gqa_moe": OURS,
    "mla_dense": OURS,
}


@pytest.fixture(scope="module")
def tokenizer(nano_base):
    return load_model(str(nano_base))[2]


@pytest.fixture
def v3(models, tokenizer) -> ModelConfig:
    return dataclasses.replace(models["mla_moe"], vocab_size=600, n_tokens=tokenizer.size)


@pytest.fixture
def variants(models, v3_rope):
    """The tiny networks, and some that use what no tiny network uses."""
    replace = dataclasses.replace
    v2, v3, dense = models["mla_v2"], models["mla_moe_mtp"], models["gqa_small"]
    assert v2.moe and v3.moe
    return {
        **models,
        "mtp on a dense network": replace(dense, mtp=True),
        "tied mtp": replace(v3, tie_embeddings=True, n_layers=2, n_dense_layers=1),
        "normalised softmax": replace(v2, moe=replace(v2.moe, normalise=True)),
        "groups by their best": replace(v3, moe=replace(v3.moe, group_score="max")),
        "yarn that scales the softmax of GQA": replace(dense, rope=v3_rope),
        "llama3": replace(
            dense,
            rope=replace(
                v3_rope, kind="llama3", original_length=8, low_freq_factor=1.0, high_freq_factor=4.0
            ),
        ),
        "no shared expert": replace(v3, moe=replace(v3.moe, n_shared_experts=0, normalise=False)),
        "fields that its network does not read": replace(
            models["mla_moe"],
            init_std=0.006,
            n_tokens=200,
            rope=replace(models["mla_moe"].rope, factor=3.0),
        ),
    }


VARIANTS = [
    *FAMILIES,
    "mtp on a dense network",
    "tied mtp",
    "normalised softmax",
    "groups by their best",
    "yarn that scales the softmax of GQA",
    "llama3",
    "no shared expert",
    "fields that its network does not read",
]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_field_of_a_network_comes_back(name, variants, tokenizer):
    model = dataclasses.replace(variants[name], vocab_size=600, n_tokens=tokenizer.size)
    written = documents.saved_document(model, tokenizer, is_biased=False)
    document = json.loads(json.dumps(written))
    if name in FAMILIES:
        assert document["model_type"] == FAMILIES[name]
    how = families.saved_execution(document, "config.json")
    again = families.model_config(document, "config.json", n_tokens=tokenizer.size, how=how)
    assert again == model
    held = families.model_config(document, "config.json", n_tokens=tokenizer.size, how=HOW)
    assert held.param_dtype == "bfloat16" and held.scan_layers and held.remat
    assert held.moe is None or held.moe.dispatch == "ragged"


@pytest.mark.parametrize(("name", "kind"), [("gqa_moe", "gqa"), ("mla_dense", "mla")])
def test_saved_fields_of_both_kinds_of_attention_are_read(name, kind, models, tokenizer):
    """As models were saved when one config held both; those of the other kind were not read."""
    model = dataclasses.replace(models[name], vocab_size=600, n_tokens=tokenizer.size)
    document = documents.saved_document(model, tokenizer, is_biased=False)
    both = {name: 0 for kind in (Gqa, Mla) for name in kind.__dataclass_fields__}
    saved = document[OURS]["model"]
    saved["attention"] = {"kind": kind, **both, **saved["attention"]}
    assert families.model_config(document, "", n_tokens=tokenizer.size, how=HOW) == executed(
        model, HOW
    )
    saved["attention"]["kind"] = "linear"
    with pytest.raises(ValueError, match=r"model\.attention: unknown keys \['kind', "):
        families.model_config(document, "", n_tokens=tokenizer.size, how=HOW)


def test_a_saved_field_of_the_other_attention_is_left_out(models, tokenizer):
    names = {"mla_moe": {"head_dim": 32, "n_kv_heads": 2}, "gqa_bias": {"kv_lora_rank": 8}}
    for name, unread in names.items():
        model = dataclasses.replace(models[name], vocab_size=600, n_tokens=tokenizer.size)
        document = documents.saved_document(model, tokenizer, is_biased=False)
        document[OURS]["model"]["attention"] = unread
        read_back = families.model_config(document, "", n_tokens=tokenizer.size, how=HOW)
        assert read_back == executed(model, HOW)


def random_weights(model: ModelConfig) -> Weights:
    """Every bit pattern of a finite number but the biggest; the router bias is not zero."""
    rng = np.random.default_rng(0)

    def draw(x):
        bits = rng.integers(0, 0x7F00, x.shape, np.uint16) | rng.integers(0, 2, x.shape) << 15
        bits = bits.astype(np.uint16)
        if x.dtype == np.float32:
            bits = bits.astype(np.uint32) << 16 | rng.integers(0, 2**16, x.shape, np.uint32)
        return jax.numpy.asarray(bits.view(x.dtype))

    return jax.tree.map(draw, read.shapes(model))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", VARIANTS)
def test_every_network_is_read_back_to_the_bit(name, dtype, variants, tokenizer, tmp_path):
    model = dataclasses.replace(
        variants[name], vocab_size=600, n_tokens=tokenizer.size, param_dtype=dtype
    )
    weights = random_weights(model)
    write_model(tmp_path, weights, model=model, tokenizer=tokenizer)
    again, same_model, same_tokenizer = load_model(str(tmp_path))
    assert digest(again) == digest(weights) and same_model == model
    assert same_tokenizer.fingerprint == tokenizer.fingerprint
    assert type(same_tokenizer) is type(tokenizer)


def test_a_softmax_router_without_a_bias_is_deepseek_v2s(models, tokenizer, tmp_path):
    model = dataclasses.replace(models["mla_v2"], vocab_size=600, n_tokens=tokenizer.size)
    plain = jax.tree.map(lambda x: jax.numpy.zeros(x.shape, x.dtype), read.shapes(model))
    write_model(tmp_path, plain, model=model, tokenizer=tokenizer)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "deepseek_v2"
    assert digest(load_model(str(tmp_path))[0]) == digest(plain)


def test_a_biased_softmax_router_is_nobody_elses(models, tokenizer):
    model = dataclasses.replace(models["mla_v2"], vocab_size=600)
    for is_biased, kind in ((True, OURS), (False, "deepseek_v2")):
        document = documents.saved_document(model, tokenizer, is_biased=is_biased)
        assert document["model_type"] == kind


def test_a_tokenizer_too_big_for_its_model_is_not_saved(v3, tokenizer):
    small = dataclasses.replace(v3, vocab_size=100, n_tokens=100)
    with pytest.raises(ValueError, match=r"tokenizer has \d+ ids, the embedding 100 rows"):
        documents.saved_document(small, tokenizer, is_biased=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 99}, None),
        ({OURS: []}, r"config\.json: r1jax\.model: got \[\], wanted an object"),
        ({OURS: {"model": {"d_modle": 3}}}, r"r1jax\.model: .*did you mean 'd_model'"),
        ({OURS: {"model": {"rope": {"thta": 3}}}}, r"r1jax\.model\.rope: .*did you mean 'theta'"),
        ({OURS: {"model": {"rope": 3}}}, r"r1jax\.model\.rope: got 3, wanted a group of keys"),
    ],
)
def test_what_a_user_changes_is_read_or_refused_by_name(changes, message, v3, tokenizer):
    document = documents.saved_document(v3, tokenizer, is_biased=False) | changes

    def build():
        return families.model_config(document, "config.json", n_tokens=250, how=HOW)

    if message is None:
        assert build().d_model == 99
        return
    with pytest.raises(ValueError, match=message):
        build()


def test_how_a_model_of_others_is_held_must_be_said(v3, tokenizer):
    document = documents.saved_document(v3, tokenizer, is_biased=False)
    del document[OURS]
    with pytest.raises(ValueError, match="lacks 'r1jax', so the caller must say how to hold"):
        families.saved_execution(document, "config.json")
    document[OURS] = {"execution": {"remat": False}}
    with pytest.raises(ValueError, match=r"config\.json: r1jax\.execution: .*missing keys"):
        families.saved_execution(document, "config.json")
