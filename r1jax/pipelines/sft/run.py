"""Supervised fine-tuning on conversations: cold start, the 800k, and distillation by replies.

DeepSeek-R1, arXiv:2501.12948, sections 2.3 and 2.4: only what the assistant says is learned.
"""

import dataclasses
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from r1jax import sharding
from r1jax.data.rows import packing
from r1jax.data.tasks.tasks import TaskData, files_digest, load_task
from r1jax.exams.training import Examiners, TrainingExam, read_samples
from r1jax.hub.artifacts import command, open_model, resolve, save_model
from r1jax.io.digests import fingerprint
from r1jax.io.loop import Run, means
from r1jax.io.metrics import read_jsonl
from r1jax.io.summary import check_writable
from r1jax.model import forward
from r1jax.model.config import ModelConfig
from r1jax.pipelines.sft.config import ExamConfig, SftConfig
from r1jax.pipelines.sft.data import SftData, digest_of, load_data
from r1jax.reports.sft import write_sft_report
from r1jax.rewards.combine import Rewarder
from r1jax.text.tokenizer import Tokenizer
from r1jax.train.next_token import NextTokenLossConfig, loss, next_token_step
from r1jax.train.optimizer import OptimizerConfig
from r1jax.train.state import initial_state
from r1jax.types import PackedBatch, TrainState, Weights

SHOWN = ("loss", "lr", "grad_norm")  # metrics of the progress display


@cache
def _programs(
    model: ModelConfig,
    config: NextTokenLossConfig,
    opt: OptimizerConfig,
    sources: tuple[str, ...],
    micro_batches: int,
) -> tuple[Callable, Callable]:
    """The jitted update, which donates its state, and the jitted measurement of the losses."""
    knobs = {"model": model, "config": config, "sources": sources}
    step = partial(next_token_step, opt=opt, micro_batches=micro_batches, **knobs)

    def measure(weights: Weights, batch: PackedBatch, labels_BT: jax.Array) -> dict[str, Any]:
        return loss(weights.params, weights, batch, labels_BT, **knobs)[1][0]

    return jax.jit(step, donate_argnums=0), jax.jit(measure)


