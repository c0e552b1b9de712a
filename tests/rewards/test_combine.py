import dataclasses
import math
from contextlib import closing, nullcontext
from itertools import pairwise

import pytest

from configs import rewards
from r1jax import config as configs
from r1jax.data.tasks.problems import Problem
from r1jax.rewards import judge
from r1jax.rewards.combine import (
    PARTS,
    Completion,
    CosineConfig,
    OverlongConfig,
    RewardConfig,
    Rewarder,
    random_reward,
)
from r1jax.rewards.sandbox.config import Backend

CONFIG = configs.build(RewardConfig, rewards.get_config().to_dict())
GOOD = "<think>six times seven</think><answer>42</answer>"
SHAPED = "<think>six times seven</think><answer>41</answer>"
BARE = "<answer>42</answer>"
FAILS = r"<think>a root</think><answer>\sqrt{2}</answer>"


def problem(name: str = "p", answer: str = "42") -> Problem:
    return Problem(name, "What is 6 * 7?", answer, "", "", "maths", {})


def said(text: str, *, opened=False, tokens=10, name="p", answer="42") -> Completion:
    return Completion(text, opened, problem(name, answer), tokens, False)


def scores(completions, *, seed=0, cap=100, learned=None, **changes):
    config = dataclasses.replace(CONFIG, **changes)
    with closing(Rewarder(config, learned or {})) as rewarder:
        return rewarder(completions, first=0, seed=seed, cap=cap)


def weights(**changes: float) -> dict[str, float]:
    return CONFIG.weights | changes


@pytest.mark.parametrize(
    ("text", "accuracy", "shape"), [(GOOD, 1, 1), (SHAPED, 0, 1), (BARE, 1, 0), ("42", 0, 0)]
)
def test_equal_weights_add_accuracy_and_format(text, accuracy, shape):
    (score,) = scores([said(text)])
    assert score.total == accuracy + shape
    assert (score.parts["accuracy"], score.parts["format"]) == (accuracy, shape)
    assert not score.error


@pytest.mark.parametrize("outputs", [["\n"], ["3"]])
def test_a_program_that_does_nothing_is_never_paid(outputs, monkeypatch):
    monkeypatch.setattr(judge.sandbox, "choose", lambda _: Backend("bwrap", "", ""))
    reference = {"inputs": ["1 2"], "outputs": outputs}
    free = outputs == ["\n"]
    with closing(Rewarder(CONFIG, {})) as rewarder:
        question = problem()._replace(kind="code", reference=reference)
        rewarder.judge.check(question)
        with pytest.raises(ValueError, match="does nothing") if free else nullcontext():
            rewarder.check(question)


def test_every_part_is_measured_though_its_weight_is_0():
    (score,) = scores([said(GOOD.replace("six times seven", "sechs 乘 seven seven"))])
    assert tuple(score.parts) == PARTS
    assert 0 < score.parts["language"] < 1
    for name in PARTS:
        assert f"{name} " in score.reason


def test_weights_scale_the_total_and_not_the_parts():
    (score,) = scores([said(GOOD)], weights=weights(accuracy=2.0, format=0.25, language=0.5))
    assert score.total == 2.75
    assert score.parts["accuracy"] == score.parts["format"] == score.parts["language"] == 1.0


def test_the_answer_that_was_judged_is_told():
    assert [s.answer for s in scores([said(GOOD), said(SHAPED), said("42")])] == ["42", "41", None]


def test_a_thought_that_the_prompt_opened_counts_as_the_policys():
    rest = GOOD.removeprefix("<think>")
    opened, closed, twice = scores([said(rest, opened=True), said(rest), said(GOOD, opened=True)])
    assert (opened.total, closed.total, twice.total) == (2.0, 1.0, 1.0)


def test_length_is_paid_by_the_rule_that_is_chosen():
    long, short = said(GOOD, tokens=95), said(GOOD, tokens=10)
    soft = OverlongConfig(buffer=10)
    got = scores([long, short], overlong=soft, weights=weights(length=1.0), cap=100)
    assert [s.parts["length"] for s in got] == [-0.5, 0.0]
    assert [s.total for s in got] == [1.5, 2.0]
    waves = CosineConfig(
        right_short=2.0, right_long=1.0, wrong_short=-10.0, wrong_long=0.0, exceeded=-10.0
    )
    wrong = said(SHAPED, tokens=10)
    got = scores([long, short, wrong], cosine=waves, weights=weights(length=1.0), cap=100)
    assert 1 < got[0].parts["length"] < got[1].parts["length"] < 2 and got[2].parts["length"] < -9


