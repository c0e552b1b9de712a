"""Fits a reward model: a model with a scalar head, to pairs of replies or to labelled ones.

DeepSeek-R1 (arXiv:2501.12948, section 3.1) has one of each: helpfulness from 66,000 pairs, safety
from 106,000 labelled replies.
"""

import dataclasses
import json
from pathlib import Path

from r1jax import sharding
from r1jax.exams.job import Job, model_fingerprint
from r1jax.exams.reward_scorer import save_reward_model
from r1jax.hub.artifacts import command
from r1jax.io.digests import fingerprint
from r1jax.io.loop import Run
from r1jax.io.metrics import read_jsonl
from r1jax.pipelines.reward_model.config import RewardModelConfig
from r1jax.pipelines.reward_model.trainer import Trainer
from r1jax.reports.reward import write_reward_report
from r1jax.train.reward import spread_batch
from r1jax.types import Weights

__all__ = ["RewardModelConfig", "run"]

SHOWN = ("loss", "accuracy", "ahead")  # metrics of the progress display


def _request(config: RewardModelConfig) -> dict[str, str]:
    """Digests of the files that the fit depends on."""
    return {"data": fingerprint(config.data), "base": model_fingerprint(config.base)}


def run(config: RewardModelConfig, workdir: Path) -> None:
    """Fits (or goes on from where a killed run stopped) and writes workdir/model."""
    job = Job(config, workdir, _request)
    with sharding.use(**dataclasses.asdict(config.mesh)) as mesh:
        trainer = Trainer(config, mesh)
        job.begin()
        total = trainer.total
        with Run("reward model", workdir=workdir, config=config, total=total, shown=SHOWN) as run:
            _fit(trainer, run, workdir)


def _examine(trainer: Trainer, run: Run, weights: Weights) -> tuple[float, list[list[float]]]:
    """The held-out accuracy, and the scores of each row's replies."""
    with run.phase("evaluate"):
        scores = trainer.scores(weights, run.progress.say)
        row = trainer.results_row(scores)
    run.flush()
    run.evaluated(row)
    low, high = row["accuracy_low"], row["accuracy_high"]
    ends = "" if low is None else f" [{low:.3f}, {high:.3f}]"
    run.progress.say(f"update {run.updates}: held-out accuracy {row['accuracy']:.3f}{ends}")
    return row["accuracy"], scores


def _fit(trainer: Trainer, run: Run, workdir: Path) -> None:
    c = trainer.config
    restored = run.resume(trainer.fresh, fixed={})
    state = restored.state if restored else trainer.fresh
    run.progress.say(", ".join(f"{name} {n:,}" for name, n in trainer.counts.items()))
    scores = None
    if not run.updates:
        _examine(trainer, run, state.weights)
    while run.updates < trainer.total:
        with run.phase("data"):
            batch = trainer.batch(run.updates)
        with run.phase("update"):
            state, metrics = trainer.step(state, spread_batch(batch, trainer.mesh))
            run.flush()
        run.count("trained", int(batch.lengths_PG.sum()))
        run.updated(metrics, {})
        score = None
        if run.updates % c.evaluate_every == 0 or run.updates == trainer.total:
            score, scores = _examine(trainer, run, state.weights)
        run.after_update(state, extra={}, score=score)
    run.flush()
    # a run that was killed after its last update has no scores yet
    scores = trainer.scores(state.weights, run.progress.say) if scores is None else scores
    _leave(trainer, run, state.weights, scores, workdir)


def _leave(
    trainer: Trainer, run: Run, weights: Weights, scores: list[list[float]], workdir: Path
) -> None:
    """Writes the model, the held-out scores, the report and the summary."""
    c = trainer.config
    with (workdir / "held_out.jsonl").open("w", encoding="utf-8") as file:
        for row, row_scores in zip(trainer.held_out, scores, strict=True):
            line = {
                "id": row.row.id,
                "question": row.row.question,
                "replies": list(row.row.replies),
                "label": row.row.label,
                "scores": row_scores,
                "lengths": list(row.lengths),
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    evals = read_jsonl(workdir / "eval.jsonl")
    before, after = evals[0]["results"], evals[-1]["results"]
    about = {
        "kind": c.kind,
        "prompt": dataclasses.asdict(c.prompt),
        "sees": c.sees,
        "longest": max(c.length_buckets),
        "held_out": after,
    }
    save_reward_model(
        workdir / "model",
        weights,
        model=trainer.model,
        tokenizer=trainer.tokenizer,
        about=about,
        made_by={"command": command(), "config": dataclasses.asdict(c)},
    )
    run.summarize(weights, {"counts": trainer.counts, "before": before, "after": after})
    report = write_reward_report(
        workdir,
        kind=c.kind,
        level=c.level,
        counts=trainer.counts,
        before=before,
        after=after,
    )
    print(f"reward model in {workdir / 'model'}, report in {report}", flush=True)
