r"""Cold start: sampled completions become the first rows that R1 is fine-tuned on.

DeepSeek-R1 (arXiv:2501.12948v2, supplement B.3.2) keeps R1-Zero's right and readable samples and
has V3 rewrite them: the thought in the question's language, then a summary with the answer in a
box, no step added. Steps here: filters; evaluation questions out, before the costly part; the
rewriter; equal and nearly equal replies out.
"""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from r1jax.config import UserError, flatten
from r1jax.data.rows.filters import active
from r1jax.data.rows.rewriting import clean
from r1jax.data.rows.training_rows import ShardWriter
from r1jax.data.tasks import decontamination, tasks
from r1jax.data.tasks.decontamination import Evaluation
from r1jax.data.tasks.evaluation_questions import evaluation_questions
from r1jax.exams.job import Job, model_fingerprint
from r1jax.io.progress import Progress
from r1jax.pipelines.cold_start import steps
from r1jax.pipelines.cold_start.config import ColdStartConfig
from r1jax.pipelines.cold_start.rewriter import by_model
from r1jax.pipelines.cold_start.steps import Candidate, Dropped, Steps
from r1jax.reports.cold_start import write_cold_start_report
from r1jax.text.thought import split_completion

__all__ = ["ColdStartConfig", "run"]

SHOWN = 3  # examples of each input, and rows of each reason to drop one


def _request(config: ColdStartConfig) -> dict[str, Any]:
    """What the rows are a function of."""
    inputs = hashlib.sha256()
    for _, given in sorted(config.inputs.items()):
        for path in filter(None, (given.path, given.questions)):
            inputs.update(Path(path).read_bytes())
    model = config.rewriter.model
    return {
        **flatten(config),
        "inputs_sha256": inputs.hexdigest(),
        "files_sha256": config.task and tasks.files_digest(config.task),
        "model_fingerprint": model and model_fingerprint(model.model),
    }


def _evaluation(config: ColdStartConfig) -> Evaluation:
    if config.task is None:
        return Evaluation({}, {})
    return evaluation_questions(config.task, tasks.load_task(config.task))


def _rewritten(job: Job[ColdStartConfig], left: list[Candidate]) -> Iterable[Candidate | Dropped]:
    """Rewrites by rule, or by the model that the config names."""
    rewriter = job.config.rewriter
    if rewriter.model is None:
        return steps.by_rule(left, rewriter)
    thoughts = [
        split_completion(c.row["completion"], opened=c.row["opened"]).reasoning for c in left
    ]
    return by_model(left, [clean(t or "") for t in thoughts], rewriter.model, job)


def _all_steps(
    job: Job[ColdStartConfig], candidates: list[Candidate], evaluation: Evaluation
) -> Steps:
    """Goes through the steps, each shown as it is done."""
    c, taken = job.config, Steps(candidates)
    rule = c.task and c.task.decontamination
    todo = (
        partial(steps.filtered, config=c.filters),
        partial(steps.without_evaluation_questions, evaluation=evaluation, n=rule and rule.n),
        partial(_rewritten, job),
        partial(steps.deduplicated, near=c.near, per_question=c.per_question),
    )
    with Progress("cold_start", start=0, total=len(todo), every=1) as progress:
        for number, step in enumerate(todo, start=1):
            taken.take(step)
            progress.advance(number, read=len(candidates), left=len(taken.left))
    return taken


def _training_row(candidate: Candidate, config: ColdStartConfig, model: str | None) -> dict:
    row = candidate.row
    domain = {"domain": row["domain"]} if "domain" in row else {}
    return {
        "id": f"{candidate.source}/{row['id']}#{row['sample']}",
        "source": candidate.source,
        "messages": [
            {"role": "user", "content": row["question"]},
            {"role": "assistant", "content": candidate.reply},
        ],
        "provenance": {
            "input": candidate.source,
            "question": row["id"],
            "sample": row["sample"],
            **domain,
            "rewriter": config.rewriter.kind,
            "rewriter_fingerprint": model,
            "seed": config.seed,
            "tokens_before": row["tokens"],
            "checks_passed": active(config.filters),
        },
    }


def _shown(label: str, candidate: Candidate) -> dict[str, str]:
    row = candidate.row
    return {
        "label": f"{label}: {candidate.source}, {row['id']}, sample {row['sample']}",
        "question": row["question"],
        "before": row["completion"],
        "after": candidate.reply,
    }


def _examples(taken: Steps) -> list[dict[str, str]]:
    """The first rows kept of each input, and those first dropped for each reason."""
    kept = [
        _shown("kept", candidate)
        for name in taken.read
        for candidate in [c for c in taken.left if c.source == name][:SHOWN]
    ]
    first: dict[str, Dropped] = {}
    for dropped in taken.dropped:
        first.setdefault(dropped.reason, dropped)
    return [*kept, *(_shown(f"dropped, {d.reason}", d.candidate) for d in first.values())]


def run(config: ColdStartConfig, workdir: Path) -> None:
    """Writes sft/00000.jsonl and so on, report.md and summary.json; rewritten.jsonl of a model.

    Raises:
      UserError: if an input lacks something, the directory holds another run, or nothing is left.
    """
    job = Job(config, workdir, _request)
    evaluation = _evaluation(config)
    candidates = [
        candidate
        for name, source in sorted(config.inputs.items())
        for candidate in steps.read_input(name, source)
    ]
    job.begin()
    taken = _all_steps(job, candidates, evaluation)
    with ShardWriter(workdir / "sft", rows=config.shard_rows) as writer:
        for candidate in taken.left:
            writer.write(_training_row(candidate, config, job.request["model_fingerprint"]))
    decontamination.check_not_planted(workdir / "sft", evaluation, n=None)
    by_input = taken.counts()
    report = write_cold_start_report(
        workdir,
        counts=by_input,
        examples=_examples(taken),
        facts={
            "inputs": {name: source.path for name, source in sorted(config.inputs.items())},
            "rewriter": config.rewriter.kind,
            "filters": dataclasses.asdict(config.filters),
            "per question, at most": config.per_question,
            "seed": config.seed,
        },
    )
    total, left = len(candidates), len(taken.left)
    dropped = dict(Counter(d.reason for d in taken.dropped))
    counts = {"read": total, "kept": left, "dropped": dropped}
    job.summarize({"counts": counts, "inputs": by_input})
    if not left:
        raise UserError(f"none of {total} rows is left; {report} tells which step drops them")
    print(f"{left:,} of {total:,} rows in {workdir / 'sft'}, report in {report}", flush=True)
