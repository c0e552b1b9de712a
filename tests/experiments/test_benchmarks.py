import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.models.benchmark import get_model
from experiments.benchmarks import draw, run
from r1jax.config import build
from r1jax.model import forward
from r1jax.model.config import ModelConfig

PHASES = ["sample", "decode_b1", "logprobs", "train", "forward_backward", "grpo"]
MACHINE = {
    "kind",
    "workload",
    "flops_per_s",
    "bytes_per_s",
    "flops_per_s_rounds",
    "bytes_per_s_rounds",
    "peak_memory_bytes",
}
PHASE = {
    "kind",
    "workload",
    "phase",
    "seconds_median",
    "seconds_min",
    "seconds_max",
    "repeats",
    "tokens_per_s",
    "flops",
    "bytes",
    "floor_s",
    "ratio_to_floor",
    "first_s",
    "compile_s",
}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """The rows of a run of the program on the miniature, three rounds."""
    path = tmp_path_factory.mktemp("benchmarks") / "new" / "rows.jsonl"
    run.main(["--workloads=smoke", "--repeats=3", f"--json={path}"])
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rows_are_complete(result):
    device, machine, *phases = result
    assert device["kind"] == "device" and device["dtype"] == "float32" and device["repeats"] == 3
    assert device["platform"] == jax.devices()[0].platform and "jax" in device["versions"]
    assert machine["kind"] == "machine" and machine.keys() == MACHINE
    assert [row["phase"] for row in phases] == PHASES
    assert all(row.keys() == PHASE and row["workload"] == "smoke" for row in phases)


def test_numbers_of_a_row_agree(result):
    machine, phases = result[1], result[2:]
    for speed in ("flops_per_s", "bytes_per_s"):
        assert len(machine[f"{speed}_rounds"]) == 3
        assert machine[speed] == max(machine[f"{speed}_rounds"]) > 0
    tokens = {p: 2 * 6 for p in PHASES} | {"sample": 4 * 2, "decode_b1": 2, "grpo": 4 * 2}
    for row in phases:
        assert 0 < row["seconds_min"] <= row["seconds_median"] <= row["seconds_max"]
        assert row["repeats"] == 3
        got = row["tokens_per_s"] * row["seconds_median"], row["ratio_to_floor"] * row["floor_s"]
        np.testing.assert_allclose(got, (tokens[row["phase"]], row["seconds_median"]))
        assert row["floor_s"] >= row["flops"] / machine["flops_per_s"] * (1 - 1e-9)
        np.testing.assert_allclose(row["first_s"], row["compile_s"] + row["seconds_median"])


def test_no_row_stops_early():
    setup = run.Setup(
        model := build(ModelConfig, get_model("smoke").to_dict()),
        forward.init(jax.random.key(0), config=model),
        run.WORKLOADS["smoke"],
    )
    rollout = run.PHASES["sample"](setup).run()
    assert rollout.completion_BC.shape == (4, 2) and rollout.mask_BC.all()
    assert rollout.truncated_B.all()


@pytest.mark.parametrize("way", draw.WAYS)
def test_every_way_to_draw_records_what_it_drew_from(way):
    logits = jnp.log(jnp.array([[0.5, 0.25, 0.125, 0.125]] * 8))
    key_B = jax.random.split(jax.random.key(0), 8)
    tokens, logps, entropies = draw.WAYS[way](key_B, jnp.int32(1), logits)
    np.testing.assert_allclose(logps, logits[0][tokens], atol=1e-6)
    np.testing.assert_allclose(entropies, 1.75 * np.log(2), rtol=1e-6)
    total = draw.repeated(draw.WAYS[way], 2, key_B, logits)
    assert total.shape == (8,) and np.isfinite(total).all()


def test_every_workload_has_a_model_and_known_phases():
    for name, sizes in run.WORKLOADS.items():
        assert build(ModelConfig, get_model(name).to_dict()).compute_dtype == "float32"
        assert set(sizes.phases) <= set(run.PHASES)
        assert sizes.rows % sizes.group == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--workloads=W9", "--repeats=1", "--json=x"], "got 'W9', wanted W1, W2 or W3"),
        (["--workloads=W1", "--repeats=0", "--json=x"], "got 0, wanted 1 or more"),
        (["--workloads=W1", "--repeats=1"], "--json"),
    ],
)
def test_wrong_arguments_are_named(arguments, complaint, capsys):
    with pytest.raises(SystemExit):
        run.main(arguments)
    assert complaint in capsys.readouterr().err


def test_an_unknown_model_is_named():
    with pytest.raises(ValueError, match="got 'W9', wanted one of"):
        get_model("W9")
