from itertools import pairwise

import pytest

from r1jax.rewards.combine import random_reward, rule_reward, score_all

EQUAL = {"accuracy": 1.0, "format": 1.0}
PLACES = ("answer_tag",)
GOOD = "<think>6 times 7</think><answer>42</answer>"
SHAPED = "<think>6 times 7</think><answer>41</answer>"
BARE = "<answer>42</answer>"


def scores(kind, seed=0):
    return score_all(
        [GOOD, SHAPED, BARE],
        ["42"] * 3,
        kind=kind,
        weights={"accuracy": 1.0, "format": 0.5},
        places=PLACES,
        seed=seed,
        problem_ids=["a", "a", "b"],
        samples=[0, 1, 0],
    )


@pytest.mark.parametrize(
    ("text", "accuracy", "shape"), [(GOOD, 1, 1), (SHAPED, 0, 1), (BARE, 1, 0), ("42", 0, 0)]
)
def test_equal_weights_add_accuracy_and_format(text, accuracy, shape):
    score = rule_reward(text, "42", weights=EQUAL, places=PLACES)
    assert score.total == accuracy + shape
    assert score.parts == {"accuracy": accuracy, "format": shape}


def test_weights_scale_the_total_and_not_the_parts():
    score = rule_reward(GOOD, "42", weights={"accuracy": 2.0, "format": 0.25}, places=PLACES)
    assert score.total == 2.25
    assert score.parts == {"accuracy": 1.0, "format": 1.0}


def test_the_reason_explains_both_parts():
    score = rule_reward(BARE, "42", weights=EQUAL, places=PLACES)
    assert score.reason == "accuracy 1: 42 equals 42; format 0: no <think>"


@pytest.mark.parametrize("weights", [{"accuracy": 1.0}, EQUAL | {"formt": 1.0}, {}])
def test_weights_must_name_accuracy_and_format(weights):
    with pytest.raises(ValueError, match="reward weights"):
        rule_reward(GOOD, "42", weights=weights, places=PLACES)


def test_the_kind_changes_the_total_and_keeps_the_parts():
    rule, shape, luck = scores("rule"), scores("format_only"), scores("random")
    assert [score.total for score in rule] == [1.5, 0.5, 1.0]
    assert [score.total for score in shape] == [0.5, 0.5, 0.0]
    for one, two, three in zip(rule, shape, luck, strict=True):
        assert one.parts == two.parts
        assert one.parts.items() <= three.parts.items()


def test_random_totals_are_those_of_random_reward():
    for seed in range(5):
        want = [
            random_reward(seed, "a", 0),
            random_reward(seed, "a", 1),
            random_reward(seed, "b", 0),
        ]
        assert [score.total for score in scores("random", seed)] == [luck.total for luck in want]


def test_random_reward_is_fair_in_every_argument():
    # 5 standard deviations of 4,000 fair coins are 158
    for draws in (
        [random_reward(i, "p", 0).total for i in range(4000)],
        [random_reward(0, f"p{i}", 0).total for i in range(4000)],
        [random_reward(0, "p", i).total for i in range(4000)],
    ):
        assert set(draws) == {0.0, 1.0}
        assert abs(sum(draws) - 2000) < 158
        repeats = sum(a == b for a, b in pairwise(draws))
        assert abs(repeats - 2000) < 158


def test_random_reward_never_changes():
    # written down once, so that a change of the hash shows: a control arm must replay
    draws = [int(random_reward(7, "gsm8k/train:1", sample).total) for sample in range(16)]
    assert draws == [1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 1, 1]


def test_unknown_kinds_and_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="reward kind"):
        scores("rules")
    with pytest.raises(ValueError, match="lengths"):
        score_all(
            [GOOD],
            [],
            kind="rule",
            weights=EQUAL,
            places=PLACES,
            seed=0,
            problem_ids=["a"],
            samples=[0],
        )
