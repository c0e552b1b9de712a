import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.pretrain_tiny import get_rates
from r1jax.data.world import writing
from r1jax.text.sentencepiece_export import to_hugging_face
from r1jax.text.tokenizer import train_sentencepiece


def texts(count: int) -> list[str]:
    rates = writing.Rates(**get_rates().to_dict())
    return ["\n".join(writing.document(0, i, rates=rates)) for i in range(count)]


OURS = train_sentencepiece(texts(300), vocab_size=480)
THEIRS = to_hugging_face(OURS, chat="{{ bos_token }}{{ messages[0].content }}")


def test_texts_of_the_world_have_the_same_ids():
    for text in texts(1_000):
        assert THEIRS.encode(text) == OURS.encode(text)
        assert THEIRS.decode(OURS.encode(text)) == text


@given(st.text(st.sampled_from("the ababaab  12等\n<think>é\t"), max_size=30))
def test_any_text_has_the_same_ids(text):
    assert THEIRS.encode(text) == OURS.encode(text)
    assert THEIRS.decode(OURS.encode(text)) == text


@pytest.mark.parametrize("text", ["", " ", "  a", "👩‍🔬", "１", "e\u0301", "<answer> 7 </answer>"])
def test_hard_texts_have_the_same_ids(text):
    assert THEIRS.encode(text) == OURS.encode(text)
    assert THEIRS.decode(OURS.encode(text)) == text


def test_roles_are_kept_and_other_programs_put_bos_before_a_text():
    def roles(t):
        return (t.size, t.bos_id, t.eos_id, t.pad_id, t.stop_ids)

    assert roles(THEIRS) == roles(OURS)
    assert THEIRS._core.encode("a").ids == [OURS.bos_id, *OURS.encode("a")]
    assert THEIRS.chat is not None
    turn = [{"role": "user", "content": "a"}]
    text = THEIRS.chat.render(turn, add_generation_prompt=True)
    assert THEIRS.encode(text) == [OURS.bos_id, *OURS.encode("a")]
