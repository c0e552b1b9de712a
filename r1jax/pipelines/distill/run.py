"""Distillation by logits: a student learns a teacher's distributions (GKD, arXiv:2306.13649).

On-policy the student samples and the teacher scores; offline both read fixed data. DeepSeek's own
distillation, fine-tuning on the teacher's replies (arXiv:2501.12948, section 2.4), is the pipeline
"sft".
"""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax

from r1jax import keys, sharding
from r1jax.exams.examiner import Answered, known_to_all, mean, mean_parts, rollout_metrics
from r1jax.exams.training import open_trainer, read_samples
from r1jax.hub.artifacts import command, save_model
from r1jax.io.metrics import read_jsonl
from r1jax.pipelines.distill.config import DistillConfig
from r1jax.pipelines.distill.trainer import Trainer
from r1jax.reports.distill import plot_distill
from r1jax.reports.training import write_report
from r1jax.train import rollouts
from r1jax.train.loop import Run
from r1jax.types import Mean, PackedBatch, TrainState


def run(config: DistillConfig, workdir: Path) -> None:
    """Trains, or goes on where a killed run stopped; writes workdir/model, a report, a summary."""
    with open_trainer(Trainer, config, config.mesh, workdir) as trainer:
        _train(trainer, workdir)


def _train(trainer: Trainer, workdir: Path) -> None:
    config = trainer.config
    with Run(
        "distill",
        workdir=workdir,
        config=config,
        total=config.updates,
        shown=("divergence", "agreement", "accuracy", "length"),
    ) as here:
        state = trainer.initial_state()
        e = config.evaluation

        def cap() -> int:
            return config.stage(here.updates).max_new_tokens

        restored = here.resume(state, fixed=trainer.fixed)
        if restored:
            state = restored.state
        else:
            trainer.exam.ask_all(state.weights, here, "before", cap=cap())
        while here.updates < config.updates:
            state = _one_update(trainer, state, here)
            score = None  # of these weights; a checkpoint between evaluations has none
            if e.every_updates and e.validation and here.updates % e.every_updates == 0:
                row, _ = trainer.exam.ask(
                    state.weights, here, "validation", e.validation, cap=cap()
                )
                score = row["pass_at_1"]["mean"]
            here.after_update(state, extra={}, score=score)
        trainer.exam.ask_all(state.weights, here, "after", cap=cap())
        _finish(trainer, state, here)


def _one_update(trainer: Trainer, state: TrainState, here: Run) -> TrainState:
    """An update on a batch of the student's replies, or of fixed ones."""
    if trainer.samples(here.updates):
        state, metrics, values = _on_policy(trainer, state, here)
    else:
        with here.phase("data"):
            batch = trainer.fixed_batch(here.updates)
        state, metrics = _step(trainer, state, batch, here)
        values = {"on_policy": 0}
    here.updated(metrics, values)
    here.flush()
    return state


def _on_policy(
    trainer: Trainer, state: TrainState, here: Run
) -> tuple[TrainState, dict[str, Mean], dict[str, Any]]:
    """The student samples, the teacher scores; what the samples would be paid is told beside it."""
    number, config = here.updates, trainer.config
    stage, group = config.stage(number), config.samples_per_prompt
    player, problems = trainer.players[stage.temperature], trainer.questions(number)
    with here.phase("sample"):
        key = keys.stream(trainer.root, "sample", number)
        rollout = player.draw(state.weights, problems, key, group=group, cap=stage.max_new_tokens)
    here.count("sampled", int(rollout.mask_BC.sum()))
    # the update needs no verdict: workers judge meanwhile
    with ThreadPoolExecutor(1) as beside:
        judging = beside.submit(
            player.read, rollout, problems, group=group, step=number, cap=stage.max_new_tokens
        )
        rows = rollouts.contiguous(rollout, buckets=config.length_buckets)
        batch = trainer.weighted(rows["tokens"], rows["segments"], rows["mask"])
        state, metrics = _step(trainer, state, batch, here)
        with here.phase("reward"):
            answered = known_to_all(judging.result())
    here.spent("judge", answered.seconds)
    return state, metrics, _told(answered, config.reflective_words)


def _step(
    trainer: Trainer, state: TrainState, batch: PackedBatch, here: Run
) -> tuple[TrainState, dict[str, Mean]]:
    here.count("trained", int(batch.segments_BT.sum()))
    here.count("teacher_scored", int((batch.weights_BT > 0).sum()))
    with here.phase("update"):
        batch = sharding.spread_batch(batch, trainer.mesh)
        state, metrics = trainer.step(state, trainer.teacher, batch)
        jax.block_until_ready(metrics)
    return state, metrics


def _told(answered: Answered, reflective: tuple[str, ...]) -> dict[str, Any]:
    """How the student's samples would be paid, and what they look like."""
    return {
        "on_policy": 1,
        "reward": mean(s.total for s in answered.scores if not s.error),
        **mean_parts(answered),
        **rollout_metrics(answered, reflective),
    }


def _finish(trainer: Trainer, state: TrainState, here: Run) -> None:
    made_by = {"command": command(), "config": dataclasses.asdict(trainer.config)}
    save_model(
        here.workdir / "model",
        state.weights,
        model=trainer.model,
        tokenizer=trainer.tokenizer,
        made_by=made_by,
    )
    exams = [r for r in read_jsonl(here.workdir / "eval.jsonl") if r["split"] == "test"]
    rows = read_jsonl(here.workdir / "metrics.jsonl")
    summary = here.summarize(
        state.weights,
        {
            "before": exams[0] if exams else None,
            "after": exams[-1] if exams else None,
            "on_policy_updates": sum(r["on_policy"] for r in rows),
            "divergence": {"first": rows[0]["divergence"], "last": rows[-1]["divergence"]},
            "agreement": {"first": rows[0]["agreement"], "last": rows[-1]["agreement"]},
            "made_from": trainer.fixed,
        },
    )
    before, after = read_samples(here.workdir)
    facts = {k: v for k, v in summary.items() if k not in ("config", "before", "after")}
    report = write_report(
        here.workdir,
        summary=facts,
        samples_before=before,
        samples_after=after,
        plot=plot_distill,
    )
    if exams:
        print(
            f"pass@1 {exams[0]['pass_at_1']['mean']:.3f} -> {exams[-1]['pass_at_1']['mean']:.3f}",
            flush=True,
        )
    print(
        f"divergence {rows[0]['divergence']:.4f} -> {rows[-1]['divergence']:.4f} nats a token; "
        f"report in {report}",
        flush=True,
    )
