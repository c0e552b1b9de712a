import pytest
from tokenizers import pre_tokenizers

from r1jax.hub.gguf.tokenizer import GgufVocabulary, build

LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())
MERGED = ["12", "Ġa", "ab", "12a"]
TOKENS = ["<|im_start|>", "<|im_end|>", "<tool>", *LETTERS, *MERGED]
SMOLLM = GgufVocabulary(
    pre="smollm",
    tokens=TOKENS,
    token_type=[3, 3, 4] + [1] * (len(TOKENS) - 3),
    merges=["1 2", "Ġ a", "a b", "12 a"],
    bos=0,
    eos=1,
    turn_end=None,
    padding=None,
    add_bos=False,
    chat_template="{{ messages[0].content }}{{ eos_token }}",
)


def pieces(vocabulary: GgufVocabulary, text: str) -> list[str]:
    return [vocabulary.tokens[i] for i in build(vocabulary).encode(text)]


def test_smollm_splits_digits_before_anything_is_merged():
    assert pieces(SMOLLM, "12 ab") == ["1", "2", "Ġa", "b"]
    assert pieces(SMOLLM, "a 12") == ["a", "Ġ", "1", "2"]


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
        ({"pre": "qwen2"}, r"ggml\.pre is 'qwen2', r1jax has only 'llama-bpe' and 'smollm'"),
        ({"merges": ["ab"]}, r"ggml\.merges: 'ab', wanted two tokens that make a third"),
        ({"merges": ["a c"]}, r"ggml\.merges: 'a c', wanted two tokens that make a third"),
        ({"token_type": [1]}, f"{len(TOKENS)} tokens, {len(TOKENS)} of them different, 1 types"),
        ({"tokens": ["a"] * len(TOKENS)}, "1 of them different"),
    ],
)
def test_what_we_lack_or_does_not_fit_is_refused(changes, told):
    with pytest.raises(ValueError, match=told):
        build(SMOLLM._replace(**changes))
