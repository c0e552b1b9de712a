"""Text to token ids and back: a sentencepiece model behind a small interface."""

import hashlib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import sentencepiece

from r1jax.config import UserError
from r1jax.text.chat import ChatTemplate
from r1jax.text.thought import TAGS

FILE = "tokenizer.model"
TIKTOKEN = re.compile(rb"[A-Za-z0-9+/]+=* \d+\r?\n")  # a token in base64, its rank
WHOLE = ("\n", *TAGS)  # pieces that no merge may cut or join


@runtime_checkable
class Tokenizer(Protocol):
    """What the rest of r1jax needs of a tokenizer."""

    @property
    def size(self) -> int:
        """Number of ids; every id is below it."""
        ...

    @property
    def pad_id(self) -> int: ...

    @property
    def bos_id(self) -> int | None:
        """Put before every text that is no chat; None for none."""
        ...

    @property
    def eos_id(self) -> int:
        """Ends a document."""
        ...

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """End a completion: any of these."""
        ...

    @property
    def chat(self) -> ChatTemplate | None:
        """Its chat template, if it has one."""
        ...

    @property
    def fingerprint(self) -> str:
        """A digest that tells it from others."""
        ...

    def files(self) -> dict[str, bytes]:
        """Its files in a model directory, by name."""
        ...

    def is_byte(self, token: int) -> bool:
        """Whether an id is one byte of a run that is only read as a whole (byte fallback)."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of the text alone: no BOS, no EOS."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids; padding, BOS and EOS give nothing."""
        ...


class TokenPiece(NamedTuple):
    """An entry of a sentencepiece model.

    Attributes:
      text: spaces are U+2581.
      score: the higher, the earlier it is merged.
      kind: "normal", "byte", "control", "unknown", or "whole" for one that is found in a text
        before anything is merged.
    """

    text: str
    score: float
    kind: str


class SentencePieceTokenizer:
    """A sentencepiece model, held as bytes so that it travels with a checkpoint."""

    chat = None

    def __init__(self, model: bytes, generation: Mapping[str, Any] | None = None):
        """Reads a model; `generation` is as of `HfTokenizer`."""
        self.model, self.generation = model, dict(generation or {})
        self._sp = sentencepiece.SentencePieceProcessor(model_proto=model)
        if min(self.pad_id, self.bos_id, self.eos_id) < 0:
            raise UserError("it lacks a pad, bos or eos id")
        silent = [tag for tag in TAGS if self._sp.is_control(self._sp.piece_to_id(tag))]
        if silent:
            raise UserError(f"{silent} are control pieces, so no reply could show them to a reward")

    @classmethod
    def load(
        cls, path: str | Path, generation: Mapping[str, Any] | None = None
    ) -> "SentencePieceTokenizer":
        """Reads a .model file; `generation` is as of `HfTokenizer`.

        Raises:
          UserError: if the file is no sentencepiece model; names it.
        """
        model = Path(path).read_bytes()
        if TIKTOKEN.match(model):
            raise UserError(
                f"tokenizer: {path} is of tiktoken, no sentencepiece model; transformers converts "
                f"it: from transformers.convert_slow_tokenizer import TikTokenConverter; "
                f"TikTokenConverter({str(path)!r}).converted().save('tokenizer.json')"
            )
        try:
            return cls(model, generation)
        except (RuntimeError, ValueError) as error:
            raise UserError(
                f"tokenizer: {path} is no sentencepiece model that r1jax can use ({error})"
            ) from error

    @property
    def size(self) -> int:
        return self._sp.vocab_size()

    @property
    def pad_id(self) -> int:
        return self._sp.pad_id()

    @property
    def bos_id(self) -> int:
        return self._sp.bos_id()

    @property
    def eos_id(self) -> int:
        return self._sp.eos_id()

    @property
    def stop_ids(self) -> tuple[int, ...]:
        return (self.eos_id,)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.model).hexdigest()

    def files(self) -> dict[str, bytes]:
        return {FILE: self.model}

    def pieces(self) -> list[TokenPiece]:
        """Its entries by id."""
        sp = self._sp

        def piece(i: int) -> TokenPiece:
            text, flags = sp.id_to_piece(i), (sp.is_byte(i), sp.is_control(i), sp.is_unknown(i))
            whole = text in WHOLE
            kinds = dict(zip(("byte", "control", "unknown"), flags, strict=True))
            kind = next((k for k, holds in kinds.items() if holds), "whole" if whole else "normal")
            return TokenPiece(text, sp.get_score(i), kind)

        return [piece(i) for i in range(self.size)]

    def is_byte(self, token: int) -> bool:
        return self._sp.is_byte(token)

    def encode(self, text: str) -> list[int]:
        return self._sp.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        return self._sp.decode(list(ids))


def train_sentencepiece(texts: Iterable[str], *, vocab_size: int) -> SentencePieceTokenizer:
    """Trains a BPE tokenizer that loses nothing.

    Digits stay single, unknown letters fall back to bytes, nothing is normalised, tags are pieces.

    Args:
      texts: the corpus.
      vocab_size: pieces at the most, of which 256 are bytes; fewer if the corpus has no more to
        merge.

    Raises:
      UserError: if the vocabulary has no room for the letters of the corpus.
    """
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocab_size,
            hard_vocab_limit=False,
            character_coverage=1.0,
            byte_fallback=True,
            split_digits=True,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            allow_whitespace_only_pieces=True,
            user_defined_symbols=list(WHOLE),
            pad_id=0,
            bos_id=1,
            eos_id=2,
            unk_id=3,
            num_threads=2,
            minloglevel=2,
        )
    except RuntimeError as error:  # the vocabulary has no room for all letters
        raise UserError(f"vocab_size {vocab_size}: {error}") from error
    return SentencePieceTokenizer(model.getvalue())