def updates_of(config: SftConfig, data: SftData) -> int:
    """Updates that all epochs take; a batch may straddle two epochs, the last goes a little on."""
    return -(-config.epochs * len(data.train) // config.batch)


class Parts(NamedTuple):
    """All parts of a run but the weights."""

    model: ModelConfig
    tokenizer: Tokenizer
    data: SftData
    exam: TrainingExam | None
    optimizer: OptimizerConfig
    mesh: Mesh | None


def run(config: SftConfig, workdir: Path) -> None:
    """Trains, or goes on where a killed run stopped; writes workdir/model, a report, a summary."""
    check_writable(workdir)
    task = load_task(config.exam.task) if config.exam else None  # it fails sooner than a big model
    with sharding.use(**dataclasses.asdict(config.mesh)) as mesh, ExitStack() as stack:
        weights, model, tokenizer = open_model(config.base, how=config.execution, mesh=mesh)
        data, exam = load_data(config, tokenizer), None
        if config.exam and task:
            exam = open_exam(config, config.exam, task, model, tokenizer)
            stack.enter_context(closing(exam.examiner.rewarder))
            exam.check()
        for note in [*data.notes, *(task.notes if task else ())]:
            print(note, flush=True)
        updates = updates_of(config, data)
        total = config.optimizer.total_updates or updates
        opt = dataclasses.replace(config.optimizer, total_updates=total)
        parts = Parts(model, tokenizer, data, exam, opt, mesh)
        state = initial_state(
            weights, opt=opt, reference=False, mesh=mesh, axes=forward.logical_axes(model)
        )
        del weights  # a resumed run needs the base no more
        with Run("sft", workdir=workdir, config=config, total=updates, shown=SHOWN) as run:
            restored = run.resume(state, fixed=_fixed(config))
            state = restored.state if restored else state
            state = _train(config, parts, state, run)
            _finish(config, parts, state, run)


def open_exam(
    config: SftConfig, exam: ExamConfig, task: TaskData, model: ModelConfig, tokenizer: Tokenizer
) -> TrainingExam:
    """The exam of the model as it learns; the caller closes its rewarder."""
    examiners = Examiners(
        model,
        tokenizer,
        Rewarder(exam.reward, learned={}),
        prompt=config.prompt,
        seed=config.seed,
        max_new_tokens=exam.max_new_tokens,
        prompt_buckets=exam.prompt_buckets,
        routes=False,
    )
    return TrainingExam(
        examiners.of(exam.evaluation.sampler),
        task.splits,
        config=exam.evaluation,
        reflective=exam.reflective_words,
        seed=config.seed,
        where="config.exam.evaluation",
    )


def _fixed(config: SftConfig) -> dict[str, Any]:
    """Facts that may not change between a checkpoint and the run that resumes from it."""
    exam = files_digest(config.exam.task) if config.exam else None
    return {
        "data_sha256": digest_of(config.data),
        "exam_data_sha256": exam,
        "batch": config.batch,
        "base_sha256": fingerprint(resolve(config.base)),
    }


def _spread(
    arrays: packing.Example, config: SftConfig, mesh: Mesh | None
) -> tuple[PackedBatch, jax.Array]:
    """A batch and its labels, laid out on the mesh if there is one."""
    batch = packing.to_batch(arrays, reduction=config.reduction)
    labels_BT = sharding.put(packing.labels_of(arrays), mesh, ("batch", "seq"), "labels_BT")
    return sharding.spread_batch(batch, mesh), labels_BT


def _train(config: SftConfig, parts: Parts, state: TrainState, run: Run) -> TrainState:
    """All updates that are left, with the measurements between them."""
    data, exam = parts.data, parts.exam
    step, measure = _programs(
        parts.model, config.loss, parts.optimizer, data.sources, config.micro_batches
    )
    if run.updates == 0:
        _measured(config, parts, state, run, measure)
        if exam:
            exam.ask_all(state.weights, run, "before", cap=exam.examiner.sampler.max_new)
    while run.updates < run.total:
        with run.phase("data"):
            arrays = packing.drawn(
                data.train, seed=config.seed, step=run.updates, size=config.batch
            )
            batch, labels_BT = _spread(arrays, config, parts.mesh)
        with run.phase("update"):
            state, metrics = step(state, batch, labels_BT)
            run.flush()
        run.count("trained", int((arrays["segments"] > 0).sum()))
        run.updated(metrics, {"epoch": run.updates * config.batch / len(data.train)})
        score = _measured(config, parts, state, run, measure)
        run.after_update(state, extra={}, score=score)
    run.flush()
    if exam:
        exam.ask_all(state.weights, run, "after", cap=exam.examiner.sampler.max_new)
    return state


def _measured(
    config: SftConfig, parts: Parts, state: TrainState, run: Run, measure: Callable
) -> float | None:
    """Held-out loss and exam where they are due; returns the score of these weights, if any."""
    score = None
    if parts.data.held_out is not None and _is_due(config.evaluate_every, run):
        run.flush()
        with run.phase("evaluate"):
            row = _held_out(config, parts, state, parts.data.held_out, measure)
        run.evaluated(row)
        score = -row["loss"]  # a lower loss is a higher score
    if parts.exam and config.scored_by_exam:
        e, score = parts.exam.config, None
        if _is_due(e.every_updates, run):
            run.flush()
            cap = parts.exam.examiner.sampler.max_new
            row, _ = parts.exam.ask(state.weights, run, "validation", e.validation, cap=cap)
            score = row["pass_at_1"]["mean"]
    return score


def _is_due(every: int, run: Run) -> bool:
    """Whether `every` updates have passed, or all; 0 is never."""
    return every > 0 and (run.updates % every == 0 or run.updates == run.total)


def _ends(rows: list[dict[str, Any]], split: str) -> dict[str, Any] | None:
    """The first and the last measurement of a split."""
    of_split = [row for row in rows if row["split"] == split]
    return {"before": of_split[0], "after": of_split[-1]} if of_split else None


def _held_out(
    config: SftConfig, parts: Parts, state: TrainState, rows: packing.Rows, measure: Callable
) -> dict[str, Any]:
    """Losses over all held-out rows, as many at a time as a micro-batch; empty rows fill up."""
    size, totals = config.batch // config.micro_batches, {}
    for start in range(0, len(rows), size):
        some = {name: a[start : start + size] for name, a in rows.arrays.items()}
        missing = ((0, size - len(some["tokens"])), (0, 0))
        padded = {name: np.pad(a, missing) for name, a in some.items()}
        seen = measure(state.weights, *_spread(padded, config, parts.mesh))
        totals = jax.tree.map(jnp.add, totals, seen) if totals else seen
    values = {k: v for k, v in means(totals).items() if k.startswith("loss")}
    return {"split": "held_out", **values, "perplexity": float(np.exp(values["loss"]))}


def _finish(config: SftConfig, parts: Parts, state: TrainState, run: Run) -> None:
    made_by = {"command": command(), "config": dataclasses.asdict(config)}
    save_model(
        run.workdir / "model",
        state.weights,
        model=parts.model,
        tokenizer=parts.tokenizer,
        made_by=made_by,
    )
    evals = read_jsonl(run.workdir / "eval.jsonl")
    measured = {"held_out": _ends(evals, "held_out")}
    if parts.exam:
        exams = {split: _ends(evals, split) for split in ("validation", "test", "ood")}
        measured["exam"] = {split: ends for split, ends in exams.items() if ends}
    counts = {**parts.data.counts, "updates": run.total}
    parameters = forward.count_params(parts.model)
    summary = run.summarize(state.weights, {**measured, "counts": counts, "parameters": parameters})
    before, after = read_samples(run.workdir) if parts.exam else ([], [])
    facts = {k: v for k, v in summary.items() if k not in ("config", "counts", *measured)}
    report = write_sft_report(
        run.workdir,
        summary=facts,
        counts=counts,
        samples_before=before,
        samples_after=after,
    )
    if losses := measured["held_out"]:
        first, last = losses["before"]["loss"], losses["after"]["loss"]
        print(f"held-out loss {first:.4f} -> {last:.4f} nats a token", flush=True)
    print(f"model in {run.workdir / 'model'}, report in {report}", flush=True)
