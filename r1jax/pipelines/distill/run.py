"""Distillation by logits: a student learns a teacher's distributions (GKD, arXiv:2306.13649).

On-policy the student samples and the teacher scores; offline both read fixed data. DeepSeek's own
distillation, fine-tuning on the teacher's replies (arXiv:2501.12948, section 2.4), is the pipeline
"sft".
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np

from r1jax import keys, sharding
from r1jax.exams.examiner import Answered, known_to_all, mean_parts, rollout_metrics
from r1jax.exams.statistics import mean
from r1jax.exams.training import leave_model, open_trainer, read_samples
from r1jax.io.loop import Run
from r1jax.io.metrics import read_jsonl
from r1jax.pipelines.distill.config import DistillConfig
from r1jax.pipelines.distill.trainer import Trainer
from r1jax.reports.distill import plot_distill
from r1jax.reports.training import write_report
from r1jax.train import rollouts
from r1jax.types import Mean, PackedBatch, TrainState

SHOWN = ("divergence", "agreement", "accuracy", "length")  # metrics of the progress display


def run(config: DistillConfig, workdir: Path) -> None:
    """Trains, or goes on where a killed run stopped; writes workdir/model, a report, a summary."""
    with open_trainer(Trainer, config, config.mesh, workdir) as trainer:
        _train(trainer, workdir)


def _train(trainer: Trainer, workdir: Path) -> None:
    config = trainer.config
    with Run("distill", workdir=workdir, config=config, total=config.updates, shown=SHOWN) as run:

        def cap() -> int:
            return config.stage(run.updates).max_new_tokens

        state = trainer.initial_state()
        if restored := run.resume(state, fixed=trainer.fixed):
            state = restored.state
        else:
            trainer.exam.ask_all(state.weights, run, "before", cap=cap())
        while run.updates < config.updates:
            state = _one_update(trainer, state, run)
            score = trainer.exam.score_if_due(state.weights, run, cap=cap())
            run.after_update(state, extra={}, score=score)
        trainer.exam.ask_all(state.weights, run, "after", cap=cap())
        _finish(trainer, state, run)


def _one_update(trainer: Trainer, state: TrainState, run: Run) -> TrainState:
    """An update on a batch of the student's replies, or of fixed ones."""
    if trainer.samples(run.updates):
        state, metrics, values = _on_policy(trainer, state, run)
    else:
        with run.phase("data"):
            batch = trainer.fixed_batch(run.updates)
        state, metrics = _step(trainer, state, batch, run)
        values = {"on_policy": 0}
    run.updated(metrics, values)
    run.flush()
    return state


def _on_policy(
    trainer: Trainer, state: TrainState, run: Run
) -> tuple[TrainState, dict[str, Mean], dict[str, Any]]:
    """The student samples, the teacher scores; the metrics say what the samples would be paid."""
    number, config = run.updates, trainer.config
    stage, group = config.stage(number), config.samples_per_prompt
    player, problems = trainer.players[stage.temperature], trainer.questions(number)
    with run.phase("sample"):
        key = keys.stream(trainer.root, "sample", number)
        rollout = player.draw(state.weights, problems, key, group=group, cap=stage.max_new_tokens)
    run.count("sampled", int(rollout.mask_BC.sum()))
    # the update needs no verdict: workers judge meanwhile
    with ThreadPoolExecutor(1) as beside:
        judging = beside.submit(
            player.read, rollout, problems, group=group, step=number, cap=stage.max_new_tokens
        )
        rows = rollouts.contiguous(rollout, buckets=config.length_buckets)
        batch = trainer.weighted(*map(np.asarray, (rows.tokens_BT, rows.segments_BT, rows.mask_BT)))
        state, metrics = _step(trainer, state, batch, run)
        with run.phase("reward"):
            answered = known_to_all(judging.result())
    run.spent("judge", answered.seconds)
    values = _sample_metrics(answered, config.reflective_words)
    return state, metrics, {**values, "slot_idle": player.sampler.slot_idle}


def _step(
    trainer: Trainer, state: TrainState, batch: PackedBatch, run: Run
) -> tuple[TrainState, dict[str, Mean]]:
    run.count("trained", int(batch.segments_BT.sum()))
    run.count("teacher_scored", int((batch.weights_BT > 0).sum()))
    with run.phase("update"):
        batch = sharding.spread_batch(batch, trainer.mesh)
        state, metrics = trainer.step(state, trainer.teacher, batch)
        jax.block_until_ready(metrics)
    return state, metrics


def _sample_metrics(answered: Answered, reflective: tuple[str, ...]) -> dict[str, Any]:
    """How the student's samples would be paid, and what they look like."""
    return {
        "on_policy": 1,
        "reward": mean(s.total for s in answered.scores if not s.error),
        **mean_parts(answered),
        **rollout_metrics(answered, reflective),
    }


def _finish(trainer: Trainer, state: TrainState, run: Run) -> None:
    rows = read_jsonl(run.workdir / "metrics.jsonl")
    facts = {
        "on_policy_updates": sum(row["on_policy"] for row in rows),
        "divergence": {"first": rows[0]["divergence"], "last": rows[-1]["divergence"]},
        "agreement": {"first": rows[0]["agreement"], "last": rows[-1]["agreement"]},
        "made_from": trainer.fixed,
    }
    summary = leave_model(trainer, state.weights, run, facts)
    first, last = summary["before"], summary["after"]
    before, after = read_samples(run.workdir)
    report = write_report(
        run.workdir,
        summary={k: v for k, v in summary.items() if k not in ("config", "before", "after")},
        samples_before=before,
        samples_after=after,
        plot=plot_distill,
    )
    if first:
        scores = [row["pass_at_1"]["mean"] for row in (first, last)]
        print(f"pass@1 {scores[0]:.3f} -> {scores[1]:.3f}", flush=True)
    print(
        f"divergence {rows[0]['divergence']:.4f} -> {rows[-1]['divergence']:.4f} nats a token; "
        f"report in {report}",
        flush=True,
    )
