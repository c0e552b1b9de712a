"""Replies that a model sampled, several a question, and the pairs of them that are judged."""

import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from r1jax.config import UserError
from r1jax.data.files.jsonl import numbered_jsonl
from r1jax.data.rows.preferences import Sees, seen
from r1jax.text.thought import whole

FIELDS = {
    "id": str,
    "sample": int,
    "question": str,
    "completion": str,
    "opened": bool,
    "kind": str,
    "domain": str,
    "tokens": int,
}


class Candidate(NamedTuple):
    """A sampled reply.

    Attributes:
      id: of its question.
      text: in full, with the opening tag where the prompt gave it.
      seen: what a judge sees of it.
      tokens: sampled ones.
    """

    id: str
    sample: int
    question: str
    text: str
    seen: str
    domain: str
    tokens: int


class CandidatePair(NamedTuple):
    """Two different replies to a question; `id` names the question and both samples."""

    id: str
    one: Candidate
    two: Candidate


def _row(row: dict[str, Any], where: str) -> None:
    for name, kind in FIELDS.items():
        value = row.get(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise UserError(
                f"{where}: {name}: got {value!r:.60} in {sorted(row)}, wanted {kind.__name__}"
            )


def read_candidates(
    path: str | Path, *, kinds: tuple[str, ...], sees: Sees
) -> tuple[list[Candidate], int]:
    """Reads sampled rows of some kinds of question.

    Args:
      path: JSON lines as the pipeline "sample" stores them.
      kinds: the kinds of question that are taken.
      sees: what of a reply is judged.

    Returns:
      The replies in order, and how many rows are of other kinds.

    Raises:
      UserError: names the line that lacks a field, or gives an id another question than before;
        also if no row is of these kinds.
    """
    found: list[Candidate] = []
    asked: dict[str, str] = {}
    others = 0
    for number, row in numbered_jsonl(Path(path)):
        where = f"{path}:{number}"
        _row(row, where)
        if row["kind"] not in kinds:
            others += 1
            continue
        question = asked.setdefault(row["id"], row["question"])
        if question != row["question"]:
            raise UserError(f"{where}: id {row['id']!r} had another question before")
        text = whole(row["completion"], opened=row["opened"])
        found.append(
            Candidate(
                row["id"],
                row["sample"],
                question,
                text,
                seen(text, sees),
                row["domain"],
                row["tokens"],
            )
        )
    if not found:
        raise UserError(f"{path}: {others} rows, none of the kinds {list(kinds)}")
    return found, others


def pairs(
    candidates: Sequence[Candidate], *, per_question: int, seed: int
) -> tuple[list[CandidatePair], int]:
    """Returns pairs of replies that are seen to differ, and how many replies are seen twice.

    Of all pairs of a question those with the smallest hash of (seed, pair) are taken.
    """

    def digest(pair: CandidatePair) -> bytes:
        return hashlib.sha256(f"pair {seed} {pair.id}".encode()).digest()

    by_question: dict[str, dict[str, Candidate]] = {}
    for candidate in candidates:
        by_question.setdefault(candidate.id, {}).setdefault(candidate.seen, candidate)
    found: list[CandidatePair] = []
    for name, distinct in by_question.items():
        both = [
            CandidatePair(f"{name}/{one.sample}-{two.sample}", one, two)
            for one, two in itertools.combinations(distinct.values(), 2)
        ]
        found += sorted(both, key=digest)[:per_question]
    return found, len(candidates) - sum(map(len, by_question.values()))
