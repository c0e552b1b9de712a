"""What a task yields, and the order in which training sees it."""

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

import grain

from r1jax.config import UserError


class Problem(NamedTuple):
    """A question whose answer can be checked.

    Attributes:
      id: unique among all sources of a run.
      question: as the user would put it, without a template.
      answer: the reference, for a person; never empty.
      stratum: difficulty label, a row of the tables; "" for none.
      subject: the same for the field of knowledge.
      kind: which judge compares answers with it, a key of `rewards.judge.KINDS`.
      reference: what that judge needs beside the answer, as JSON has it: options, tests, names.
    """

    id: str
    question: str
    answer: str
    stratum: str
    subject: str
    kind: str
    reference: Mapping[str, Any]


@runtime_checkable
class ProblemSource(Protocol):
    """Problems by index; the same index gives the same problem, always."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Problem: ...


def question_digest(question: str) -> str:
    """Returns the sha256 of a question's text (UTF-8) in hex, to tell later that it changed."""
    return hashlib.sha256(question.encode()).hexdigest()


def batch_indices(n: int, *, seed: int, step: int, batch: int) -> list[int]:
    """Returns which of n problems a step sees, a pure function, so a resumed run is the same run.

    Epochs follow each other without a gap, each a new permutation of all n; a batch may straddle
    two of them.

    Args:
      n: problems.
      seed: 0 to 2**32 - 1.
      step: from 0.
      batch: problems per step.

    Raises:
      UserError: if a count is below 1, or step or seed out of range.
    """
    if n < 1 or batch < 1 or step < 0:
        raise UserError(f"got n {n}, batch {batch}, step {step}, wanted n, batch >= 1, step >= 0")
    order = grain.MapDataset.range(n).shuffle(seed=seed).repeat()
    # grain types its items as optional for the sake of filters; there are none here
    return [cast(int, order[position]) for position in range(step * batch, (step + 1) * batch)]
