"""What judges and rewards say of one completion."""

from typing import NamedTuple


class Verdict(NamedTuple):
    """What a judge says of one answer.

    Attributes:
      value: 0 (wrong) to 1 (right); programs may earn the fraction of their tests.
      reason: why, for a person: "42 equals 42".
      error: the judge failed (crash, time, memory): `value` says nothing then, it is 0.
    """

    value: float
    reason: str
    error: bool


def wrong(reason: str) -> Verdict:
    """A verdict of 0."""
    return Verdict(0.0, reason, False)


def failed(reason: str) -> Verdict:
    """No verdict: the judge could not tell."""
    return Verdict(0.0, reason, True)


class Score(NamedTuple):
    """A reward with its parts.

    Attributes:
      total: what the learner gets, in reward units.
      parts: unweighted values by name, such as {"accuracy": 1.0, "format": 0.0}; what a reward
        model was not asked, or could not judge, is not among them.
      reason: why, for a person: "accuracy 1: 42 equals 42; format 0: no <think>".
      error: the judge failed, so that `total` says nothing; the reason says why.
      answer: the one that was judged; None where the completion gives none.
    """

    total: float
    parts: dict[str, float]
    reason: str
    error: bool
    answer: str | None
