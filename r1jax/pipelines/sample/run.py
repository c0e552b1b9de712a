"""Rejection sampling: a checkpoint's completions, judged, filtered and mixed into training rows.

DeepSeek-R1 (arXiv:2501.12948, section 2.3.3): several samples a prompt from the checkpoint of the
first RL stage, correct and readable ones kept, about 600k; and about 200k rows that are no
reasoning. Completions are stored as they come, and a killed run goes on where it stopped; run again
with another `keep`, `prefer` or `mixture`, it chooses anew from those that are there.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from r1jax.config import UserError, flatten
from r1jax.data.files.jsonl import iter_jsonl
from r1jax.data.rows.filters import active, rejections
from r1jax.data.rows.training_rows import ShardWriter
from r1jax.data.tasks import decontamination, tasks
from r1jax.data.tasks.decontamination import Evaluation
from r1jax.data.tasks.evaluation_questions import evaluation_questions
from r1jax.data.tasks.problems import Problem
from r1jax.data.tasks.selection import drawn
from r1jax.exams.job import Job, batches_of, model_fingerprint, tell_task
from r1jax.exams.run import ANSWERS, Exam, ask, open_exam, tokens_sampled
from r1jax.pipelines.sample.config import MixtureConfig, SampleConfig
from r1jax.pipelines.sample.mixture import Mixture
from r1jax.pipelines.sample.tally import Tally
from r1jax.reports.sampling import write_sample_report
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


def _check_disjoint(questions: list[Problem], evaluation: Evaluation) -> None:
    """Checks, before any work, that no question is an evaluation question."""
    index = evaluation.indexed(n=None)
    hits = decontamination.find_hits({p.id: p.question for p in questions}, index, n=None)
    if hits:
        raise UserError(
            f"task: {len(hits)} training questions are evaluation questions, first {hits[0].id}, "
            f"which is {hits[0].evaluation_id} of {hits[0].evaluation_set}"
        )


def _request(config: SampleConfig) -> dict[str, Any]:
    """What the answers are a function of: how they are chosen and mixed later changes none."""
    request = dataclasses.replace(
        config, keep=1, prefer="first", mixture={}, shard_rows=1, level=0.5
    )
    return {
        **flatten(request),
        "files_sha256": tasks.files_digest(config.task),
        "model_fingerprint": model_fingerprint(config.model),
    }


def _by_question(config: SampleConfig, path: Path, questions: list[Problem]) -> Iterator[list[Row]]:
    """Yields the sampled rows of question after question; a batch of them is held at a time."""
    rows = iter_jsonl(path)
    for batch in batches_of(questions, config.batch):
        samples_of: dict[str, list[Row]] = {question.id: [] for question in batch}
        for row in itertools.islice(rows, len(batch) * config.samples):
            samples_of[row["id"]].append(row)
        for samples in samples_of.values():
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
            "model_fingerprint": model,
            "seed": config.seed,
            "question": row["id"],
            "sample": row["sample"],
            "temperature": config.sampler.temperature,
            "tokens": row["tokens"],
            "checks_passed": active(config.filters),
        },
    }


def _is_fit(row: Row) -> bool:
    return not row["rejected_by"]


def run(config: SampleConfig, workdir: Path) -> None:
    """Writes answers.jsonl, sft/00000.jsonl and so on, report.md and summary.json.

    Raises:
      UserError: if there are too few questions or rows to mix in, an evaluation question is among
        them, no sample is fit, or a source or the model cannot be read.
    """
    job = Job(config, workdir, _request)
    data = tasks.load_task(config.task)
    pairs = list(_questions(config, data))
    questions, domains = [p for _, p in pairs], {p.id: domain for domain, p in pairs}
    evaluation = evaluation_questions(config.task, data)
    _check_disjoint(questions, evaluation)
    mixture = Mixture(config, evaluation)
    with open_exam(config, questions, name=config.pipeline, preferences={}) as exam:
        job.begin()
        exam.write_questions(workdir / "questions.jsonl")
        tell_task(data, workdir)
        fields = exam.question_fields()

        def finished(row: Row) -> Row:
            answer = {**row, **fields[row["id"]], "domain": domains[row["id"]]}
            return {**answer, "rejected_by": list(rejections(answer, config.filters))}

        ask(exam, job, finish=finished, counts=_is_fit, shown="yield")
    tally = Tally(config, sorted({*domains.values()}))
    with ShardWriter(workdir / "sft", rows=config.shard_rows) as writer:
        for rows in _by_question(config, workdir / ANSWERS, questions):
            for row in tally.kept(rows):
                writer.write(_training_row(row, config, job.request["model_fingerprint"]))
        for row in mixture.rows(writer.written, exam.asker.tokenizer):
            writer.write(row)
    decontamination.check_not_planted(workdir / "sft", evaluation, n=None)
    _report(job, exam, tally, mixture)
    if not tally.total("kept"):
        raise UserError(
            f"none of {tally.total('sampled')} samples is fit; {workdir / 'report.md'} tells which "
            "filters reject them"
        )


def _report(job: Job[SampleConfig], exam: Exam, tally: Tally, mixture: Mixture) -> None:
    """Writes report and summary, and prints the yields."""
    config, workdir = job.config, job.workdir
    tallies, composition = tally.by_domain(), {**tally.composition(), **mixture.composition}
    counted = ("sampled", "kept", "rejected", "surplus", "duplicates")
    summary = job.summarize(
        {
            "counts": {name: tally.total(name) for name in counted},
            "domains": tallies,
            "composition": composition,
            "mixture": mixture.parts_read,
            "seconds": exam.phases,
            "tokens": {"sampled": tokens_sampled(workdir / ANSWERS)},
        }
    )
    report = write_sample_report(
        workdir,
        title=f"Samples of {'/'.join(Path(config.model).parts[-2:])}",
        domains=composition,
        tallies=tallies,
        mixture=mixture.parts_read,
        examples=tally.examples,
        level=config.level,
        facts={
            "model": config.model,
            "samples per question": config.samples,
            "kept of a question, at most": config.keep,
            "preferred": config.prefer,
            "temperature": config.sampler.temperature,
            "top-p": config.sampler.top_p,
            "max new tokens": config.max_new_tokens,
            "template": config.prompt.template,
            "examples shown": len(config.prompt.examples),
            "filters": dataclasses.asdict(config.filters),
            "seed": config.seed,
            "device": summary["device_kind"],
        },
    )
    for name, counts in tallies.items():
        print(
            f"{name}: {counts['kept']:,} kept of {counts['sampled']:,} sampled, "
            f"{counts['fit']:,} fit, yield {counts['yield']['mean']:.3f}",
            flush=True,
        )
    rows = sum(part["samples"] for part in composition.values())
    print(f"{rows:,} training rows in {workdir / 'sft'}, report in {report}", flush=True)
