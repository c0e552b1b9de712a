"""Checks that no evaluation question is in a training file, and stops the run if one is.

The paper takes 10-grams of its evaluation sets out of its training data (DeepSeek-R1,
arXiv:2501.12948v2, D.1). Each pipeline that makes data does so with what it knows; this one knows
all exams of a run and all of its files.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from r1jax.config import Count, Size, UserError
from r1jax.data.files.files import read_rows
from r1jax.data.rows.preferences import pair_of, turns_of_user
from r1jax.data.rows.training_rows import questions_of
from r1jax.data.tasks import decontamination
from r1jax.data.tasks.splits import SourceConfig, each, splits_of
from r1jax.data.tasks.tasks import TaskConfig, load_task, own_texts
from r1jax.io.disk import write_json
from r1jax.io.summary import check_writable, write_run_summary


@dataclasses.dataclass(frozen=True)
class ExamConfig:
    """Questions of an exam.

    Attributes:
      source: where they come from.
      split: of the source.
      first: how many, from the first; at least 1.
    """

    source: SourceConfig
    split: Literal["validation", "test", "ood"]
    first: Size


@dataclasses.dataclass(frozen=True)
class ContaminationConfig:
    """Which questions are looked for, and where.

    Attributes:
      training: files, or folders of files, by name: training rows, pairs of replies, or other rows
        with a `question` (labelled replies).
      tasks: what RL asks, by name; all training questions that `load_task` leaves.
      exams: by name.
      n: words in a row that no training question may share with an exam's text; None looks for
        equal questions alone.
    """

    pipeline: Literal["contamination"]
    training: dict[str, str]
    tasks: dict[str, TaskConfig]
    exams: dict[str, ExamConfig]
    n: Count | None

    def __post_init__(self):
        twice = self.training.keys() & self.tasks.keys()
        if twice:
            raise UserError(f"training and tasks share the names {sorted(twice)}")
        if not self.training or not self.exams:
            raise UserError(
                f"training {list(self.training)}, exams {list(self.exams)}: wanted some of both"
            )


def _questions(path: str) -> Iterator[tuple[str, str]]:
    """Yields "FILE:ROW" and what is asked there, question by question."""
    for where, row in read_rows(Path(path), "jsonl"):
        if "messages" in row:
            questions = questions_of(row)
        elif isinstance(row.get("question"), str):
            questions = turns_of_user(row["question"])
        elif "chosen" in row:
            questions = turns_of_user(pair_of(row, where)[0])
        else:
            raise UserError(
                f"{where}: got the fields {sorted(row)}, wanted messages, question or chosen"
            )
        yield from ((where, question) for question in questions)


def _training(config: ContaminationConfig) -> Iterator[tuple[str, Iterator[tuple[str, str]]]]:
    """Yields the name of each file and task, and what is asked there, with its place."""
    for name, path in config.training.items():
        yield name, _questions(path)
    for name, task in config.tasks.items():
        problems = each(load_task(task).splits["train"])
        yield name, ((problem.id, problem.question) for problem in problems)


def _evaluation(config: ContaminationConfig) -> decontamination.Evaluation:
    texts, questions = {}, {}
    for name, exam in config.exams.items():
        split = splits_of(exam.source).get(exam.split, [])
        if not 1 <= exam.first <= len(split):
            raise UserError(
                f"exams.{name}: first {exam.first}: {len(split)} questions in {exam.split}"
            )
        own, problems = own_texts(exam.source), [split[i] for i in range(exam.first)]
        texts[name] = {p.id: own.get(p.id, p.question) for p in problems}
        questions[name] = {p.id: p.question for p in problems if p.id in own}
    return decontamination.Evaluation(texts, questions)


def run(config: ContaminationConfig, workdir: Path) -> None:
    """Writes results.json: questions looked through by file, and what they meet.

    Raises:
      UserError: if an evaluation question is in a training file; names file, row and exam.
    """
    check_writable(workdir)
    evaluation = _evaluation(config)
    index = evaluation.indexed(n=config.n)
    counts, hits = {}, []
    for name, questions in _training(config):
        counts[name] = 0
        for where, question in questions:
            counts[name] += 1
            meetings = decontamination.find_hits({where: question}, index, n=config.n)
            hits += [{"file": name, **hit._asdict()} for hit in meetings]
    results = {
        "n": config.n,
        "questions": counts,
        "evaluation": {name: len({*texts.values()}) for name, texts in evaluation.said.items()},
        "meetings": len(hits),
        "first": _short(hits[:20], config.training),
    }
    write_json(workdir / "results.json", results, indent=1)
    if hits:
        first = hits[0]
        raise UserError(
            f"{first['id']}: is {first['evaluation_id']} of the exam {first['evaluation_set']!r}, "
            f"the first of {len(hits)} evaluation questions in training files: "
            f"{workdir / 'results.json'}"
        )
    write_run_summary(workdir, config, {"counts": counts})
    looked = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    print(f"no evaluation question among {looked}", flush=True)


def _short(hits: list[dict[str, Any]], files: Mapping[str, str]) -> list[dict[str, Any]]:
    """Hits with the names of files alone: a result does not say where the run lies."""
    return [
        {**hit, "id": Path(hit["id"]).name if hit["file"] in files else hit["id"]} for hit in hits
    ]
