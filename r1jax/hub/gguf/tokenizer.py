"""The tokenizer of a GGUF file: a byte-level BPE (model "gpt2") or sentencepiece's (model "llama").

What stands before the merges of a byte-level BPE is not in the file but known by a name: "smollm"
splits digits, then words as GPT-2 does; "llama-bpe" and "qwen2" split by an expression of their
own.
"""

import json
from typing import Any, NamedTuple

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from r1jax.config import UserError
from r1jax.text import sentencepiece_export
from r1jax.text.hf_tokenizer import HfTokenizer
from r1jax.text.tokenizer import SentencePieceTokenizer, Tokenizer, TokenPiece

# kinds of tokens; control and whole ones are matched in text before anything is split
TYPES = {"normal": 1, "unknown": 2, "control": 3, "whole": 4, "unused": 5, "byte": 6}
_TYPES = {number: kind for kind, number in TYPES.items()}
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPLITS = {"llama-bpe": _SPLIT % "{1,3}", "qwen2": _SPLIT % ""}
PRE = (*SPLITS, "smollm")


class GgufVocabulary(NamedTuple):
    """The fields tokenizer.ggml.* of a file.

    Attributes:
      pre: what splits a text before the merges; "" for sentencepiece.
      tokens: texts by id, in GPT-2's letters for bytes, or in sentencepiece's.
      token_type: numbers of TYPES by id.
      merges: "left right", the first to apply first; none for sentencepiece.
      scores: of sentencepiece, by id: the higher, the earlier a piece is merged; none for a BPE.
      bos, eos, padding: ids; None where the file has none.
      turn_end: id that ends an assistant's turn, if it is not eos.
      add_bos: whether BOS is put before a text.
      chat_template: Jinja, or None.
      chat_templates: further ones by name.
      generation: how to sample, as of `HfTokenizer`.
    """

    pre: str
    tokens: list[str]
    token_type: list[int]
    merges: list[str]
    scores: list[float]
    bos: int | None
    eos: int
    turn_end: int | None
    padding: int | None
    add_bos: bool
    chat_template: str | None
    chat_templates: dict[str, str]
    generation: dict[str, Any]


