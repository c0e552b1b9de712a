"""Text to token ids and back: a sentencepiece model behind a small interface."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import sentencepiece

TAGS = ("<think>", "</think>", "<answer>", "</answer>")


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
    def bos_id(self) -> int: ...

    @property
    def eos_id(self) -> int: ...

    def encode(self, text: str) -> list[int]:
        """Ids of the text alone: no BOS, no EOS."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids; padding, BOS and EOS give nothing."""
        ...


class SentencePieceTokenizer:
    """A sentencepiece model, held as bytes so that it travels with a checkpoint."""

    def __init__(self, model: bytes):
        self.model = model
        self._sp = sentencepiece.SentencePieceProcessor(model_proto=model)
        if min(self.pad_id, self.bos_id, self.eos_id) < 0:
            raise ValueError("it lacks a pad, bos or eos id")

    @classmethod
    def load(cls, path: str | Path) -> "SentencePieceTokenizer":
        """Reads a .model file.

        Raises:
          ValueError: if the file is no sentencepiece model; names it.
        """
        try:
            return cls(Path(path).read_bytes())
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"tokenizer: {path} is no sentencepiece model ({error})") from error

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
    """
    model = io.BytesIO()
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
        user_defined_symbols=["\n", *TAGS],
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        num_threads=2,
        minloglevel=2,
    )
    return SentencePieceTokenizer(model.getvalue())
