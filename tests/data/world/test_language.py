import random

import pytest

from configs import pretrain_r1_tiny
from r1jax import config as configs
from r1jax.data.world import corpus, sums, writing
from r1jax.data.world.corpus import AssistantRates
from r1jax.data.world.language import translate_thought

CORPUS = pretrain_r1_tiny.get_config().corpus.to_dict()
RATES = configs.build(writing.Rates, CORPUS["rates"])
MORE = configs.build(AssistantRates, CORPUS["assistant"])


@pytest.mark.parametrize(
    ("zh", "en"),
    [
        ("7+5*3≡6", "seven plus five times three is six"),
        (
            "7+5≡2核对7+5≡2 2*3≡6等等6",
            "seven plus five is two check seven plus five is two and "
            "two times three is six wait six",
        ),
        (
            "3*7≡1?4不对; 2*7≡4?4对了",
            "three times seven is one want four no; two times seven is four want four yes",
        ),
        ("9-1≡8?3不对; 算了猜", "nine minus one is eight want three no; hm guess"),
    ],
)
def test_a_thought_is_put_into_the_other_language_piece_by_piece(zh, en):
    assert translate_thought(zh, "en") == en and translate_thought(en, "zh") == zh
    assert translate_thought(zh, "zh") == zh and translate_thought(en, "en") == en


def test_a_thought_in_both_languages_is_put_into_one():
    assert translate_thought("seven plus 5≡two核对7+5 is 2 ok", "zh") == "7+5≡2核对7+5≡2对"


@pytest.mark.parametrize("thought", ["", "  ", "seven plus pear is two", "7+5≡12.", "绿"])
def test_what_belongs_to_neither_language_is_not_translated(thought):
    if thought == "7+5≡12.":
        assert translate_thought("7+5≡12", "en") is not None  # digit by digit
    assert translate_thought(thought, "en") is None


def test_another_language_is_refused():
    with pytest.raises(ValueError, match=r"got 'fr', wanted one of \('en', 'zh'\)"):
        translate_thought("7+5≡2", "fr")


def test_every_thought_of_the_corpus_survives_a_translation():
    rng, seen = random.Random(0), 0
    for i in range(300):
        problem = sums.draw(rng, "train", "chain" if i % 2 else "search")
        text = corpus.solve(problem, ("en", "zh")[i % 4 // 2], RATES, MORE, rng)
        if "<think>" in text:
            thought = text.partition("<think>")[2].partition("</think>")[0]
            there = {lang: translate_thought(thought, lang) for lang in ("en", "zh")}
            assert thought in there.values()
            assert translate_thought(there["en"] or "", "zh") == there["zh"]
            seen += 1
    assert seen > 100
