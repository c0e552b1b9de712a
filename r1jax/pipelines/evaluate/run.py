"""Examines a model as the paper does: k samples a question at temperature 0.6 and top-p 0.95.

DeepSeek-R1 (arXiv:2501.12948, appendix D.1): pass@1 is the mean over the samples, cons@k the
majority's correctness. Answers are stored as they come; a killed run goes on where it stopped.
"""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from r1jax.config import UserError, flatten
from r1jax.data.files.files import add_to_digest
from r1jax.data.files.jsonl import read_jsonl
from r1jax.data.files.mapping import load_problems
from r1jax.data.tasks.problems import Problem, question_digest
from r1jax.data.tasks.splits import splits_of
from r1jax.exams import results as answers
from r1jax.exams.job import Job, model_fingerprint
from r1jax.exams.run import ANSWERS, Exam, ask, open_exam
from r1jax.io.disk import write_json, write_jsonl
from r1jax.pipelines.evaluate.config import EvaluateConfig
from r1jax.reports.exam import write_exam_report
from r1jax.reports.markdown import span
from r1jax.rewards.judge import OPEN


def _questions(config: EvaluateConfig) -> list[Problem]:
    if config.file is not None:
        questions = load_problems(config.file)
    else:
        assert config.source is not None
        splits = splits_of(config.source)
        if config.split not in splits:
            raise UserError(f"split {config.split!r}: the source has {sorted(splits)}")
        source = splits[config.split]
        questions = [source[i] for i in range(min(config.first or len(source), len(source)))]
    if first := next((q for q in questions if q.kind in OPEN), None):
        raise UserError(
            f"{first.id} is of the kind {first.kind!r}, which has no answer to be right about"
        )
    if len(questions) < max(config.first, 1):
        raise UserError(f"first {config.first}: only {len(questions)} questions there")
    return questions[: config.first or None]


def _request(config: EvaluateConfig) -> dict[str, Any]:
    """What the answers are a function of: how they are compared later changes none of them."""
    digest = hashlib.sha256()
    if config.file is not None:
        add_to_digest(digest, config.file.place, config.file.format)
    request = dataclasses.replace(config, compare="", ks=(1,), level=0.5, draws=1)
    return {
        **flatten(request),
        "questions_sha256": digest.hexdigest(),
        "model_fingerprint": model_fingerprint(config.model),
    }


def _other_results(config: EvaluateConfig, digests: dict[str, str]) -> dict[str, Any] | None:
    """Reads the other model's results and checks that they are on the same questions."""
    if not config.compare:
        return None
    path = Path(config.compare) / "results.json"
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        others = results["question_sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"compare: {path} holds no results of an exam: {error!r}") from error
    if odd := sorted(q for q in others.keys() | digests if others.get(q) != digests.get(q)):
        raise UserError(
            f"compare: {path}: {len(odd)} questions are not those of this exam, first {odd[0]}"
        )
    return results


def run(config: EvaluateConfig, workdir: Path) -> None:
    """Writes answers.jsonl, results.json, pass_rates.jsonl, report.md and report.png."""
    job = Job(config, workdir, _request)
    questions = _questions(config)
    digests = {q.id: question_digest(q.question) for q in questions}
    theirs = _other_results(config, digests)
    with open_exam(config, questions, name=config.name, preferences={}) as exam:
        job.begin()
        exam.write_questions(workdir / "questions.jsonl")
        ask(exam, job, finish=dict, counts=answers.right, shown="right")
        rows = read_jsonl(workdir / ANSWERS)
        exam.examiner.vote(rows, questions)
    results = answers.results(rows, ks=config.ks, level=config.level)
    results["question_sha256"] = digests
    write_json(workdir / "results.json", results, indent=1)
    rates = [
        {"id": name, "pass_rate": rate, "question_sha256": digests[name]}
        for name, rate in results["accuracies"].items()
    ]
    write_jsonl(workdir / "pass_rates.jsonl", rates)
    comparison = _compared(config, results, theirs)
    summary = job.summarize(
        {
            "seconds": exam.phases,
            "tokens": {"sampled": sum(row["tokens"] for row in rows)},
            "results": results,
            "comparison": comparison,
        }
    )
    prompts = {q.id: exam.examiner.prompt(q).text for q in questions}
    report = write_exam_report(
        workdir,
        title=f"{config.name}: {'/'.join(Path(config.model).parts[-2:])}",
        results=results,
        comparison=comparison,
        examples={
            name: row and {**row, "prompt": prompts[row["id"]]}
            for name, row in answers.examples(rows).items()
        },
        facts=_facts(config, exam, summary),
    )
    _say(config, results, comparison)
    print(f"report in {report}", flush=True)


def _compared(
    config: EvaluateConfig, ours: dict[str, Any], theirs: dict[str, Any] | None
) -> dict[str, Any] | None:
    if theirs is None:
        return None
    both = ours["accuracies"].keys() & theirs["accuracies"]
    if len(both) < 2:
        print(
            f"compare: only {len(both)} questions were judged in both exams, wanted 2", flush=True
        )
        return None
    return answers.compare(
        ours,
        theirs,
        against=config.compare,
        level=config.level,
        draws=config.draws,
        seed=config.seed,
    )


def _facts(config: EvaluateConfig, exam: Exam, summary: dict[str, Any]) -> dict[str, Any]:
    """The facts of the run for the report."""
    return {
        "model": config.model,
        "samples per question": config.samples,
        "temperature": config.sampler.temperature,
        "top-p": config.sampler.top_p,
        "max new tokens": config.max_new_tokens,
        "template": config.prompt.template,
        "seed": config.seed,
        "device": summary["device_kind"],
        "seconds in this process": {k: round(v, 1) for k, v in exam.phases.items()},
        "tokens sampled in this process": exam.asker.tokens,
    }


def _say(config: EvaluateConfig, results: dict[str, Any], comparison: Any) -> None:
    one, rates = results["pass_at_1"], results["rates"]
    others = "".join(
        f", {name}@{k} {row['mean']:.3f}"
        for name, table in (("pass", results["pass_at"]), ("cons", results["cons_at"]))
        for k, row in table.items()
        if k != "1" and row["mean"] is not None
    )
    shares = ", ".join(f"{name} {value:.3f}" for name, value in rates.items())
    print(f"{config.name}, {results['questions']} questions: pass@1 {span(one)}{others}; {shares}")
    if comparison:
        print(f"against {comparison['against']}: {comparison['difference']:+.3f}", flush=True)