def test_repetition_is_punished_where_it_is_weighed():
    chatter = said(GOOD.replace("seven", "seven " + "six times seven " * 30))
    (score,) = scores([chatter], weights=weights(repetition=1.0))
    assert -1 < score.parts["repetition"] < -0.5
    assert score.total == pytest.approx(2 + score.parts["repetition"])


def test_a_learned_part_has_a_slot():
    helpful = {"helpful": lambda completions: [float(len(c.text)) for c in completions]}
    (score,) = scores([said(GOOD)], learned=helpful, weights=weights(helpful=0.5))
    assert score.parts["helpful"] == len(GOOD) and score.total == 2 + len(GOOD) / 2


@pytest.mark.parametrize(
    ("learned", "extra"), [({}, {"helpful": 1.0}), ({"helpful": lambda c: [0.0]}, {})]
)
def test_weights_and_learned_parts_must_match(learned, extra):
    config = dataclasses.replace(CONFIG, weights=CONFIG.weights | extra)
    with pytest.raises(ValueError, match=r"weights: got .*helpful|weights: .*wanted .*helpful"):
        Rewarder(config, learned)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"weights": {"accuracy": 1.0}}, r"\['format', 'language', 'length', 'repetition'\]"),
        ({"format": "thinks"}, "format: got 'thinks', wanted one of"),
        ({"weights": CONFIG.weights | {"length": 1.0}}, "neither overlong nor cosine"),
        (
            {"overlong": OverlongConfig(5), "cosine": CosineConfig(1.0, 1.0, 0.0, 0.0, 0.0)},
            "overlong or cosine or neither",
        ),
    ],
)
def test_rewards_that_make_no_sense_are_refused(changes, told):
    with pytest.raises(ValueError, match=told):
        dataclasses.replace(CONFIG, **changes)


def test_an_unknown_language_is_told_before_the_first_rollout():
    language = dataclasses.replace(CONFIG.language, target="la")
    with pytest.raises(ValueError, match="target with script: got 'la'"):
        Rewarder(dataclasses.replace(CONFIG, language=language), {})


def test_what_could_not_be_judged_is_an_error_and_no_silent_0(monkeypatch):
    judge = dataclasses.replace(CONFIG.judge, cpu_seconds=1e-6)
    fine, failed = scores([said(GOOD), said(FAILS, answer=r"\sqrt{3}")], judge=judge)
    assert (fine.error, failed.error) == (False, True)
    assert "NOT JUDGED" in failed.reason and "processor time" in failed.reason


def test_a_score_that_a_model_could_not_give_is_an_error():
    helpful = {"helpful": lambda completions: [1.0, math.nan, None]}
    rows = [said(GOOD), said(GOOD), said(GOOD)]
    given, failed, not_asked = scores(rows, learned=helpful, weights=weights(helpful=0.5))
    assert given.parts["helpful"] == 1.0
    assert "helpful" not in failed.parts and "helpful" not in not_asked.parts
    assert (given.error, failed.error, not_asked.error) == (False, True, False)
    assert "NOT JUDGED by ['helpful']" in failed.reason


def test_the_kind_changes_the_total_and_keeps_the_parts():
    rows = [said(GOOD), said(SHAPED), said(BARE, name="b")]
    w = weights(format=0.5)
    rule = scores(rows, weights=w)
    shape = scores(rows, weights=w, kind="format_only")
    luck = scores(rows, weights=w, kind="random")
    assert [score.total for score in rule] == [1.5, 0.5, 1.0]
    assert [score.total for score in shape] == [0.5, 0.5, 0.0]
    for one, two, three in zip(rule, shape, luck, strict=True):
        assert one.parts == two.parts
        assert one.parts.items() <= three.parts.items()


def test_random_totals_are_those_of_random_reward():
    rows = [said(GOOD, name="a"), said(SHAPED, name="a"), said(BARE, name="b")]
    for seed in range(5):
        want = [random_reward(seed, name, i) for i, name in enumerate("aab")]
        assert [score.total for score in scores(rows, seed=seed, kind="random")] == want


def test_random_reward_is_fair_in_every_argument():
    # 5 standard deviations of 4,000 fair coins are 158
    for draws in (
        [random_reward(i, "p", 0) for i in range(4000)],
        [random_reward(0, f"p{i}", 0) for i in range(4000)],
        [random_reward(0, "p", i) for i in range(4000)],
    ):
        assert set(draws) == {0.0, 1.0}
        assert abs(sum(draws) - 2000) < 158
        repeats = sum(a == b for a, b in pairwise(draws))
        assert abs(repeats - 2000) < 158


def test_random_reward_never_changes():
    # written down once, so that a change of the hash shows: a control arm must replay
    draws = [int(random_reward(7, "gsm8k/train:1", sample)) for sample in range(16)]
    assert draws == [1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 1, 1]
