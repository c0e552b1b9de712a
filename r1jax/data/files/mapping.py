"""Problems from data files: which field of a row is the question, the answer, the tests."""

import dataclasses
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from r1jax.config import UserError
from r1jax.data.files.fields import Filter, as_text, bare, compiled, filled, lookup, passes
from r1jax.data.files.files import SUFFIXES, Format, read_rows
from r1jax.data.tasks.problems import Problem

# what tests or reward models judge
WITHOUT_ANSWER = {"code": "(tests)", "helpful": "(open)", "harmless": "(open)"}


@dataclasses.dataclass(frozen=True)
class FileSource:
    r"""A file of questions. Fields may be dotted paths: "tests.inputs", "solution.0".

    Attributes:
      path: a file; a folder, for all its files of the format; or a pattern in its last part,
        such as main/train-*.parquet.
      format: of the file.
      question: a field, or a template such as "{Body} {Question}"; {context?} may be absent.
      options: field with the list of choices, which the question then shows as lines "(A) ...";
        labels that they carry already, "A)" or "(A)", are taken off. "" for none.
      answer: field of the reference; the items of a list are joined with ", ". With `kind` "choice"
        a letter, or an integer that counts the options from 0. "" only with a `kind` of
        "code", "helpful" or "harmless".
      answer_pattern: regular expression with one group, searched in the answer; "" takes all of it.
        GSM8K ends its solutions in "#### 18": r"####\s*(.+)$".
      stratum: field of the difficulty label; "" for none.
      subject: field of the subject; "" for none.
      kind: the judge (`Problem.kind`).
      reference: names that the judge knows and the fields they come from; "options" is there
        without being named.
      filters: all must hold of a row.
      limit: rows taken, after filtering; 0 for all.
    """

    path: str
    format: Format
    question: str
    options: str
    answer: str
    answer_pattern: str
    stratum: str
    subject: str
    kind: Literal[
        "maths", "choice", "code", "knights_knaves", "countdown", "text", "helpful", "harmless"
    ]
    reference: dict[str, str]
    filters: tuple[Filter, ...]
    limit: int

    def __post_init__(self):
        if self.answer_pattern:
            groups = compiled(self.answer_pattern, "answer_pattern").groups
            if groups != 1:
                raise UserError(
                    f"answer_pattern {self.answer_pattern!r}: {groups} groups, wanted 1"
                )
        if not self.question or (not self.answer and self.kind not in WITHOUT_ANSWER):
            raise UserError(
                f"got question {self.question!r}, answer {self.answer!r}, wanted both (the kinds "
                f"{list(WITHOUT_ANSWER)} can do without an answer)"
            )
        if bool(self.options) != (self.kind == "choice"):
            raise UserError(f"got options {self.options!r} with kind {self.kind!r}")
        if self.limit < 0:
            raise UserError(f"limit {self.limit}: wanted rows, or 0 for all")

    @property
    def place(self) -> Path:
        """The path, absolute; a link keeps its name, since snapshots of the hub are links."""
        return Path(os.path.abspath(self.path))


def _options(source: FileSource, row: dict[str, Any], where: str) -> list[str]:
    values = lookup(row, source.options, where)
    if not isinstance(values, list) or not 2 <= len(values) <= 26:
        raise UserError(f"{where}: field {source.options!r} is {values!r}, wanted 2 to 26 options")
    options = []
    for letter, value in zip(map(chr, range(65, 91)), values, strict=False):
        text = as_text(value, source.options, where, joint=", ").strip()
        options.append(re.sub(rf"^\(?{letter}[)）]\s*", "", text))
    return options


def _letter(answer: Any, options: list[str], where: str) -> Any:
    """A choice's answer with indices turned to letters, and all letters known to be options."""
    letters = [chr(65 + i) for i in range(len(options))]
    if isinstance(answer, int) and not isinstance(answer, bool):
        if not 0 <= answer < len(options):
            raise UserError(f"{where}: answer {answer}, wanted 0 to {len(options) - 1}")
        return letters[answer]
    for letter in answer if isinstance(answer, list) else [answer]:
        if not isinstance(letter, str) or letter.strip() not in letters:
            raise UserError(f"{where}: answer {answer!r}, wanted one of {letters}")
    return answer


