import pytest

from r1jax.hub import fields

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
BASE = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4}


def standard(kind: str = "llama", **document):
    return fields.standard({**BASE, **document}, kind, "config.json")


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("num_attention_heads", 0, "an integer of at least 1"),
        ("num_attention_heads", "4", "an integer of at least 1"),
        ("hidden_size", 32.0, "an integer of at least 1"),
        ("num_key_value_heads", True, "an integer of at least 1"),
        ("vocab_size", [64], "an integer of at least 1"),
        ("n_shared_experts", -1, "an integer of at least 0"),
        ("rms_norm_eps", "1e-5", "a number of at least 0"),
        ("rms_norm_eps", float("nan"), "a number of at least 0"),
        ("rope_theta", 0, "a number above 0"),
        ("rope_theta", float("inf"), "a number above 0"),
        ("tie_word_embeddings", 1, "true or false"),
        ("tie_word_embeddings", "false", "true or false"),
        ("hidden_act", ["silu"], "a text"),
    ],
)
def test_a_field_of_another_type_is_named(name, value, wanted):
    with pytest.raises(ValueError, match=rf"^config\.json: {name} is .*, wanted {wanted}$"):
        standard(**{name: value})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rope_scaling": {**YARN, "factor": "4"}}, "rope_scaling: factor is '4', wanted a number"),
        ({"rope_scaling": {**YARN, "factor": 0.5}}, "factor is 0.5, wanted at least 1"),
        ({"rope_scaling": {**YARN, "truncate": 1}}, "truncate is 1, wanted true or false"),
        ({"rope_scaling": [4]}, r"rope_scaling is \[4\], wanted an object"),
        ({"rope_parameters": {"full_attention": YARN}}, r"does not read \['full_attention'\]"),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, "lacks 'original_max_position_embedd"),
        ({"layer_types": "full"}, "layer_types is 'full', wanted a list of texts"),
        ({"layer_types": ["full_attention"]}, "1 layer_types, but num_hidden_layers is 2"),
        ({"hidden_size": 34}, "hidden_size 34 is no multiple of num_attention_heads 4"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=rf"^config\.json: .*{message}"):
        standard(**changes)


@pytest.mark.parametrize(
    ("changes", "rope"),
    [
        ({}, {"rope_type": "default", "rope_theta": 10_000.0}),
        ({"rope_theta": 500.0}, {"rope_type": "default", "rope_theta": 500.0}),
        ({"rope_parameters": {"rope_theta": 7e2}}, {"rope_type": "default", "rope_theta": 7e2}),
        ({"rope_scaling": {}, "rope_theta": 5e2}, {"rope_type": "default", "rope_theta": 5e2}),
        (
            {"rope_scaling": {"type": "yarn", "factor": 4.0}, "max_position_embeddings": 128},
            {"original_max_position_embeddings": 128, "beta_fast": 32, "beta_slow": 1},
        ),
        (
            {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}, "max_position_embeddings": 128}
            | {"original_max_position_embeddings": 16},
            {"original_max_position_embeddings": 16, "rope_type": "yarn", "factor": 4.0},
        ),
        ({"rope_scaling": YARN | {"beta_fast": 0, "beta_slow": None}}, {"beta_fast": 32}),
        ({"rope_scaling": YARN, "rope_parameters": YARN | {"rope_theta": 1e4}}, YARN),
        (
            {"rope_parameters": {"rope_type": "llama3", "factor": 2}, "max_position_embeddings": 9},
            {"original_max_position_embeddings": 9},
        ),
    ],
)
def test_what_is_missing_is_as_transformers_fills_it_in(changes, rope):
    document = standard(**changes)
    assert rope.items() <= document["rope_parameters"].items()
    assert not {"rope_scaling", "rope_theta"} & document.keys()


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (
            "llama",
            {"rope_scaling": YARN, "rope_parameters": {"rope_theta": 1e6}},
            "rope_scaling and rope_parameters differ in .*'rope_theta'",
        ),
        (
            "llama",
            {"rope_theta": 5e2, "rope_parameters": {"rope_theta": 1e6}},
            r"{'rope_theta': 500.0, 'rope_parameters.rope_theta': 1000000.0} are one setting",
        ),
        (
            "llama",
            {"rope_scaling": YARN, "original_max_position_embeddings": 16},
            "'rope_scaling.original_max_position_embeddings': 32} are one setting",
        ),
        ("llama", {"rope_scaling": YARN | {"type": "linear"}}, "'type': 'linear'} are one setting"),
        (
            "deepseek_v3",
            {"num_mtp_layers": 0, "num_nextn_predict_layers": 1},
            "num_mtp_layers is 0, but num_nextn_predict_layers is 1",
        ),
        (
            "deepseek_v3",
            {"num_local_experts": 8, "n_routed_experts": 4},
            "num_local_experts is 8, but n_routed_experts is 4",
        ),
    ],
)
def test_two_places_that_disagree_are_both_named(kind, changes, message):
    with pytest.raises(ValueError, match=message):
        standard(kind, **changes)


def test_an_alias_is_read_where_it_stands_alone():
    document = standard("deepseek_v3", num_mtp_layers=0, num_local_experts=8)
    assert (document["num_nextn_predict_layers"], document["n_routed_experts"]) == (0, 8)


@pytest.mark.parametrize(
    ("changes", "slides"),
    [
        ({"sliding_window": 8, "max_window_layers": 1}, True),
        ({"sliding_window": 8, "max_window_layers": 2}, False),
        ({"sliding_window": None, "max_window_layers": 1}, False),
        ({"max_window_layers": 0}, True),
        ({}, False),
        ({"sliding_window": 8, "layer_types": ["full_attention"] * 2}, False),
        ({"layer_types": ["full_attention", "sliding_attention"]}, True),
    ],
)
def test_a_window_of_no_layer_is_none(changes, slides):
    document = standard("qwen2", use_sliding_window=True, **changes)
    assert document["use_sliding_window"] is slides
