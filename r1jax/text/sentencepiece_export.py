"""A sentencepiece BPE model as a tokenizer.json, for programs that read no other."""

from collections.abc import Sequence
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers

from r1jax.text.hf_tokenizer import HfTokenizer
from r1jax.text.tokenizer import SentencePieceTokenizer, TokenPiece

SPACE = "\u2581"  # sentencepiece's letter for it


def to_hugging_face(tokenizer: SentencePieceTokenizer, *, chat: str | None) -> HfTokenizer:
    """Returns a tokenizer that gives the same ids for the same text, and samples as it does.

    Except: text that spells a control piece, such as </s>, becomes that piece there.

    Args:
      tokenizer: as `train_sentencepiece` makes them.
      chat: Jinja text of a chat template, or None.
    """
    pieces = tokenizer.pieces()
    ids_of_roles = {"bos": tokenizer.bos_id, "eos": tokenizer.eos_id, "pad": tokenizer.pad_id}
    return HfTokenizer(
        core(pieces),
        bos_id=tokenizer.bos_id,
        add_bos=True,
        eos_id=tokenizer.eos_id,
        stop_ids=tokenizer.stop_ids,
        pad_id=tokenizer.pad_id,
        tokens={f"{role}_token": pieces[i].text for role, i in ids_of_roles.items()},
        template=chat,
        generation=tokenizer.generation,
    )


def converter_settings(tokenizer: SentencePieceTokenizer) -> dict[str, Any]:
    """Fields of tokenizer_config.json without which llama.cpp's converter misreads the model.

    It would put a space before a text, and merge pieces such as <think> and line breaks from
    letters.
    """
    added = {
        str(i): {
            "content": piece.text,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": piece.kind == "control",
        }
        for i, piece in enumerate(tokenizer.pieces())
        if piece.kind in ("control", "whole")
    }
    return {"added_tokens_decoder": added, "add_prefix_space": False}


def core(pieces: Sequence[TokenPiece]) -> tokenizers.Tokenizer:
    """Returns the tokenizer of the pieces of a sentencepiece model, without roles."""
    ids = {piece.text: i for i, piece in enumerate(pieces)}
    ranks = {p.text: -p.score for p in pieces if p.kind == "normal"}
    merges = sorted(
        (rank, ids[text[:cut]], ids[text[cut:]], text[:cut], text[cut:])
        for text, rank in ranks.items()
        for cut in range(1, len(text))
        if text[:cut] in ranks and text[cut:] in ranks
    )
    made = tokenizers.Tokenizer(
        models.BPE(
            vocab=ids,
            merges=[(left, right) for *_, left, right in merges],
            byte_fallback=True,
            unk_token=next(p.text for p in pieces if p.kind == "unknown"),
            fuse_unk=False,
        )
    )
    made.normalizer = normalizers.Replace(" ", SPACE)
    made.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    made.add_special_tokens(
        [tokenizers.AddedToken(p.text, normalized=False) for p in pieces if p.kind == "control"]
    )
    made.add_tokens(
        [
            tokenizers.AddedToken(p.text, special=False, normalized=False)
            for p in pieces
            if p.kind == "whole"
        ]
    )
    return made
