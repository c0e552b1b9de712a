"""The evaluation questions that no training row may repeat."""

from r1jax.data.files.mapping import load_problems, own_words, question_texts
from r1jax.data.tasks.decontamination import Evaluation
from r1jax.data.tasks.splits import each
from r1jax.data.tasks.tasks import SPLITS, TaskConfig, TaskData, own_texts


def evaluation_questions(config: TaskConfig, data: TaskData) -> Evaluation:
    """Returns the questions of a task's own held-out splits and of its evaluation files.

    The splits are there whatever `decontamination` says of them: they are what the run is examined
    on. Questions that we put in words of our own are there in both wordings.
    """
    said: dict[str, dict[str, str]] = {}
    asked: dict[str, dict[str, str]] = {}
    texts: dict[str, str] = {}
    for source in config.sources.values():
        texts |= own_texts(source)
    for split in SPLITS[1:]:
        if split in data.splits:
            problems = [*each(data.splits[split])]
            said[split] = {p.id: texts.get(p.id, p.question) for p in problems}
            asked[split] = {p.id: p.question for p in problems if p.id in texts}
    against = {} if config.decontamination is None else config.decontamination.against
    for name, file in sorted(against.items()):
        place = f"against {name}"
        said[place] = question_texts(file)
        asked[place] = {p.id: p.question for p in load_problems(file)} if own_words(file) else {}
    return Evaluation(said, asked)
