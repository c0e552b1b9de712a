"""Where a run's questions come from: one config block per source, their splits put together."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from r1jax.config import UserError
from r1jax.data.files.files import add_to_digest
from r1jax.data.files.mapping import own_words, question_texts
from r1jax.data.tasks import curriculum, decontamination
from r1jax.data.tasks.curriculum import CurriculumConfig
from r1jax.data.tasks.decontamination import DecontaminationConfig
from r1jax.data.tasks.mixing import Concatenation, Interleaving
from r1jax.data.tasks.problems import Problem
from r1jax.data.tasks.splits import SourceConfig, Splits, check_ids, each, splits_of

SPLITS = ("train", "validation", "test", "ood")


@dataclasses.dataclass(frozen=True)
class TaskConfig:
    """All sources of a run, and what is taken out of their training problems.

    Attributes:
      sources: by name.
      decontamination: what training questions may not meet; None compares with nothing.
      curriculum: which problems stay, by their pass rates; None keeps all.
    """

    sources: dict[str, SourceConfig]
    decontamination: DecontaminationConfig | None
    curriculum: CurriculumConfig | None

    def __post_init__(self):
        if not self.sources:
            raise UserError("sources: got none")


class TaskData(NamedTuple):
    """What a task gives to a run.

    Attributes:
      splits: by name: train, validation, test, and ood where a source has one. In train the sources
        stand one after the other, in the order of their names; in the others they take turns, so
        that an exam of the first problems asks all of them.
      names: of the sources, in that order.
      sizes: training problems of each source, in that order.
      weights: shares of each source, as `mixing.mixed_indices` takes them.
      report: what decontamination and curriculum took out, as JSON has it, and "repeats" where a
        training question equals a held-out one; {} without them.
      notes: the same in a line each.
    """

    splits: Splits
    names: tuple[str, ...]
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


Questions = dict[str, dict[str, dict[str, str]]]  # source, split and id to what the data say


def own_texts(source: SourceConfig) -> dict[str, str]:
    """By id, questions that the data say otherwise than `Problem.question`; read once more."""
    files = [source.files.train, source.files.test] if source.files is not None else []
    texts: dict[str, str] = {}
    for file in files:
        if file is not None and own_words(file):
            texts |= question_texts(file)
    return texts


def _questions(
    made: dict[str, Splits], texts: dict[str, dict[str, str]], *, options: bool
) -> Questions:
    """What the questions of each split say, with the choices that they offer or without."""

    def says(problem: Problem, known: dict[str, str]) -> str:
        text = known.get(problem.id, problem.question)
        if options and problem.kind == "choice":
            return "\n".join([text, *problem.reference["options"]])
        return text

    return {
        name: {
            split: {p.id: says(p, texts[name]) for p in each(problems)}
            for split, problems in splits.items()
        }
        for name, splits in made.items()
    }


def _held_out(questions: Questions) -> dict[str, dict[str, str]]:
    return {f"{name}, {s}": of[s] for name, of in questions.items() for s in SPLITS[1:] if s in of}


def _cleaned(
    made: dict[str, Splits], questions: Questions, against: dict[str, dict[str, str]], n: int | None
) -> tuple[dict[str, Splits], dict[str, Any]]:
    """The splits without the training questions that meet those of `against`, and the report."""
    index = decontamination.index_grams(against, n=n)
    hits, kept = {}, {}
    for name, splits in made.items():
        hits[name] = decontamination.find_hits(questions[name]["train"], index, n=n)
        out = {hit.id for hit in hits[name]}
        if len(out) == len(splits["train"]):
            raise UserError(f"{name}: every training question meets an evaluation question")
        if out:
            kept[name] = splits | {"train": [p for p in each(splits["train"]) if p.id not in out]}
        else:
            kept[name] = splits
    before = {name: len(splits["train"]) for name, splits in made.items()}
    return kept, decontamination.report(before, hits, n=n)


def _decontaminated(
    made: dict[str, Splits], texts: dict[str, dict[str, str]], config: DecontaminationConfig
) -> tuple[dict[str, Splits], dict[str, Any]]:
    questions = _questions(made, texts, options=False)
    against = {name: question_texts(file) for name, file in sorted(config.against.items())}
    against |= _held_out(questions) if config.held_out else {}
    return _cleaned(made, questions, against, config.n)


def _without_repeats(
    made: dict[str, Splits], texts: dict[str, dict[str, str]]
) -> tuple[dict[str, Splits], dict[str, Any]]:
    """Takes out training questions that equal a held-out one, with the options of both."""
    questions = _questions(made, texts, options=True)
    return _cleaned(made, questions, _held_out(questions), None)


def _selected(
    made: dict[str, Splits], config: CurriculumConfig
) -> tuple[dict[str, Splits], dict[str, Any]]:
    rates = curriculum.read_pass_rates(config.pass_rates)
    kept, counts = {}, {}
    for name, splits in made.items():
        problems, counts[name] = curriculum.select(each(splits["train"]), rates, config)
        if not problems:
            raise UserError(f"{config.pass_rates}: leaves no training problem of {name}")
        kept[name] = splits | {"train": problems}
    return kept, {"sources": counts}


def load_task(config: TaskConfig) -> TaskData:
    """Returns the splits of all sources, after decontamination and curriculum of the training one.

    Training questions that equal a held-out one, of any source, are always taken out.

    Raises:
      UserError: if a file is unreadable, a training split or what is left of it empty, or a
        problem in two splits or sources: names the first.
    """
    made = {name: splits_of(source) for name, source in sorted(config.sources.items())}
    check_ids(made)
    report, notes = {}, []
    generated = all(s.world is not None or s.requests is not None for s in config.sources.values())
    texts = {name: own_texts(config.sources[name]) for name in made}
    if config.decontamination is not None:
        made, report["decontamination"] = _decontaminated(made, texts, config.decontamination)
        notes.append(decontamination.summary(report["decontamination"]))
    # the splits of the synthetic world are disjoint whatever their seeds, and long to walk
    if not generated:
        made, repeats = _without_repeats(made, texts)
        if repeats["removed"]:
            report["repeats"] = repeats
            notes.append(decontamination.summary(repeats))
    if config.curriculum is not None:
        made, report["curriculum"] = _selected(made, config.curriculum)
        notes.append(curriculum.summary(report["curriculum"]))
    splits: Splits = {}
    for split in SPLITS:
        parts = [s[split] for s in made.values() if split in s]
        if parts:
            whole = Concatenation if split == "train" else Interleaving
            splits[split] = parts[0] if len(parts) == 1 else whole(parts)
    return TaskData(
        splits=splits,
        names=tuple(made),
        sizes=tuple(len(s["train"]) for s in made.values()),
        weights=tuple(config.sources[name].weight for name in made),
        report=report,
        notes=tuple(notes),
    )


def sources(config: TaskConfig) -> Splits:
    """Returns the splits alone, as `load_task`."""
    return load_task(config).splits
