"""An exam under way: questions in units, each sampled, judged and stored by itself."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jax.sharding import Mesh
from jaxtyping import Array, Key

from r1jax import keys
from r1jax.data.files.jsonl import iter_jsonl
from r1jax.data.tasks.problems import Problem
from r1jax.data.tasks.selection import filled
from r1jax.exams.asking import Asking
from r1jax.exams.examiner import Answered, Examiner, known_to_all
from r1jax.hub.artifacts import open_model
from r1jax.io.batches import RowFile
from r1jax.io.progress import Progress
from r1jax.rewards.combine import Rewarder
from r1jax.sampling.sampler import Sampler
from r1jax.types import Weights


class Exam:
    """The questions in units: a batch of questions, and some of their samples.

    Args:
      config: of the run.
      mesh: where the model lies.
      rewarder: judges the answers.
      questions: to ask, each `config.samples` times.
      stream: name of the random stream that the answers are drawn from.
    """

    def __init__(
        self,
        config: Asking,
        mesh: Mesh | None,
        rewarder: Rewarder,
        questions: list[Problem],
        *,
        stream: str,
    ):
        self.config, self.questions, self.stream = config, questions, stream
        for question in self.questions:
            rewarder.check(question)  # before a big model is read
        self.weights: Weights
        self.weights, model, tokenizer = open_model(config.model, how=config.execution, mesh=mesh)
        sampler = Sampler(
            model=model, config=config.sampler, max_new=config.max_new_tokens,
            stop_ids=tokenizer.stop_ids, pad_id=tokenizer.pad_id, buckets=config.prompt_buckets,
        )  # fmt: skip
        self.examiner = Examiner(
            sampler=sampler, tokenizer=tokenizer, style=config.prompt, rewarder=rewarder,
            seed=config.seed,
        )  # fmt: skip
        self.examiner.check(self.questions, range(len(self.questions)), config.name)
        self.blocks = config.samples // config.samples_at_once
        self.root: Key[Array, ""] = keys.root(config.seed)
        self.phases = {"sample": 0.0, "judge": 0.0, "judge_waited_for": 0.0}
        self.tokens = 0

    def asked(self, unit: int) -> list[Problem]:
        start = unit // self.blocks * self.config.batch
        return self.questions[start : start + self.config.batch]

    def sizes(self) -> list[int]:
        """Rows of each unit."""
        batches = -(-len(self.questions) // self.config.batch)
        at_once = self.config.samples_at_once
        return [len(self.asked(unit)) * at_once for unit in range(batches * self.blocks)]

    def draw(self, unit: int, beside: ThreadPoolExecutor) -> Future[Answered]:
        """Samples a unit and leaves its judging to a thread."""
        c, asked = self.config, self.asked(unit)
        start = time.monotonic()
        rollout = self.examiner.draw(
            self.weights, filled(asked, c.batch), keys.stream(self.root, self.stream, unit),
            group=c.samples_at_once, cap=c.max_new_tokens,
        )  # fmt: skip
        self.phases["sample"] += time.monotonic() - start
        n = len(asked) * c.samples_at_once
        kept = rollout._replace(
            completion_BC=rollout.completion_BC[:n], mask_BC=rollout.mask_BC[:n],
            truncated_B=rollout.truncated_B[:n],
        )  # fmt: skip
        self.tokens += int(kept.mask_BC.sum())
        return beside.submit(
            self.examiner.read, kept, asked, group=c.samples_at_once, step=unit,
            cap=c.max_new_tokens,
        )  # fmt: skip

    def rows(self, unit: int, judging: Future[Answered]) -> list[dict[str, Any]]:
        """Waits for the judge; what is stored of a unit."""
        start = time.monotonic()
        answered = known_to_all(judging.result())
        self.phases["judge_waited_for"] += time.monotonic() - start
        self.phases["judge"] += answered.seconds
        return [*self._rows(unit, answered)]

    def _rows(self, unit: int, answered: Answered) -> Iterator[dict[str, Any]]:
        at_once = self.config.samples_at_once
        for b, (problem, score) in enumerate(zip(answered.problems, answered.scores, strict=True)):
            yield {
                "id": problem.id,
                "sample": unit % self.blocks * at_once + b % at_once,
                "stratum": problem.stratum,
                "subject": problem.subject,
                "kind": problem.kind,
                "gold": problem.answer,
                "completion": answered.completions[b],
                "answer": score.answer,
                "value": score.parts["accuracy"],
                "error": score.error,
                "format": score.parts["format"],
                "parts": score.parts,
                "reason": score.reason,
                "tokens": int(answered.lengths[b]),
                "truncated": bool(answered.truncated[b]),
            }

    def write_questions(self, path: Path) -> None:
        """What was asked, for readers and for judging again."""
        with path.open("w", encoding="utf-8") as file:
            for q in self.questions:
                prompt = self.examiner.prompt(q)
                row = {
                    "id": q.id, "kind": q.kind, "question": q.question, "prompt": prompt.text,
                    "opened": prompt.opens_thought, "gold": q.answer,
                    "reference": dict(q.reference), "stratum": q.stratum, "subject": q.subject,
                }  # fmt: skip
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def votes(self, rows: list[dict[str, Any]]) -> None:
        """Adds to each row the key by which its answer votes."""
        of: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            of.setdefault(row["id"], []).append(row)
        for question in self.questions:
            mine = of[question.id]
            keys_ = self.examiner.rewarder.votes([row["answer"] for row in mine], question)
            for row, key in zip(mine, keys_, strict=True):
                row["vote"] = key


Row = dict[str, Any]


def tokens_sampled(answers: Path) -> int:
    """Returns how many tokens the stored answers have, whichever process sampled them."""
    return sum(row["tokens"] for row in iter_jsonl(answers))


def ask(
    here: Exam,
    path: Path,
    *,
    finish: Callable[[Row], Row],
    counts: Callable[[Row], bool],
    shown: str,
) -> None:
    """Stores the answers that are missing, each unit judged while the next is sampled.

    Args:
      here: whom to ask what.
      path: of the answers, as JSON lines.
      finish: what is stored of an answer.
      counts: which of the stored ones the progress counts, as a share of all.
      shown: how that share is called.
    """
    sizes = here.sizes()
    with (
        RowFile(path, sizes=sizes) as file,
        Progress(
            here.config.name, start=file.batches, total=len(sizes), every=max(1, len(sizes) // 20)
        ) as progress,
        ThreadPoolExecutor(1) as beside,
    ):
        if file.batches:
            progress.say(f"{sum(sizes[: file.batches]):,} answers are there; going on from them")
        counted, seen, waiting = 0, 0, None
        for unit in [*range(file.batches, len(sizes)), None]:
            drawn = None if unit is None else (unit, here.draw(unit, beside))
            if waiting is not None:
                rows = [finish(row) for row in here.rows(*waiting)]
                file.write(rows)
                counted += sum(counts(row) for row in rows)
                seen += len(rows)
                told = {shown: counted / seen}
                progress.advance(
                    file.batches, **told, tokens_per_s=here.tokens / here.phases["sample"]
                )
            waiting = drawn
