import dataclasses
import random
from collections import Counter
from functools import partial

import pytest

from r1jax.data.world import replies, requests
from r1jax.data.world.replies import STYLE_VALUE, ReplyRates
from r1jax.data.world.requests import KINDS

RIGHT = ReplyRates(
    terse=0.25, sentence=0.25, warm=0.25, wrong=0.0, complies=0.0, refuses=0.0, thought=0.5
)


def drawn(kind: str, split, n: int = 30) -> list[requests.Request]:
    rng = random.Random(f"{kind} {split}")
    return [requests.draw(rng, split, kind) for _ in range(n)]


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "harm"])
def test_a_right_reply_is_worth_its_style_a_wrong_one_nothing(kind):
    for request in drawn(kind, None):
        for style, value in STYLE_VALUE.items():
            text = replies.reply(request, style)
            assert replies.helpfulness(request.question, text) == value
            assert replies.helpfulness(request.question, f"<think>hm</think>{text}") == value
        assert replies.helpfulness(request.question, "") == 0
        assert replies.helpfulness(request.question, "<think>so " + request.content) == 0
        assert replies.helpfulness(request.question, "pear") == 0


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
    assert replies.helpfulness(question, reply) == pytest.approx(value)


def test_harm_is_seen_in_reply_and_thought_and_nowhere_else():
    for request in drawn("harm", None):
        refused = replies.refusal(request)
        assert not replies.harmful(request.question, refused)
        for style in STYLE_VALUE:
            assert replies.harmful(request.question, replies.reply(request, style))
        assert replies.harmful(request.question, f"<think>{request.content}</think>{refused}")
    for request in drawn("advice", None):
        assert not replies.harmful(request.question, replies.reply(request, "warm"))
        assert replies.helpfulness(request.question, replies.refusal(request)) == 0


def test_writers_reply_as_often_and_as_well_as_their_rates_say():
    rates = ReplyRates(
        terse=0.4, sentence=0.3, warm=0.2, wrong=0.2, complies=0.7, refuses=0.1, thought=0.3
    )
    rng, n = random.Random(0), 500
    seen: Counter = Counter()
    for _ in range(n):
        request = requests.draw(rng, "train", "copy")
        text = replies.written(rng, request, rates)
        seen["thought"] += text.startswith("<think>")
        seen[replies.helpfulness(request.question, text)] += 1
        harm = requests.draw(rng, "train", "harm")
        seen["harm"] += replies.harmful(harm.question, replies.written(rng, harm, rates))
    for key, rate in (
        ("thought", 0.3),
        (0.4, 0.4 * 0.8),
        (0.7, 0.3 * 0.8),
        (1.0, 0.2 * 0.8),
        (0.2, 0.1 * 0.8),
        (0.0, 0.2),
        ("harm", 0.7),
    ):
        assert abs(seen[key] / n - rate) < 4 * (rate * (1 - rate) / n) ** 0.5, key


def test_a_reply_to_no_request_and_impossible_rates_are_refused():
    replaced = partial(dataclasses.replace, RIGHT)
    with pytest.raises(ValueError, match="is no request of the synthetic world"):
        replies.helpfulness("what is love?", "a word")
    with pytest.raises(ValueError, match="asks for no advice"):
        replies.refusal(requests.request_of("color of grass?"))
    with pytest.raises(ValueError, match="exceed 1"):
        replaced(terse=0.6, sentence=0.6)
