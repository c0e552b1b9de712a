"""The tokenizer inside a GGUF file, rebuilt with the `tokenizers` library.

What stands before the merges is not in the file but known by a name: "smollm" splits digits, then
words as GPT-2 does; "llama-bpe" splits by Llama 3's expression.
"""

from typing import NamedTuple

import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from r1jax.config import UserError
from r1jax.text.hf_tokenizer import HfTokenizer

CONTROL, USER_DEFINED = 3, 4  # token types that are matched in text before anything is split
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class GgufVocabulary(NamedTuple):
    """The fields tokenizer.ggml.* of a file with a byte-level BPE (model "gpt2").

    Attributes:
      pre: what splits a text before the merges.
      tokens: texts by id, in GPT-2's letters for bytes.
      token_type: kinds by id.
      merges: "left right", the first to apply first.
      bos, eos, padding: ids; None where the file has none.
      turn_end: id that ends an assistant's turn, if it is not eos.
      add_bos: whether BOS is put before a text.
      chat_template: Jinja, or None.
    """

    pre: str
    tokens: list[str]
    token_type: list[int]
    merges: list[str]
    bos: int | None
    eos: int
    turn_end: int | None
    padding: int | None
    add_bos: bool
    chat_template: str | None


def _before_the_merges(pre: str) -> list[pre_tokenizers.PreTokenizer]:
    if pre == "smollm":
        return [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    if pre == "llama-bpe":
        return [
            pre_tokenizers.Split(tokenizers.Regex(LLAMA_3), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    raise UserError(f"tokenizer.ggml.pre is {pre!r}, r1jax has only 'llama-bpe' and 'smollm'")


def build(vocabulary: GgufVocabulary) -> HfTokenizer:
    """Returns the tokenizer that the fields describe.

    Raises:
      UserError: if it is of a kind that r1jax lacks, or its fields do not fit together.
    """
    v = vocabulary
    if len(v.token_type) != len(v.tokens) or len(set(v.tokens)) != len(v.tokens):
        raise UserError(
            f"tokenizer.ggml.tokens: {len(v.tokens)} tokens, {len(set(v.tokens))} of them "
            f"different, {len(v.token_type)} types"
        )
    vocab = {t: i for i, t in enumerate(v.tokens)}
    merges = []
    for merge in v.merges:
        left, _, right = merge.partition(" ")
        if not {left, right, left + right} <= vocab.keys():
            raise UserError(
                f"tokenizer.ggml.merges: {merge!r}, wanted two tokens that make a third"
            )
        merges.append((left, right))
    core = tokenizers.Tokenizer(
        models.BPE(vocab=vocab, merges=merges, ignore_merges=v.pre == "llama-bpe")
    )
    core.pre_tokenizer = pre_tokenizers.Sequence(_before_the_merges(v.pre))
    core.decoder = decoders.ByteLevel()

    def whole(kind: int, *, special: bool) -> list[tokenizers.AddedToken]:
        return [
            tokenizers.AddedToken(text, special=special, normalized=False)
            for text, of in zip(v.tokens, v.token_type, strict=True)
            if of == kind
        ]

    core.add_special_tokens(whole(CONTROL, special=True))
    core.add_tokens(whole(USER_DEFINED, special=False))
    padding = v.eos if v.padding is None else v.padding
    roles = {"bos_token": v.bos, "eos_token": v.eos, "pad_token": padding}
    return HfTokenizer(
        core,
        bos_id=v.bos,
        add_bos=v.add_bos,
        eos_id=v.eos,
        stop_ids=(v.eos,) if v.turn_end is None else (v.eos, v.turn_end),
        pad_id=padding,
        tokens={name: v.tokens[i] for name, i in roles.items() if i is not None},
        template=v.chat_template or None,
        generation={},
    )
