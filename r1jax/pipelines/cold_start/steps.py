"""The steps of a cold start, each with what it drops and why."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from r1jax.config import UserError
from r1jax.data.files.jsonl import iter_jsonl, numbered_jsonl
from r1jax.data.rows.filters import FIELDS, FilterConfig, rejections
from r1jax.data.rows.rewriting import clean, overlap, script, summarize, word_grams
from r1jax.data.tasks import decontamination
from r1jax.data.tasks.decontamination import Evaluation
from r1jax.data.world.language import translate_thought
from r1jax.pipelines.cold_start.config import InputConfig, NearConfig, RewriterConfig
from r1jax.rewards.answers.extract import extract_answer
from r1jax.text.thought import laid_out, split_completion

NEEDED = ("id", "sample", "question", "kind", "gold", "answer", *FIELDS)
_OF_QUESTIONS = ("question", "opened", "reference")


class Candidate(NamedTuple):
    """A sampled row on its way through the steps.

    Attributes:
      source: name of its input.
      row: as it was sampled.
      reply: for training; "" before it is rewritten.
    """

    source: str
    row: dict[str, Any]
    reply: str


class Dropped(NamedTuple):
    """A candidate that goes no further."""

    candidate: Candidate
    reason: str


class Steps:
    """Candidates that are left, and those that were dropped, step by step."""

    def __init__(self, candidates: list[Candidate]):
        self.left, self.dropped = candidates, list[Dropped]()
        self.read = Counter(c.source for c in candidates)

    def take(self, step: Callable[[list[Candidate]], Iterable[Candidate | Dropped]]) -> None:
        """Goes one step: each candidate comes back, changed perhaps, or is dropped."""
        left = list[Candidate]()
        for result in step(self.left):
            if isinstance(result, Dropped):
                self.dropped.append(result)
            else:
                left.append(result)
        self.left = left

    def counts(self) -> dict[str, dict[str, Any]]:
        """By input: read = kept + the sum of dropped."""
        kept = Counter(c.source for c in self.left)
        reasons = dict.fromkeys(d.reason for d in self.dropped)
        lost = Counter((d.candidate.source, d.reason) for d in self.dropped)
        return {
            name: {
                "read": n,
                "kept": kept[name],
                "dropped": {reason: lost[name, reason] for reason in reasons},
            }
            for name, n in self.read.items()
        }


def read_input(name: str, config: InputConfig) -> list[Candidate]:
    """Returns the rows of an input.

    Raises:
      UserError: names the line that lacks something, or whose question is not there.
    """
    questions = {}
    if config.questions:
        questions = {
            row["id"]: {key: row[key] for key in _OF_QUESTIONS if key in row}
            for row in iter_jsonl(Path(config.questions))
            if "id" in row
        }
    candidates = []
    for number, row in numbered_jsonl(Path(config.path)):
        where = f"{config.path}:{number}"
        if config.questions and row.get("id") not in questions:
            raise UserError(f"{where}: id {row.get('id')!r} is not in {config.questions}")
        whole = {**questions.get(row.get("id"), {}), **row}
        if missing := [key for key in NEEDED if key not in whole]:
            hint = "" if config.questions else "; of an exam's answers tell `questions` too"
            raise UserError(f"{where}: missing fields {missing}{hint}")
        candidates.append(Candidate(name, whole, ""))
        if len(candidates) == config.limit:
            break
    if not candidates:
        raise UserError(f"{config.path}: empty, wanted at least one line")
    return candidates


def filtered(candidates: list[Candidate], config: FilterConfig) -> Iterable[Candidate | Dropped]:
    """Drops what a filter rejects, with the first one's name."""
    for candidate in candidates:
        reasons = rejections(candidate.row, config)
        yield Dropped(candidate, f"filter {next(iter(reasons))}") if reasons else candidate


def without_evaluation_questions(
    candidates: list[Candidate], evaluation: Evaluation, *, n: int | None
) -> Iterable[Candidate | Dropped]:
    """Drops rows whose question meets an evaluation question."""
    index = evaluation.indexed(n=n)
    met: dict[str, bool] = {}
    for candidate in candidates:
        question = candidate.row["question"]
        if question not in met:
            met[question] = bool(decontamination.find_hits({"": question}, index, n=n))
        yield Dropped(candidate, "evaluation question") if met[question] else candidate


def _rewritten(row: dict[str, Any], config: RewriterConfig) -> tuple[str, str]:
    """The reply, and "" or why there is none."""
    thought, said = split_completion(row["completion"], opened=row["opened"])
    thought = clean(thought or "")
    if not thought:
        return "", "no thought"
    if config.kind == "world":
        translated = translate_thought(thought, script(row["question"]))
        if translated is None:
            return "", "not translated"
        thought = translated
    if row["kind"] == "code":  # a program is no word for a box
        return (laid_out(thought, said), "") if said else ("", "no answer")
    if row["answer"] is None:
        return "", "no answer"
    summary = summarize(row["answer"], row["question"], config.summaries)
    if extract_answer(summary, ("boxed",)).answer != " ".join(row["answer"].split()):
        return "", "answer does not fit a box"
    return laid_out(thought, summary), ""


def by_rule(candidates: list[Candidate], config: RewriterConfig) -> Iterable[Candidate | Dropped]:
    """Rewrites by the kinds "layout" and "world"; programs keep what followed their thought."""
    for candidate in candidates:
        reply, why = _rewritten(candidate.row, config)
        yield Dropped(candidate, why) if why else candidate._replace(reply=reply)


def _thought(reply: str) -> str:
    """What two replies are compared by: summaries by a template are alike anyway."""
    return split_completion(reply, opened=False).reasoning or reply


def deduplicated(
    candidates: list[Candidate], near: NearConfig | None, *, per_question: int
) -> Iterable[Candidate | Dropped]:
    """Drops replies to a question that equal or nearly equal one that stays, and those beyond.

    Questions are the same if they are equal but for case, width and spaces, whatever their ids.
    """
    kept = defaultdict[str, list[Candidate]](list)
    grams = defaultdict[str, list[frozenset[tuple[str, ...]]]](list)
    for candidate in candidates:
        key = decontamination.plain(candidate.row["question"])
        if any(other.reply == candidate.reply for other in kept[key]):
            yield Dropped(candidate, "equal reply")
            continue
        own = word_grams(_thought(candidate.reply), n=near.n) if near else frozenset()
        if near and any(overlap(own, other) >= near.threshold for other in grams[key]):
            yield Dropped(candidate, "nearly equal reply")
            continue
        if len(kept[key]) == per_question:
            yield Dropped(candidate, "more than per_question")
            continue
        kept[key].append(candidate)
        grams[key].append(own)
        yield candidate
