"""The splits of one source: its config block, and training, validation and test problems of it."""

import dataclasses
from collections.abc import Iterator, Mapping
from functools import partial

from r1jax.config import Positive, Seed, Share, Size, UserError
from r1jax.data.files.mapping import FileSource, load_problems
from r1jax.data.tasks.problems import Problem, ProblemSource
from r1jax.data.tasks.reasoning_gym import ReasoningGymSource
from r1jax.data.tasks.selection import shuffled
from r1jax.data.world import requests, sums
from r1jax.data.world.requests import RequestSource
from r1jax.data.world.sums import WorldSource

Splits = dict[str, ProblemSource]


@dataclasses.dataclass(frozen=True)
class WorldTask:
    """Problems of the synthetic world (`data.world.sums`).

    Attributes:
      train, validation, test, ood: problems in each split; 0 of ood for none.
      seed: of the problems.
      search_share: share of search problems; the others are chains.
    """

    train: Size
    validation: Size
    test: Size
    ood: Size
    seed: Seed
    search_share: Share


@dataclasses.dataclass(frozen=True)
class FilesTask:
    """Questions in files.

    Attributes:
      train: file of the training questions.
      test: file of the test questions; None leaves the test to other sources. Files are often
        sorted, by subject say, and exams may ask the first of them only, so they are asked in a
        drawn order (`_drawn`): the same in every run, whatever its seed.
      validation: questions held out of `train`, after its filters, drawn likewise; 0 for none.
    """

    train: FileSource
    test: FileSource | None
    validation: Size


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
    train: Size
    validation: Size
    test: Size
    seed: Seed
    options: dict[str, object]


@dataclasses.dataclass(frozen=True)
class RequestsTask:
    """Requests to an assistant of the synthetic world (`data.world.requests`), for reward models.

    Attributes:
      train, validation, test: requests in each split; 0 of the last two for none.
      seed: of the requests.
      kinds: some of `requests.KINDS`.
    """

    train: Size
    validation: Size
    test: Size
    seed: Seed
    kinds: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class SourceConfig:
    """Exactly one kind of source, the others None, and its share of the training problems.

    Attributes:
      weight: share relative to the other sources, above 0; alone it says nothing.
    """

    weight: Positive
    world: WorldTask | None
    files: FilesTask | None
    gym: GymTask | None
    requests: RequestsTask | None

    def __post_init__(self):
        kinds = ("world", "files", "gym", "requests")
        given = [k for k in kinds if getattr(self, k) is not None]
        if len(given) != 1:
            raise UserError(f"wanted exactly one of {', '.join(kinds)}, got {given}")


def each(source: ProblemSource) -> Iterator[Problem]:
    """The problems of a source in order."""
    return (source[i] for i in range(len(source)))


def _world(w: WorldTask) -> Splits:
    sizes: dict[sums.Split, int] = {"train": w.train, "validation": w.validation, "test": w.test}
    if w.ood:
        sizes["ood"] = w.ood
    made = partial(WorldSource, seed=w.seed, search_share=w.search_share)
    return {split: made(split, size=n) for split, n in sizes.items()}


def _drawn(what: str, n: int, count: int) -> list[int]:
    """The `count` of n positions whose sha256 is smallest, in the order of these.

    A larger count draws the same and more, and rows added to a file put few others in.
    """
    return shuffled(n, what)[:count] if count else []


def _files(f: FilesTask) -> Splits:
    train, test = load_problems(f.train), load_problems(f.test) if f.test else []
    if not 0 <= f.validation < len(train):
        raise UserError(
            f"{f.train.path}: {len(train)} questions cannot spare {f.validation} to validate"
        )
    drawn = _drawn("validation", len(train), f.validation)
    out = set(drawn)
    return {
        "train": [problem for i, problem in enumerate(train) if i not in out],
        "validation": [train[i] for i in drawn],
        "test": [test[i] for i in _drawn("test", len(test), len(test))],
    }


def _without(source: ProblemSource, seen: set[str], what: str) -> list[Problem]:
    kept = [p for p in each(source) if p.question not in seen]
    if not kept:
        raise UserError(f"{what}: every question is also in an earlier split")
    return kept


def _gym(g: GymTask) -> Splits:
    made = partial(ReasoningGymSource, g.task, options=g.options)
    train = list(each(made(size=g.train, seed=g.seed)))  # all are met here, and slow to make again
    seen = {p.question for p in each(train)}
    validation = _without(made(size=g.validation, seed=g.seed + 1), seen, f"{g.task}, validation")
    seen |= {p.question for p in validation}
    return {
        "train": train,
        "validation": validation,
        "test": _without(made(size=g.test, seed=g.seed + 2), seen, f"{g.task}, test"),
    }


def _requests(r: RequestsTask) -> Splits:
    sizes: dict[requests.Split, int] = {"validation": r.validation, "test": r.test}
    made = partial(RequestSource, seed=r.seed, kinds=r.kinds)
    held_out: Splits = {split: made(split, size=n) if n else [] for split, n in sizes.items()}
    return {"train": made("train", size=r.train), **held_out}


def splits_of(source: SourceConfig) -> Splits:
    """Returns train, validation, test, and ood where the source has one; lists may be empty.

    Raises:
      UserError: if a file is unreadable or a split cannot be made.
    """
    if source.world is not None:
        return _world(source.world)
    if source.files is not None:
        return _files(source.files)
    if source.gym is not None:
        return _gym(source.gym)
    assert source.requests is not None
    return _requests(source.requests)


def check_ids(made: Mapping[str, Splits]) -> None:
    """Looks for a problem that stands in two sources, or in two splits of one.

    Raises:
      UserError: names the first.
    """
    owner: dict[str, str] = {}
    for name, splits in made.items():
        for split, source in splits.items():
            # where problems are generated one by one, the seed is in every id: the first tells
            for problem in source if isinstance(source, list) else [source[0]]:
                here = f"{name}, {split}"
                if problem.id in owner:
                    raise UserError(
                        f"sources: problem {problem.id} is in {owner[problem.id]} and in {here}"
                    )
                owner[problem.id] = here
