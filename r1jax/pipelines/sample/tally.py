"""What became of sampled completions, counted by domain."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from r1jax.data.rows.filters import FILTERS
from r1jax.data.tasks.selection import select
from r1jax.exams.statistics import mean_and_ends
from r1jax.pipelines.sample.config import SampleConfig

Row = dict[str, Any]
_COUNTED = {"kept": "kept", "rejected": "rejected", "duplicate": "duplicates", "surplus": "surplus"}


class Tally:
    """Selects from question after question, and keeps count.

    Args:
      config: of the run.
      domains: all there are.

    Attributes:
      examples: rows to show, under what they are examples of: the first kept one of each domain,
        the first that each filter rejects.
    """

    def __init__(self, config: SampleConfig, domains: Sequence[str]):
        self.config = config
        self.counts = {name: Counter[str]() for name in domains}
        self.first = {name: Counter[str]() for name in domains}
        self.overall = {name: Counter[str]() for name in domains}
        self.shares: dict[str, list[float]] = {name: [] for name in domains}
        self.tokens = dict.fromkeys(domains, 0)
        self._shown: dict[str, Row] = {}

    def kept(self, rows: Sequence[Row]) -> list[Row]:
        """Takes all samples of one question; returns those to learn from."""
        domain, counts = rows[0]["domain"], self.counts[rows[0]["domain"]]
        verdicts = select(rows, keep=self.config.keep, prefer=self.config.prefer)
        for row, verdict in zip(rows, verdicts, strict=True):
            counts[_COUNTED[verdict]] += 1
            self.first[domain].update(row["rejected_by"][:1])
            self.overall[domain].update(row["rejected_by"])
            label = f"kept, {domain}" if verdict == "kept" else None
            if verdict == "rejected":
                label = f"rejected by {row['rejected_by'][0]}"
            if label:
                self._shown.setdefault(label, row)
        kept = [row for row, verdict in zip(rows, verdicts, strict=True) if verdict == "kept"]
        fit = len(rows) - verdicts.count("rejected")
        counts.update(sampled=len(rows), fit=fit, questions=1, answered=int(fit > 0))
        self.shares[domain].append(fit / len(rows))
        self.tokens[domain] += sum(row["tokens"] for row in kept)
        return kept

    @property
    def examples(self) -> list[tuple[str, Row]]:
        return sorted(self._shown.items())

    def total(self, name: str) -> int:
        """A count, summed over the domains."""
        return sum(counts[name] for counts in self.counts.values())

    def by_domain(self) -> dict[str, dict[str, Any]]:
        """Counts by domain; sampled = kept + surplus + duplicates + the sum of rejected."""
        names = ("questions", "answered", "sampled", "fit", "kept", "surplus", "duplicates")
        return {
            domain: {
                **{name: counts[name] for name in names},
                "rejected": {name: self.first[domain][name] for name in FILTERS},
                "rejected_overall": {name: self.overall[domain][name] for name in FILTERS},
                "yield": mean_and_ends(self.shares[domain], level=self.config.level),
            }
            for domain, counts in self.counts.items()
        }

    def composition(self) -> dict[str, dict[str, int | float]]:
        """Samples, rounds and tokens of what was kept, by domain."""
        return {
            domain: {
                "samples": counts["kept"],
                "rounds": float(counts["kept"]),  # one question, one reply
                "tokens": self.tokens[domain],
            }
            for domain, counts in self.counts.items()
        }
