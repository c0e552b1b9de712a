"""The two halves of a completion: what was thought, and what was answered.

An answer is what follows the last </think>; of a text without think tags it is everything. All else
is thought, and a thought that never ends has no answer behind it. The last </think>, not the first,
because every letter is then either judged or counts as thought: a policy cannot be paid for an
answer that it goes on thinking about, nor hide words from the language reward between two closing
tags. DeepSeek-R1's chat template drops earlier turns up to the same place. Where it matters to the
format reward nothing depends on the choice: a second </think> earns nothing there.
"""

from typing import NamedTuple

OPEN, CLOSE = "<think>", "</think>"
ANSWER = ("<answer>", "</answer>")
TAGS = (OPEN, CLOSE, *ANSWER)


class Split(NamedTuple):
    """A completion in two; None for a half that is missing or blank."""

    reasoning: str | None
    answer: str | None


class Piece(NamedTuple):
    """Some text of a completion that is still growing."""

    text: str
    is_thought: bool


class Splitter:
    """Splits a completion as it comes, and leaves the tags out.

    A piece is thought or answer by `cut` of the text so far; another </think> may still come, and
    then what stood before it was thought: the last word has `split_completion`. A text that might
    be the beginning of a tag waits until it is one or not.

    Args:
      opened: whether the prompt ended in <think>.
    """

    def __init__(self, *, opened: bool):
        self._thinking, self._waiting = opened, ""

    def push(self, text: str) -> list[Piece]:
        """Takes more text; returns what is certain."""
        self._waiting += text
        return self._cut(final=False)

    def finish(self) -> list[Piece]:
        """Returns what was held back."""
        return self._cut(final=True)

    def _cut(self, *, final: bool) -> list[Piece]:
        pieces = []
        while self._waiting:
            places = [(self._waiting.find(t), t) for t in self._tags() if t in self._waiting]
            at, tag = min(places, default=(None, ""))
            if at is None:
                at = len(self._waiting) if final else self._certain()
            if at:
                pieces.append(Piece(self._waiting[:at], self._thinking))
            self._waiting = self._waiting[at + len(tag) :]
            if not tag:
                break
            self._thinking = tag == OPEN or (self._thinking and tag != CLOSE)
        return pieces

    def _tags(self) -> tuple[str, ...]:
        return (OPEN, CLOSE) if self._thinking else (OPEN, CLOSE, *ANSWER)

    def _certain(self) -> int:
        """Letters before the longest end that begins a tag."""
        begins = (
            n for tag in self._tags() for n in range(1, len(tag)) if self._waiting.endswith(tag[:n])
        )
        return len(self._waiting) - max(begins, default=0)


def whole(text: str, *, opened: bool) -> str:
    """Returns a completion with the <think> that its prompt ended in, if it did."""
    return OPEN + text if opened else text


def laid_out(thought: str, answer: str) -> str:
    """Returns a completion of a thought and an answer; without a thought it is the answer."""
    return f"{OPEN}{thought}{CLOSE}{answer}" if thought else answer


def cut(text: str) -> tuple[str, str | None]:
    """Returns a whole completion in two, its tags with it: the thought, and what follows.

    The thought ends behind the last </think>; it is "" in a text without think tags. What follows
    is None where the thought never ends: the length cap came first.

    Args:
      text: with the tag that its prompt opened (`whole`).
    """
    before, closed, after = text.rpartition(CLOSE)
    return (text, None) if OPEN in after else (before + closed, after)


def split_completion(text: str, *, opened: bool) -> Split:
    """Returns what was thought and what was answered (`cut`), without tags and margins.

    Answer tags within the thought are text like any other.

    Args:
      text: the completion.
      opened: whether the prompt ended in <think>, so that the completion begins within the thought.
    """
    thought, answer = cut(whole(text, opened=opened))
    reasoning = _without(thought, (OPEN, CLOSE))
    return Split(reasoning or None, _without(answer or "", TAGS) or None)


def _without(text: str, tags: tuple[str, ...]) -> str:
    for tag in tags:
        text = text.replace(tag, "")
    return text.strip()
