"""Sums of the synthetic world: problems in two languages, and the splits they belong to.

In English or Chinese (half each):
  chain    from a digit, apply 3-6 operations (+1..+9, -1..-9, *3, *7, *9; 7-8 in the "ood" split)
           from left to right, keeping the last digit only; a step reads "7*3≡1"
  search   which of 4-6 digits (7-8 in "ood") has a given last digit after one such operation
Splits "train" (90%), "validation" (5%), "test" (5%) and "ood" are disjoint: a checksum of the
values that a solution meets belongs to exactly one of the first three, whatever the language, the
order of a search's digits and the spelling of an operation (+7 and -3 meet the same values); ood
problems are longer than any other. How the corpus answers them: `data.world.writing`.
"""

import dataclasses
import random
import zlib
from typing import Literal

from r1jax.config import UserError
from r1jax.data.tasks.problems import Problem

Split = Literal["train", "validation", "test", "ood"]

Operation = tuple[str, int]
OPERATIONS: list[Operation] = [
    *(("+", n) for n in range(1, 10)),
    *(("-", n) for n in range(1, 10)),
    *(("*", n) for n in (3, 7, 9)),
]


def apply(value: int, operation: Operation) -> int:
    """The last digit of value (operation)."""
    sign, n = operation
    return (value + n if sign == "+" else value - n if sign == "-" else value * n) % 10


@dataclasses.dataclass(frozen=True)
class Chain:
    """A digit, and operations to apply one after the other, keeping the last digit."""

    start: int
    operations: tuple[Operation, ...]

    @property
    def answer(self) -> int:
        value = self.start
        for operation in self.operations:
            value = apply(value, operation)
        return value

    @property
    def stratum(self) -> str:
        return f"chain{len(self.operations)}"

    def question(self, language: str) -> str:
        listed = " ".join(f"{sign}{n}" for sign, n in self.operations)
        if language == "en":
            return f"from {self.start} go {listed}, last digit?"
        return f"从{self.start}起 {listed}，个位？"


@dataclasses.dataclass(frozen=True)
class Search:
    """Which of `numbers`, distinct digits, gives `target` by `operation`? Exactly one does."""

    numbers: tuple[int, ...]
    operation: Operation
    target: int

    @property
    def answer(self) -> int:
        return next(n for n in self.numbers if apply(n, self.operation) == self.target)

    @property
    def stratum(self) -> str:
        return f"search{len(self.numbers)}"

    def question(self, language: str) -> str:
        listed = " ".join(map(str, self.numbers))
        sign, n = self.operation
        if language == "en":
            return f"which of {listed} {sign}{n} ends in {self.target}?"
        return f"{listed}中哪个{sign}{n}个位是{self.target}？"


def _values(problem: Chain | Search) -> tuple:
    """What a solution meets: a chain's values in turn; each digit of a search with its result."""
    if isinstance(problem, Chain):
        values = [problem.start]
        for operation in problem.operations:
            values.append(apply(values[-1], operation))
        return tuple(values)
    tries = sorted((n, apply(n, problem.operation)) for n in problem.numbers)
    return (*tries, problem.target)


def _split_of(problem: Chain | Search) -> Split:
    checksum = zlib.crc32(repr(_values(problem)).encode()) % 100
    return "train" if checksum < 90 else "validation" if checksum < 95 else "test"


def draw_operation(rng: random.Random) -> Operation:
    """Draws an operation."""
    # every sign equally often: multiplication is what makes order matter
    sign = rng.choice("+-*")
    return rng.choice([o for o in OPERATIONS if o[0] == sign])


def _chain(rng: random.Random, n_operations: int) -> Chain:
    return Chain(rng.randint(0, 9), tuple(draw_operation(rng) for _ in range(n_operations)))


def _search(rng: random.Random, n_numbers: int) -> Search:
    numbers, operation = tuple(rng.sample(range(10), n_numbers)), draw_operation(rng)
    return Search(numbers, operation, apply(rng.choice(numbers), operation))


def draw(rng: random.Random, split: Split, family: str) -> Chain | Search:
    """Draws a problem of a split: "chain" or "search"."""
    while True:
        if family == "chain":
            problem = _chain(rng, rng.choice((7, 8) if split == "ood" else (3, 4, 5, 6)))
        else:
            problem = _search(rng, rng.choice((7, 8) if split == "ood" else (4, 5, 6)))
        if split == "ood" or _split_of(problem) == split:
            return problem


def expression(start: int, operations: tuple[Operation, ...]) -> str:
    """A sum before it is done: "7+5*3"."""
    return str(start) + "".join(f"{sign}{n}" for sign, n in operations)


class WorldSource:
    """Problems of one split; problem `index` is a function of (seed, split, index).

    Ids are world/SEED:SPLIT-INDEX; sources that differ in `search_share` alone share them, for they
    share most of their questions.

    Args:
      split: which of the disjoint splits.
      size: how many problems.
      seed: of the problems; independent of the corpus's.
      search_share: share of search problems; the others are chains.
    """

    def __init__(self, split: Split, *, size: int, seed: int, search_share: float):
        if size < 1 or not 0 <= search_share <= 1:
            raise UserError(
                f"world, {split}: got size {size} and search_share {search_share}, wanted a size "
                "of at least 1 and a share within 0..1"
            )
        self.split: Split = split
        self.size, self.seed, self.search_share = size, seed, search_share

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Problem:
        rng = random.Random(f"problem {self.seed} {self.split} {index}")
        language = rng.choice(("en", "zh"))
        problem = draw(rng, self.split, "search" if rng.random() < self.search_share else "chain")
        return Problem(
            id=f"world/{self.seed}:{self.split}-{index}",
            question=problem.question(language),
            answer=str(problem.answer),
            stratum=problem.stratum,
            subject="",
            kind="maths",
            reference={},
        )
