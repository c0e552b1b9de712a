"""Measures a model on everything the stages of R1 change: a column of the paper's stage table.

DeepSeek-R1 (arXiv:2501.12948v2, table 3) follows its checkpoints over reasoning, instruction
following, general tasks and preferences. Here named exams are asked together; each is a row of the
table, and the completions of one of them also show form: format, readability, language.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r1jax.config import UserError, flatten
from r1jax.data.files.files import add_to_digest
from r1jax.data.files.jsonl import read_jsonl
from r1jax.data.tasks.problems import Problem
from r1jax.data.tasks.splits import splits_of
from r1jax.exams.job import Job, model_fingerprint
from r1jax.exams.results import right
from r1jax.exams.run import ANSWERS, ask, open_exam
from r1jax.io.disk import write_json
from r1jax.pipelines.assess.config import AssessConfig, AssessExam
from r1jax.pipelines.assess.measures import Row, check_measure, measured
from r1jax.reports import page
from r1jax.reports.markdown import span

__all__ = ["AssessConfig", "AssessExam", "run"]


def _questions(config: AssessConfig) -> dict[str, list[Problem]]:
    """Returns those of each exam, its name before their ids: a question may be in two exams."""
    questions = {}
    for name, exam in config.exams.items():
        split = splits_of(exam.source).get(exam.split, [])
        if len(split) < exam.first:
            raise UserError(
                f"exams.{name}: first {exam.first}: only {len(split)} questions in {exam.split}"
            )
        problems = [split[i] for i in range(exam.first)]
        for problem in problems:
            check_measure(name, exam.measure, problem)
        questions[name] = [p._replace(id=f"{name}: {p.id}") for p in problems]
    return questions


def _request(config: AssessConfig) -> dict[str, Any]:
    digest = hashlib.sha256()
    for _, exam in sorted(config.exams.items()):
        files = exam.source.files
        for file in (files.train, files.test) if files else ():
            if file is not None:
                add_to_digest(digest, file.place, file.format)
    models = {"": config.model} | {k: p.model for k, p in sorted(config.preferences.items())}
    return {
        **flatten(dataclasses.replace(config, level=0.5)),
        "questions_sha256": digest.hexdigest(),
        "model_fingerprints": {name: model_fingerprint(model) for name, model in models.items()},
    }


def run(config: AssessConfig, workdir: Path) -> None:
    """Writes answers.jsonl, results.json, report.md and summary.json; a killed run goes on."""
    job = Job(config, workdir, _request)
    questions = _questions(config)
    everything = [p for problems in questions.values() for p in problems]
    exam_of = {p.id: name for name, problems in questions.items() for p in problems}
    with open_exam(config, everything, name=config.name, preferences=config.preferences) as exam:
        job.begin()
        fields = exam.question_fields()

        def finished(row: Row) -> dict[str, Any]:
            return {**row, "exam": exam_of[row["id"]], **fields[row["id"]]}

        ask(exam, job, finish=finished, counts=right, shown="right")
    rows = read_jsonl(workdir / ANSWERS)
    results = measured(rows, config)
    write_json(workdir / "results.json", results, indent=1)
    job.summarize(
        {
            "seconds": exam.phases,
            "tokens": {"sampled": sum(row["tokens"] for row in rows)},
            "results": results,
        }
    )
    _write_report(config, results, workdir)
    columns = ", ".join(f"{name} {span(column)}" for name, column in results["columns"].items())
    print(f"{config.name}: {columns}", flush=True)


def _write_report(config: AssessConfig, results: dict[str, Any], workdir: Path) -> None:
    body = [
        [name, span(column), f"{column['n']:,}", _groups(results["by_stratum"][name])]
        for name, column in results["columns"].items()
    ]
    blocks = [
        page.table(["measure", "mean", "questions", "by stratum"], body),
        f"In brackets the {config.level:.0%} interval over questions. {results['answers']:,} "
        f"replies, {results['errors']} not judged, {results['truncation']:.1%} cut off, "
        f"{results['mean_length']:.1f} tokens on average in {config.form}.",
    ]
    page.write_page(workdir, config.name, blocks)


def _groups(strata: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in strata.items())
