"""Training problems by how often a model solved them: the too easy and the too hard teach nothing.

A group whose answers are all right, or all wrong, has no advantage. The rates are measured
beforehand, so the filter is a fixed choice of problems and not a schedule.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from r1jax.config import Share, UserError
from r1jax.data.files.jsonl import numbered_jsonl
from r1jax.data.tasks.problems import Problem, question_digest


@dataclasses.dataclass(frozen=True)
class CurriculumConfig:
    """Which problems stay.

    Attributes:
      pass_rates: JSON lines with "id" and "pass_rate", 0 to 1, as an evaluation writes them, and
        "question_sha256" (`problems.question_digest`), which may be missing, to tell that an id
        names another question by now; other fields are not read.
      lowest, highest: rates kept, both included.
      unmeasured: what becomes of problems without a rate.
    """

    pass_rates: str
    lowest: Share
    highest: Share
    unmeasured: Literal["keep", "drop", "error"]

    def __post_init__(self):
        if self.lowest > self.highest:
            raise UserError(f"lowest {self.lowest} is above highest {self.highest}")


class PassRate(NamedTuple):
    """How often a question was solved, 0 to 1, and the sha256 of its text, None if unknown."""

    rate: float
    question_sha256: str | None


def read_pass_rates(path: str | Path) -> dict[str, PassRate]:
    """Returns the rates by problem id.

    Raises:
      UserError: names the line that lacks id or rate, has one out of range, an id of before, or a
        question_sha256 that is none.
    """
    rates: dict[str, PassRate] = {}
    for number, row in numbered_jsonl(Path(path)):
        name, rate, digest = row.get("id"), row.get("pass_rate"), row.get("question_sha256")
        if (
            not isinstance(name, str)
            or isinstance(rate, bool)
            or not isinstance(rate, int | float)
            or not 0 <= rate <= 1
        ):
            raise UserError(
                f"{path}:{number}: got id {name!r}, pass_rate {rate!r}, wanted a text and 0 to 1"
            )
        if name in rates:
            raise UserError(f"{path}:{number}: id {name!r} has a rate already")
        if digest is not None and (
            not isinstance(digest, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", digest)
        ):
            raise UserError(
                f"{path}:{number}: got question_sha256 {digest!r}, wanted 64 hex digits or none"
            )
        rates[name] = PassRate(float(rate), digest and digest.lower())
    return rates


def select(
    problems: Iterable[Problem], rates: Mapping[str, PassRate], config: CurriculumConfig
) -> tuple[list[Problem], dict[str, int]]:
    """Returns the problems kept, and how many were kept, below, above and unmeasured.

    Raises:
      UserError: names the first problem whose question is not the one that was measured; or the
        first without a rate, if that is an error.
    """
    kept, counts = [], {"kept": 0, "below": 0, "above": 0, "unmeasured": 0}
    for problem in problems:
        measured = rates.get(problem.id)
        if measured is None:
            if config.unmeasured == "error":
                raise UserError(f"{config.pass_rates}: no pass rate of {problem.id}")
            counts["unmeasured"] += 1
            stays = config.unmeasured == "keep"
        else:
            rate, digest = measured
            if digest not in (None, question_digest(problem.question)):
                raise UserError(
                    f"{config.pass_rates}: the question of {problem.id} changed since its pass "
                    f"rate was measured, it is {problem.question[:60]!r} now"
                )
            counts["below"] += rate < config.lowest
            counts["above"] += rate > config.highest
            stays = config.lowest <= rate <= config.highest
        if stays:
            kept.append(problem)
    return kept, counts | {"kept": len(kept)}


def summary(report: Mapping[str, Any]) -> str:
    """Returns the counts of all sources in one line."""
    keys = ("kept", "below", "above", "unmeasured")
    kept, below, above, unmeasured = (
        sum(counts[key] for counts in report["sources"].values()) for key in keys
    )
    return (
        f"curriculum: {kept} training problems kept, {below} too hard, {above} too easy, "
        f"{unmeasured} without a pass rate"
    )
