"""Which of a question's fit completions are learnt from, and which rows are drawn from a pool."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

from r1jax.config import UserError

Row = TypeVar("Row")
Prefer = Literal["first", "shortest"]
Verdict = Literal["kept", "rejected", "duplicate", "surplus"]


def select(rows: Sequence[Mapping[str, Any]], *, keep: int, prefer: Prefer) -> list[Verdict]:
    """Returns what becomes of each of a question's samples.

    Args:
      rows: sampled ones of one question, with `completion`, `tokens` and `rejected_by`, the filters
        that reject it.
      keep: most samples kept.
      prefer: which are kept if more are fit: the first, or the shortest in tokens, among equal ones
        the first.

    Returns:
      "rejected" by a filter; "duplicate" of a fit one before it, letter by letter; "surplus" of
      those that are fit; or "kept".
    """
    verdicts: list[Verdict] = ["rejected"] * len(rows)
    seen: set[str] = set()
    fit = []
    for i, row in enumerate(rows):
        if row["rejected_by"]:
            continue
        if row["completion"] in seen:
            verdicts[i] = "duplicate"
            continue
        seen.add(row["completion"])
        fit.append(i)
    if prefer == "shortest":
        fit.sort(key=lambda i: rows[i]["tokens"])  # stable
    for place, i in enumerate(fit):
        verdicts[i] = "kept" if place < keep else "surplus"
    return verdicts


def filled(rows: Sequence[Row], size: int) -> list[Row]:
    """Returns rows, repeated up to a size: a short last batch then needs no program of its own."""
    return [rows[i % len(rows)] for i in range(size)]


def drawn(n: int, count: int, *, seed: int, name: str) -> list[int]:
    """Returns `count` of n positions without replacement, ascending; a larger count draws the same
    and more.

    Args:
      n: positions there are.
      count: 0 to n.
      seed, name: make the draw.

    Raises:
      UserError: if there are fewer than `count`.
    """
    if not 0 <= count <= n:
        raise UserError(f"{name}: {count} wanted, {n} there")
    return sorted(shuffled(n, f"{seed} {name}")[:count]) if count else []


def shuffled(n: int, name: str) -> list[int]:
    """Returns n positions in the order of the sha256 of "NAME POSITION".

    The first of them are the same for every larger n, but for the new positions among them.
    """

    def digest(position: int) -> bytes:
        return hashlib.sha256(f"{name} {position}".encode()).digest()

    return sorted(range(n), key=digest)


def repeated(n: int, count: int, *, seed: int, name: str) -> list[int]:
    """Returns `count` positions as `drawn`, all n of them over and over where there are too few.

    Raises:
      UserError: if there is none to repeat.
    """
    if count and not n:
        raise UserError(f"{name}: {count} wanted, none there")
    rounds, rest = divmod(count, n) if n else (0, 0)
    return [*list(range(n)) * rounds, *drawn(n, rest, seed=seed, name=name)]


def mixture_sizes(own: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Returns how many rows each part must bring to have its share of all rows, own ones included.

    Args:
      own: rows that are there.
      shares: of the parts, each within 0 to 1, together below 1.
    """
    total = own / (1 - sum(shares.values()))
    return {name: round(total * share) for name, share in shares.items()}
