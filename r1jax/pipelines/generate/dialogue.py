"""A conversation in the terminal: the thought dimmed, the answer plain, both as they come."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from r1jax import keys
from r1jax.exams.asking import Asker
from r1jax.reports.samples import visible
from r1jax.text import templates
from r1jax.text.chat import Message
from r1jax.text.detokenizer import Detokenizer
from r1jax.text.templates import CHAT, Prompt
from r1jax.text.thought import Piece, Splitter, split_completion

HELP = "a question and Enter; /new forgets the conversation; Ctrl-C stops an answer, Ctrl-D ends"


class Speaker:
    """A model that remembers the turns of a conversation.

    Only a chat template has a place for earlier turns: with another each question stands alone.
    Thoughts are left out of what it remembers, as DeepSeek-R1's own template leaves them out.

    Args:
      asker: the model, and how it is asked.
      chunk: tokens between two looks at a growing answer.
    """

    def __init__(self, asker: Asker, *, chunk: int):
        self.asker, self.tokenizer, self.style = asker, asker.tokenizer, asker.config.prompt
        self.chunk, self.turns = chunk, 0
        self.messages: list[Message] = []
        asker.prompt("")  # raises if the template is none for this model

    def forget(self) -> None:
        """Begins a new conversation."""
        self.messages = []

    def prompt(self, question: str) -> Prompt:
        """What the model is given for a question.

        Raises:
          ValueError: if it does not fit, with all that was said before.
        """
        if self.style.template == CHAT:
            turns = [*self.style.shown(), *self.messages, self.style.asked(question)]
            prompt = templates.conversation(self.tokenizer, turns)
        else:
            prompt = self.asker.prompt(question)
        self.asker.sampler.bucket([prompt.ids])
        return prompt

    def answer(self, question: str, prompt: Prompt, ids: list[int]) -> Iterator[Piece]:
        """Yields the completion as it comes; its ids land in `ids`."""
        asker = self.asker
        key = keys.stream(asker.root, "dialogue", self.turns)
        self.turns += 1
        letters, splitter = Detokenizer(self.tokenizer), Splitter(opened=prompt.opens_thought)
        drawn = asker.sampler.stream(
            asker.weights, prompt.ids, key, cap=asker.config.max_new_tokens, chunk=self.chunk
        )
        for part in drawn:
            ids += part
            for token in part:
                yield from splitter.push(letters.push(token))
        yield from splitter.push(letters.finish())
        yield from splitter.finish()
        split = split_completion(self.tokenizer.decode(ids), opened=prompt.opens_thought)
        if self.style.template == CHAT:
            reply = {"role": "assistant", "content": split.answer or ""}
            self.messages += [self.style.asked(question), reply]


def _questions(console: Console) -> Iterator[str]:
    """Lines as they are typed, or of a pipe; empty ones are passed over."""
    typed = sys.stdin.isatty()
    while True:
        try:
            line = console.input("[bold]> [/]") if typed else sys.stdin.readline()
        except EOFError:
            return
        except KeyboardInterrupt:
            console.print()
            continue
        if not typed and not line:
            return
        if line.strip():
            yield line.strip()


def _turn(speaker: Speaker, question: str, console: Console) -> dict[str, Any] | None:
    """Shows one answer; returns its record, or None if the question does not fit."""
    try:
        prompt = speaker.prompt(question)
    except ValueError as error:
        console.print(f"{error}; /new starts afresh", style="red", markup=False)
        return None
    ids: list[int] = []
    was_thought, stopped = False, False
    try:
        for piece in speaker.answer(question, prompt, ids):
            if was_thought and not piece.is_thought:
                console.print()
            was_thought = piece.is_thought
            style = "dim" if piece.is_thought else ""
            console.print(Text(visible(piece.text), style=style), end="", soft_wrap=True)
    except KeyboardInterrupt:
        stopped = True
    console.print()
    ended = bool(ids) and ids[-1] in speaker.tokenizer.stop_ids
    if not ended and not stopped:
        console.print(f"(cut at {len(ids)} tokens: max_new_tokens)", style="yellow")
    text = speaker.tokenizer.decode(ids)
    split = split_completion(text, opened=prompt.opens_thought)
    return {
        "question": question,
        "prompt_ids": prompt.ids,
        "completion_ids": ids,
        "text": text,
        "reasoning": split.reasoning,
        "answer": split.answer,
        "truncated": not ended,
    }


def talk(speaker: Speaker, path: Path) -> None:
    """Answers until the input ends; every turn is appended to a file of JSON lines."""
    console = Console(highlight=False)
    if sys.stdin.isatty():
        console.print(HELP, style="dim")
    with path.open("a", encoding="utf-8") as file:
        for question in _questions(console):
            if question == "/new":
                speaker.forget()
                continue
            record = _turn(speaker, question, console)
            if record is not None:
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
                file.flush()
