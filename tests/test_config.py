import dataclasses
import math
import re
from typing import Literal

import ml_collections
import pytest

from r1jax import config
from r1jax.model.config import MoeConfig
from r1jax.sampling.config import SamplerConfig
from r1jax.train.optimizer import OptimizerConfig


@dataclasses.dataclass(frozen=True)
class Inner:
    rate: float
    kind: Literal["a", "b"]


@dataclasses.dataclass(frozen=True)
class Outer:
    steps: int
    name: str
    fast: bool
    inner: Inner
    maybe: Inner | None
    sizes: tuple[int, ...]
    shares: dict[str, float]


def good():
    inner = {"rate": 1, "kind": "a"}
    return {
        "steps": 3,
        "name": "x",
        "fast": True,
        "inner": inner,
        "maybe": None,
        "sizes": [1, 2],
        "shares": {"maths": 1, "code": 0.5},
    }


@pytest.mark.parametrize("wrap", [dict, ml_collections.ConfigDict])
def test_a_whole_tree_is_built(wrap):
    built = config.build(Outer, wrap(good()))
    want = Outer(3, "x", True, Inner(1.0, "a"), None, (1, 2), {"maths": 1.0, "code": 0.5})
    assert built == want
    assert isinstance(built.inner.rate, float)


def test_an_optional_group_is_built_where_given():
    assert config.build(Outer, good() | {"maybe": {"rate": 2, "kind": "b"}}).maybe == Inner(
        2.0, "b"
    )


def test_what_is_built_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.build(Inner, {"rate": 1.0, "kind": "a"}).rate = 2.0  # pyright: ignore[reportAttributeAccessIssue]  # the point


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"stepz": 1},
            "config: unknown keys ['stepz'], missing keys []; did you mean 'steps' for 'stepz'?",
        ),
        ({"steps": 1.5}, "config.steps: got 1.5 (float), wanted int"),
        ({"steps": True}, "config.steps: got True (bool), wanted int"),
        ({"fast": 1}, "config.fast: got 1 (int), wanted bool"),
        ({"name": None}, "config.name: got None (NoneType), wanted str"),
        (
            {"inner": {"rate": 1.0, "knid": "a"}},
            "config.inner: unknown keys ['knid'], missing keys ['kind']; "
            "did you mean 'kind' for 'knid'?",
        ),
        (
            {"inner": {"rate": 1.0, "kind": "c"}},
            "config.inner.kind: got 'c', wanted one of ['a', 'b']",
        ),
        (
            {"maybe": {"rate": "fast", "kind": "a"}},
            "config.maybe.rate: got 'fast' (str), wanted float",
        ),
        ({"inner": 3}, "config.inner: got 3, wanted a group of keys"),
        ({"sizes": [1, "2"]}, "config.sizes[1]: got '2' (str), wanted int"),
        ({"sizes": 4}, "config.sizes: got 4, wanted a list"),
        ({"shares": {"maths": "all"}}, "config.shares.maths: got 'all' (str), wanted float"),
    ],
)
def test_errors_name_the_path_and_what_was_wanted(change, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        config.build(Outer, good() | change)


@dataclasses.dataclass(frozen=True)
class Square:
    side: float


@dataclasses.dataclass(frozen=True)
class Oblong:
    width: float
    height: float

    def __post_init__(self):
        if self.width <= self.height:
            raise config.UserError(f"width {self.width} is not above height {self.height}")


@dataclasses.dataclass(frozen=True)
class Plan:
    shape: Square | Oblong | None


@pytest.mark.parametrize("wrap", [dict, ml_collections.ConfigDict])
@pytest.mark.parametrize("shape", [Square(2.0), Oblong(3.0, 1.0)], ids=["Square", "Oblong"])
def test_of_several_groups_the_keys_say_which_is_meant(shape, wrap):
    values = {"shape": dataclasses.asdict(shape)}
    assert config.build(Plan, wrap(values)) == Plan(shape)
    assert config.build(Plan, wrap({"shape": None})) == Plan(None)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            {"width": 3.0, "heigth": 1.0},
            "config.shape: unknown keys ['heigth'], missing keys ['height'] of Oblong, the nearest "
            "of ['Square', 'Oblong']; did you mean 'height' for 'heigth'?",
        ),
        (
            {"side": 3.0, "colour": 1.0},
            "config.shape: unknown keys ['colour'], missing keys [] of Square, the nearest of "
            "['Square', 'Oblong']",
        ),
        ({"width": 1, "height": 2}, "config.shape: width 1.0 is not above height 2.0"),
        ({"width": 1, "height": "x"}, "config.shape.height: got 'x' (str), wanted float"),
        (3, "config.shape: got 3, wanted a group of keys"),
    ],
)
def test_errors_speak_of_the_nearest_of_several_groups(shape, message):
    with pytest.raises(config.UserError, match=f"^{re.escape(message)}$"):
        config.build(Plan, {"shape": shape})


