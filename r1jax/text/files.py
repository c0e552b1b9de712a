"""The tokenizer's files in a model directory, ours or Hugging Face's."""

from pathlib import Path

from r1jax.text import hf_tokenizer, tokenizer
from r1jax.text.hf_tokenizer import HfTokenizer
from r1jax.text.tokenizer import SentencePieceTokenizer, Tokenizer

NAMES = (
    tokenizer.FILE, hf_tokenizer.FILE, hf_tokenizer.SETTINGS, hf_tokenizer.TEMPLATE,
    hf_tokenizer.GENERATION,
)  # fmt: skip


def write_tokenizer(directory: Path, tokenizer: Tokenizer) -> None:
    """Writes its files, and removes those of another tokenizer that was here."""
    for name in NAMES:
        (directory / name).unlink(missing_ok=True)
    for name, content in tokenizer.files().items():
        (directory / name).write_bytes(content)


def read_tokenizer(directory: Path) -> Tokenizer:
    """Reads the tokenizer of a model directory.

    Raises:
      ValueError: if there is none, or its files are damaged; names them.
    """
    if (directory / hf_tokenizer.FILE).is_file():
        return HfTokenizer.load(directory)
    if (directory / tokenizer.FILE).is_file():
        return SentencePieceTokenizer.load(directory / tokenizer.FILE)
    raise ValueError(f"{directory} lacks {[hf_tokenizer.FILE]} or {[tokenizer.FILE]}")
