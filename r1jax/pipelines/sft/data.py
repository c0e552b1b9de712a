"""Training rows of all files of a fine-tuning run, encoded, held out and packed."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from r1jax.config import UserError
from r1jax.data.files.files import add_to_digest
from r1jax.data.rows import packing
from r1jax.data.rows.conversation_fields import read_conversations
from r1jax.data.rows.packing import Document
from r1jax.pipelines.sft.config import DataConfig, SftConfig
from r1jax.text.conversations import Example, TrainingRow, encode
from r1jax.text.tokenizer import Tokenizer

COUNTED = ("read", "rows", "held_out", "dropped", "examples", "tokens", "target_tokens")


class SftData(NamedTuple):
    """What a fine-tuning run reads.

    Attributes:
      train: packed rows of one epoch.
      held_out: packed rows to measure the loss on, or None.
      sources: what the labels of both stand for.
      counts: of the rows, as JSON has it: by source and summed, read = rows + held_out + dropped;
        examples, tokens and target_tokens are those of an epoch.
      notes: what to say before training.
    """

    train: packing.Rows
    held_out: packing.Rows | None
    sources: tuple[str, ...]
    counts: dict[str, Any]
    notes: tuple[str, ...]


def digest_of(data: Mapping[str, DataConfig]) -> str:
    """sha256 of all files of training rows; a changed file shows on resume."""
    digest = hashlib.sha256()
    for _, file in sorted(data.items()):
        add_to_digest(digest, Path(file.path), file.format)
    return digest.hexdigest()


def _read(data: Mapping[str, DataConfig]) -> list[tuple[TrainingRow, int]]:
    """All rows, each with how often it stands in an epoch."""
    rows, seen = [], {}
    for _, file in sorted(data.items()):
        for row in read_conversations(
            file.path, format=file.format, fields=file.fields, limit=file.limit
        ):
            if row.id in seen:
                raise UserError(f"{row.where}: id {row.id!r} is that of {seen[row.id]} too")
            seen[row.id] = row.where
            rows.append((row, file.repeats))
    return rows


def held_out_questions(rows: Sequence[TrainingRow], count: int) -> set[tuple[str, ...]]:
    """The questions of the rows to hold out, at least `count` rows.

    They are those whose sha256 is smallest: a larger count holds out the same and more, and rows
    added to the data change few of them.

    Raises:
      UserError: if nothing would be left to train on.
    """
    if count >= len(rows):
        raise UserError(f"validation {count}: {len(rows)} rows are short enough")
    rows_of = Counter(row.asked for row in rows)
    drawn, rows_drawn = set(), 0
    for question in sorted(rows_of, key=_lot):
        if rows_drawn >= count:
            break
        drawn.add(question)
        rows_drawn += rows_of[question]
    if len(drawn) == len(rows_of):
        raise UserError(f"validation {count}: would hold out all {len(rows_of)} questions")
    return drawn


def _lot(question: tuple[str, ...]) -> bytes:
    """The hash by which questions are drawn."""
    return hashlib.sha256("\0".join(["validation", *question]).encode()).digest()


def _fits(examples: Sequence[Example], row: TrainingRow, config: SftConfig) -> bool:
    lengths = [len(example.ids) for example in examples]
    if max(lengths) <= config.length:
        return True
    if config.too_long == "error":
        raise UserError(
            f"{row.where}: row {row.id} has {max(lengths)} tokens, a packed row {config.length}; "
            "raise length, or take too_long 'drop'"
        )
    return False


def load_data(config: SftConfig, tokenizer: Tokenizer) -> SftData:
    """Reads, encodes and packs everything; the same in every run of one config.

    Raises:
      UserError: names the row that is broken, cannot be put, is too long or has the id of another;
        also if nothing is left to train on, or less than a batch.
    """
    rows = _read(config.data)
    encoded = [encode(tokenizer, config.prompt, row) for row, _ in rows]
    fits = [_fits(examples, row, config) for examples, (row, _) in zip(encoded, rows, strict=True)]
    fitting = [row for (row, _), fit in zip(rows, fits, strict=True) if fit]
    if not fitting:
        raise UserError(f"data: all {len(rows)} rows are longer than length {config.length}")
    out = held_out_questions(fitting, config.validation)
    sources = tuple(sorted({row.source for row, _ in rows}))
    by_source = {source: dict.fromkeys(COUNTED, 0) for source in sources}
    train: list[Document] = []
    held_out: list[Document] = []
    for (row, repeats), examples, fit in zip(rows, encoded, fits, strict=True):
        count = by_source[row.source]
        count["read"] += 1
        if not fit:
            count["dropped"] += 1
            continue
        documents = [Document(e.ids, e.targets, sources.index(row.source)) for e in examples]
        if row.asked in out:
            count["held_out"] += 1
            held_out += documents
            continue
        count["rows"] += 1
        count["examples"] += repeats * len(examples)
        count["tokens"] += repeats * sum(len(e.ids) for e in examples)
        count["target_tokens"] += repeats * sum(sum(e.targets) for e in examples)
        train += repeats * documents
    counts = {name: sum(count[name] for count in by_source.values()) for name in COUNTED}
    packed = _packed(train, config)
    if len(packed) < config.batch:
        raise UserError(
            f"data fill {len(packed)} packed rows of {config.length} tokens, a batch has "
            f"{config.batch}"
        )
    full = counts["tokens"] / (len(packed) * config.length)
    note = (
        f"{counts['rows']:,} rows to train on ({counts['target_tokens']:,} target tokens in "
        f"{len(packed):,} packed rows, {full:.0%} full), {counts['held_out']:,} held out, "
        f"{counts['dropped']:,} too long and dropped"
    )
    return SftData(
        train=packed,
        held_out=_packed(held_out, config) if held_out else None,
        sources=sources,
        counts={**counts, "packed_rows": len(packed), "full": full, "by_source": by_source},
        notes=(note,),
    )


def _packed(documents: Sequence[Document], config: SftConfig) -> packing.Rows:
    """Documents in an order of their own, so that a row holds what many files have."""
    order = np.random.default_rng(config.seed).permutation(len(documents))
    return packing.pack(
        lambda number: documents[order[number]],
        range(len(documents)),
        length=config.length,
        bins=config.packing_bins,
    )
