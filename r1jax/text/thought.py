"""The two halves of a completion: what was thought, and what was answered."""

from typing import NamedTuple

OPEN, CLOSE = "<think>", "</think>"
ANSWER = ("<answer>", "</answer>")


class Split(NamedTuple):
    """A completion in two; None for a half that is missing or blank."""

    reasoning: str | None
    answer: str | None


class Piece(NamedTuple):
    """Some text of a completion that is still growing."""

    text: str
    is_thought: bool


class Splitter:
    """Splits a completion as it comes, at its first </think>, and leaves the tags out.

    A text that might be the beginning of a tag waits until it is one or not.

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


def split_completion(text: str, *, opened: bool) -> Split:
    """Returns what was thought and what was answered, as a `Splitter` tells them apart.

    The thought ends at the first </think>; one that never closes is all thought: the length cap
    came first. A text without think tags is all answer. Where </think> comes without <think>, the
    thought was there from the beginning.

    Args:
      text: the completion.
      opened: whether the prompt ended in <think>, so that the completion begins within the thought.
    """
    unopened = CLOSE in text and OPEN not in text.partition(CLOSE)[0]
    splitter = Splitter(opened=opened or unopened)
    pieces = [*splitter.push(text), *splitter.finish()]
    of = lambda thought: "".join(p.text for p in pieces if p.is_thought is thought).strip()
    return Split(of(True) or None, of(False) or None)
