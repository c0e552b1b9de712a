import json

import pytest

from r1jax.text.files import OURS, read_tokenizer, saved_as, write_tokenizer
from r1jax.text.hf_tokenizer import HfTokenizer
from r1jax.text.sentencepiece_export import to_hugging_face
from r1jax.text.tokenizer import SentencePieceTokenizer, train_sentencepiece


@pytest.fixture(scope="module")
def both() -> tuple[SentencePieceTokenizer, HfTokenizer]:
    """A sentencepiece model, and its tokenizer.json with the same ids."""
    piece = train_sentencepiece((f"{i} + {i} <think>" for i in range(99)), vocab_size=300)
    return piece, to_hugging_face(piece, chat=None)


def save(directory, *tokenizers, said) -> None:
    write_tokenizer(directory, *tokenizers)
    (directory / "config.json").write_text(json.dumps(said))


@pytest.mark.parametrize("index", [0, 1])
def test_of_two_the_one_that_a_model_was_saved_with_is_read(index, both, tmp_path):
    save(tmp_path, *both, said={OURS: {"tokenizer": saved_as(both[index])}})
    tokenizer = read_tokenizer(tmp_path)
    assert type(tokenizer) is type(both[index])
    assert tokenizer.fingerprint == both[index].fingerprint
    assert tokenizer.encode("3 + 4") == both[index].encode("3 + 4")
    assert tokenizer.stop_ids == both[index].stop_ids


def test_a_model_of_others_has_the_one_of_tokenizer_json(both, tmp_path):
    save(tmp_path, *both, said={"model_type": "llama"})
    assert isinstance(read_tokenizer(tmp_path), HfTokenizer)
    (tmp_path / "tokenizer.json").unlink()
    assert isinstance(read_tokenizer(tmp_path), SentencePieceTokenizer)


def test_another_tokenizer_than_the_saved_one_is_refused(both, tmp_path):
    other = train_sentencepiece((f"{i} other" for i in range(99)), vocab_size=300)
    save(tmp_path, other, both[1], said={OURS: {"tokenizer": saved_as(both[0])}})
    with pytest.raises(ValueError, match=r"its tokenizer \(\d+ ids.*does not match config\.json"):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize("index", [0, 1])
def test_a_missing_tokenizer_is_named(index, both, tmp_path):
    said = saved_as(both[index])
    save(tmp_path, both[1 - index], said={OURS: {"tokenizer": said}})
    with pytest.raises(ValueError, match=rf"lacks \['{said['file']}'\]$"):
        read_tokenizer(tmp_path)


def test_the_files_of_an_earlier_tokenizer_are_removed(both, tmp_path):
    write_tokenizer(tmp_path, *both)
    write_tokenizer(tmp_path, both[0])
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.model"]


@pytest.mark.parametrize("name", ["tiktoken.model", "qwen.tiktoken", "vocab.json"])
def test_files_to_convert_are_named_with_how(name, tmp_path):
    (tmp_path / name).write_text("IQ== 0\nIg== 1\n")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    with pytest.raises(ValueError, match=rf"lacks .*it has \['{name}'\].*save_pretrained\("):
        read_tokenizer(tmp_path)


def test_tiktoken_under_sentencepieces_name_is_told(tmp_path):
    (tmp_path / "tokenizer.model").write_text("IQ== 0\nIg== 1\n")
    with pytest.raises(ValueError, match=r"tokenizer\.model is of tiktoken.*TikTokenConverter"):
        read_tokenizer(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
def test_other_ends_than_the_sentencepiece_models_are_refused(name, both, tmp_path):
    write_tokenizer(tmp_path, both[0])
    (tmp_path / name).write_text(json.dumps({"eos_token_id": both[0].eos_id}))
    assert read_tokenizer(tmp_path).stop_ids == (both[0].eos_id,)
    for stops, message in (
        ([2, 7], r"\[2, 7\], but tokenizer.model ends at 2"),
        (9999, "not within"),
    ):
        (tmp_path / name).write_text(json.dumps({"eos_token_id": stops}))
        with pytest.raises(ValueError, match=rf"{name}: eos_token_id.*{message}"):
            read_tokenizer(tmp_path)