def _before_the_merges(pre: str) -> list[pre_tokenizers.PreTokenizer]:
    if pre == "smollm":
        return [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    if pre in SPLITS:
        return [
            pre_tokenizers.Split(tokenizers.Regex(SPLITS[pre]), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    raise UserError(f"tokenizer.ggml.pre is {pre!r}, r1jax has only {sorted(PRE)}")


def _empty(pre: str) -> tokenizers.Tokenizer:
    """A byte-level BPE without a vocabulary."""
    core = tokenizers.Tokenizer(models.BPE(ignore_merges=pre == "llama-bpe"))
    if pre == "qwen2":
        core.normalizer = normalizers.NFC()
    core.pre_tokenizer = pre_tokenizers.Sequence(_before_the_merges(pre))
    core.decoder = decoders.ByteLevel()
    return core


def _byte_level(v: GgufVocabulary, kinds: list[str]) -> tokenizers.Tokenizer:
    vocab = {text: i for i, text in enumerate(v.tokens[: len(kinds)])}
    merges = []
    for merge in v.merges:
        left, _, right = merge.partition(" ")
        if not {left, right, left + right} <= vocab.keys():
            raise UserError(
                f"tokenizer.ggml.merges: {merge!r}, wanted two tokens that make a third"
            )
        merges.append((left, right))
    core = _empty(v.pre)
    core.model = models.BPE(vocab=vocab, merges=merges, ignore_merges=v.pre == "llama-bpe")
    for kind in ("control", "whole"):
        special = kind == "control"
        core.add_tokens(
            [
                tokenizers.AddedToken(text, special=special, normalized=False)
                for text, of in zip(v.tokens, kinds, strict=False)
                if of == kind
            ]
        )
    return core


def _sentencepiece(v: GgufVocabulary, kinds: list[str]) -> tokenizers.Tokenizer:
    if len(v.scores) != len(v.tokens) or "unknown" not in kinds:
        raise UserError(
            f"tokenizer.ggml.scores: {len(v.scores)} for {len(v.tokens)} tokens, of which "
            f"{kinds.count('unknown')} are unknown ones; wanted as many, and one"
        )
    pieces = [TokenPiece(*entry) for entry in zip(v.tokens, v.scores, kinds, strict=False)]
    return sentencepiece_export.core(pieces)


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
    if strangers := set(v.token_type) - _TYPES.keys():
        raise UserError(f"tokenizer.ggml.token_type: {strangers}, r1jax has only {_TYPES}")
    kinds = [_TYPES[number] for number in v.token_type]
    while kinds[-1] == "unused":  # rows of the embedding beyond the tokenizer's ids
        kinds.pop()
    core = _sentencepiece(v, kinds) if v.scores else _byte_level(v, kinds)
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
        generation=v.generation,
        others=v.chat_templates,
    )


def fields(tokenizer: Tokenizer, theirs: HfTokenizer, *, rows: int) -> dict[str, Any]:
    """Returns the fields of a GGUF file that say what `build` reads; None where there is none.

    Args:
      tokenizer: of the model.
      theirs: the same as Hugging Face has it, with its chat template (`hub.write`).
      rows: of the embedding; those beyond the ids get names of their own.

    Raises:
      UserError: if GGUF has no name for what it does before it merges, or it ends completions at
        more ids than there are roles for.
    """
    if isinstance(tokenizer, SentencePieceTokenizer):
        pieces = tokenizer.pieces()
        texts, kinds = [p.text for p in pieces], [p.kind for p in pieces]
        # of equal scores llama.cpp and sentencepiece both merge the left pair first
        scores = [p.score for p in pieces]
        own = {"model": "llama", "pre": "default", "add_space_prefix": False}
        own["scores"] = scores + [-1e9] * (rows - len(scores))
    else:
        texts, kinds, own = _byte_level_fields(theirs)
    unused = [f"[PAD{i}]" for i in range(len(texts), rows)]
    stops = [*theirs.stop_ids, None, None, None]
    if len(theirs.stop_ids) > 3:
        raise UserError(f"{len(theirs.stop_ids)} ids end a completion, GGUF has roles for 3")
    ids = {
        "bos": theirs.named_bos_id,
        "eos": stops[0],
        "eot": stops[1],
        "eom": stops[2],
        "padding": theirs.pad_id,
        "unknown": kinds.index("unknown") if "unknown" in kinds else None,
    }
    named = {
        **own,
        "tokens": texts + unused,
        "token_type": [TYPES[kind] for kind in kinds] + [TYPES["unused"]] * len(unused),
        **{f"{role}_token_id": i for role, i in ids.items()},
        "add_bos_token": theirs.bos_id is not None,
        "add_eos_token": False,
    }
    chat = {"": theirs.chat.source} if theirs.chat else {}
    chat |= {f".{name}": text for name, text in theirs.others.items()}
    return {
        **{f"tokenizer.ggml.{name}": value for name, value in named.items()},
        **{f"tokenizer.chat_template{name}": text for name, text in chat.items()},
        "tokenizer.chat_templates": list(theirs.others) or None,
    }


def pre_of(theirs: HfTokenizer) -> str | None:
    """Returns GGUF's name for what a byte-level BPE does before it merges, if it is one of PRE."""
    document, parts = theirs.document(), ("normalizer", "pre_tokenizer")

    def is_like(pre: str) -> bool:
        known = json.loads(_empty(pre).to_str())
        ignores = {bool(d["model"].get("ignore_merges")) for d in (known, document)}
        return all(known[p] == document[p] for p in parts) and len(ignores) == 1

    names = PRE if document["model"]["type"] == "BPE" else ()
    return next((name for name in names if is_like(name)), None)


def _byte_level_fields(theirs: HfTokenizer) -> tuple[list[str], list[str], dict[str, Any]]:
    """Texts and kinds by id of a byte-level BPE, and its other fields."""
    document, pre = theirs.document(), pre_of(theirs)
    if pre is None:
        raise UserError(
            f"tokenizer: none that GGUF has a name for that r1jax knows ({sorted(PRE)}); "
            "export it as format 'hugging_face' and let llama.cpp's converter try"
        )
    vocab = {text: i for text, i in document["model"]["vocab"].items()}
    added = {t["id"]: t for t in document["added_tokens"]}
    texts = {i: text for text, i in vocab.items()} | {i: t["content"] for i, t in added.items()}
    size = max(texts) + 1
    kinds = ["normal" if i in texts else "unused" for i in range(size)]
    for i, token in added.items():
        kinds[i] = "control" if token["special"] else "whole"
    merges = [" ".join(pair) for pair in document["model"]["merges"]]
    own = {"model": "gpt2", "pre": pre, "merges": merges}
    return [texts.get(i, f"[PAD{i}]") for i in range(size)], kinds, own
