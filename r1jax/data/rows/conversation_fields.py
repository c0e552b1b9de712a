"""Training rows from files that name their fields otherwise than ours do."""

import dataclasses
from pathlib import Path
from typing import Any

from r1jax.config import UserError
from r1jax.data.files.example_rows import passing, put, shown_with, with_fields
from r1jax.data.files.fields import Filter, as_text, filled, is_absent, passes
from r1jax.data.files.files import Format, named_rows, read_rows
from r1jax.data.files.paths import lookup, opened, optional, parts_of
from r1jax.text.conversations import TrainingRow, training_row
from r1jax.text.thought import CLOSE, OPEN, laid_out

ROLES = ("system", "user", "assistant")


@dataclasses.dataclass(frozen=True)
class ConversationFields:
    r"""Which fields of a file's rows are a conversation to learn.

    Either `messages` names a list of turns, or `question` and `reply` name the two of one turn.
    Fields may be dotted paths, as of `FileSource`; one that ends in "?" may be absent, null or
    empty.

    Attributes:
      id: field of the row's name; "" makes FOLDER/FILE:ROW of the file's.
      source: field of what the row was taken from; "" takes the file's name.
      messages: field with the list of turns, or a text with it as JSON; "" for none.
      role, content: keys of a turn, "role" and "content" or, as ShareGPT has it, "from" and
        "value".
      roles: what the file calls "system", "user" and "assistant", where it has other words:
        {"human": "user", "gpt": "assistant"}.
      system: field of a system message before the turns; "" for none.
      question: field or template of what the user says: "{instruction}\n\n{input?}". "" with
        `messages`.
      reply: field of what the assistant says, verbatim. "" with `messages`.
      thought: field of the thought before the reply or, with `messages`, its key in a turn; the
        reply then becomes "<think>", the thought, "</think>" and the reply. "" for none.
      filters: all must hold of a row.
    """

    id: str
    source: str
    messages: str
    role: str
    content: str
    roles: dict[str, str]
    system: str
    question: str
    reply: str
    thought: str
    filters: tuple[Filter, ...]

    def __post_init__(self):
        turn = (bool(self.question), bool(self.reply))
        if turn != ((False, False) if self.messages else (True, True)):
            raise UserError(
                f"messages {self.messages!r}, question {self.question!r}, reply {self.reply!r}: "
                "wanted messages alone, or question and reply"
            )
        if self.messages and not (self.role and self.content):
            raise UserError(f"role {self.role!r}, content {self.content!r}: wanted both")
        if odd := sorted(set(self.roles.values()) - set(ROLES)):
            raise UserError(f"roles: got {odd}, wanted {ROLES}")


def _reply(text: str, thought: Any, what: str) -> str:
    """A reply with its thought before it."""
    if is_absent(thought):
        return text
    if OPEN in text or CLOSE in text:
        raise UserError(f"{what}: there is a thought, and the reply {text[:40]!r} has one too")
    return laid_out(f"\n{as_text(thought, 'thought', what, joint=' ').strip()}\n", f"\n\n{text}")


def _text(value: Any, field: str, where: str) -> str:
    """A text verbatim, a number in digits."""
    if isinstance(value, list):
        raise UserError(f"{where}: field {field!r} is a list, wanted a text")
    return as_text(value, field, where, joint="")


def _turns(fields: ConversationFields, row: dict[str, Any], where: str) -> list[dict[str, str]]:
    at = f"{where}: messages"
    given = lookup(row, fields.messages, at)
    given = opened(given, f"{at}: field {fields.messages!r}") if isinstance(given, str) else given
    if not isinstance(given, list) or not all(isinstance(turn, dict) for turn in given):
        raise UserError(
            f"{at}: field {fields.messages!r} is {given!r:.60}, wanted a list of objects with "
            f"{fields.role!r} and {fields.content!r}"
        )
    turns = []
    for number, turn in enumerate(given):
        what = f"{at}[{number}]"
        named = _text(lookup(turn, fields.role, what), fields.role, what)
        role = fields.roles.get(named, named)
        if role not in ROLES:
            raise UserError(
                f"{what}: role {named!r}, wanted one of {[*fields.roles, *ROLES]}; `roles` says "
                "what a word stands for"
            )
        content = _text(lookup(turn, fields.content, what), fields.content, what)
        if fields.thought and role == "assistant":
            content = _reply(content, optional(turn, fields.thought, what), what)
        turns.append({"role": role, "content": content})
    return turns


