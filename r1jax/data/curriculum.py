"""Training problems by how often a model solved them: the too easy and the too hard teach nothing.

A group whose answers are all right, or all wrong, has no advantage. The rates are measured
beforehand, so the filter is a fixed choice of problems and not a schedule.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from r1jax.data.jsonl import iter_jsonl
from r1jax.data.problems import Problem


@dataclasses.dataclass(frozen=True)
class CurriculumConfig:
    """Which problems stay.

    Attributes:
      pass_rates: JSON lines with "id" and "pass_rate", 0 to 1, as an evaluation writes them; other
        fields are not read.
      lowest, highest: rates kept, both included.
      unmeasured: what becomes of problems without a rate.
    """

    pass_rates: str
    lowest: float
    highest: float
    unmeasured: Literal["keep", "drop", "error"]

    def __post_init__(self):
        if not 0 <= self.lowest <= self.highest <= 1:
            raise ValueError(
                f"got lowest {self.lowest}, highest {self.highest}, wanted 0 <= lowest <= highest "
                "<= 1"
            )


def read_pass_rates(path: str | Path) -> dict[str, float]:
    """Returns the rates by problem id.

    Raises:
      ValueError: names the line that lacks id or rate, has one out of range, or an id of before.
    """
    rates: dict[str, float] = {}
    for number, row in enumerate(iter_jsonl(Path(path)), start=1):
        name, rate = row.get("id"), row.get("pass_rate")
        if (
            not isinstance(name, str)
            or isinstance(rate, bool)
            or not isinstance(rate, int | float)
            or not 0 <= rate <= 1
        ):
            raise ValueError(
                f"{path}:{number}: got id {name!r}, pass_rate {rate!r}, wanted a text and 0 to 1"
            )
        if name in rates:
            raise ValueError(f"{path}:{number}: id {name!r} has a rate already")
        rates[name] = float(rate)
    return rates


def select(
    problems: Iterable[Problem], rates: Mapping[str, float], config: CurriculumConfig
) -> tuple[list[Problem], dict[str, int]]:
    """Returns the problems kept, and how many were kept, below, above and unmeasured.

    Raises:
      ValueError: names the first problem without a rate, if that is an error.
    """
    kept, counts = [], {"kept": 0, "below": 0, "above": 0, "unmeasured": 0}
    for problem in problems:
        rate = rates.get(problem.id)
        if rate is None:
            if config.unmeasured == "error":
                raise ValueError(f"{config.pass_rates}: no pass rate of {problem.id}")
            counts["unmeasured"] += 1
            stays = config.unmeasured == "keep"
        else:
            counts["below"] += rate < config.lowest
            counts["above"] += rate > config.highest
            stays = config.lowest <= rate <= config.highest
        if stays:
            kept.append(problem)
    return kept, counts | {"kept": len(kept)}


def summary(report: Mapping[str, Any]) -> str:
    """Returns the counts of all sources in one line."""
    total = lambda key: sum(counts[key] for counts in report["sources"].values())
    return (
        f"curriculum: {total('kept')} training problems kept, {total('below')} too hard, "
        f"{total('above')} too easy, {total('unmeasured')} without a pass rate"
    )
