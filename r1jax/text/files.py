"""The tokenizer's files in a model directory."""

from pathlib import Path
from typing import Any

from r1jax.config import UserError
from r1jax.text import hf_tokenizer, special_tokens
from r1jax.text.hf_tokenizer import HfTokenizer, read_json
from r1jax.text.tokenizer import FILE as SENTENCEPIECE
from r1jax.text.tokenizer import SentencePieceTokenizer, Tokenizer

CONFIG = "config.json"
OURS = "r1jax"  # its key for what no other program reads
NAMES = (
    SENTENCEPIECE,
    hf_tokenizer.FILE,
    special_tokens.SETTINGS,
    special_tokens.OLD,
    hf_tokenizer.TEMPLATE,
    hf_tokenizer.GENERATION,
)
OTHERS = f"{hf_tokenizer.OTHERS}/*.jinja"
# of tiktoken, and of BPE before tokenizer.json
CONVERTIBLE = ("tiktoken.model", "*.tiktoken", "vocab.json", "merges.txt")


def write_tokenizer(directory: Path, *tokenizers: Tokenizer) -> None:
    """Writes the files of each, and removes those of another tokenizer that was here."""
    for path in [directory / name for name in NAMES] + [*directory.glob(OTHERS)]:
        path.unlink(missing_ok=True)
    for tokenizer in tokenizers:
        for name, content in tokenizer.files().items():
            (directory / name).parent.mkdir(exist_ok=True)
            (directory / name).write_bytes(content)


def saved_as(tokenizer: Tokenizer) -> dict[str, str]:
    """Returns what config.json says of a saved model's tokenizer: `file`, and its `sha256`."""
    file = SENTENCEPIECE if isinstance(tokenizer, SentencePieceTokenizer) else hf_tokenizer.FILE
    return {"file": file, "sha256": tokenizer.fingerprint}


def _saved(directory: Path) -> dict[str, Any]:
    """What `saved_as` said of the model in a directory; empty for a model of others."""
    ours = read_json(directory / CONFIG).get(OURS)
    saved = ours.get("tokenizer") if isinstance(ours, dict) else None
    return saved if isinstance(saved, dict) else {}


def _convertible(directory: Path) -> str:
    """What to do with a tokenizer in files that r1jax does not read; "" where there is none."""
    names = sorted(p.name for pattern in CONVERTIBLE for p in directory.glob(pattern))
    if not names:
        return ""
    return (
        f"; it has {names}, which transformers converts: from transformers import AutoTokenizer; "
        f"AutoTokenizer.from_pretrained({str(directory)!r}).save_pretrained({str(directory)!r})"
    )


def _check_stops(directory: Path, tokenizer: SentencePieceTokenizer) -> None:
    """Checks that the configs beside tokenizer.model, which names one end, name no other."""
    for name in (hf_tokenizer.GENERATION, CONFIG):
        path = directory / name
        stops = special_tokens.ids(read_json(path), "eos", path, size=tokenizer.size)
        if set(stops) - {tokenizer.eos_id}:
            raise UserError(
                f"{path}: eos_token_id is {stops}, but {SENTENCEPIECE} ends at {tokenizer.eos_id} "
                f"alone; convert it to {hf_tokenizer.FILE}, with which all of them are read"
            )


def read_tokenizer(directory: Path) -> Tokenizer:
    """Reads the tokenizer of a model directory.

    It is the one that the model was saved with, if config.json says so; else the one of
    tokenizer.json, or that of tokenizer.model where there is no other.

    Raises:
      UserError: if there is none, its files are damaged, or it is not the one that the model was
        saved with; names them.
    """
    saved = _saved(directory)
    names = [str(saved.get("file"))] if saved else [hf_tokenizer.FILE, SENTENCEPIECE]
    name = next((n for n in names if (directory / n).is_file()), None)
    if name is None:
        raise UserError(
            f"{directory} lacks {' or '.join(str([n]) for n in names)}{_convertible(directory)}"
        )
    tokenizer: Tokenizer
    if name == SENTENCEPIECE:
        generation = hf_tokenizer.sampling_fields(read_json(directory / hf_tokenizer.GENERATION))
        tokenizer = SentencePieceTokenizer.load(directory / name, generation)
        if not saved:
            _check_stops(directory, tokenizer)
    else:
        tokenizer = HfTokenizer.load(directory)
    if saved and saved.get("sha256") != tokenizer.fingerprint:
        raise UserError(
            f"{directory}: its tokenizer ({tokenizer.size} ids, {tokenizer.fingerprint[:12]}) does "
            f"not match {CONFIG} (saved with {str(saved.get('sha256'))[:12]})"
        )
    return tokenizer
