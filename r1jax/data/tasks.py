"""Where a run's questions come from: one config block, one source per split."""

import dataclasses
import hashlib
from pathlib import Path

from r1jax.data.jsonl import load_problems
from r1jax.data.problems import Problem, ProblemSource
from r1jax.data.reasoning_gym import ReasoningGymSource
from r1jax.data.world import WorldSource


@dataclasses.dataclass(frozen=True)
class WorldTask:
    """Problems of the synthetic world (`data.world`).

    Attributes:
      train, validation, test, ood: problems in each split; 0 of ood for none.
      seed: of the problems.
      search_share: share of search problems; the others are chains.
    """

    train: int
    validation: int
    test: int
    ood: int
    seed: int
    search_share: float


@dataclasses.dataclass(frozen=True)
class JsonlTask:
    """Questions in JSON lines, such as GSM8K's files.

    Attributes:
      train, test: paths, .jsonl or .jsonl.gz.
      validation: questions held out from the end of `train`.
      question_field, answer_field: where they stand in a row.
      answer_pattern: regular expression whose group is the answer; "" takes the whole field.
      stratum_field: difficulty label for the tables; "" for none.
    """

    train: str
    test: str
    validation: int
    question_field: str
    answer_field: str
    answer_pattern: str
    stratum_field: str


@dataclasses.dataclass(frozen=True)
class GymTask:
    """A task of reasoning-gym, judged by our own checker.

    Attributes:
      task: its name there.
      train, validation, test: problems in each split, before a question that is also in an earlier
        split is dropped.
      seed: of the problems.
      options: the task's own settings.
    """

    task: str
    train: int
    validation: int
    test: int
    seed: int
    options: dict[str, object]


@dataclasses.dataclass(frozen=True)
class TaskConfig:
    """Exactly one kind of source; the others are None."""

    world: WorldTask | None
    jsonl: JsonlTask | None
    gym: GymTask | None

    def __post_init__(self):
        given = [k for k in ("world", "jsonl", "gym") if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(f"wanted exactly one of world, jsonl, gym, got {given}")


def files_digest(config: TaskConfig) -> str:
    """sha256 of the files that a task reads, to tell on resume that they changed."""
    paths = [config.jsonl.train, config.jsonl.test] if config.jsonl else []
    digest = hashlib.sha256()
    for path in paths:
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()


def _without(source: ProblemSource, seen: set[str], what: str) -> list[Problem]:
    kept = [p for p in (source[i] for i in range(len(source))) if p.question not in seen]
    if not kept:
        raise ValueError(f"{what}: every question is also in an earlier split")
    return kept


def sources(config: TaskConfig) -> dict[str, ProblemSource]:
    """Returns the splits by name: train, validation, test, and ood where the task has one.

    Raises:
      ValueError: if a file is unreadable or a split empty.
    """
    if config.world is not None:
        w = config.world
        sizes = {"train": w.train, "validation": w.validation, "test": w.test}
        sizes |= {"ood": w.ood} if w.ood else {}
        make = lambda split, n: WorldSource(split, size=n, seed=w.seed, search_share=w.search_share)
        return {split: make(split, n) for split, n in sizes.items()}
    if config.jsonl is not None:
        j = config.jsonl
        fields = {
            "question_field": j.question_field, "answer_field": j.answer_field,
            "answer_pattern": j.answer_pattern, "stratum_field": j.stratum_field,
        }  # fmt: skip
        train, test = load_problems(j.train, **fields), load_problems(j.test, **fields)
        if not 0 < j.validation < len(train):
            raise ValueError(
                f"{j.train}: {len(train)} questions cannot spare {j.validation} to validate"
            )
        return {"train": train[: -j.validation], "validation": train[-j.validation :], "test": test}
    assert config.gym is not None
    g = config.gym
    make = lambda offset, n: ReasoningGymSource(
        g.task, size=n, seed=g.seed + offset, options=g.options
    )
    train = make(0, g.train)
    seen = {train[i].question for i in range(len(train))}
    validation = _without(make(1, g.validation), seen, f"{g.task}, validation")
    seen |= {p.question for p in validation}
    return {
        "train": train,
        "validation": validation,
        "test": _without(make(2, g.test), seen, f"{g.task}, test"),
    }
