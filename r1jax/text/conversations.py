"""Conversations as training examples: what is given, and what the assistant should say.

The prompt of a turn is what the sampler would be given for it, and the reply is the row's own text
to the letter. No reply is ever rendered by a chat template: DeepSeek's and Qwen's delete what
stands before </think> in earlier turns, and with it most of what was to be learned.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from r1jax.config import UserError
from r1jax.text import templates
from r1jax.text.templates import CHAT, Prompt, PromptConfig
from r1jax.text.thought import CLOSE, OPEN
from r1jax.text.tokenizer import Tokenizer


class Message(NamedTuple):
    """A turn; the role is "system", "user" or "assistant"."""

    role: str
    content: str


class TrainingRow(NamedTuple):
    """A conversation to learn from.

    Attributes:
      id: names it in errors; no two rows of a run share one.
      source: what it was made by or taken from; losses are told by source.
      messages: perhaps one of the system, then the user's and the assistant's in turn.
      where: file and line it was read from.
    """

    id: str
    source: str
    messages: tuple[Message, ...]
    where: str

    @property
    def asked(self) -> tuple[str, ...]:
        """What was said before the first reply: rows that share it answer one question."""
        contents = tuple(m.content for m in self.messages)
        return contents[: [m.role for m in self.messages].index("assistant")]


class Example(NamedTuple):
    """Token ids, and which of them are targets: the assistant's, and the stop id behind them."""

    ids: list[int]
    targets: list[bool]


def training_row(row: Mapping[str, Any], where: str) -> TrainingRow:
    """Reads a row {"id", "source", "messages": [{"role", "content"}, ...]}; more may stand in it.

    Raises:
      UserError: names the place and what it lacks.
    """
    for field in ("id", "source"):
        if not isinstance(row.get(field), str) or not row[field]:
            raise UserError(f"{where}: {field} is {row.get(field)!r:.40}, wanted a text")
    place, given = f"{where}: row {row['id']}", row.get("messages")
    if not isinstance(given, list) or not all(isinstance(m, dict) for m in given):
        raise UserError(f"{place}: messages are {given!r:.40}, wanted a list of objects")
    roles = [message.get("role") for message in given]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if not turns or len(turns) % 2 or turns != ["user", "assistant"] * (len(turns) // 2):
        raise UserError(
            f"{place}: got the roles {roles}, wanted user and assistant in turn, the assistant "
            "last, and before them at most one system"
        )
    for number, message in enumerate(given):
        content = message.get("content")
        if not isinstance(content, str) or not content.strip():
            raise UserError(f"{place}: message {number} says {content!r:.40}, wanted some text")
    messages = tuple(Message(m["role"], m["content"]) for m in given)
    return TrainingRow(row["id"], row["source"], messages, where)


def encode(tokenizer: Tokenizer, style: PromptConfig, row: TrainingRow) -> list[Example]:
    """Turns a row into examples, each of at least one turn.

    Turns share an example while the next prompt begins with all ids so far, as it does unless the
    template deletes something of earlier turns. From there on the turn is an example of its own,
    its prompt shortened as it will be when the model is asked; every reply is a target once.

    Args:
      tokenizer: of the model.
      style: how questions are put. With "chat" the template of the tokenizer puts the whole
        conversation; with ours each turn is put on its own, behind the one before.
      row: the conversation.

    Raises:
      UserError: names the row: a template refuses it, a reply spells a stop token, it lacks the
        thought that the prompt opens or opens another, or has one where the prompt closes it.
    """
    examples: list[Example] = []
    try:
        for prompt, reply in _turns(tokenizer, style, row.messages):
            said = _reply_ids(tokenizer, prompt, reply)
            so_far = examples[-1].ids if examples else []
            if not examples or prompt.ids[: len(so_far)] != so_far:
                examples.append(Example([], []))
                so_far = []
            ids, targets = examples[-1]
            given = prompt.ids[len(so_far) :]
            ids += [*given, *said]
            targets += [False] * len(given) + [True] * len(said)
    except ValueError as error:
        raise UserError(f"{row.where}: row {row.id}: {error}") from error
    return examples


def _turns(
    tokenizer: Tokenizer, style: PromptConfig, messages: Sequence[Message]
) -> Iterator[tuple[Prompt, str]]:
    """Yields each reply with the prompt it follows."""
    if style.template == CHAT:
        return _chat_turns(tokenizer, style, messages)
    return _template_turns(tokenizer, style, messages)


def _chat_turns(
    tokenizer: Tokenizer, style: PromptConfig, messages: Sequence[Message]
) -> Iterator[tuple[Prompt, str]]:
    said = []
    for message in messages:
        if message.role == "assistant":
            yield templates.conversation(tokenizer, said), message.content
        if message.role == "user" and not any(m["role"] == "user" for m in said):
            said += style.shown()
        turn = {"role": message.role, "content": message.content}
        said.append(style.asked(message.content) if message.role == "user" else turn)


def _template_turns(
    tokenizer: Tokenizer, style: PromptConfig, messages: Sequence[Message]
) -> Iterator[tuple[Prompt, str]]:
    if messages[0].role == "system":
        raise UserError(
            f"template {style.template!r} has no place for a system message; only {CHAT!r} has"
        )
    text, ids = "", []
    for question, reply in zip(messages[::2], messages[1::2], strict=True):
        alone = templates.prompt(tokenizer, style, question.content)
        style = dataclasses.replace(style, examples=())  # they stand before the first turn
        begun = 0 if not ids or tokenizer.bos_id is None else 1  # BOS begins the whole
        prompt = Prompt(text + alone.text, [*ids, *alone.ids[begun:]])
        yield prompt, reply.content
        text = prompt.text + reply.content
        ids = [*prompt.ids, *_reply_ids(tokenizer, prompt, reply.content)]


def _reply_ids(tokenizer: Tokenizer, prompt: Prompt, reply: str) -> list[int]:
    """Ids of a reply, encoded on its own as a sampler says it, and the end of it."""
    ids = tokenizer.encode(_behind(prompt, reply))
    if stops := sorted(set(tokenizer.stop_ids) & set(ids)):
        raise UserError(f"the reply {reply!r:.40} spells the stop tokens {stops}")
    return [*ids, tokenizer.eos_id]


def _behind(prompt: Prompt, reply: str) -> str:
    """The reply without the tags, and the blanks around them, that stand in the prompt already."""
    said = reply.lstrip()
    if prompt.closes_thought:
        thought, closed, answer = said.rpartition(CLOSE)
        if thought.replace(OPEN, "", 1).strip() or OPEN in answer:
            raise UserError(
                f"the prompt closes the thought, but the reply {reply!r:.40} has one; take a "
                f"template that leaves {OPEN} to the reply"
            )
        return answer.lstrip() if closed else reply
    if not prompt.opens_thought:
        return reply
    if said.startswith(OPEN):
        opened = prompt.text[prompt.text.rindex(OPEN) :]  # perhaps with a line break behind it
        reply = said.removeprefix(opened if said.startswith(opened) else OPEN)
    elif CLOSE not in reply:
        raise UserError(
            f"the prompt opens the thought, but the reply {reply!r:.40} has none; take a "
            f"template that leaves {OPEN} to the reply"
        )
    if OPEN in reply.partition(CLOSE)[0]:
        raise UserError(
            f"the prompt opens the thought, and within it the reply {reply!r:.40} opens another; "
            f"begin the reply with {OPEN}, or leave it out"
        )
    return reply
