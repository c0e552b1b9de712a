"""Which field of a file's rows is the question, the answer, the tests: the config of a source."""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any, Literal

from r1jax.config import Size, UserError
from r1jax.data.files import choices
from r1jax.data.files.example_rows import REFERENCES, passing, put, with_fields
from r1jax.data.files.fields import Filter, compiled
from r1jax.data.files.files import Format
from r1jax.data.files.paths import parts_of

# what tests, the puzzle's rules or reward models judge
WITHOUT_ANSWER = {
    "code": "(tests)",
    "countdown": "(any solution)",
    "helpful": "(open)",
    "harmless": "(open)",
}


@dataclasses.dataclass(frozen=True)
class FileSource:
    r"""A file of questions.

    Fields may be dotted paths: "tests.inputs", "prompt.0.content" (or "prompt[0].content"),
    "tests.*.input" for a list with the input of each test. A path that goes on into a text opens it
    as JSON.

    Attributes:
      path: a file; a folder, for all its files of the format; or a pattern in its last part,
        such as main/train-*.parquet.
      format: of the file. "jsonl" has an object on each line, "json" is one array of objects, "csv"
        and "tsv" have the names of the columns in their first line. All these may be gzipped.
      question: a field, or a template such as "{Body} {Question}"; {context?} may be absent, the
        items of {nums:, } have commas between them.
      question_cut: regular expressions; what they match is taken out of the question's fields, such
        as an instruction around it. Each must match in some row.
      options: field with the choices: a list, an object {"A": ..., "B": ...}, {"text": [...],
        "label": [...]}, or such JSON in a text; or several fields with commas between them, "A, B,
        C, D, E?", the last of which may be absent. The question then shows them as lines "(A) ...";
        labels that they carry already, "A)" or "(A)", or "A." before all, are taken off. "" for
        none.
      options_seed: of an order of the options, drawn for each row; None keeps the row's.
      answer: field of the reference. True and false are "true" and "false", numbers have no
        exponent, the items of a list are joined with ", ". With `kind` "choice" it says which
        option is right, and may be one of the fields of `options`. "" only with a `kind` of
        "code", "countdown", "helpful" or "harmless".
      answer_as: of a choice: "letter" is a letter, a label of the option, or an integer from 0;
        "from_0" and "from_1" are the option's number, "text" is its text.
      answer_pattern: regular expression with one group, searched in the answer; "" takes all of it.
        GSM8K ends its solutions in "#### 18": r"####\s*(.+)$".
      answer_words: what stands for an answer, for all of them: {"true": "yes", "false": "no"}; {}
        takes answers as they are.
      stratum: field of the difficulty label; "" for none.
      subject: field of the subject; "" for none.
      kind: the judge (`Problem.kind`).
      reference: names that the judge knows and the fields they come from; "options" is there
        without being named. A path that ends in "?" may be absent, null or empty. Of "code", tests
        may have other forms (`data.files.program_tests`).
      constants: names that the judge knows and the values that they have in every row.
      filters: all must hold of a row.
      limit: rows taken, after filtering; 0 for all.
    """

    path: str
    format: Format
    question: str
    question_cut: tuple[str, ...]
    options: str
    options_seed: int | None
    answer: str
    answer_as: choices.Answer
    answer_pattern: str
    answer_words: dict[str, str]
    stratum: str
    subject: str
    kind: Literal[
        "maths", "choice", "code", "knights_knaves", "countdown", "text", "helpful", "harmless"
    ]
    reference: dict[str, str]
    constants: dict[str, object]
    filters: tuple[Filter, ...]
    limit: Size

    def __post_init__(self):
        for pattern in self.question_cut:
            compiled(pattern, "question_cut")
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
        if self.kind != "choice" and (self.options_seed is not None or self.answer_as != "letter"):
            raise UserError(
                f"options_seed {self.options_seed}, answer_as {self.answer_as!r} with kind "
                f"{self.kind!r}: wanted None and 'letter'"
            )
        if self.answers_by_field and self.options_seed is None:
            raise UserError(
                f"answer {self.answer!r} is one of the options' fields, so it would stand at one "
                "place in every row: set options_seed"
            )
        if twice := sorted(self.reference.keys() & self.constants.keys()):
            raise UserError(f"reference and constants share the names {twice}")

    @property
    def place(self) -> Path:
        """The path, absolute; a link keeps its name, since snapshots of the hub are links."""
        return Path(os.path.abspath(self.path))

    @property
    def answers_by_field(self) -> bool:
        """Whether the answer is a field that holds one of the options."""
        fields = choices.option_fields(self.options)
        return len(fields) > 1 and self.answer in fields


def example(source: FileSource) -> dict[str, Any]:
    """Returns a small row that the fields of a source fit, to show in errors."""
    row = with_fields({}, source.question, "What is 2 + 3?")
    values: list[tuple[str, Any]] = []
    fields = choices.option_fields(source.options)
    if source.options and len(fields) == 1:
        values.append((source.options, ["4", "5"]))
    elif source.options:
        numbers = ("5", "4", "6", "7", "8")
        values += [(f, numbers[i % 5]) for i, f in enumerate(fields) if not f.endswith("?")]
    if source.answer and not source.answers_by_field:
        right = "B" if len(fields) == 1 else "A"
        number = "AB".index(right) + int(source.answer_as == "from_1")
        forms = {"letter": right, "from_0": number, "from_1": number, "text": "5"}
        plain = forms[source.answer_as] if source.options else "5"
        plain = next(iter(source.answer_words), plain)
        written = (plain, "2 + 3 = 5\n#### 5", r"So it is $\boxed{5}$.", f"So it is ({right}).")
        pattern = source.answer_pattern
        suited = (text for text in written if not pattern or re.search(pattern, str(text)))
        code = "def add(a, b):\n    return a + b\n" if source.kind == "code" else None
        values.append((source.answer, code or next(suited, plain)))
    for key, path in source.reference.items():
        if not path.endswith("?"):
            values.append((path, REFERENCES.get(key, "...")))
    if "fn_name" in source.reference and not source.reference["fn_name"].endswith("?"):
        values += [(source.reference["inputs"], [[2, 3]]), (source.reference["outputs"], [5])]
    values += [(source.stratum, "easy")] if source.stratum else []
    values += [(source.subject, "sums")] if source.subject else []
    for path, value in values:
        row = put(row, parts_of(path), value)
    return passing(row, source.filters)
