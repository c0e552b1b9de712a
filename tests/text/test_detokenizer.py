import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import decoders, models, pre_tokenizers

from r1jax.text.detokenizer import Detokenizer
from r1jax.text.hf_tokenizer import HfTokenizer
from r1jax.text.sentencepiece_export import to_hugging_face
from r1jax.text.tokenizer import Tokenizer, train_sentencepiece


def bytes_only() -> HfTokenizer:
    """Byte-level, without a merge: every byte of UTF-8 is a token."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = tokenizers.Tokenizer(models.BPE({c: i for i, c in enumerate(letters)}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(["<end>"])
    return HfTokenizer(
        core,
        bos_id=None,
        add_bos=False,
        eos_id=256,
        stop_ids=(256,),
        pad_id=256,
        tokens={},
        template=None,
        generation={},
    )


PIECES = train_sentencepiece(["a b", "等等 5"] * 20, vocab_size=300)
TOKENIZERS: dict[str, Tokenizer] = {
    "bytes": bytes_only(),
    "byte fallback": to_hugging_face(PIECES, chat=None),
    "sentencepiece": PIECES,
}


def pushed(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    stream = Detokenizer(tokenizer)
    return [*(stream.push(i) for i in ids), stream.finish()]


@pytest.mark.parametrize("name", TOKENIZERS)
@given(text=st.text(st.characters(exclude_categories=("Cs",)), max_size=20))
def test_texts_come_out_whole_and_never_in_half_letters(name, text):
    text = text.replace("\x00", "").replace("\u2581", "").replace("\ufffd", "")
    parts = pushed(TOKENIZERS[name], TOKENIZERS[name].encode(text))
    assert "".join(parts) == text
    assert not any("\ufffd" in part for part in parts)


@pytest.mark.parametrize("name", TOKENIZERS)
@given(data=st.data())
def test_any_ids_give_what_decoding_them_at_once_gives(name, data):
    tokenizer = TOKENIZERS[name]
    ids = data.draw(st.lists(st.integers(0, tokenizer.size - 1), max_size=30))
    assert "".join(pushed(tokenizer, ids)) == tokenizer.decode(ids)


def test_a_letter_comes_with_its_last_byte():
    assert pushed(TOKENIZERS["bytes"], TOKENIZERS["bytes"].encode("a等b")) == [
        "",
        "a",
        "",
        "",
        "等",
        "b",
    ]
    cut = TOKENIZERS["bytes"].encode("等")[:2]
    assert pushed(TOKENIZERS["bytes"], cut) == ["", "", TOKENIZERS["bytes"].decode(cut)]


def test_a_run_of_bytes_that_a_later_one_spoils_is_held_back():
    tokenizer = TOKENIZERS["byte fallback"]
    spoilt = [*tokenizer.encode("犬"), tokenizer.encode("\u00ff")[-1], *tokenizer.encode("ok")]
    assert "".join(pushed(tokenizer, spoilt)) == tokenizer.decode(spoilt)
