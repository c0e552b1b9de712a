"""R1-Zero: reasoning from a base model by RL alone (DeepSeek-R1, arXiv:2501.12948, section 2)."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from r1jax import keys, sharding
from r1jax.config import UserError
from r1jax.exams.training import leave_model, open_trainer, read_samples
from r1jax.io.loop import Run
from r1jax.io.metrics import read_jsonl
from r1jax.pipelines.r1_zero.config import R1ZeroConfig
from r1jax.pipelines.r1_zero.rollout import collect
from r1jax.pipelines.r1_zero.trainer import Trainer
from r1jax.reports.curves import plot_rl
from r1jax.reports.training import write_report
from r1jax.train import rollouts
from r1jax.types import Judged, TrainState

SHOWN = ("reward", "accuracy", "format", "length")  # metrics of the progress display


def run(config: R1ZeroConfig, workdir: Path) -> None:
    """Trains, or goes on where a killed run stopped; writes workdir/model, a report, a summary."""
    with open_trainer(Trainer, config, config.mesh, workdir) as trainer:
        _train(trainer, workdir)


def _train(trainer: Trainer, workdir: Path) -> None:
    config = trainer.config
    with Run("r1_zero", workdir=workdir, config=config, total=config.updates, shown=SHOWN) as run:

        def cap() -> int:
            return config.stage(run.updates).max_new_tokens

        state = trainer.initial_state()
        restored, judged = run.resume(state, fixed=trainer.fixed), None
        if restored:
            state, judged = restored.state, in_progress(restored.extra)
        else:
            trainer.exam.ask_all(state.weights, run, "before", cap=cap())
        while run.updates < config.updates:
            metrics: dict[str, Any] = {}
            if judged is None:
                judged, metrics = collect(trainer, state, run)
            state = _one_update(trainer, state, judged, run, metrics)
            if run.updates % config.grpo.updates_per_rollout == 0:
                judged = None
                with run.phase("update"):
                    jax.block_until_ready(state.updates)
                run.flush()
            score = trainer.exam.score_if_due(state.weights, run, cap=cap())
            run.after_update(state, extra=judged._asdict() if judged else {}, score=score)
        run.flush()
        trainer.exam.ask_all(state.weights, run, "after", cap=cap())
        _finish(trainer, state, run)


def in_progress(extra: dict[str, np.ndarray]) -> Judged | None:
    """The rollout that a checkpoint holds, if updates were left in it.

    Raises:
      UserError: if it holds other arrays.
    """
    if extra and extra.keys() != set(Judged._fields):
        raise UserError(
            f"resume: the checkpoint's rollout has the arrays {sorted(extra)}, wanted "
            f"{sorted(Judged._fields)}; take a new --workdir"
        )
    arrays: dict[str, Any] = extra
    return Judged(**arrays) if arrays else None


def _one_update(
    trainer: Trainer, state: TrainState, judged: Judged, run: Run, metrics: dict[str, Any]
) -> TrainState:
    """An update on the next minibatch of a rollout, noted with the metrics of the rollout."""
    g = trainer.config.grpo
    number, step = divmod(run.updates, g.updates_per_rollout)
    epoch, part = divmod(step, g.minibatches)
    order = np.arange(g.prompts_per_rollout)
    if g.minibatches > 1:
        key = keys.stream(trainer.root, "minibatch", number, epoch)
        order = np.asarray(jax.random.permutation(key, g.prompts_per_rollout))
    batch = rollouts.minibatch(
        judged,
        order.reshape(g.minibatches, -1)[part],
        group=g.group_size,
        reduction=g.reduction,
        constant=g.constant,
        micro_tokens=trainer.micro_tokens,
        align=trainer.align,
    )
    temperature = trainer.config.stage(number * g.updates_per_rollout).temperature
    run.count("trained", int((batch.segments_BT > 0).sum()))
    with run.phase("update"):
        batch = sharding.spread_batch(batch, trainer.mesh)
        state, measured = trainer.step(state, batch, temperature=temperature)
    if g.rescored or step > 0:  # measured already, or not the sampler's policy any more
        gaps = ("logp_gap_max", "logp_gap_mean", "differing_logps")
        measured = {k: v for k, v in measured.items() if k not in gaps}
    run.updated(measured, metrics)
    if g.reference_every and g.kl_coef and run.updates % g.reference_every == 0:
        state = state._replace(reference=jax.tree.map(jnp.copy, state.weights))
    return state


def _finish(trainer: Trainer, state: TrainState, run: Run) -> None:
    rows = read_jsonl(run.workdir / "metrics.jsonl")
    gaps = [row["logp_gap_max"] for row in rows if row.get("logp_gap_max") is not None]
    facts = {"max_logp_gap": max(gaps, default=None), "micro_tokens": trainer.micro_tokens}
    summary = leave_model(trainer, state.weights, run, facts)
    first, last = summary["before"], summary["after"]
    before, after = read_samples(run.workdir)
    report = write_report(
        run.workdir,
        summary={k: v for k, v in summary.items() if k not in ("config", "before", "after")},
        samples_before=before,
        samples_after=after,
        plot=plot_rl,
    )
    if first:
        scores = [row["pass_at_1"]["mean"] for row in (first, last)]
        lengths = [row["lengths"]["all"]["mean"] for row in (first, last)]
        print(
            f"pass@1 {scores[0]:.3f} -> {scores[1]:.3f}, "
            f"mean length {lengths[0]:.1f} -> {lengths[1]:.1f} tokens",
            flush=True,
        )
    print(f"report in {report}", flush=True)
