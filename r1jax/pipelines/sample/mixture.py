"""Training rows of others, mixed in beside the sampled ones."""

from collections.abc import Iterator
from typing import Any

from r1jax.config import UserError
from r1jax.data.rows.training_rows import iter_training_rows, replies_of, rounds_of
from r1jax.data.tasks import decontamination
from r1jax.data.tasks.decontamination import Evaluation
from r1jax.data.tasks.selection import drawn, mixture_sizes, repeated
from r1jax.pipelines.sample.config import SampleConfig
from r1jax.text.tokenizer import Tokenizer

Row = dict[str, Any]


def _rows(path: str, name: str) -> list[Row]:
    """Returns the rows of a part; raises UserError, naming file and line, where two have one id."""
    rows: dict[str, Row] = {}
    for where, row in iter_training_rows(path):
        if row["id"] in rows:
            raise UserError(f"mixture.{name}: {where}: id {row['id']!r} is an earlier row's too")
        rows[row["id"]] = row
    return list(rows.values())


class Mixture:
    """The rows of `config.mixture`, without those that hold an evaluation question.

    `config.task.decontamination` says which questions count as the same; None: equal ones alone.

    Args:
      config: of the run.
      evaluation: the evaluation questions.

    Attributes:
      parts_read: by name, the count of `rows` read, of `contaminated` and of `wanted` ones.
      composition: samples, rounds and tokens of what `rows` gave, by name.

    Raises:
      UserError: names the file and line that is no training row, or a part without any.
    """

    def __init__(self, config: SampleConfig, evaluation: Evaluation):
        self.config = config
        self.parts: dict[str, list[Row]] = {}
        self.parts_read: dict[str, dict[str, int]] = {}
        self.composition: dict[str, dict[str, int | float]] = {}
        rule = config.task.decontamination
        for name, part in sorted(config.mixture.items()):
            rows = _rows(part.path, name)
            hits = decontamination.planted(rows, evaluation, n=rule and rule.n)
            out = {hit.id for hit in hits}
            self.parts[name] = [row for row in rows if row["id"] not in out]
            if not self.parts[name]:
                raise UserError(
                    f"mixture.{name}: {part.path}: none of its {len(rows)} rows is left without "
                    "evaluation questions"
                )
            left = len(rows) - len(self.parts[name])
            self.parts_read[name] = {"rows": len(rows), "contaminated": left, "wanted": 0}

    def rows(self, own: int, tokenizer: Tokenizer) -> Iterator[Row]:
        """Yields the rows to write beside `own` sampled ones, and counts them.

        Raises:
          UserError: if a part has too few rows and may not repeat them.
        """
        c = self.config
        for name, wanted in mixture_sizes(
            own, {name: part.share for name, part in c.mixture.items()}
        ).items():
            choose = repeated if c.mixture[name].repeat else drawn
            rows = self.parts[name]
            chosen = choose(len(rows), wanted, seed=c.seed, name=f"mixture.{name}")
            self.parts_read[name]["wanted"] = wanted
            counts = self.composition[name] = {"samples": 0, "rounds": 0.0, "tokens": 0}
            times: dict[int, int] = {}
            for position in chosen:
                row, again = rows[position], times.get(position, 0)
                times[position] = again + 1
                counts["samples"] += 1
                counts["rounds"] += rounds_of(row)
                counts["tokens"] += sum(len(tokenizer.encode(r)) + 1 for r in replies_of(row))
                origin = {**row.get("provenance", {}), "mixed_in_from": row["source"]}
                yield {
                    **row,
                    "id": f"{name}/{row['id']}" + (f"~{again}" if again else ""),
                    "source": name,
                    "provenance": origin,
                }
