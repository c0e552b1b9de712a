"""The evaluation questions that no training row may repeat."""

from collections.abc import Mapping

from r1jax.data.mapping import load_problems, own_words, question_texts
from r1jax.data.splits import each
from r1jax.data.tasks import SPLITS, TaskConfig, TaskData

Questions = Mapping[str, Mapping[str, str]]  # evaluation set and id to the question


def evaluation_questions(config: TaskConfig, data: TaskData) -> Questions:
    """Returns the questions of a task's own held-out splits and of its evaluation files.

    The splits are there whatever `decontamination` says of them: they are what the run is examined
    on. A file whose questions we put in words of our own gives both wordings.
    """
    found: dict[str, dict[str, str]] = {}
    for split in SPLITS[1:]:
        if split in data.splits:
            found[split] = {p.id: p.question for p in each(data.splits[split])}
    against = {} if config.decontamination is None else config.decontamination.against
    for name, file in sorted(against.items()):
        found[f"against {name}"] = question_texts(file)
        if own_words(file):
            found[f"against {name}, as asked"] = {p.id: p.question for p in load_problems(file)}
    return found
