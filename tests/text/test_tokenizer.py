import io

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.pretrain_tiny import get_rates
from r1jax.data.world import writing
from r1jax.text.thought import TAGS
from r1jax.text.tokenizer import SentencePieceTokenizer, Tokenizer, train_sentencepiece


def texts(count: int) -> list[str]:
    rates = writing.Rates(**get_rates().to_dict())
    return ["\n".join(writing.document(0, i, rates=rates)) for i in range(count)]


@pytest.fixture(scope="module")
def tokenizer() -> SentencePieceTokenizer:
    return train_sentencepiece(texts(300), vocab_size=480)


def test_it_is_what_the_rest_of_the_code_asks_for(tokenizer):
    assert isinstance(tokenizer, Tokenizer)


def test_text_of_the_world_comes_back_whole_and_short(tokenizer):
    for text in texts(600):
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert len(ids) < 0.9 * len(text.encode())


@settings(deadline=None, max_examples=300)
@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=40))
def test_any_text_comes_back_whole(tokenizer, text):
    # sentencepiece itself ends a text at NUL and marks spaces with U+2581
    text = text.replace("\x00", "").replace("\u2581", "")
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "  two  spaces ",
        "\n",
        "a\n\nb\n",
        "\t",
        "👩‍🔬🇨🇳",
        "ﬁ½²",
        "e\u0301é",
        "ＡＢ１２",
        "𠜎",
        "１",
    ],
)
def test_hard_texts_come_back_whole(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_tags_and_newline_are_single_ids(tokenizer):
    ids = [tokenizer.encode(piece) for piece in ("\n", *TAGS)]
    assert all(len(i) == 1 for i in ids) and len({i[0] for i in ids}) == 5
    think, close = tokenizer.encode("<think>"), tokenizer.encode("</think>")
    assert tokenizer.encode("<think>7</think>") == [*think, *tokenizer.encode("7"), *close]


def test_digits_stay_single(tokenizer):
    digits = {d: tokenizer.encode(d) for d in "0123456789"}
    assert all(len(ids) == 1 for ids in digits.values())
    assert tokenizer.encode("90210") == [digits[d][0] for d in "90210"]
    assert tokenizer.encode("1+2≡3")[0] == digits["1"][0]


def test_ids_lie_below_the_size_and_special_ones_give_no_text(tokenizer):
    special = [tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id]
    assert len(set(special)) == 3 and max(special) < tokenizer.size <= 480
    assert tokenizer.decode([*special, *tokenizer.encode("ab"), tokenizer.eos_id]) == "ab"
    assert not set(special) & {i for text in texts(50) for i in tokenizer.encode(text)}
    assert max(i for text in texts(50) for i in tokenizer.encode(text)) < tokenizer.size


def test_text_that_names_a_special_piece_does_not_become_one(tokenizer):
    ids = tokenizer.encode("<s></s><pad>")
    assert not {tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id} & set(ids)
    assert tokenizer.decode(ids) == "<s></s><pad>"


def test_the_same_texts_make_the_same_tokenizer(tokenizer, tmp_path):
    again = train_sentencepiece(texts(300), vocab_size=480)
    assert again.model == tokenizer.model
    path = tmp_path / "t.model"
    path.write_bytes(tokenizer.model)
    assert SentencePieceTokenizer.load(path).encode("核对 7") == tokenizer.encode("核对 7")


@pytest.mark.parametrize("damage", [lambda m: b"", lambda m: b"hello", lambda m: m[:-100]])
def test_a_damaged_file_is_named(tokenizer, tmp_path, damage):
    path = tmp_path / "broken.model"
    path.write_bytes(damage(tokenizer.model))
    with pytest.raises(ValueError, match=r"broken\.model is no sentencepiece model"):
        SentencePieceTokenizer.load(path)


def test_a_vocabulary_too_small_for_the_letters_is_refused():
    with pytest.raises(ValueError, match=r"vocab_size 270: .*smaller than required_chars"):
        train_sentencepiece(texts(50), vocab_size=270)


def test_tags_that_no_reply_could_show_are_refused(tmp_path):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts(50)),
        model_writer=model,
        vocab_size=300,
        hard_vocab_limit=False,
        control_symbols=["<think>", "</answer>"],
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        minloglevel=2,
    )
    (tmp_path / "t.model").write_bytes(model.getvalue())
    with pytest.raises(ValueError, match=r"t\.model .*\['<think>', '</answer>'\] are control"):
        SentencePieceTokenizer.load(tmp_path / "t.model")
