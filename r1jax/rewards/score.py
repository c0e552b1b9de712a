"""What a reward says of one completion."""

from typing import NamedTuple


class Score(NamedTuple):
    """A reward with its parts.

    Attributes:
      total: what the learner gets, in reward units.
      parts: unweighted values by name, such as {"accuracy": 1.0, "format": 0.0}.
      reason: why, for a person: "accuracy 1: 42 equals 42; format 0: no <think>".
    """

    total: float
    parts: dict[str, float]
    reason: str
