"""Problems from data files, by the fields that a config names."""

import re
from collections.abc import Iterator
from typing import Any

from r1jax.config import UserError
from r1jax.data.files import choices
from r1jax.data.files.example_rows import shown_with
from r1jax.data.files.fields import as_text, bare, filled, is_absent, passes
from r1jax.data.files.files import named_rows
from r1jax.data.files.paths import lookup, opened, optional
from r1jax.data.files.program_tests import tests_of
from r1jax.data.files.source import WITHOUT_ANSWER, FileSource, example
from r1jax.data.tasks.problems import Problem

_PUZZLES = ("countdown", "knights_knaves")  # whose references are numbers, lists, truth values


def _answer(source: FileSource, row: dict[str, Any], where: str) -> Any:
    """The answer of a row as text or, of a choice without a pattern, as it stands there."""
    value = lookup(row, source.answer, where)
    if source.kind == "choice" and not source.answer_pattern and not source.answer_words:
        return value
    text = as_text(value, source.answer, where, joint=", ")
    if source.answer_pattern:
        match = re.search(source.answer_pattern, text)
        if match is None or not (match[1] or "").strip():
            raise UserError(
                f"{where}: {source.answer_pattern!r} finds nothing in ...{text[-60:]!r}"
            )
        text = match[1]
    # a program's first line may be indented
    text = text.strip("\r\n") if source.kind == "code" else text.strip()
    if source.answer_words and text not in source.answer_words:
        raise UserError(f"{where}: answer_words has no {text!r:.60}, got {[*source.answer_words]}")
    return source.answer_words.get(text, text)


def _choice(
    source: FileSource, row: dict[str, Any], question: str, where: str
) -> tuple[list[str], str]:
    """The options of a row in the order in which they are shown, and the letters of the answer."""
    options = choices.options_of(row, source.options, f"{where}: options")
    at = f"{where}: answer"
    if source.answers_by_field:
        places = [options.labels.index(source.answer)]
        same = options.texts.count(options.texts[places[0]])
        if same > 1:
            raise UserError(
                f"{at}: {options.texts[places[0]][:60]!r} is the text of {same} options, wanted 1"
            )
    else:
        places = choices.right(_answer(source, row, at), options, source.answer_as, at)
    order = [*range(len(options.texts))]
    if source.options_seed is not None:
        order = choices.shuffled(options, source.options_seed, question)
    letters = [choices.LETTERS[order.index(place)] for place in places]
    return [options.texts[i] for i in order], ", ".join(letters)


def _reference(source: FileSource, row: dict[str, Any], where: str) -> dict[str, Any]:
    reference: dict[str, Any] = {}
    for key, path in source.reference.items():
        value = optional(row, path, f"{where}: reference.{key}")
        if path.endswith("?") and is_absent(value):
            continue
        if value is None:
            raise UserError(f"{where}: reference {key!r} is null")
        if source.kind in _PUZZLES and isinstance(value, str):  # a cell of CSV
            value = opened(value, f"{where}: reference.{key}: field {path!r}")
        reference[key] = value
    reference |= source.constants
    return tests_of(reference, f"{where}: reference") if source.kind == "code" else reference


class _Cut:
    """Takes what matches patterns out of texts, and counts."""

    def __init__(self, source: FileSource):
        self._source, self._counts = source, dict.fromkeys(source.question_cut, 0)

    def __call__(self, text: str) -> str:
        for pattern in self._counts:
            text, count = re.subn(pattern, "", text)
            self._counts[pattern] += count
        return text

    def check(self) -> None:
        """Raises UserError for a pattern that matched nowhere."""
        if vain := [pattern for pattern, count in self._counts.items() if not count]:
            raise UserError(f"{self._source.place}: question_cut {vain[0]!r} matches in no row")


def _problem(source: FileSource, row: dict[str, Any], name: str, where: str, cut: _Cut) -> Problem:
    question = filled(source.question, row, f"{where}: question", change=cut)
    reference = _reference(source, row, where)
    if source.options:
        reference["options"], answer = _choice(source, row, question, where)
        lines = (f"({choices.LETTERS[i]}) {text}" for i, text in enumerate(reference["options"]))
        question = "\n".join([question, *lines])
    elif source.answer:
        answer = _answer(source, row, f"{where}: answer")
    else:
        answer = WITHOUT_ANSWER[source.kind]

    def label(field: str, key: str) -> str:
        at = f"{where}: {key}"
        return as_text(lookup(row, field, at), field, at, joint=", ").strip()

    return Problem(
        id=name,
        question=question,
        answer=answer,
        stratum=label(source.stratum, "stratum") if source.stratum else "",
        subject=label(source.subject, "subject") if source.subject else "",
        kind=source.kind,
        reference=reference,
    )


def _rows(source: FileSource) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(id, "FILE:ROW", row) of the rows that pass the filters, `limit` at most."""
    path, number, passed = source.place, 0, 0
    for name, where, row in named_rows(path, source.format):
        number += 1
        if all(passes(condition, row, where) for condition in source.filters):
            passed += 1
            yield name, where, row
        if source.limit and passed == source.limit:
            break
    if not number:
        raise UserError(f"{path}: empty, wanted at least one row")
    if not passed:
        raise UserError(f"{path}: the filters leave none of {number} rows")


def _made(source: FileSource) -> Iterator[tuple[str, str, dict[str, Any], _Cut]]:
    """As `_rows`, with a right row in errors of those who read and of those who use it."""
    cut = _Cut(source)
    for name, where, row in _rows(source):
        yield name, where, row, cut
    cut.check()


def load_problems(source: FileSource) -> list[Problem]:
    """Returns the problems of a file; ids are FOLDER/FILE:ROW, rows counted from 1 over all files.

    Of text files the row is the line, blank ones counted unless they end a file.

    Raises:
      UserError: names the key, file and row whose field is missing, empty, of a wrong type or does
        not match, with a right row; or the file, if it has no row, no row passes the filters or
        what is to be cut is nowhere.
      OSError: if it cannot be read.
    """
    with shown_with(example(source)):
        return [_problem(source, row, name, where, cut) for name, where, row, cut in _made(source)]


def own_words(source: FileSource) -> bool:
    """Whether our questions have more than the data say: words of a template, or options."""
    return bool(source.options) or bare(source.question) != source.question


def question_texts(source: FileSource) -> dict[str, str]:
    """Returns what the data say in each question by id: no words of a template, no options.

    Raises:
      ValueError, OSError: as `load_problems`.
    """
    spec = bare(source.question)
    with shown_with(example(source)):
        return {
            name: filled(spec, row, f"{where}: question", change=cut)
            for name, where, row, cut in _made(source)
        }
