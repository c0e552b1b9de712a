"""An exam under way: questions in units, each sampled, judged and stored by itself."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from r1jax import sharding
from r1jax.config import UserError
from r1jax.data.files.jsonl import iter_jsonl
from r1jax.data.tasks.problems import Problem
from r1jax.exams.asking import AskConfig, open_asker
from r1jax.exams.examiner import Answered, Examiner, answer_rows, known_to_all
from r1jax.exams.job import Job
from r1jax.exams.reward_models import Preference, PreferenceConfig
from r1jax.io.disk import write_jsonl
from r1jax.rewards.combine import Rewarder

Row = dict[str, Any]
ANSWERS = "answers.jsonl"


class Exam:
    """The questions in units: a batch of questions, and some of their samples.

    `open_exam` makes one.

    Args:
      config: which model answers, and how it is sampled.
      mesh: where the model lies.
      rewarder: judges the answers.
      questions: to ask.
      name: of the exam, for progress and errors.
      samples: answers to each question, a multiple of `config.samples_at_once`.
      stream: name of the random stream that the answers are drawn from.
    """

    def __init__(
        self,
        config: AskConfig,
        mesh: Mesh | None,
        rewarder: Rewarder,
        questions: list[Problem],
        *,
        name: str,
        samples: int,
        stream: str,
    ):
        self.config, self.questions, self.name, self.stream = config, questions, name, stream
        for question in self.questions:  # before a big model is read
            try:
                rewarder.check(question)
            except ValueError as error:
                raise UserError(f"{name}: problem {question.id}: {error}") from error
        self.asker = open_asker(config, mesh)
        self.examiner = Examiner(
            sampler=self.asker.sampler,
            tokenizer=self.asker.tokenizer,
            style=config.prompt,
            rewarder=rewarder,
            seed=config.seed,
        )
        self.examiner.check(self.questions, range(len(self.questions)), name)
        self.blocks = samples // config.samples_at_once
        self.judging = {"judge": 0.0, "judge_waited_for": 0.0}

    @property
    def phases(self) -> dict[str, float]:
        """Seconds spent so far, by what they were spent on."""
        return {"sample": self.asker.seconds, **self.judging}

    def unit_questions(self, unit: int) -> list[Problem]:
        """Returns the questions of a unit."""
        start = unit // self.blocks * self.config.batch
        return self.questions[start : start + self.config.batch]

    def sizes(self) -> list[int]:
        """Rows of each unit."""
        batches = -(-len(self.questions) // self.config.batch)
        at_once = self.config.samples_at_once
        return [len(self.unit_questions(unit)) * at_once for unit in range(batches * self.blocks)]

    def draw(self, unit: int, beside: ThreadPoolExecutor) -> Future[Answered]:
        """Samples a unit and leaves its judging to a thread."""
        c, questions = self.config, self.unit_questions(unit)
        prompts = [self.examiner.prompt(question).ids for question in questions]
        rollout = self.asker.draw(prompts, self.stream, unit)
        return beside.submit(
            self.examiner.read,
            rollout,
            questions,
            group=c.samples_at_once,
            step=unit,
            cap=c.max_new_tokens,
        )

    def rows(self, unit: int, judging: Future[Answered]) -> list[Row]:
        """Waits for the judge and returns the rows of a unit."""
        start = time.monotonic()
        answered = known_to_all(judging.result())
        self.judging["judge_waited_for"] += time.monotonic() - start
        self.judging["judge"] += answered.seconds
        at_once = self.config.samples_at_once
        return answer_rows(answered, samples=at_once, first=unit % self.blocks * at_once)

    def question_fields(self) -> dict[str, Row]:
        """Returns by id the fields that an answer stores of its question."""
        return {
            q.id: {"question": q.question, "opened": self.examiner.prompt(q).opens_thought}
            for q in self.questions
        }

    def write_questions(self, path: Path) -> None:
        """Writes the questions and their prompts, for readers and for judging again."""
        prompts = map(self.examiner.prompt, self.questions)
        rows = (
            {
                "id": q.id,
                "kind": q.kind,
                "question": q.question,
                "prompt": prompt.text,
                "opened": prompt.opens_thought,
                "gold": q.answer,
                "reference": dict(q.reference),
                "stratum": q.stratum,
                "subject": q.subject,
            }
            for q, prompt in zip(self.questions, prompts, strict=True)
        )
        write_jsonl(path, rows)


@contextlib.contextmanager
def open_exam(
    config: Any,
    questions: list[Problem],
    *,
    name: str,
    preferences: Mapping[str, PreferenceConfig],
) -> Iterator[Exam]:
    """Enters the mesh, opens the judges and the model; closes the judges at the end.

    Args:
      config: of a run that asks a model: it has pipeline (which names the random stream), ask,
        samples, reward, execution and mesh.
      questions: to ask.
      name: of the exam, for progress and errors.
      preferences: the reward models that judge too, by name.

    Raises:
      UserError: names the question that cannot be judged or fits no bucket, or the file of a model
        that is missing or damaged.
    """
    with sharding.use(**dataclasses.asdict(config.mesh)) as mesh:
        learned = {
            part: Preference(preference, how=config.execution, mesh=mesh)
            for part, preference in preferences.items()
        }
        with closing(Rewarder(config.reward, learned=learned)) as rewarder:
            yield Exam(
                config.ask,
                mesh,
                rewarder,
                questions,
                name=name,
                samples=config.samples,
                stream=config.pipeline,
            )


def tokens_sampled(answers: Path) -> int:
    """Returns how many tokens the stored answers have, whichever process sampled them."""
    return sum(row["tokens"] for row in iter_jsonl(answers))


def ask(
    exam: Exam,
    job: Job,
    *,
    finish: Callable[[Row], Row],
    counts: Callable[[Row], bool],
    shown: str,
) -> None:
    """Stores the answers that are missing, each unit judged while the next is sampled.

    Args:
      exam: the model and the questions.
      job: its directory holds answers.jsonl.
      finish: makes the stored row of an answer.
      counts: whether a stored row counts in the share that the progress shows.
      shown: the name of that share.
    """
    sizes = exam.sizes()
    with (
        job.store(ANSWERS, sizes=sizes, title=exam.name) as store,
        ThreadPoolExecutor(1) as beside,
    ):
        if store.done:
            store.say(f"{sum(sizes[: store.done]):,} answers are there; going on from them")
        counted, seen, waiting = 0, 0, None
        for unit in [*store.left, None]:
            drawn = None if unit is None else (unit, exam.draw(unit, beside))
            if waiting is not None:
                rows = [finish(row) for row in exam.rows(*waiting)]
                counted += sum(counts(row) for row in rows)
                seen += len(rows)
                speed = exam.asker.tokens / exam.asker.seconds
                store.write(rows, **{shown: counted / seen, "tokens_per_s": speed})
            waiting = drawn
