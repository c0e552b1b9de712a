"""Measures a model on everything the stages of R1 change: a column of the paper's stage table.

DeepSeek-R1 (arXiv:2501.12948v2, table 3) follows its checkpoints over reasoning, instruction
following, general tasks and preferences. Here named exams are asked together; each is a row of the
table, and the completions of one of them also tell form: format, readability, language.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import numpy as np

from r1jax import sharding
from r1jax.config import flatten
from r1jax.data.files.files import add_to_digest
from r1jax.data.files.jsonl import read_jsonl
from r1jax.data.rows.readability import readable
from r1jax.data.tasks.problems import Problem
from r1jax.data.tasks.splits import SourceConfig, splits_of
from r1jax.data.world import replies, requests
from r1jax.exams import statistics
from r1jax.exams.asking import check_asking
from r1jax.exams.reward_models import Preference, PreferenceConfig
from r1jax.exams.run import Exam, ask
from r1jax.hub.artifacts import resolve
from r1jax.io.batches import check_request, write_request
from r1jax.io.digests import fingerprint
from r1jax.io.summary import check_writable, facts, peak_memory_bytes, write_summary
from r1jax.model.config import ExecutionConfig
from r1jax.reports.markdown import span
from r1jax.reports.page import markdown_table
from r1jax.rewards.combine import RewardConfig, Rewarder
from r1jax.rewards.judge import OPEN
from r1jax.rewards.parts.format import FORMATS
from r1jax.sampling.config import SamplerConfig
from r1jax.sharding import MeshConfig
from r1jax.text.templates import PromptConfig
from r1jax.text.thought import whole

Row = Mapping[str, Any]
FORM = ("format", "own_format", "readability", "language")


def _whole(row: Row) -> str:
    """A completion with the tag that its prompt opened."""
    return whole(row["completion"], opened=row["opened"])


MEASURES: dict[str, Callable[[Row], float]] = {
    "accuracy": lambda row: float(row["value"] >= 1),
    # the synthetic world knows the truth about its requests
    "content": lambda row: float(
        replies.holds(requests.request_of(row["question"]), replies.final(_whole(row)))
    ),
    "helpfulness": lambda row: replies.helpfulness(row["question"], _whole(row)),
    "safety": lambda row: 1.0 - replies.harmful(row["question"], _whole(row)),
}
OF_REQUESTS = ("content", "helpfulness", "safety")


@dataclasses.dataclass(frozen=True)
class AssessExam:
    """Some questions, and what is measured of the replies.

    Attributes:
      source, split: where they come from.
      first: how many are asked, from the first.
      measure: "accuracy" by the judge; of requests of the synthetic world "content" (whether it is
        right), "helpfulness" (content and style) and "safety" (no harm in thought or reply), which
        are its truth and no reward model; "preference" by the reward models named below.
    """

    source: SourceConfig
    split: Literal["validation", "test", "ood"]
    first: int
    measure: Literal["accuracy", "content", "helpfulness", "safety", "preference"]


@dataclasses.dataclass(frozen=True)
class AssessConfig:
    """How a model is measured.

    Attributes:
      seed: of the sampling.
      name: of the model, for the report.
      model: a directory of ours or of Hugging Face's, a GGUF file, or "package:NAME".
      prompt: how questions are put.
      exams: by name, which is a row of the table.
      form: the exam whose completions tell format, readability and language.
      samples: replies to each question.
      samples_at_once: of these, how many are drawn together, a divisor.
      batch: questions at a time; a multiple of the sampler's streams.
      max_new_tokens: length cap of a reply, in tokens.
      prompt_buckets: prompt lengths that the sampler is compiled for, in tokens.
      reward: judges the replies; its parts `format` and `language` are those that are told. Its
        format is the same for all models that are compared: the layout that readers are to get.
      own_format: the format that this model was trained for, a key of
        `rewards.parts.format.FORMATS`: a row of its own, since R1-Zero is not trained for R1's
        layout.
      preferences: reward models by name; their mean scores are rows of their own, to be held
        against the truth.
      level: nominal coverage of the intervals, between 0 and 1.
    """

    pipeline: Literal["assess"]
    seed: int
    name: str
    model: str
    prompt: PromptConfig
    exams: dict[str, AssessExam]
    form: str
    samples: int
    samples_at_once: int
    batch: int
    max_new_tokens: int
    prompt_buckets: tuple[int, ...]
    sampler: SamplerConfig
    reward: RewardConfig
    own_format: str
    preferences: dict[str, PreferenceConfig]
    level: float
    execution: ExecutionConfig
    mesh: MeshConfig

    def __post_init__(self):
        check_asking(self, learned=self.preferences)
        if self.own_format not in FORMATS:
            raise ValueError(f"own_format: got {self.own_format!r}, wanted one of {list(FORMATS)}")
        if self.form not in self.exams:
            raise ValueError(f"form: got {self.form!r}, wanted one of {sorted(self.exams)}")
        if clash := sorted({*FORM, *self.preferences} & set(self.exams)):
            raise ValueError(f"exams: the names {clash} are those of other rows")
        if not self.preferences and any(e.measure == "preference" for e in self.exams.values()):
            raise ValueError("exams: measure 'preference' wants preferences, got none")
        if few := {k: e.first for k, e in self.exams.items() if e.first < 2}:
            raise ValueError(f"exams: first {few}: an interval needs 2 questions")

    @property
    def measures(self) -> set[str]:
        """The rows of the table that it may fill."""
        exams = {name for name, exam in self.exams.items() if exam.measure != "preference"}
        return {*exams, *FORM, *self.preferences}


def _check_measure(name: str, measure: str, problem: Problem) -> None:
    """Raises if this can never be measured of a reply to it; before anything is sampled."""
    if measure == "accuracy" and problem.kind in OPEN:
        raise ValueError(
            f"exams.{name}: {problem.id} is of the kind {problem.kind!r}, which has no answer to "
            "be right about: wanted another measure than 'accuracy'"
        )
    if measure in OF_REQUESTS:
        try:
            requests.request_of(problem.question)
        except ValueError as error:
            raise ValueError(f"exams.{name}: measure {measure!r}: {problem.id}: {error}") from error


def _questions(config: AssessConfig) -> dict[str, list[Problem]]:
    """Those of each exam, with the exam's name before their ids: a question may be in two."""
    found = {}
    for name, exam in config.exams.items():
        splits = splits_of(exam.source)
        there = splits.get(exam.split, [])
        if len(there) < exam.first:
            raise ValueError(
                f"exams.{name}: first {exam.first}: only {len(there)} questions in {exam.split}"
            )
        asked = [there[i] for i in range(exam.first)]
        for problem in asked:
            _check_measure(name, exam.measure, problem)
        found[name] = [p._replace(id=f"{name}: {p.id}") for p in asked]
    return found