def _answer(source: FileSource, row: dict[str, Any], options: list[str], where: str) -> str:
    if not source.answer:
        return WITHOUT_ANSWER[source.kind]
    value = lookup(row, source.answer, where)
    if source.kind == "choice" and not source.answer_pattern:
        value = _letter(value, options, where)
    text = as_text(value, source.answer, where, joint=", ")
    if source.answer_pattern:
        match = re.search(source.answer_pattern, text)
        if match is None or not (match[1] or "").strip():
            raise UserError(
                f"{where}: {source.answer_pattern!r} finds nothing in ...{text[-60:]!r}"
            )
        text = match[1]
        if source.kind == "choice":
            _letter(text, options, where)
    # a program's first line may be indented
    return text.strip("\r\n") if source.kind == "code" else text.strip()


def _problem(source: FileSource, row: dict[str, Any], name: str, where: str) -> Problem:
    question = filled(source.question, row, where)
    reference = {key: lookup(row, field, where) for key, field in source.reference.items()}
    if nulls := [key for key, value in reference.items() if value is None]:
        raise UserError(f"{where}: reference {nulls[0]!r} is null")
    options = _options(source, row, where) if source.options else []
    if options:
        lines = (f"({chr(65 + i)}) {option}" for i, option in enumerate(options))
        question = "\n".join([question, *lines])
        reference["options"] = options

    def label(field: str) -> str:
        return as_text(lookup(row, field, where), field, where, joint=", ").strip()

    return Problem(
        id=name,
        question=question,
        answer=_answer(source, row, options, where),
        stratum=label(source.stratum) if source.stratum else "",
        subject=label(source.subject) if source.subject else "",
        kind=source.kind,
        reference=reference,
    )


def _numbered(path: Path, format: Format) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """(row over all files, "FILE:ROW", row), where the second counts within the file."""
    number, before, last = 0, 0, ""
    for where, row in read_rows(path, format):
        file, _, within = where.rpartition(":")
        if file != last:
            before, last = number, file
        number = before + int(within)
        yield number, where, row


def _rows(source: FileSource) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(id, "FILE:ROW", row) of the rows that pass the filters, `limit` at most."""
    path, number, passed = source.place, 0, 0
    name = path.name.removesuffix(".gz")
    for suffix in (suffix for suffixes in SUFFIXES.values() for suffix in suffixes):
        name = name.removesuffix(suffix)
    for number, where, row in _numbered(path, source.format):
        if all(passes(condition, row, where) for condition in source.filters):
            passed += 1
            yield f"{path.parent.name}/{name}:{number}", where, row
        if source.limit and passed == source.limit:
            break
    if not number:
        raise UserError(f"{path}: empty, wanted at least one row")
    if not passed:
        raise UserError(f"{path}: the filters leave none of {number} rows")


def load_problems(source: FileSource) -> list[Problem]:
    """Returns the problems of a file; ids are FOLDER/FILE:ROW, rows counted from 1 over all files.

    Of JSON lines the row is the line, blank ones counted unless they end a file.

    Raises:
      UserError: names file and row whose field is missing, empty, of a wrong type or does not
        match; or the file, if it has no row or no row passes the filters.
      OSError: if it cannot be read.
    """
    return [_problem(source, row, name, where) for name, where, row in _rows(source)]


def own_words(source: FileSource) -> bool:
    """Whether our questions have more than the data say: words of a template, or options."""
    return bool(source.options) or bare(source.question) != source.question


def question_texts(source: FileSource) -> dict[str, str]:
    """Returns what the data say in each question by id: no words of a template, no options.

    Raises:
      ValueError, OSError: as `load_problems`.
    """
    spec = bare(source.question)
    return {name: filled(spec, row, where) for name, where, row in _rows(source)}
