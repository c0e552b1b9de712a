"""Text from token ids as they come, never half a letter."""

from r1jax.text.tokenizer import Tokenizer

UNFINISHED = "\ufffd"  # what a decoder makes of bytes that are no whole letter


class Detokenizer:
    """Gives out text as soon as no later token can change it.

    A letter may be spread over several tokens (bytes of UTF-8), and some decoders spoil a whole run
    of bytes for one that is broken: so a token's text comes with the next token that leaves it
    alone, or at the end. What it gave out, put together, is what `decode` makes of all ids at once.
    """

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._known: list[int] = []  # ids whose text is out; kept because spaces depend on them
        self._waiting: list[int] = []

    def push(self, token: int) -> str:
        """Takes the next id; returns the text that is now certain, maybe none."""
        before = self._text()
        self._waiting.append(token)
        if self._tokenizer.is_byte(token) or before.endswith(UNFINISHED):
            return ""
        now = self._text()
        if now == before or not now.startswith(before):  # a silent token says nothing
            return ""
        certain = before[len(self._tokenizer.decode(self._known)) :]
        if certain:
            self._known, self._waiting = self._waiting[:-1], [token]
        return certain

    def finish(self) -> str:
        """Returns what was held back, broken letters as U+FFFD."""
        rest = self._text()[len(self._tokenizer.decode(self._known)) :]
        self._known, self._waiting = [], []
        return rest

    def _text(self) -> str:
        return self._tokenizer.decode([*self._known, *self._waiting])
