"""How long sampling, scoring and training take, beside the least time that this machine allows.

python -m experiments.benchmarks.run --workloads=W1,W2,W3 --repeats=5 --json=FILE
"""

import argparse
import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from rich.console import Console
from rich.table import Table

from configs.models.benchmark import get_model
from experiments.benchmarks import floor
from experiments.benchmarks.floor import Machine, Work
from r1jax import config as configs
from r1jax.io.summary import facts, peak_memory_bytes
from r1jax.model import forward
from r1jax.model.config import ModelConfig
from r1jax.rl.advantages import group_advantages
from r1jax.sampling.config import SamplerConfig
from r1jax.sampling.sampler import Sampler
from r1jax.train import optimizer, rollouts
from r1jax.train.grpo import GrpoConfig, grpo_step, sequence_logps
from r1jax.train.next_token import NextTokenLossConfig, loss, next_token_step
from r1jax.train.optimizer import OptimizerConfig
from r1jax.types import GrpoBatch, Judged, PackedBatch, PackedRows, TrainState, Weights

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Workload:
    """The sizes that a model is timed with.

    Attributes:
      phases: what is timed, in the order of a round.
      rows, prompt, new: sequences sampled at a time, and their tokens.
      train_rows, train_length: sequences scored or trained on at a time, and their tokens.
      group: samples per prompt of the GRPO iteration, which has rows / group prompts.
      logit_chunk: positions whose logits live at a time.
      cache_segments: as of SamplerConfig. Each is a loop to compile: 1 suits many unrolled layers.
      matmul, mib: what the machine itself is measured with (`floor.measure`).
    """

    phases: tuple[str, ...]
    rows: int
    prompt: int
    new: int
    train_rows: int
    train_length: int
    group: int
    logit_chunk: int
    cache_segments: int
    matmul: int
    mib: int


WORKLOADS = {
    "W1": Workload(
        ("sample", "logprobs", "train", "grpo"),
        rows=64,
        prompt=16,
        new=128,
        train_rows=64,
        train_length=144,
        group=8,
        logit_chunk=144,
        cache_segments=4,
        matmul=2048,
        mib=256,
    ),
    "W2": Workload(
        ("decode_b1", "sample", "train"),
        rows=16,
        prompt=64,
        new=64,
        train_rows=4,
        train_length=256,
        group=8,
        logit_chunk=64,
        cache_segments=1,
        matmul=2048,
        mib=256,
    ),
    "W3": Workload(
        ("sample", "forward_backward", "train"),
        rows=64,
        prompt=16,
        new=128,
        train_rows=64,
        train_length=144,
        group=8,
        logit_chunk=144,
        cache_segments=4,
        matmul=2048,
        mib=256,
    ),
    "smoke": Workload(
        ("sample", "decode_b1", "logprobs", "train", "forward_backward", "grpo"),
        rows=4,
        prompt=4,
        new=2,
        train_rows=2,
        train_length=6,
        group=2,
        logit_chunk=6,
        cache_segments=2,
        matmul=64,
        mib=1,
    ),
}
TEMPERATURE = 1.0
OPTIMIZER = OptimizerConfig(
    lr=1e-4,
    schedule="constant",
    warmup_updates=0,
    total_updates=1,
    final_lr_ratio=1.0,
    b1=0.9,
    b2=0.999,
    eps=1e-8,
    weight_decay=0.01,
    clip_norm=1.0,
    max_skipped_in_a_row=1,
)
# Weights of so many bytes are taken to stay in the last-level cache from one decoding step to the
# next: a usual server CPU's, and less than a data-centre GPU has.
RESIDENT = 32 << 20
# On an accelerator 2048^3 is over too soon to reach the peak, and 256 MiB to reach the bandwidth.
ACCELERATOR_FACTOR = 4


class Setup(NamedTuple):
    """A model with weights, and the sizes to time it with."""

    model: ModelConfig
    weights: Weights
    sizes: Workload


class Phase(NamedTuple):
    """Something to time.

    Attributes:
      tokens: what its tokens per second count: tokens drawn, or scored, or trained on.
      work: its passes, for the floor.
      run: does it once and returns arrays to wait for.
    """

    tokens: int
    work: list[Work]
    run: Callable[[], Any]


def _sampler(s: Setup) -> Sampler:
    """No row stops early: the stop id is one that is never drawn."""
    config = SamplerConfig(TEMPERATURE, 0, 1.0, 0.0, 1.0, s.sizes.cache_segments, 0)
    return Sampler(
        model=s.model,
        config=config,
        max_new=s.sizes.new,
        stop_ids=(s.model.vocab_size - 1,),
        pad_id=0,
        buckets=(s.sizes.prompt,),
    )


