"""Judges stored completions: to audit a reward, or to judge old answers again."""

import dataclasses
import hashlib
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

from r1jax.config import Count, UserError, flatten
from r1jax.data.files.jsonl import numbered_jsonl, read_jsonl
from r1jax.data.tasks.problems import Problem
from r1jax.exams.job import Job, batches_of
from r1jax.rewards.combine import Completion, RewardConfig, Rewarder
from r1jax.rewards.score import Score

JUDGED = "judged.jsonl"


@dataclasses.dataclass(frozen=True)
class JudgeRunConfig:
    """How stored completions are judged.

    Attributes:
      input: JSON lines with `completion`, and of its question `kind`, `answer` (or `gold`, which
        goes before it: in an exam's answers `answer` is what the model answered) and `reference`
        (or `tests`); `id`, `sample`, `question`, `tokens`, `truncated`, `opened` (whether the
        prompt ended in <think>) where known.
      questions: JSON lines with the questions, found by `id`, such as an exam's questions.jsonl;
        "" where the rows hold them.
      batch: rows at a time.
      cap: length cap in tokens, for a length part.
    """

    pipeline: Literal["judge"]
    input: str
    questions: str
    batch: Count
    cap: Count
    reward: RewardConfig

    def __post_init__(self):
        self.reward.check(cap=self.cap, learned=())
        if self.reward.kind == "random":
            raise UserError("reward.kind 'random' judges nothing")


def _field(row: Mapping[str, Any], name: str, kind: type, default: Any) -> Any:
    value = row.get(name, default)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UserError(f"{name}: got {value!r:.60}, wanted {kind.__name__}")
    return value


def _problem(row: Mapping[str, Any], where: str) -> Problem:
    gold = row["gold"] if "gold" in row else row.get("answer", "")
    gold = ", ".join(map(str, gold)) if isinstance(gold, list) else gold
    if isinstance(gold, bool) or not isinstance(gold, str | int | float):
        raise UserError(f"answer: got {gold!r:.60}, wanted text, a number or a list")
    reference = row["reference"] if "reference" in row else row.get("tests", {})
    if not isinstance(reference, dict):
        raise UserError(f"reference: got {reference!r:.60}, wanted an object")
    return Problem(
        id=str(row.get("id", where)),
        question=_field(row, "question", str, ""),
        answer=str(gold).strip(),
        stratum="",
        subject="",
        kind=_field(row, "kind", str, None),
        reference=reference,
    )


def _completion(
    row: Mapping[str, Any], question: Problem, *, opened: bool, with_length: bool
) -> Completion:
    text = _field(row, "completion", str, None)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"completion: {error}") from error
    return Completion(
        text=text,
        opened=_field(row, "opened", bool, opened),
        question=question,
        tokens=_field(row, "tokens", int, None if with_length else 0),
        truncated=_field(row, "truncated", bool, False),
    )


def _questions(path: str) -> dict[str, tuple[Problem, bool]]:
    """Returns the questions of a file by id, and whether their prompts opened the thought."""
    questions = {}
    for number, row in numbered_jsonl(Path(path)):
        try:
            problem, opened = _problem(row, str(number)), _field(row, "opened", bool, False)
        except ValueError as error:
            raise UserError(f"{path}:{number}: {error}") from error
        questions[problem.id] = (problem, opened)
    return questions


def read_completions(
    config: JudgeRunConfig, rewarder: Rewarder
) -> list[tuple[dict[str, Any], Completion]]:
    """Returns the rows of a file and what is to be judged of each.

    Raises:
      UserError: names the line that lacks something, or whose question can never be judged.
    """
    questions = _questions(config.questions) if config.questions else {}
    with_length = bool(config.reward.overlong or config.reward.cosine)
    pairs, checked = [], set()
    for number, row in numbered_jsonl(Path(config.input)):
        try:
            name = str(row.get("id", number))
            if questions and name not in questions:
                raise UserError(f"id {name!r} is not in {config.questions}")
            question, opened = questions[name] if questions else (_problem(row, str(number)), False)
            if not questions or name not in checked:
                rewarder.check(question)
                checked.add(name)
            completion = _completion(row, question, opened=opened, with_length=with_length)
        except ValueError as error:
            raise UserError(f"{config.input}:{number}: {error}") from error
        pairs.append((row, completion))
    if not pairs:
        raise UserError(f"{config.input}: empty, wanted at least one line")
    return pairs


def _tally(path: Path) -> dict[str, Any]:
    """Counts and mean parts of what was judged, by kind of question."""
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in read_jsonl(path):
        kind = sums[row["kind"]]
        kind["rows"] += 1
        kind["errors"] += row["error"]
        for name, value in row["parts"].items():
            kind[name] += 0.0 if row["error"] else value
    return {
        kind: {
            "rows": int(s["rows"]),
            "errors": int(s["errors"]),
            **{
                name: total / max(s["rows"] - s["errors"], 1)
                for name, total in s.items()
                if name not in ("rows", "errors")
            },
        }
        for kind, s in sorted(sums.items())
    }


def _request(config: JudgeRunConfig) -> dict[str, Any]:
    """What the verdicts are a function of."""
    files = {"input": config.input, "questions": config.questions}
    digests = {
        f"{name}_sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else ""
        for name, path in files.items()
    }
    return {**flatten(config), **digests}


def run(config: JudgeRunConfig, workdir: Path) -> None:
    """Writes workdir/judged.jsonl, going on where a killed run stopped, and a summary."""
    job, seconds, judged = Job(config, workdir, _request), 0.0, 0
    with closing(Rewarder(config.reward, learned={})) as rewarder:
        batches = batches_of(read_completions(config, rewarder), config.batch)
        job.begin()
        with job.store(JUDGED, sizes=[*map(len, batches)], title="judge") as store:
            for number in store.left:
                batch, start = batches[number], time.monotonic()
                scores = rewarder([c for _, c in batch], first=0, seed=0, cap=config.cap)
                seconds += time.monotonic() - start
                judged += len(batch)
                store.write(map(_judged, batch, scores), rows_per_s=judged / seconds)
    path = workdir / JUDGED
    tally = _tally(path)
    job.summarize({"by_kind": tally, "seconds": {"judge": seconds}})
    for kind, counts in tally.items():
        means = [f"{k} {v:.3f}" for k, v in counts.items() if k not in ("rows", "errors")]
        print(
            f"{kind}: {counts['rows']:,} judged, {counts['errors']:,} errors; mean "
            f"{', '.join(means)}"
        )
    print(f"judged rows in {path}", flush=True)


def _judged(pair: tuple[dict[str, Any], Completion], score: Score) -> dict[str, Any]:
    """What is stored of a row and its completion."""
    row, completion = pair
    return {
        **row,
        "kind": completion.question.kind,
        "score": score.total,
        "parts": score.parts,
        "reason": score.reason,
        "error": score.error,
        "judged_answer": score.answer,
    }
