import hashlib
import re
from collections import Counter

import pytest

from configs import pretrain_r1_tiny
from r1jax import config as configs
from r1jax.data.world import corpus, requests, sums, writing
from r1jax.data.world.corpus import AssistantRates
from r1jax.data.world.language import translate_thought

CORPUS = pretrain_r1_tiny.get_config().corpus.to_dict()
RATES = configs.build(writing.Rates, CORPUS["rates"])
MORE = configs.build(AssistantRates, CORPUS["assistant"])
N = 1500


@pytest.fixture(scope="module")
def documents() -> list[tuple[str, str]]:
    return [corpus.document(0, i, rates=RATES, more=MORE) for i in range(N)]


def near(count: int, total: int, rate: float) -> bool:
    """Within 4 standard errors."""
    return abs(count / total - rate) <= 4 * (rate * (1 - rate) / total) ** 0.5


def kind(question: str) -> str:
    if not question:
        return "drill"
    if re.search("which of|中哪个", question):
        return "search"
    return "chain" if "last digit" in question or "个位" in question else "request"


def test_kinds_of_documents_have_their_rates(documents):
    seen = Counter(kind(q) for q, _ in documents)
    for name in ("chain", "search", "drill"):
        assert near(seen[name], N, getattr(RATES, name))


def test_a_document_is_a_function_of_seed_and_number(documents):
    assert corpus.document(0, 7, rates=RATES, more=MORE) == documents[7]
    assert corpus.document(1, 7, rates=RATES, more=MORE) != documents[7]


def test_documents_stay_the_same_to_the_letter(documents):
    """The base models that ship were trained on them."""
    digest = hashlib.sha256(repr(documents).encode()).hexdigest()
    assert digest == "404f923cf70e7303a0e0aad4974e2dc0028e7adeab6252a51af35380480f31fb"


def test_english_is_spelt_and_chinese_in_digits_at_their_rates(documents):
    seen: Counter = Counter()
    for question, reply in documents:
        if kind(question) not in ("chain", "search"):
            continue
        match = re.match(r"(?:<think>)?(.*?)(?:</think>|\n)", reply)
        assert match
        asked = "zh" if re.search(r"[\u4e00-\u9fff]", question) else "en"
        thought = match[1]
        spoken = [lang for lang in ("en", "zh") if translate_thought(thought, lang) == thought]
        assert len(spoken) == 1
        assert not (spoken == ["en"] and re.search(r"\d", thought))
        seen[asked] += 1
        seen[asked, "mixed"] += spoken != [asked]
    assert near(seen["en", "mixed"], seen["en"], MORE.mixed_en)
    assert near(seen["zh", "mixed"], seen["zh"], MORE.mixed_zh)


def single_steps(documents, language: str) -> tuple[int, int]:
    """Single operations within checks in a language: how many, and how many of them are wrong."""
    total = wrong = 0
    for question, reply in documents:
        thought = reply.partition("</think>")[0].removeprefix("<think>").partition("\n")[0]
        if kind(question) != "chain" or translate_thought(thought, language) != thought:
            continue
        digits = translate_thought(thought, "zh") or ""
        for check in re.findall(r"核对(.*?)(?:对|等等)", digits):
            for a, sign, b, result in re.findall(r"(\d)([-+*])(\d)≡(\d)", check):
                total += 1
                wrong += sums.apply(int(a), (sign, int(b))) != int(result)
    return total, wrong


def test_writers_of_english_slip_and_writers_of_chinese_never(documents):
    total, wrong = single_steps(documents, "en")
    assert total > 100 and near(wrong, total, MORE.spelt_slip)
    total, wrong = single_steps(documents, "zh")
    assert total > 100 and wrong == 0


def test_a_check_ends_in_the_value_that_its_operations_give(documents):
    for question, reply in documents:
        if kind(question) != "chain" or "核对" not in reply:
            continue
        for last, verdict in re.findall(r"≡(\d)(对|等等\d)", reply):
            assert verdict == "对" or verdict == f"等等{last}"


def test_held_out_requests_are_not_in_the_corpus_their_facts_are(documents):
    asked = {question for question, _ in documents if kind(question) == "request"}
    held_out = requests.RequestSource("test", size=100, seed=0, kinds=("translate", "harm", "copy"))
    assert not asked & {held_out[i].question for i in range(100)}
    facts = requests.RequestSource("test", size=20, seed=0, kinds=("fact",))
    assert asked & {facts[i].question for i in range(20)}


def test_boxes_occur_at_their_rate(documents):
    mine = [reply for question, reply in documents if kind(question) in ("chain", "search")]
    assert near(sum("\\boxed{" in reply for reply in mine), len(mine), MORE.boxed)