def test_a_missing_key_is_named():
    values = good()
    del values["name"]
    with pytest.raises(ValueError, match=re.escape("unknown keys [], missing keys ['name']")):
        config.build(Outer, values)


def test_checks_across_fields_speak_with_the_path(models):
    values = dataclasses.asdict(models["mla_moe"])
    values["moe"]["n_groups"] = 3
    with pytest.raises(ValueError, match=r"^config\.moe: n_experts 8 is no multiple of n_groups 3"):
        config.build(type(models["mla_moe"]), values)


@pytest.mark.parametrize("name", ["mla_moe_mtp", "gqa_bias"])
def test_a_model_config_survives_the_round_trip(name, models):
    values = ml_collections.ConfigDict(dataclasses.asdict(models[name]))
    assert config.build(type(models[name]), values) == models[name]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_dense_layers": 4}, "n_dense_layers 4 is not within n_layers 3"),
        ({"moe": None}, "moe is None, but only 1 of 3 layers are dense"),
        ({"n_tokens": 257}, "n_tokens 257 exceeds vocab_size 256"),
    ],
)
def test_an_impossible_network_raises(changes, message, models):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(models["mla_moe"], **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_groups": 8}, "1 expert per group, but the group score sums the best two"),
        ({"top_groups": 5}, "5 of 4 groups"),
        ({"experts_per_token": 5}, "cannot give 5 experts per token"),
    ],
)
def test_an_impossible_mixture_raises(changes, message, models):
    moe: MoeConfig = models["mla_moe"].moe
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(moe, **changes)


def test_impossible_attention_raises(models):
    with pytest.raises(ValueError, match="n_heads 4 is no multiple of n_kv_heads 3"):
        dataclasses.replace(models["gqa_norm"].attention, n_kv_heads=3)
    with pytest.raises(ValueError, match="rotary width 7 is odd"):
        dataclasses.replace(models["mla_moe"].attention, rope_dim=7)
    with pytest.raises(ValueError, match="rotary width 9 is odd"):
        dataclasses.replace(models["gqa_norm"].attention, head_dim=9)


@dataclasses.dataclass(frozen=True)
class Ranged:
    rate: config.NonNegative
    share: config.Share
    within: config.Within
    count: config.Count
    seed: config.Seed
    buckets: config.Counts
    weights: dict[str, config.Positive]
    perhaps: config.Decay | None


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("rate", -1e-9, "config.rate: got -1e-09, wanted at least 0"),
        ("share", 1.5, "config.share: got 1.5, wanted at least 0 and at most 1"),
        ("within", 0, "config.within: got 0.0, wanted above 0 and below 1"),
        ("within", 1.0, "config.within: got 1.0, wanted above 0 and below 1"),
        ("count", 0, "config.count: got 0, wanted at least 1"),
        ("seed", -1, "config.seed: got -1, wanted at least 0 and at most 4294967295"),
        ("seed", 2**32, "config.seed: got 4294967296, wanted at least 0 and at most"),
        ("buckets", (), "config.buckets: got (), wanted at least 1 of them"),
        ("buckets", (8, 0), "config.buckets[1]: got 0, wanted at least 1"),
        ("weights", {"a": 1.0, "b": 0.0}, "config.weights.b: got 0.0, wanted above 0"),
        ("perhaps", 1.0, "config.perhaps: got 1.0, wanted at least 0 and below 1"),
        ("rate", math.inf, "config.rate: got inf, wanted a finite number"),
    ],
)
def test_a_value_outside_its_range_is_told(key, value, message):
    values = dict(rate=0.0, share=1, within=0.5, count=1, seed=0, buckets=(1,), weights={})
    values["perhaps"] = None
    assert config.build(Ranged, values) == Ranged(0.0, 1.0, 0.5, 1, 0, (1,), {}, None)
    with pytest.raises(config.UserError, match=f"^{re.escape(message)}"):
        config.build(Ranged, {**values, key: value})


@pytest.mark.parametrize(
    "changes", [{"temperature": -1.0}, {"top_p": 0.0}, {"min_p": 1.5}, {"top_k": -1}]
)
def test_an_impossible_sampler_raises(changes, sampler: SamplerConfig):
    with pytest.raises(ValueError, match=r"got .*, wanted"):
        dataclasses.replace(sampler, **changes)


def test_flatten_names_leaves_by_their_path(models, opt: OptimizerConfig):
    flat = config.flatten(models["mla_moe"])
    assert flat["moe.n_experts"] == 8
    assert flat["attention.kv_lora_rank"] == 16
    assert config.flatten({"opt": dataclasses.asdict(opt)})["opt.lr"] == 1e-2
