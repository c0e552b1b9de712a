import dataclasses

import jax
import pytest

from configs.models.benchmark import get_model
from experiments.benchmarks import floor
from experiments.benchmarks.floor import Machine, Work
from r1jax.config import build
from r1jax.model import forward
from r1jax.model.config import ModelConfig

CACHE = 32 << 20
MODELS = {n: build(ModelConfig, get_model(n).to_dict()) for n in ("W1", "W2", "W3", "smoke")}
W1, W2, W3 = (MODELS[name] for name in ("W1", "W2", "W3"))
# the machine that the seconds below were counted for
MACHINE = Machine(flops_per_s=204e9, bytes_per_s=28e9)
LONG = {"rows": 64, "length": 144}
W1_SAMPLE = floor.sampling(W1, rows=64, prompt=16, new=128, resident=CACHE)
W1_GRPO = [*W1_SAMPLE, floor.scoring(W1, **LONG), floor.update(W1, **LONG)]
W2_B1, W2_B16 = (
    floor.sampling(W2, rows=rows, prompt=64, new=64, resident=CACHE) for rows in (1, 16)
)
W3_SAMPLE = floor.sampling(W3, rows=64, prompt=16, new=128, resident=CACHE)


@pytest.mark.parametrize(
    ("passes", "gflops", "rel"),
    [
        (W1_SAMPLE, 81.6, 0.005),
        ([floor.scoring(W1, **LONG)], 85, 0.005),
        ([floor.update(W1, **LONG)], 255, 0.005),
        ([floor.update(W2, rows=4, length=256)], 880, 0.005),
        ([floor.gradients(W3, **LONG)], 198, 0.005),
        (W3_SAMPLE, 60, 0.04),  # this one was counted to one digit
    ],
)
def test_flops_are_those_counted_by_hand(passes, gflops, rel):
    assert sum(w.flops for w in passes) == pytest.approx(gflops * 1e9, rel=rel)


def test_decoding_a_token_takes_two_flops_a_weight():
    # 134.5M weights; attention to 64 to 127 positions adds the rest
    flops, moved = (x / 63 for x in W2_B1[1])
    assert flops == pytest.approx(0.27e9, rel=0.03)
    assert moved == pytest.approx(538e6, rel=0.01)
    flops, moved = (x / 63 for x in W2_B16[1])
    assert flops == pytest.approx(4.3e9, rel=0.03)
    assert moved == pytest.approx(0.61e9, rel=0.01)


def test_bytes_are_those_counted_by_hand():
    assert W1_SAMPLE[1].bytes == pytest.approx(5.3e9, rel=0.01)  # keys and values
    assert W3_SAMPLE[1].bytes == pytest.approx(0.83e9, rel=0.01)  # latents
    assert floor.update(W1, **LONG).bytes == pytest.approx(0.13e9, rel=0.05)


@pytest.mark.parametrize(
    ("passes", "least_s"),
    [
        (W1_SAMPLE, 0.40),
        ([floor.scoring(W1, **LONG)], 0.42),
        ([floor.update(W1, **LONG)], 1.25),
        (W1_GRPO, 2.07),
        (W2_B1, 1.28),
        (W2_B16, 2.43),
        ([floor.update(W2, rows=4, length=256)], 4.31),
        ([floor.gradients(W3, **LONG)], 0.97),
        (W3_SAMPLE, 0.30),
    ],
)
def test_floors_are_those_counted_by_hand(passes, least_s):
    assert floor.seconds(passes, MACHINE) == pytest.approx(least_s, rel=0.015)


def test_a_pass_takes_the_longer_of_computing_and_moving():
    machine = Machine(flops_per_s=10.0, bytes_per_s=2.0)
    assert floor.seconds([Work(100, 4)], machine) == 10.0
    assert floor.seconds([Work(10, 40)], machine) == 20.0
    assert floor.seconds([Work(100, 4), Work(10, 40)], machine) == 30.0


@pytest.mark.parametrize("name", MODELS)
def test_every_weight_is_counted_once(name):
    model = MODELS[name]
    shapes = jax.eval_shape(lambda: forward.init(jax.random.key(0), config=model)).params
    leaves = jax.tree_util.tree_leaves_with_path(shapes)
    matrices = {jax.tree_util.keystr(p): x.size for p, x in leaves if "norm" not in str(p)}
    embedding = 0 if model.tie_embeddings else matrices["['embedding']"]
    experts = model.moe.n_experts if model.moe else 0
    counted = floor.body_weights(model, experts=experts) + floor.head_weights(model)
    assert counted == sum(matrices.values()) - embedding


@pytest.mark.parametrize("model", [W1, W3])
def test_cache_bytes_are_those_of_the_cache(model):
    config = dataclasses.replace(model, d_model=16, mlp_dim=16)
    weights = jax.eval_shape(lambda: forward.init(jax.random.key(0), config=config))
    ids = jax.ShapeDtypeStruct((2, 3), "int32")

    def run(w, x):
        return forward.forward(
            w,
            x,
            x,
            x,
            config=config,
            routes_LBTK=None,
            with_mtp=False,
            keep_cache=True,
            layers=None,
        )

    cache = jax.tree.leaves(jax.eval_shape(run, weights, ids).cache)
    assert 2 * 3 * floor.cache_bytes(config) == sum(x.size * x.dtype.itemsize for x in cache)


def test_weights_that_stay_in_the_cache_are_not_read_again():
    big, small = (floor.sampling(W1, rows=64, prompt=16, new=128, resident=r) for r in (0, CACHE))
    assert [w.flops for w in big] == [w.flops for w in small]
    read = 4 * (floor.body_weights(W1, experts=0) + floor.head_weights(W1))
    assert [a.bytes - b.bytes for a, b in zip(big, small, strict=True)] == [read, 127 * read]


def test_a_small_batch_reads_only_the_experts_it_meets():
    few, all_experts = (
        floor.sampling(W3, rows=rows, prompt=1, new=2, resident=0)[0].bytes for rows in (1, 64)
    )
    assert all_experts - few == 4 * W3.n_moe_layers * 12 * 3 * 256 * 128


def test_bfloat16_halves_what_decoding_moves():
    half = dataclasses.replace(W2, compute_dtype="bfloat16")
    got = floor.sampling(half, rows=1, prompt=64, new=64, resident=CACHE)
    assert [2 * w.bytes for w in got] == [w.bytes for w in W2_B1]


def test_a_machine_has_two_speeds():
    got = floor.measure(matmul=32, mib=1, dtype="float32", tries=1)
    assert got.flops_per_s > 0 and got.bytes_per_s > 0