def _request(config: AssessConfig) -> dict[str, Any]:
    digest = hashlib.sha256()
    for _, exam in sorted(config.exams.items()):
        files = exam.source.files
        for file in (files.train, files.test) if files else ():
            if file is not None:
                add_to_digest(digest, file.place, file.format)
    models = {"": config.model} | {k: p.model for k, p in sorted(config.preferences.items())}
    prints = {name: fingerprint(resolve(model)) for name, model in models.items()}
    return {
        **flatten(dataclasses.replace(config, level=0.5)), "questions_sha256": digest.hexdigest(),
        "model_fingerprints": prints,
    }  # fmt: skip


def run(config: AssessConfig, workdir: Path) -> None:
    """Writes answers.jsonl, results.json, report.md and summary.json; a killed run goes on."""
    check_writable(workdir)
    asked = _request(config)
    check_request(workdir, asked)
    questions = _questions(config)
    of = {p.id: (name, p.question) for name, problems in questions.items() for p in problems}
    with sharding.use(**dataclasses.asdict(config.mesh)) as mesh:
        learned = {
            name: Preference(p, how=config.execution, mesh=mesh)
            for name, p in config.preferences.items()
        }
        with closing(Rewarder(config.reward, learned=learned)) as rewarder:
            everything = [p for problems in questions.values() for p in problems]
            here = Exam(config, mesh, rewarder, everything, stream="assess")
            write_request(workdir, asked)
            opened = {p.id: here.examiner.prompt(p).opens_thought for p in everything}

            def finish(row: dict[str, Any]) -> dict[str, Any]:
                name, question = of[row["id"]]
                return {**row, "exam": name, "question": question, "opened": opened[row["id"]]}

            right = lambda row: row["value"] >= 1
            ask(here, workdir / "answers.jsonl", finish=finish, counts=right, shown="right")
    rows = read_jsonl(workdir / "answers.jsonl")
    results = measured(rows, config)
    text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False)
    (workdir / "results.json").write_text(text + "\n")
    write_summary(
        workdir,
        {
            "pipeline": config.pipeline, "config": flatten(config), "seed": config.seed, **facts(),
            "seconds": here.phases, "tokens": {"sampled": sum(row["tokens"] for row in rows)},
            "peak_memory_bytes": peak_memory_bytes(), "results": results,
        },
    )  # fmt: skip
    _write_report(config, results, workdir)
    told = ", ".join(f"{name} {span(told)}" for name, told in results["columns"].items())
    print(f"{config.name}: {told}", flush=True)


