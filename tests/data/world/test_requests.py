import dataclasses
import random
from collections import Counter
from functools import partial

import pytest

from r1jax.data.world import requests
from r1jax.data.world.requests import EXACT, KINDS, STYLE_VALUE, ReplyRates, RequestSource

RIGHT = ReplyRates(
    terse=0.25, sentence=0.25, warm=0.25, wrong=0.0, complies=0.0, refuses=0.0, thought=0.5
)


def drawn(kind: str, split, n: int = 30) -> list[requests.Request]:
    rng = random.Random(f"{kind} {split}")
    return [requests.draw(rng, split, kind) for _ in range(n)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_question_tells_its_request(kind):
    for request in drawn(kind, None):
        assert requests.request_of(request.question) == request


@pytest.mark.parametrize("kind", KINDS)
def test_splits_are_disjoint_in_either_language(kind):
    questions = {s: {r.question for r in drawn(kind, s)} for s in ("train", "validation", "test")}
    assert not questions["train"] & questions["test"]
    assert not questions["validation"] & (questions["train"] | questions["test"])
    if kind in ("copy", "sort"):
        return
    contents = {s: {r.content for r in drawn(kind, s, 200)} for s in ("train", "test")}
    if kind != "fact":  # two facts may have one answer
        assert not contents["train"] & contents["test"]


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "harm"])
def test_a_right_reply_is_worth_its_style_and_a_wrong_one_nothing(kind):
    for request in drawn(kind, None):
        for style, value in STYLE_VALUE.items():
            text = requests.reply(request, style)
            assert requests.helpfulness(request.question, text) == value
            assert requests.helpfulness(request.question, f"<think>hm</think>{text}") == value
        assert requests.helpfulness(request.question, "") == 0
        assert requests.helpfulness(request.question, "<think>so " + request.content) == 0
        assert requests.helpfulness(request.question, "pear") == 0


@pytest.mark.parametrize(
    ("question", "reply", "value"),
    [
        ("译成英文：四十", "英文是forty-seven。", 0.0),  # the content of another
        ("译成英文：四十", "it is forty.", 0.3),  # right, in a style of its own
        ("in Chinese: four", "四十七", 0.0),
        ("copy: ant bee", "ant bee cat", 0.0),
        ("sort: bee ant", "bee ant", 0.0),
        ("sort: bee ant", "ant bee", 0.4),
        ("color of grass?", "green " * 40 + "green", 0.0),  # padding without end
        ("color of grass?", "red blue green", 0.0 + 0.3),  # guesses within the length, known to us
    ],
)
def test_content_counts_where_it_stands_alone(question, reply, value):
    assert requests.helpfulness(question, reply) == pytest.approx(value)


def test_harm_is_seen_in_reply_and_thought_and_nowhere_else():
    for request in drawn("harm", None):
        refused = requests.refusal(request)
        assert not requests.harmful(request.question, refused)
        for style in STYLE_VALUE:
            assert requests.harmful(request.question, requests.reply(request, style))
        assert requests.harmful(request.question, f"<think>{request.content}</think>{refused}")
    for request in drawn("advice", None):
        assert not requests.harmful(request.question, requests.reply(request, "warm"))
        assert requests.helpfulness(request.question, requests.refusal(request)) == 0


def test_writers_reply_as_often_and_as_well_as_their_rates_say():
    rates = ReplyRates(
        terse=0.4, sentence=0.3, warm=0.2, wrong=0.2, complies=0.7, refuses=0.1, thought=0.3
    )
    rng, n = random.Random(0), 500
    seen: Counter = Counter()
    for _ in range(n):
        request = requests.draw(rng, "train", "copy")
        text = requests.written(rng, request, rates)
        seen["thought"] += text.startswith("<think>")
        seen[requests.helpfulness(request.question, text)] += 1
        harm = requests.draw(rng, "train", "harm")
        seen["harm"] += requests.harmful(harm.question, requests.written(rng, harm, rates))
    for key, rate in (
        ("thought", 0.3), (0.4, 0.4 * 0.8), (0.7, 0.3 * 0.8), (1.0, 0.2 * 0.8), (0.2, 0.1 * 0.8),
        (0.0, 0.2), ("harm", 0.7),
    ):  # fmt: skip
        assert abs(seen[key] / n - rate) < 4 * (rate * (1 - rate) / n) ** 0.5, key


def test_a_source_gives_the_same_problem_for_the_same_index():
    make = lambda: RequestSource("test", size=20, seed=3, kinds=(*EXACT, "harm"))
    first, second = make(), make()
    assert [first[i] for i in range(20)] == [second[i] for i in range(20)]
    for i in range(20):
        problem = first[i]
        request = requests.request_of(problem.question)
        assert (problem.kind == "harmless") == (request.kind == "harm")
        assert problem.answer == request.content and problem.stratum == request.kind


def test_bad_input_is_told():
    replaced = partial(dataclasses.replace, RIGHT)
    with pytest.raises(ValueError, match="is no request of the synthetic world"):
        requests.helpfulness("what is love?", "a word")
    with pytest.raises(ValueError, match="asks for no advice"):
        requests.refusal(requests.request_of("color of grass?"))
    with pytest.raises(ValueError, match=r"size 0 and kinds \(\)"):
        RequestSource("test", size=0, seed=0, kinds=())
    with pytest.raises(ValueError, match="are no probabilities"):
        replaced(terse=2.0)
    with pytest.raises(ValueError, match="exceed 1"):
        replaced(terse=0.6, sentence=0.6)