def _tokens(s: Setup, rows: int, length: int) -> np.ndarray:
    return np.random.default_rng(0).integers(1, s.model.n_tokens, (rows, length), np.int32)


def _train_state(s: Setup, *, with_reference: bool) -> TrainState:
    """Copies of the weights, since a training step takes over what it is given."""

    def zero():
        return jnp.zeros((), jnp.int32)

    policy = jax.tree.map(jnp.copy, s.weights)
    reference = jax.tree.map(jnp.copy, s.weights) if with_reference else None
    opt_state = optimizer.make(OPTIMIZER).init(policy.params)
    return TrainState(policy, reference, opt_state, zero(), zero(), zero())


def _packed(s: Setup) -> PackedBatch:
    tokens_BT = _tokens(s, s.sizes.train_rows, s.sizes.train_length)
    rows, length = tokens_BT.shape
    weights_BT = np.ones((rows, length), np.float32)
    weights_BT[:, -1] = 0.0
    positions_BT = np.broadcast_to(np.arange(length, dtype=np.int32), (rows, length))
    arrays = (tokens_BT, np.ones_like(tokens_BT), positions_BT, weights_BT)
    return PackedBatch(*(jnp.asarray(a) for a in arrays))


def _pretrain_loss(s: Setup) -> NextTokenLossConfig:
    balance = 1e-4 if s.model.moe else 0.0
    return NextTokenLossConfig(
        balance=balance, mtp=0.0, bias_rate=1e-3, logit_chunk=s.sizes.logit_chunk
    )


def _grpo(sizes: Workload) -> GrpoConfig:
    return GrpoConfig(
        group_size=sizes.group,
        prompts_per_rollout=sizes.rows // sizes.group,
        minibatches=1,
        epochs=1,
        micro_tokens=512,  # what is chosen on a CPU
        ratio="token",
        clip_low=0.2,
        clip_high=0.2,
        kl_coef=0.04,
        reduction="seq_mean_token_mean",
        constant=sizes.new,
        advantage_ddof=0,
        advantage_eps=1e-6,
        divide_by_std=True,
        mask_truncated=False,
        reference_every=0,
        old_logps="sampler",
        replay_routes=False,
        balance=0.0,
        bias_rate=0.0,
        logit_chunk=sizes.logit_chunk,
    )


def _scorer(s: Setup) -> Callable[[Weights, GrpoBatch | PackedRows], jax.Array]:
    return jax.jit(
        partial(
            sequence_logps,
            model=s.model,
            temperature=TEMPERATURE,
            replay=False,
            chunk=s.sizes.logit_chunk,
            micro_tokens=_grpo(s.sizes).micro_tokens,
        )
    )


def _sampling(s: Setup, *, rows: int) -> Phase:
    prompts, sampler = _tokens(s, rows, s.sizes.prompt).tolist(), _sampler(s)
    key, new = jax.random.key(0), s.sizes.new
    work = floor.sampling(s.model, rows=rows, prompt=s.sizes.prompt, new=new, resident=RESIDENT)
    return Phase(rows * new, work, lambda: sampler(s.weights, prompts, key, group=1, cap=new))


def _logprobs(s: Setup) -> Phase:
    rows, length = s.sizes.train_rows, s.sizes.train_length
    tokens_BT, ones_BT = _tokens(s, rows, length), np.ones((rows, length), np.float32)
    top = s.model.moe.experts_per_token if s.model.moe else 0
    routes_LBTK = np.full((s.model.n_moe_layers, rows, length, top), -1, np.int32)
    arrays = (
        tokens_BT,
        np.ones_like(tokens_BT),
        np.tile(np.arange(length, dtype=np.int32), (rows, 1)),
        ones_BT,
        ones_BT,
        ones_BT,
        ones_BT,
        routes_LBTK,
    )
    batch, score = GrpoBatch(*(jnp.asarray(a) for a in arrays)), _scorer(s)
    work = [floor.scoring(s.model, rows=rows, length=length)]
    return Phase(rows * length, work, lambda: score(s.weights, batch))


def _forward_backward(s: Setup) -> Phase:
    knobs = {"model": s.model, "config": _pretrain_loss(s), "labels_BT": None, "sources": ()}
    grad = jax.value_and_grad(partial(loss, **knobs), has_aux=True)
    batch, run = _packed(s), jax.jit(grad)
    work = [floor.gradients(s.model, rows=s.sizes.train_rows, length=s.sizes.train_length)]
    return Phase(batch.tokens_BT.size, work, lambda: run(s.weights.params, s.weights, batch))


