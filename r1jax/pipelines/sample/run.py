"""Rejection sampling: a checkpoint's completions, judged, filtered and mixed into training rows.

DeepSeek-R1 (arXiv:2501.12948, section 2.3.3): several samples a prompt from the checkpoint of the
first RL stage, correct and readable ones kept, about 600k; and about 200k rows that are no
reasoning. Completions are stored as they come, and a killed run goes on where it stopped; run again
with another `keep`, `prefer` or `mixture`, it chooses anew from those that are there.
"""

import dataclasses
import itertools
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from r1jax import sharding
from r1jax.config import flatten
from r1jax.data.files.jsonl import iter_jsonl
from r1jax.data.rows.filters import active, rejections
from r1jax.data.rows.training_rows import ShardWriter
from r1jax.data.tasks import decontamination, tasks
from r1jax.data.tasks.decontamination import Evaluation
from r1jax.data.tasks.evaluation_questions import evaluation_questions
from r1jax.data.tasks.problems import Problem
from r1jax.data.tasks.selection import drawn
from r1jax.exams.run import Exam, ask, tokens_sampled
from r1jax.hub.artifacts import resolve
from r1jax.io.batches import check_request, write_request
from r1jax.io.digests import fingerprint
from r1jax.io.summary import check_writable, facts, peak_memory_bytes, write_summary
from r1jax.pipelines.sample.config import MixtureConfig, SampleConfig
from r1jax.pipelines.sample.mixture import Mixture
from r1jax.pipelines.sample.tally import Tally
from r1jax.reports.sampling import write_sample_report
from r1jax.rewards.combine import Rewarder
from r1jax.text.thought import whole

__all__ = ["MixtureConfig", "SampleConfig", "run"]

Row = dict[str, Any]


def _questions(config: SampleConfig, data: tasks.TaskData) -> Iterator[tuple[str, Problem]]:
    """Yields the questions that are asked with their domains, source by source."""
    start = 0
    for name, size in zip(sorted(config.task.sources), data.sizes, strict=True):
        wanted = config.prompts.get(name, 0)
        for position in drawn(size, wanted, seed=config.seed, name=f"prompts of {name}"):
            yield name, data.splits["train"][start + position]
        start += size


def _check_disjoint(asked: list[tuple[str, Problem]], evaluation: Evaluation) -> None:
    """Raises if a question that is asked is an evaluation question, before any work."""
    index = evaluation.indexed(n=None)
    hits = decontamination.find_hits({p.id: p.question for _, p in asked}, index, n=None)
    if hits:
        raise ValueError(
            f"task: {len(hits)} training questions are evaluation questions, first {hits[0].id}, "
            f"which is {hits[0].evaluation_id} of {hits[0].evaluation_set}"
        )


def _request(config: SampleConfig, model: str) -> dict[str, Any]:
    """What the answers are a function of: how they are chosen and mixed later changes none."""
    asked = dataclasses.replace(config, keep=1, prefer="first", mixture={}, shard_rows=1, level=0.5)
    return {
        **flatten(asked), "files_sha256": tasks.files_digest(config.task),
        "model_fingerprint": model,
    }  # fmt: skip


class _Finisher:
    """Makes an exam's row a sampled one: with its question, its domain, and what rejects it."""

    def __init__(self, config: SampleConfig, here: Exam, domains: dict[str, str]):
        self.config, self.domains = config, domains
        self.questions = {
            q.id: {"question": q.question, "opened": here.examiner.prompt(q).opens_thought}
            for q in here.questions
        }

    def __call__(self, row: Row) -> Row:
        whole = {**row, **self.questions[row["id"]], "domain": self.domains[row["id"]]}
        return {**whole, "rejected_by": list(rejections(whole, self.config.filters))}


def _by_question(path: Path, here: Exam) -> Iterator[list[Row]]:
    """Yields the sampled rows of question after question; a batch of them is held at a time."""
    rows = iter_jsonl(path)
    batch = here.config.batch
    for start in range(0, len(here.questions), batch):
        asked = here.questions[start : start + batch]
        of: dict[str, list[Row]] = {question.id: [] for question in asked}
        for row in itertools.islice(rows, len(asked) * here.config.samples):
            of[row["id"]].append(row)
        for samples in of.values():
            yield sorted(samples, key=lambda row: row["sample"])


