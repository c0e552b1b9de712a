"""Training questions that meet an evaluation question are taken out (R1, arXiv:2501.12948, D.1).

Two questions meet if they share n words in a row, or are equal but for case, width, spaces and the
final punctuation; that is all there is to compare in those shorter than n words, and "3 + 4?" stays
when the exam asks "3 - 4?". What is compared is what the data say, not what our templates add
(`mapping.question_texts`). Equal questions alone, n None, are what every task looks for.

The rule is eager: most of what it takes out of MATH for the sake of other exams shares a turn of
phrase with them, "express your answer as a decimal to the nearest hundredth". The report tells.
"""

import dataclasses
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from r1jax.config import Count, UserError
from r1jax.data.files.mapping import FileSource
from r1jax.data.rows.training_rows import iter_training_rows

# ideographs and kana are written without spaces, so each counts as a word
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")
_SIGN = re.compile(r"[^\w\s]|_")
_SPACE = re.compile(r"(?<!\d) | (?!\d)")
_END = ".,:;?\u3002\u3001"  # not "!", which is an operator


@dataclasses.dataclass(frozen=True)
class DecontaminationConfig:
    """What training questions may not meet.

    Attributes:
      against: evaluation sets by name.
      held_out: the run's own validation, test and ood splits too.
      n: words in a row that make a meeting; the paper has 10.
    """

    against: dict[str, FileSource]
    held_out: bool
    n: Count

    def __post_init__(self):
        if not (self.against or self.held_out):
            raise UserError("held_out False, against []: wanted something to compare with")


class Evaluation(NamedTuple):
    """Evaluation questions by set and id.

    Attributes:
      said: what the data say; n words in a row of theirs are a meeting.
      asked: as a model is asked, where words of a template or options are added. A training
        question may be equal to one, but to share n words with it says nothing: they may be ours.
    """

    said: Mapping[str, Mapping[str, str]]
    asked: Mapping[str, Mapping[str, str]]

    def indexed(self, *, n: int | None) -> dict[str, tuple[str, str]]:
        """Returns where each gram comes from, as `index_grams`."""
        return index_grams(self.asked, n=None) | index_grams(self.said, n=n)


class Hit(NamedTuple):
    """A training question that was taken out: its id, what it shares, set and id of the other."""

    id: str
    gram: str
    evaluation_set: str
    evaluation_id: str


def words(text: str) -> list[str]:
    """Returns the words of a text: NFKC, case folded, punctuation and symbols left out.

    A formula without spaces is one word. Signs that split words instead were tried: half as many
    hits more in MATH, nearly all of them like "a 1 a 2 a 3 a 4 a 5" or code of figures.
    """
    return _WORD.findall(_SIGN.sub("", unicodedata.normalize("NFKC", text).casefold()))


def plain(text: str) -> str:
    """Returns what makes two questions equal: NFKC, case folded, no spaces, no final punctuation.

    Operators stay, and so does one space between digits: 1 2 is not 12.
    """
    spaced = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    dense = _SPACE.sub("", spaced)
    return dense.rstrip(_END) or dense


def grams(question: str, n: int | None) -> Iterator[str]:
    """Yields every n words in a row, none with n None, and at last the whole question, `plain`."""
    if n is not None:
        sequence = words(question)
        for start in range(len(sequence) - n + 1):
            yield " ".join(sequence[start : start + n])
    yield plain(question)


def index_grams(
    evaluation: Mapping[str, Mapping[str, str]], *, n: int | None
) -> dict[str, tuple[str, str]]:
    """Returns where each gram comes from first, as (set, id), given questions by set and id."""
    index: dict[str, tuple[str, str]] = {}
    for name, questions in evaluation.items():
        for problem, question in questions.items():
            for gram in grams(question, n):
                index.setdefault(gram, (name, problem))
    return index


def find_hits(
    questions: Mapping[str, str], index: Mapping[str, tuple[str, str]], *, n: int | None
) -> list[Hit]:
    """Returns which of the training questions, given by id, meet an evaluation question."""
    hits = []
    for problem, question in questions.items():
        gram = next((gram for gram in grams(question, n) if gram in index), None)
        if gram is not None:
            hits.append(Hit(problem, gram, *index[gram]))
    return hits


def planted(
    rows: Iterable[Mapping[str, Any]], evaluation: Evaluation, *, n: int | None
) -> list[Hit]:
    """Returns which training rows put an evaluation question in a turn of their user.

    Args:
      rows: of training, with `id` and `messages` (`training_rows`).
      evaluation: what they may not put.
      n: words in a row that make a meeting; None looks for equal questions.
    """
    index = evaluation.indexed(n=n)
    hits = []
    for row in rows:
        asked = [turn["content"] for turn in row["messages"] if turn["role"] == "user"]
        hits += [h for text in asked for h in find_hits({row["id"]: text}, index, n=n)][:1]
    return hits


def check_not_planted(path: str | Path, evaluation: Evaluation, *, n: int | None) -> int:
    """Looks through a file of training rows, or all of a folder, as `planted`.

    Returns:
      How many rows there are.

    Raises:
      UserError: if an evaluation question is among them; names the first of them and its set.
    """
    count = 0

    def read() -> Iterator[Mapping[str, Any]]:
        nonlocal count
        for _, row in iter_training_rows(path):
            count += 1
            yield row

    hits = planted(read(), evaluation, n=n)
    if hits:
        first = hits[0]
        raise UserError(
            f"{path}: {len(hits)} of {count} training rows hold an evaluation question, first "
            f"{first.id}, which is {first.evaluation_id} of {first.evaluation_set}"
        )
    return count


def report(
    before: Mapping[str, int], hits: Mapping[str, list[Hit]], *, n: int | None
) -> dict[str, Any]:
    """Returns what was taken out, as JSON has it.

    Args:
      before: training problems of each source.
      hits: those of each source that were taken out.
      n: words of a gram, None where equal questions were looked for.
    """
    return {
        "n": n,
        "sources": {
            name: {"before": count, "removed": len(hits[name]), "kept": count - len(hits[name])}
            for name, count in before.items()
        },
        "removed": [{"source": name, **hit._asdict()} for name in hits for hit in hits[name]],
    }


def summary(report: Mapping[str, Any]) -> str:
    """Returns a report in one line."""
    by_set: dict[str, int] = {}
    for hit in report["removed"]:
        by_set[hit["evaluation_set"]] = by_set.get(hit["evaluation_set"], 0) + 1
    before = sum(counts["before"] for counts in report["sources"].values())
    told = ", ".join(f"{name} {count}" for name, count in sorted(by_set.items()))
    what, how = (
        ("repeats", "equal a held-out question")
        if report["n"] is None
        else ("decontamination", f"share {report['n']} words with an evaluation question")
    )
    return (
        f"{what}: {len(report['removed'])} of {before} training questions {how}"
        f"{f' ({told})' if told else ''}: removed"
    )