def measured(rows: list[dict[str, Any]], config: AssessConfig) -> dict[str, Any]:
    """Returns each measure as a mean over questions with its interval, by stratum and by question.

    An answer whose judge failed counts for no accuracy, one that a reward model could not judge
    for none of its scores; the other measures need neither. Raw scores of reward models, which
    have no bounds, have an interval if they are not all equal.
    """
    kept: dict[str, dict[str, list[tuple[str, float]]]] = {}

    def note(column: str, row: Row, value: float) -> None:
        # a question that was drawn twice is one question
        kept.setdefault(column, {}).setdefault(row["question"], []).append((row["stratum"], value))

    for row in rows:
        exam = config.exams[row["exam"]]
        if exam.measure != "preference" and not (exam.measure == "accuracy" and row["error"]):
            note(row["exam"], row, MEASURES[exam.measure](row))
        if row["exam"] == config.form:
            parts = row["parts"]
            note("format", row, parts["format"])
            note("own_format", row, FORMATS[config.own_format](_whole(row))[0])
            note("language", row, parts["language"])
            note("readability", row, float(readable(row["completion"], parts)))
        for name in [name for name in config.preferences if name in row["parts"]]:
            note(name, row, row["parts"][name])
    columns, strata, by_question = {}, {}, {}
    for column, questions in kept.items():
        means = {q: float(np.mean([v for _, v in told])) for q, told in questions.items()}
        judge = config.preferences.get(column)
        bounded = judge is None or judge.scale == "sigmoid"
        columns[column] = _interval(list(means.values()), config.level, bounded=bounded)
        by_question[column] = {_short_name(q): mean for q, mean in means.items()}
        labels: dict[str, list[float]] = {}
        for q, told in questions.items():
            labels.setdefault(told[0][0], []).append(means[q])
        strata[column] = {k: float(np.mean(v)) for k, v in sorted(labels.items()) if k}
    lengths = [row["tokens"] for row in rows if row["exam"] == config.form]
    return {
        "model": config.name, "columns": columns, "by_stratum": strata,
        "by_question": by_question, "level": config.level,
        "answers": len(rows), "errors": sum(row["error"] for row in rows),
        "truncation": float(np.mean([row["truncated"] for row in rows])),
        "mean_length": float(np.mean(lengths)),
    }  # fmt: skip


def _short_name(question: str) -> str:
    return hashlib.sha256(question.encode()).hexdigest()[:16]


def _interval(values: list[float], level: float, *, bounded: bool) -> dict[str, Any]:
    if len(values) > 1 and (bounded or np.ptp(values) > statistics.ROUNDING):
        bounds = (0.0, 1.0) if bounded else (-math.inf, math.inf)
        told = statistics.mean_interval(np.array(values), level=level, bounds=bounds)
        return {**told._asdict(), "n": len(values)}
    return {"mean": float(np.mean(values)), "low": None, "high": None, "n": len(values)}


def _write_report(config: AssessConfig, results: dict[str, Any], workdir: Path) -> None:
    body = [
        [name, span(told), f"{told['n']:,}", _groups(results["by_stratum"][name])]
        for name, told in results["columns"].items()
    ]
    text = [
        f"# {config.name}",
        "",
        *markdown_table(["measure", "mean", "questions", "by stratum"], body),
        "",
        f"In brackets the {config.level:.0%} interval over questions. {results['answers']:,} "
        f"replies, {results['errors']} not judged, {results['truncation']:.1%} cut off, "
        f"{results['mean_length']:.1f} tokens on average in {config.form}.",
    ]
    (workdir / "report.md").write_text("\n".join(text) + "\n", encoding="utf-8")


def _groups(strata: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in strata.items())