def _training(s: Setup) -> Phase:
    knobs = {"model": s.model, "opt": OPTIMIZER, "config": _pretrain_loss(s)}
    unlabelled = {"labels_BT": None, "sources": (), "micro_batches": 1}
    step = jax.jit(partial(next_token_step, **knobs, **unlabelled), donate_argnums=0)
    batch, state = _packed(s), _train_state(s, with_reference=False)

    def run():
        nonlocal state
        state, metrics = step(state, batch)
        return state, metrics

    work = [floor.update(s.model, rows=s.sizes.train_rows, length=s.sizes.train_length)]
    return Phase(batch.tokens_BT.size, work, run)


def _advantages(rewards_PG: Float[np.ndarray, "P G"], grpo: GrpoConfig) -> np.ndarray:
    advantages_PG = group_advantages(
        jnp.asarray(rewards_PG),
        jnp.ones(rewards_PG.shape, bool),
        ddof=grpo.advantage_ddof,
        eps=grpo.advantage_eps,
        divide_by_std=grpo.divide_by_std,
    )
    return np.asarray(advantages_PG).reshape(rewards_PG.size)


def _grpo_iteration(s: Setup) -> Phase:
    """Rollout, the reference's log-probabilities, one update, and the host's work in between.

    With one update per rollout the old log-probabilities are the new ones with a stopped gradient.
    """
    z, grpo = s.sizes, _grpo(s.sizes)
    prompts = _tokens(s, grpo.prompts_per_rollout, z.prompt).tolist()
    rewards_PG = np.random.default_rng(1).random((len(prompts), z.group), np.float32)
    state, sampler, score = (
        _train_state(s, with_reference=True),
        _sampler(s),
        _scorer(s),
    )
    shared = {"model": s.model, "opt": OPTIMIZER, "config": grpo, "temperature": TEMPERATURE}
    step = jax.jit(partial(grpo_step, **shared, on_policy=True), donate_argnums=0)

    def run():
        nonlocal state
        drawn = sampler(state.weights, prompts, jax.random.key(0), group=z.group, cap=z.new)
        sequences = rollouts.contiguous(jax.device_get(drawn), buckets=(z.prompt + z.new,))
        assert state.reference is not None
        packing = rollouts.packing_of(sequences, micro_tokens=grpo.micro_tokens)
        scored_BT = np.asarray(score(state.reference, rollouts.rows_of(sequences, packing)))
        constants: dict[str, Any] = {
            "advantages_B": _advantages(rewards_PG, grpo),
            "ref_logp_BT": packing.back(scored_BT, sequences.tokens_BT.shape),
        }
        batch = rollouts.minibatch(
            Judged(**sequences._asdict(), **constants),
            np.arange(len(prompts)),
            group=z.group,
            reduction=grpo.reduction,
            constant=grpo.constant,
            micro_tokens=grpo.micro_tokens,
        )
        state, metrics = step(state, batch)
        return state, metrics

    rows, length = z.rows, z.prompt + z.new
    work = [
        *floor.sampling(s.model, rows=rows, prompt=z.prompt, new=z.new, resident=RESIDENT),
        floor.scoring(s.model, rows=rows, length=length),
        floor.update(s.model, rows=rows, length=length),
    ]
    return Phase(rows * z.new, work, run)


PHASES = {
    "sample": lambda s: _sampling(s, rows=s.sizes.rows),
    "decode_b1": partial(_sampling, rows=1),
    "logprobs": _logprobs,
    "train": _training,
    "forward_backward": _forward_backward,
    "grpo": _grpo_iteration,
}


def _seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - start


def _phase_row(phase: Phase, first: float, taken: list[float], machine: Machine) -> Row:
    median, least = statistics.median(taken), floor.seconds(phase.work, machine)
    return {
        "seconds_median": median,
        "seconds_min": min(taken),
        "seconds_max": max(taken),
        "repeats": len(taken),
        "tokens_per_s": phase.tokens / median,
        "flops": sum(w.flops for w in phase.work),
        "bytes": sum(w.bytes for w in phase.work),
        "floor_s": least,
        "ratio_to_floor": median / least,
        "first_s": first,
        "compile_s": first - median,
    }


