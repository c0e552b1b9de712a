"""R1-Zero: reasoning from a base model by RL alone (DeepSeek-R1, arXiv:2501.12948, section 2)."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from r1jax import keys, sharding
from r1jax.exams.training import open_trainer, read_samples
from r1jax.hub.artifacts import command, save_model
from r1jax.io.metrics import read_jsonl
from r1jax.pipelines.r1_zero.config import R1ZeroConfig
from r1jax.pipelines.r1_zero.rollout import collect
from r1jax.pipelines.r1_zero.trainer import Trainer
from r1jax.reports import training as reports
from r1jax.train import rollouts
from r1jax.train.loop import Run
from r1jax.types import TrainState


def _one_update(
    trainer: Trainer, state: TrainState, buffer: rollouts.Buffer, here: Run, values: dict[str, Any]
) -> TrainState:
    g, step = trainer.config.grpo, here.updates % trainer.config.grpo.updates_per_rollout
    epoch, part = divmod(step, g.minibatches)
    number = here.updates // g.updates_per_rollout
    order = np.arange(g.prompts_per_rollout)
    if g.minibatches > 1:
        order = np.asarray(
            jax.random.permutation(
                keys.stream(trainer.root, "minibatch", number, epoch), g.prompts_per_rollout
            )
        )
    mine = order.reshape(g.minibatches, -1)[part]
    arrays = {k: v for k, v in buffer.items() if k != "gap"}
    batch = rollouts.minibatch(
        arrays, mine, group=g.group_size, reduction=g.reduction, constant=g.constant
    )
    temperature = trainer.config.stage(number * g.updates_per_rollout).temperature
    here.count("trained", int(batch.segments_BT.sum()))
    with here.phase("update"):
        batch = sharding.spread_batch(batch, trainer.mesh)
        state, metrics = trainer.step(state, batch, temperature=temperature)
    if "gap" in buffer or step > 0:  # not the sampler's policy any more, or measured already
        metrics = {k: v for k, v in metrics.items() if not k.startswith("logp_gap")}
    if "gap" in buffer and step == 0:
        values = {
            **values,
            "logp_gap_max": float(buffer["gap"][0]),
            "logp_gap_mean": float(buffer["gap"][1]),
        }
    here.updated(metrics, values)
    if g.reference_every and g.kl_coef and here.updates % g.reference_every == 0:
        state = state._replace(reference=jax.tree.map(jnp.copy, state.weights))
    return state


def run(config: R1ZeroConfig, workdir: Path) -> None:
    """Trains, or goes on where a killed run stopped; writes workdir/model, a report, a summary."""
    with open_trainer(Trainer, config, config.mesh, workdir) as trainer:
        _train(trainer, workdir)


def _train(trainer: Trainer, workdir: Path) -> None:
    config = trainer.config
    with Run(
        "r1_zero",
        workdir=workdir,
        config=config,
        total=config.updates,
        shown=("reward", "accuracy", "format", "length"),
    ) as here:

        def cap() -> int:
            return config.stage(here.updates).max_new_tokens

        state = trainer.initial_state()
        restored = here.resume(state, fixed=trainer.fixed)
        state, buffer = (restored.state, restored.extra) if restored else (state, {})
        if not restored:
            trainer.exam.ask_all(state.weights, here, "before", cap=cap())
        per_rollout, e = config.grpo.updates_per_rollout, config.evaluation
        while here.updates < config.updates:
            values: dict[str, Any] = {}
            score = None  # of these weights; a checkpoint between evaluations has none
            if here.updates % per_rollout == 0:
                buffer, values = collect(trainer, state, here)
            state = _one_update(trainer, state, buffer, here, values)
            finished = here.updates % per_rollout == 0
            if finished:
                with here.phase("update"):
                    jax.block_until_ready(state.updates)
                here.flush()
            if e.every_updates and e.validation and here.updates % e.every_updates == 0:
                here.flush()
                row, _ = trainer.exam.ask(
                    state.weights, here, "validation", e.validation, cap=cap()
                )
                score = row["pass_at_1"]["mean"]
            here.after_update(state, extra={} if finished else buffer, score=score)
        here.flush()
        trainer.exam.ask_all(state.weights, here, "after", cap=cap())
        _finish(trainer, state, here)


def _finish(trainer: Trainer, state: TrainState, here: Run) -> None:
    made_by = {"command": command(), "config": dataclasses.asdict(trainer.config)}
    save_model(
        here.workdir / "model",
        state.weights,
        model=trainer.model,
        tokenizer=trainer.tokenizer,
        made_by=made_by,
    )
    rows = [r for r in read_jsonl(here.workdir / "eval.jsonl") if r["split"] == "test"]
    gaps = [
        r["logp_gap_max"]
        for r in read_jsonl(here.workdir / "metrics.jsonl")
        if r.get("logp_gap_max") is not None
    ]
    summary = here.summarize(
        state.weights,
        {
            "before": rows[0] if rows else None,
            "after": rows[-1] if rows else None,
            "max_logp_gap": max(gaps, default=None),
        },
    )
    before, after = read_samples(here.workdir)
    facts = {k: v for k, v in summary.items() if k not in ("config", "before", "after")}
    report = reports.write_report(
        here.workdir,
        summary=facts,
        samples_before=before,
        samples_after=after,
        plot=reports.plot_rl,
    )
    if rows:
        scores = [row["pass_at_1"]["mean"] for row in (rows[0], rows[-1])]
        lengths = [row["lengths"]["all"]["mean"] for row in (rows[0], rows[-1])]
        print(
            f"pass@1 {scores[0]:.3f} -> {scores[1]:.3f}, "
            f"mean length {lengths[0]:.1f} -> {lengths[1]:.1f} tokens",
            flush=True,
        )
    print(f"report in {report}", flush=True)
