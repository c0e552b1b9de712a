"""Where a run's questions come from: one config block per source, their splits put together."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from r1jax.data import curriculum, decontamination
from r1jax.data.curriculum import CurriculumConfig
from r1jax.data.decontamination import DecontaminationConfig
from r1jax.data.files import add_to_digest
from r1jax.data.mapping import question_texts
from r1jax.data.mixing import Concatenation
from r1jax.data.splits import SourceConfig, Splits, check_ids, each, splits_of

SPLITS = ("train", "validation", "test", "ood")


@dataclasses.dataclass(frozen=True)
class TaskConfig:
    """All sources of a run, by name, and what is taken out of their training problems."""

    sources: dict[str, SourceConfig]
    decontamination: DecontaminationConfig | None
    curriculum: CurriculumConfig | None

    def __post_init__(self):
        if not self.sources:
            raise ValueError("sources: got none")


class TaskData(NamedTuple):
    """What a task gives to a run.

    Attributes:
      splits: by name: train, validation, test, and ood where a source has one; the sources stand in
        each one after the other, in the order of their names.
      sizes: training problems of each source, in that order.
      weights: shares of each source, as `mixing.mixed_indices` takes them.
      report: what decontamination and curriculum took out, as JSON has it; {} without them.
      notes: the same in a line each.
    """

    splits: Splits
    sizes: tuple[int, ...]
    weights: tuple[float, ...]
    report: dict[str, Any]
    notes: tuple[str, ...]


def files_digest(config: TaskConfig) -> str:
    """sha256 of all files that a task reads, to tell on resume that they changed."""
    files = []
    for _, source in sorted(config.sources.items()):
        if source.files is not None:
            files += [source.files.train] + ([source.files.test] if source.files.test else [])
    if config.decontamination is not None:
        files += [file for _, file in sorted(config.decontamination.against.items())]
    digest = hashlib.sha256()
    for file in files:
        add_to_digest(digest, file.place, file.format)
    if config.curriculum is not None:
        add_to_digest(digest, Path(config.curriculum.pass_rates), "jsonl")
    return digest.hexdigest()


def _questions(source: SourceConfig, splits: Splits) -> dict[str, dict[str, str]]:
    """What the questions of each split say, by id."""
    texts: dict[str, str] = {}
    if source.files is not None:
        texts |= question_texts(source.files.train)
        texts |= question_texts(source.files.test) if source.files.test else {}
    return {
        split: {p.id: texts.get(p.id, p.question) for p in each(problems)}
        for split, problems in splits.items()
    }


def _decontaminated(
    made: dict[str, Splits], sources: dict[str, SourceConfig], config: DecontaminationConfig
) -> tuple[dict[str, Splits], dict[str, Any]]:
    questions = {name: _questions(sources[name], splits) for name, splits in made.items()}
    against = {name: question_texts(file) for name, file in sorted(config.against.items())}
    if config.held_out:
        for name, of in questions.items():
            against |= {f"{name}, {s}": of[s] for s in SPLITS[1:] if s in of}
    index = decontamination.index_grams(against, n=config.n)
    hits, kept = {}, {}
    for name, splits in made.items():
        hits[name] = decontamination.find_hits(questions[name]["train"], index, n=config.n)
        out = {hit.id for hit in hits[name]}
        problems = [p for p in each(splits["train"]) if p.id not in out]
        if not problems:
            raise ValueError(f"{name}: every training question meets an evaluation question")
        kept[name] = splits | {"train": problems}
    before = {name: len(splits["train"]) for name, splits in made.items()}
    return kept, decontamination.report(before, hits, n=config.n)


def _selected(
    made: dict[str, Splits], config: CurriculumConfig
) -> tuple[dict[str, Splits], dict[str, Any]]:
    rates = curriculum.read_pass_rates(config.pass_rates)
    kept, counts = {}, {}
    for name, splits in made.items():
        problems, counts[name] = curriculum.select(each(splits["train"]), rates, config)
        if not problems:
            raise ValueError(f"{config.pass_rates}: leaves no training problem of {name}")
        kept[name] = splits | {"train": problems}
    return kept, {"sources": counts}


def load_task(config: TaskConfig) -> TaskData:
    """Returns the splits of all sources, after decontamination and curriculum of the training one.

    Raises:
      ValueError: if a file is unreadable, a training split or what is left of it empty, or a
        problem in two splits or sources: names the first.
    """
    made = {name: splits_of(source) for name, source in sorted(config.sources.items())}
    check_ids(made)
    report, notes = {}, []
    if config.decontamination is not None:
        made, report["decontamination"] = _decontaminated(
            made, config.sources, config.decontamination
        )
        notes.append(decontamination.summary(report["decontamination"]))
    if config.curriculum is not None:
        made, report["curriculum"] = _selected(made, config.curriculum)
        notes.append(curriculum.summary(report["curriculum"]))
    splits: Splits = {}
    for split in SPLITS:
        parts = [s[split] for s in made.values() if split in s]
        if parts:
            splits[split] = parts[0] if len(parts) == 1 else Concatenation(parts)
    return TaskData(
        splits=splits,
        sizes=tuple(len(s["train"]) for s in made.values()),
        weights=tuple(config.sources[name].weight for name in made),
        report=report,
        notes=tuple(notes),
    )


def sources(config: TaskConfig) -> Splits:
    """Returns the splits alone, as `load_task`."""
    return load_task(config).splits