def benchmark(name: str, *, repeats: int, dtype: str) -> list[Row]:
    """Times the phases of one workload, round by round, so that drift of the machine hits all.

    Args:
      name: of `WORKLOADS`.
      repeats: rounds, after a first run of each phase, which compiles, and a second, uncounted.
      dtype: that the network computes in; parameters stay float32.

    Returns:
      A row of kind "machine", its best over the rounds, and a row of kind "phase" for each.
    """
    values = get_model(name)
    values.compute_dtype = dtype
    model, sizes = configs.build(ModelConfig, values.to_dict()), WORKLOADS[name]
    weights = forward.init(jax.random.key(0), config=model)
    phases = {p: PHASES[p](Setup(model, weights, sizes)) for p in sizes.phases}
    first = {p: _seconds(phase.run) for p, phase in phases.items()}
    for phase in phases.values():
        _seconds(phase.run)
    factor = 1 if jax.devices()[0].platform == "cpu" else ACCELERATOR_FACTOR
    taken: dict[str, list[float]] = {p: [] for p in phases}
    machines: list[Machine] = []
    for _ in range(repeats):
        machines.append(
            floor.measure(
                matmul=factor * sizes.matmul, mib=factor * sizes.mib, dtype=dtype, tries=3
            )
        )
        for p, phase in phases.items():
            taken[p].append(_seconds(phase.run))
    best = Machine(*(max(speeds) for speeds in zip(*machines, strict=True)))
    rounds = {
        f"{field}_rounds": [m[i] for m in machines] for i, field in enumerate(Machine._fields)
    }
    memory = {"peak_memory_bytes": peak_memory_bytes()}
    rows = [{"kind": "machine", "workload": name, **best._asdict(), **rounds, **memory}]
    for p, phase in phases.items():
        times = _phase_row(phase, first[p], taken[p], best)
        rows.append({"kind": "phase", "workload": name, "phase": p, **times})
    return rows


def table(rows: list[Row]) -> Table:
    """One workload's rows for a reader."""
    machine, *phases = rows
    title = (
        f"{machine['workload']}: {machine['flops_per_s'] / 1e9:,.0f} GFLOP/s, "
        f"{machine['bytes_per_s'] / 1e9:,.1f} GB/s at best"
    )
    shown = Table(
        title=title, title_justify="left", box=None, padding=(0, 1), collapse_padding=True
    )
    for heading in ("phase", "seconds", "min..max", "tokens/s", "floor s", "x floor", "compile s"):
        shown.add_column(heading, justify="left" if heading == "phase" else "right", no_wrap=True)
    for r in phases:
        shown.add_row(
            r["phase"],
            f"{r['seconds_median']:.3f}",
            f"{r['seconds_min']:.3f}..{r['seconds_max']:.3f}",
            f"{r['tokens_per_s']:,.0f}",
            f"{r['floor_s']:.3f}",
            f"{r['ratio_to_floor']:.1f}",
            f"{r['compile_s']:.2f}",
        )
    return shown


def _arguments(argv: list[str]) -> Mapping[str, Any]:
    parser = argparse.ArgumentParser(
        description="Times sampling, scoring and training beside the machine's floor."
    )

    def names(text):
        return [_known(name) for name in text.split(",")]

    parser.add_argument("--workloads", type=names, required=True, help="of W1,W2,W3")
    parser.add_argument("--repeats", type=int, required=True, help="rounds of every workload")
    parser.add_argument("--json", type=Path, required=True, help="file of results, a row a line")
    parser.add_argument("--dtype", choices=sorted(floor.WIDTH), default="float32")
    given = parser.parse_args(argv)
    if given.repeats < 1:
        parser.error(f"--repeats: got {given.repeats}, wanted 1 or more")
    return vars(given)


def _known(name: str) -> str:
    if name not in WORKLOADS:
        raise argparse.ArgumentTypeError(f"got {name!r}, wanted W1, W2 or W3")
    return name


def main(argv: list[str]) -> None:
    """Times the workloads one after the other; each is printed and written when it is done."""
    given, console = _arguments(argv), Console()
    given["json"].parent.mkdir(parents=True, exist_ok=True)
    with given["json"].open("w", encoding="utf-8") as file:

        def put(row):
            return file.write(json.dumps(row) + "\n")

        put({"kind": "device", **facts(), "dtype": given["dtype"], "repeats": given["repeats"]})
        for name in given["workloads"]:
            rows = benchmark(name, repeats=given["repeats"], dtype=given["dtype"])
            for row in rows:
                put(row)
            file.flush()
            console.print(table(rows), "")


if __name__ == "__main__":
    main(sys.argv[1:])
