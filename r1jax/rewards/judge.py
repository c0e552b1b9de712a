"""Whether answers are right: quickly here where that is certain, else by killable workers."""

import dataclasses
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Protocol, runtime_checkable

from r1jax.config import Count, Positive, Range, UserError
from r1jax.rewards.answers import choice, countdown, logic, maths, plain
from r1jax.rewards.answers.extract import ENDLESS, PLACES, Extracted, extract_answer
from r1jax.rewards.sandbox import clock, code, references
from r1jax.rewards.sandbox import run as sandbox
from r1jax.rewards.sandbox.config import SandboxConfig
from r1jax.rewards.score import Verdict, wrong
from r1jax.rewards.workers.pool import Job, Pool
from r1jax.text.thought import cut

_WORKER = "r1jax.rewards.workers.worker"
_MERGED = 8  # classes of unlike wording that are compared with each other, the largest first


@runtime_checkable
class Question(Protocol):
    """What is asked, and what answers are compared with; `data.tasks.problems.Problem` is one."""

    @property
    def id(self) -> str: ...

    @property
    def question(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def answer(self) -> str: ...

    @property
    def reference(self) -> Mapping[str, Any]: ...


class Kind(NamedTuple):
    """A way of judging.

    Attributes:
      quick: (answer, gold, reference) -> a verdict, or None where only a worker can tell. Here and
        in `vote` the reference holds the "question" too.
      check: (gold, reference) raises ValueError where no answer could ever be right.
      vote: (answer, reference) -> a key that answers share when they say the same.
    """

    quick: Callable[[str, str, Mapping[str, Any]], Verdict | None]
    check: Callable[[str, Mapping[str, Any]], None]
    vote: Callable[[str, Mapping[str, Any]], str]


# there is no right answer: reward models say what a reply is worth, here it is 0
OPEN = ("helpful", "harmless")
_OPEN = Kind(
    lambda *_: wrong("a reward model judges it"), lambda *_: None, lambda answer, _: answer
)
KINDS = {
    "maths": Kind(maths.quick, maths.check, maths.canonical),
    "choice": Kind(choice.quick, choice.check, choice.vote),
    "knights_knaves": Kind(logic.quick, logic.check, logic.vote),
    "countdown": Kind(countdown.quick, countdown.check, countdown.vote),
    "text": Kind(plain.quick, plain.check, lambda answer, _: plain.canonical(answer)),
    "code": Kind(lambda *_: None, references.check, lambda answer, _: answer),
    "helpful": _OPEN,
    "harmless": _OPEN,
}


@dataclasses.dataclass(frozen=True)
class JudgeConfig:
    """How answers are judged.

    Attributes:
      places: where an answer may stand, in order (`extract.extract_answer`); programs stand in the
        last fenced block.
      workers: processes that compare formulas and run programs; none starts before it is needed.
      memory_mb: address space of such a process, in MiB.
      cpu_seconds: processor time to compare two formulas.
      wall_seconds: the same by the clock, after which the process is killed.
      batch_seconds: by the clock, for all answers that are judged together, beyond what they may
        take by their own limits.
      tests: a program earns 1 if it passes "all" of its tests, or the "fraction" that it passes.
      sandbox: where programs run.
    """

    places: tuple[str, ...]
    workers: Count
    memory_mb: Annotated[int, Range(256)]
    cpu_seconds: Positive
    wall_seconds: Positive
    batch_seconds: Positive
    tests: Literal["all", "fraction"]
    sandbox: SandboxConfig

    def __post_init__(self):
        if not self.places or not set(self.places) <= set(PLACES):
            raise UserError(f"places: got {self.places}, wanted one or more of {PLACES}")
        if not self.cpu_seconds <= self.wall_seconds <= self.batch_seconds:
            raise UserError(
                f"cpu_seconds {self.cpu_seconds}, wall_seconds {self.wall_seconds}, batch_seconds "
                f"{self.batch_seconds}: wanted none above the next"
            )


def _asked(question: Question) -> dict[str, Any]:
    """A reference with the question in it: what stands there is not worked out, its nouns count."""
    return {**question.reference, "question": question.question}


class Judged(NamedTuple):
    """The answer that a completion gives, None for none, and what the judge says of it."""

    answer: str | None
    verdict: Verdict


class Judge:
    """Judges completions. Safe to use from several threads; a context manager.

    Every process of a run on several machines has a judge of its own.
    """

    def __init__(self, config: JudgeConfig):
        self.config = config
        self._pool: Pool | None = None
        self._starting = threading.Lock()

    def check(self, question: Question) -> None:
        """Meets what can never be judged before any work.

        Raises:
          UserError: if the kind is unknown, the reference unusable, or programs cannot run safely.
        """
        if question.kind not in KINDS:
            raise UserError(f"kind: got {question.kind!r}, wanted one of {sorted(KINDS)}")
        KINDS[question.kind].check(question.answer, question.reference)
        if question.kind == "code" and (weak := sandbox.choose(self.config.sandbox).warning):
            warnings.warn(weak, RuntimeWarning, stacklevel=2)  # shown once

    def check_pay(self, question: Question) -> None:
        """Refuses a question that pays for nothing.

        Raises:
          UserError: if a program that does nothing would earn something.
        """
        if question.kind == "code":
            references.check_pay(question.reference, self.config.tests)

    def extract(self, text: str, question: Question) -> Extracted:
        """Returns the answer that a completion gives, or None and why there is none."""
        if question.kind == "code":
            return code.program(text)
        if question.kind in OPEN:
            _, said = cut(text)
            reply = (said or "").strip()
            why = "the reply" if reply else ENDLESS if said is None else "no reply"
            return Extracted(reply or None, why)
        return extract_answer(text, self.config.places)

    def __call__(self, texts: Sequence[str], questions: Sequence[Question]) -> list[Judged]:
        """Judges completions, each by its own question; equal answers to one question once."""
        found = [self.extract(text, q) for text, q in zip(texts, questions, strict=True)]
        verdicts: list[Verdict | None] = []
        waiting: dict[tuple[int, str], list[int]] = {}
        for row, (given, question) in enumerate(zip(found, questions, strict=True)):
            if given.answer is None:
                verdicts.append(wrong(given.reason))
                continue
            quick = KINDS[question.kind].quick(given.answer, question.answer, _asked(question))
            verdicts.append(quick)
            if quick is None:
                waiting.setdefault((id(question), given.answer), []).append(row)
        jobs = [self._job(answer, questions[rows[0]]) for (_, answer), rows in waiting.items()]
        for rows, verdict in zip(waiting.values(), self._work(jobs), strict=True):
            for row in rows:
                verdicts[row] = verdict
        return [Judged(f.answer, v) for f, v in zip(found, verdicts, strict=True) if v is not None]

    def _job(self, answer: str, question: Question) -> Job:
        c = self.config
        if question.kind == "code":
            box = dataclasses.asdict(c.sandbox)
            arguments = {
                "answer": answer,
                "reference": dict(question.reference),
                "sandbox": box,
                "tests": c.tests,
            }
            seconds = clock.PATIENCE * c.sandbox.wall_seconds + c.wall_seconds
            return Job("code", arguments, cpu_seconds=seconds, wall_seconds=seconds)
        return self._compare(answer, question.answer, question)

    def _compare(self, answer: str, gold: str, question: Question) -> Job:
        context = maths.context(gold, _asked(question))
        c, arguments = self.config, {"answer": answer, "gold": gold, "context": context}
        return Job("symbolic", arguments, cpu_seconds=c.cpu_seconds, wall_seconds=c.wall_seconds)

    def _work(self, jobs: list[Job]) -> list[Verdict]:
        if not jobs:
            return []
        c = self.config
        with self._starting:
            if self._pool is None:
                self._pool = Pool(workers=c.workers, memory_mb=c.memory_mb, module=_WORKER)
            pool = self._pool
        # a batch of programs that all hang is wrong, not too late to be judged
        allowed = sum(job.wall_seconds for job in jobs) / c.workers
        return pool.map(jobs, seconds=c.batch_seconds + allowed)

    def votes(self, answers: Sequence[str | None], question: Question) -> list[str | None]:
        """Returns a key for each answer to one question; equal ones vote together, None does not.

        Formulas that differ in wording vote together where a worker finds them equal; only the most
        frequent wordings are compared.
        """
        vote = KINDS[question.kind].vote
        keys = [None if a is None else vote(a, _asked(question)) for a in answers]
        if question.kind != "maths":
            return [*keys]
        wording = {k: a for k, a in reversed(list(zip(keys, answers, strict=True))) if k and a}
        # sorted is stable, and dict.fromkeys keeps the order of first occurrence
        order = sorted(dict.fromkeys(k for k in keys if k), key=lambda k: -keys.count(k))[:_MERGED]
        pairs = [
            (a, b)
            for i, a in enumerate(order)
            for b in order[i + 1 :]
            if not (maths.is_number(wording[a]) and maths.is_number(wording[b]))
        ]
        equal = self._work([self._compare(wording[b], wording[a], question) for a, b in pairs])
        root = {k: k for k in order}
        for (a, b), verdict in zip(pairs, equal, strict=True):
            if verdict.value == 1 and root[b] == b:
                root[b] = root[a]
        return [None if k is None else root.get(k, k) for k in keys]

    def close(self) -> None:
        """Ends the workers; more work would start new ones."""
        with self._starting:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def __enter__(self) -> "Judge":
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()
