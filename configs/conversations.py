r"""Blocks for `config.data` of fine-tuning: the fields of well-known sets of conversations.

A function takes the path of a file, a folder or a pattern, whose suffix says the format:

    c.data = dict(maths=conversations.openr1_math("data/train-*.parquet"))

A file with other fields takes `fields`. docs/data.md shows a row of each.
"""

from typing import Any

from configs import data

Block = dict[str, Any]
SHAREGPT = {"human": "user", "gpt": "assistant"}


def fields(path: str, *, limit: int = 0, repeats: int = 1, **given: Any) -> Block:
    """A file whose rows have `messages`, and what is otherwise about it."""
    usual = dict(
        id="",
        source="",
        messages="messages",
        role="role",
        content="content",
        roles={},
        system="",
        question="",
        reply="",
        thought="",
        filters=(),
    )
    return dict(
        path=path,
        format=data.format_of(path),
        fields=usual | given,
        limit=limit,
        repeats=repeats,
    )


def turn(path: str, question: str, reply: str, **given: Any) -> Block:
    """A file whose rows have a question and a reply, and what is otherwise about it."""
    return fields(path, messages="", question=question, reply=reply, **given)


def openr1_math(path: str) -> Block:
    """OpenR1-Math's `messages`, whose replies hold the thought; its rows have no name."""
    return fields(path)


def sharegpt(path: str) -> Block:
    """ShareGPT, and OpenThoughts and Bespoke-Stratos with their system message."""
    return fields(
        path,
        messages="conversations",
        role="from",
        content="value",
        roles=SHAREGPT,
        system="system?",
    )


def reasoning_content(path: str) -> Block:
    """Messages with the thought in a field of its own, as reasoning models' servers give them."""
    return fields(path, thought="reasoning_content?")


def prompt_completion(path: str) -> Block:
    """A prompt and its completion, both texts."""
    return turn(path, "prompt", "completion")


def alpaca(path: str) -> Block:
    """Alpaca: an instruction, perhaps with an input."""
    return turn(path, "{instruction}\n\n{input?}", "output")


def question_reasoning_answer(path: str) -> Block:
    """A question, the thought and the answer in three fields."""
    return turn(path, "question", "answer", thought="reasoning")
