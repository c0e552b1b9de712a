import pytest
from tokenizers import pre_tokenizers

from r1jax.hub.gguf.tokenizer import GgufVocabulary, build, fields

LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())
MERGED = ["12", "Ġa", "ab", "12a"]
TOKENS = ["<|im_start|>", "<|im_end|>", "<tool>", *LETTERS, *MERGED]
SMOLLM = GgufVocabulary(
    pre="smollm",
    tokens=TOKENS,
    token_type=[3, 3, 4] + [1] * (len(TOKENS) - 3),
    merges=["1 2", "Ġ a", "a b", "12 a"],
    scores=[],
    bos=0,
    eos=1,
    turn_end=None,
    padding=None,
    add_bos=False,
    chat_template="{{ messages[0].content }}{{ eos_token }}",
    chat_templates={},
    generation={},
)


def pieces(vocabulary: GgufVocabulary, text: str) -> list[str]:
    return [vocabulary.tokens[i] for i in build(vocabulary).encode(text)]


def test_smollm_splits_digits_before_anything_is_merged():
    assert pieces(SMOLLM, "12 ab") == ["1", "2", "Ġa", "b"]
    assert pieces(SMOLLM, "a 12") == ["a", "Ġ", "1", "2"]


def test_qwen_2_splits_digits_and_composes_letters():
    qwen = SMOLLM._replace(pre="qwen2")
    assert pieces(qwen, "12 ab") == ["1", "2", "Ġa", "b"]
    assert pieces(qwen, "e\u0301") == pieces(qwen, "é")


@pytest.mark.parametrize("pre", ["smollm", "llama-bpe", "qwen2"])
def test_a_byte_level_bpe_is_written_as_it_was_read(pre):
    vocabulary = SMOLLM._replace(pre=pre, turn_end=2, add_bos=True)
    tokenizer = build(vocabulary)
    rows = len(TOKENS) + 5
    written = fields(tokenizer, tokenizer, rows=rows)

    def field(name):
        return written[f"tokenizer.ggml.{name}"]

    assert field("pre") == pre and field("merges") == vocabulary.merges
    assert field("tokens")[: len(TOKENS)] == TOKENS and len(set(field("tokens"))) == rows
    assert field("token_type") == [*vocabulary.token_type, *[5] * 5]
    roles = [field(f"{role}_token_id") for role in ("bos", "eos", "eot", "eom", "padding")]
    assert roles == [0, 1, 2, None, 1] and field("add_bos_token") is True
    again = build(vocabulary._replace(tokens=field("tokens"), token_type=field("token_type")))
    assert again.size == tokenizer.size == len(TOKENS)


def test_a_tokenizer_that_gguf_has_no_name_for_is_refused():
    """SmolLM2's, but for its digits: llama.cpp would take another splitter in silence."""
    foreign = build(SMOLLM)
    foreign._core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    with pytest.raises(ValueError, match="none that GGUF has a name for"):
        fields(foreign, foreign, rows=len(TOKENS))


def test_llama_3_keeps_up_to_3_digits_and_whole_known_words():
    llama = SMOLLM._replace(pre="llama-bpe")
    assert pieces(llama, "12 ab") == ["12", "Ġa", "b"]
    assert pieces(llama, "1212") == ["12", "1", "2"]  # 121|2 is cut first
    assert pieces(llama, "ab12a") == ["ab", "12", "a"]


def test_control_tokens_are_found_in_text_and_are_silent():
    tokenizer = build(SMOLLM)
    ids = tokenizer.encode("<|im_start|>ab<tool><|im_end|>")
    assert [ids[0], *ids[-2:]] == [0, 2, 1]
    assert tokenizer.decode(ids) == "ab<tool>"


def test_roles_come_from_the_file():
    tokenizer = build(SMOLLM)
    assert (tokenizer.bos_id, tokenizer.named_bos_id, tokenizer.stop_ids) == (None, 0, (1,))
    assert tokenizer.pad_id == 1 and tokenizer.size == len(TOKENS)
    assert build(SMOLLM._replace(add_bos=True, padding=2)).bos_id == 0
    assert build(SMOLLM._replace(turn_end=2)).stop_ids == (1, 2)
    assert tokenizer.chat is not None
    turn = [{"role": "user", "content": "hi"}]
    assert tokenizer.chat.render(turn, add_generation_prompt=True) == "hi<|im_end|>"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"pre": "mpt"}, r"ggml\.pre is 'mpt', r1jax has only \['llama-bpe', 'qwen2', 'smollm'\]"),
        ({"token_type": [9] * len(TOKENS)}, r"ggml\.token_type: \{9\}"),
        ({"scores": [0.0] * len(TOKENS)}, "0 are unknown ones"),
        ({"merges": ["ab"]}, r"ggml\.merges: 'ab', wanted two tokens that make a third"),
        ({"merges": ["a c"]}, r"ggml\.merges: 'a c', wanted two tokens that make a third"),
        ({"token_type": [1]}, f"{len(TOKENS)} tokens, {len(TOKENS)} of them different, 1 types"),
        ({"tokens": ["a"] * len(TOKENS)}, "1 of them different"),
    ],
)
def test_what_we_lack_or_does_not_fit_is_refused(changes, told):
    with pytest.raises(ValueError, match=told):
        build(SMOLLM._replace(**changes))