def _training_row(row: Row, config: SampleConfig, model: str) -> Row:
    reply = whole(row["completion"], opened=row["opened"])
    return {
        "id": f"{row['id']}#{row['sample']}",
        "source": row["domain"],
        "messages": [
            {"role": "user", "content": row["question"]},
            {"role": "assistant", "content": reply},
        ],
        "provenance": {
            "model_fingerprint": model, "seed": config.seed, "question": row["id"],
            "sample": row["sample"], "temperature": config.sampler.temperature,
            "tokens": row["tokens"], "checks_passed": active(config.filters),
        },
    }  # fmt: skip


def run(config: SampleConfig, workdir: Path) -> None:
    """Writes answers.jsonl, sft/00000.jsonl and so on, report.md and summary.json.

    Raises:
      ValueError: beside what the sources and the model raise: too few questions or rows to mix in,
        an evaluation question among them, or no sample that is fit.
    """
    check_writable(workdir)
    model = fingerprint(resolve(config.model))
    request = _request(config, model)
    check_request(workdir, request)
    with (
        sharding.use(**dataclasses.asdict(config.mesh)) as mesh,
        closing(Rewarder(config.reward, learned={})) as rewarder,
    ):
        data = tasks.load_task(config.task)
        for note in data.notes:
            print(note, flush=True)
        asked = list(_questions(config, data))
        domains = {problem.id: name for name, problem in asked}
        evaluation = evaluation_questions(config.task, data)
        _check_disjoint(asked, evaluation)
        mixture = Mixture(config, evaluation)
        here = Exam(config, mesh, rewarder, [problem for _, problem in asked], stream="sample")
        write_request(workdir, request)
        here.write_questions(workdir / "questions.jsonl")
        if data.report:
            told = json.dumps(data.report, ensure_ascii=False, indent=1)
            (workdir / "data_report.json").write_text(told + "\n")
        answers = workdir / "answers.jsonl"
        fit = lambda row: not row["rejected_by"]
        ask(here, answers, finish=_Finisher(config, here, domains), counts=fit, shown="yield")
    tally = Tally(config, sorted({*domains.values()}))
    with ShardWriter(workdir / "sft", rows=config.shard_rows) as writer:
        for rows in _by_question(answers, here):
            for row in tally.kept(rows):
                writer.write(_training_row(row, config, model))
        for row in mixture.rows(writer.written, here.examiner.tokenizer):
            writer.write(row)
    decontamination.check_not_planted(workdir / "sft", evaluation, n=None)
    _tell(config, workdir, here, tally, mixture)
    if not tally.total("kept"):
        raise ValueError(
            f"none of {tally.total('sampled')} samples is fit; {workdir / 'report.md'} tells which "
            "filters reject them"
        )


def _tell(config: SampleConfig, workdir: Path, here: Exam, tally: Tally, mixture: Mixture) -> None:
    """Writes report and summary, and says the yields."""
    told, composition = tally.told(), {**tally.composition(), **mixture.composition}
    known, s = facts(), config.sampler
    report = write_sample_report(
        workdir, title=f"Samples of {'/'.join(Path(config.model).parts[-2:])}",
        domains=composition, tallies=told, mixture=mixture.told, examples=tally.examples,
        level=config.level,
        facts={
            "model": config.model, "samples per question": config.samples,
            "kept of a question, at most": config.keep, "preferred": config.prefer,
            "temperature": s.temperature, "top-p": s.top_p,
            "max new tokens": config.max_new_tokens, "template": config.prompt.template,
            "examples shown": len(config.prompt.examples),
            "filters": dataclasses.asdict(config.filters), "seed": config.seed,
            "device": known["device_kind"],
        },
    )  # fmt: skip
    counts = {
        name: tally.total(name) for name in ("sampled", "kept", "rejected", "surplus", "duplicates")
    }
    write_summary(
        workdir,
        {
            "pipeline": config.pipeline, "config": flatten(config), "seed": config.seed, **known,
            "counts": counts, "domains": told, "composition": composition,
            "mixture": mixture.told, "seconds": here.phases,
            "tokens": {"sampled": tokens_sampled(workdir / "answers.jsonl")},
            "peak_memory_bytes": peak_memory_bytes(),
        },
    )  # fmt: skip
    for name, its in told.items():
        print(
            f"{name}: {its['kept']:,} kept of {its['sampled']:,} sampled, {its['fit']:,} fit, "
            f"yield {its['yield']['mean']:.3f}",
            flush=True,
        )
    rows = sum(its["samples"] for its in composition.values())
    print(f"{rows:,} training rows in {workdir / 'sft'}, report in {report}", flush=True)