def _one_turn(fields: ConversationFields, row: dict[str, Any], where: str) -> list[dict[str, str]]:
    at = f"{where}: reply"
    text = _text(lookup(row, fields.reply, at), fields.reply, at)
    if fields.thought:
        text = _reply(text, optional(row, fields.thought, f"{where}: thought"), at)
    question = filled(fields.question, row, f"{where}: question")
    return [{"role": "user", "content": question}, {"role": "assistant", "content": text}]


def conversation(
    fields: ConversationFields, row: dict[str, Any], name: str, where: str
) -> TrainingRow:
    """Returns the training row that a file's row is.

    Args:
      fields: which of its fields are what.
      row: as read.
      name: its id where the file has none, FOLDER/FILE:ROW.
      where: file and row, for the error.

    Raises:
      UserError: names key, file and row of what is missing or of a wrong type, or roles that do not
        take turns.
    """

    def label(field: str, key: str, derived: str) -> str:
        at = f"{where}: {key}"
        return _text(lookup(row, field, at), field, at).strip() if field else derived

    turns = (_turns if fields.messages else _one_turn)(fields, row, where)
    system = optional(row, fields.system, f"{where}: system") if fields.system else None
    if not is_absent(system):
        said = _text(system, fields.system, f"{where}: system")
        turns.insert(0, {"role": "system", "content": said})
    made = {
        "id": label(fields.id, "id", name),
        "source": label(fields.source, "source", name.rpartition(":")[0].rpartition("/")[2]),
        "messages": turns,
    }
    return training_row(made, where)


def example(fields: ConversationFields) -> dict[str, Any]:
    """Returns a small row that the fields fit, to show in errors."""
    row: dict[str, Any] = {}
    thought = fields.thought and not fields.thought.endswith("?")
    if fields.messages:
        words = {ours: theirs for theirs, ours in fields.roles.items()}
        said = {"user": "What is 2 + 3?", "assistant": "It is 5."}
        turns = [
            {fields.role: words.get(role, role), fields.content: text}
            for role, text in said.items()
        ]
        turns[1] |= {fields.thought: "2 and 3 are 5."} if thought else {}
        row = put(row, parts_of(fields.messages), turns)
    else:
        row = with_fields(row, fields.question, "What is 2 + 3?")
        row = put(row, parts_of(fields.reply), "It is 5.")
        row = put(row, parts_of(fields.thought), "2 and 3 are 5.") if thought else row
    for field, value in ((fields.system, "Be short."), (fields.id, "a1"), (fields.source, "sums")):
        row = put(row, parts_of(field), value) if field and not field.endswith("?") else row
    return passing(row, fields.filters)


def read_conversations(
    path: str | Path, *, format: Format, fields: ConversationFields | None, limit: int
) -> list[TrainingRow]:
    """Returns the training rows of a file, or the first `limit` of them; 0 for all.

    Args:
      path: a file; a folder, for all its files of the format; or a pattern in its last part.
      format: of the file.
      fields: which of its fields are what; None where the rows are ours (`training_row`).
      limit: after filtering.

    Raises:
      UserError: names key, file and row, and shows a right row; also if there is none at all.
    """
    rows = []
    if fields is None:
        made = (training_row(row, where) for where, row in read_rows(Path(path), format))
        right = {
            "id": "a1",
            "source": "sums",
            "messages": [
                {"role": "user", "content": "What is 2 + 3?"},
                {"role": "assistant", "content": "It is 5."},
            ],
        }
    else:
        made = (
            conversation(fields, row, name, where)
            for name, where, row in named_rows(Path(path), format)
            if all(passes(condition, row, where) for condition in fields.filters)
        )
        right = example(fields)
    with shown_with(right):
        for row in made:
            rows.append(row)
            if len(rows) == limit:
                break
        if not rows:
            raise UserError(f"{path}: empty, or the filters leave none; wanted at least one row")
    return rows
