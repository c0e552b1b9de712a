import numpy as np
import pytest

from r1jax.data.rows import verdicts
from r1jax.data.rows.verdicts import Judgement


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("A is right. [[A>>B]]", 2),
        ("[[ A>B ]]", 1),
        ("so: [[A=B]]", 0),
        ("[[B>A]] ... as I said, [[B>A]]", -1),
        ("[[B>>A]]", -2),
        ("[[A>B]] or rather [[B>A]]", None),
        ("A>B", None),
        ("[[A>>>B]]", None),
        ("", None),
    ],
)
def test_a_verdict_is_read_or_is_none(said, verdict):
    assert verdicts.parse(said) == verdict


def test_a_swapped_verdict_is_turned_back():
    assert Judgement(False, 2, "").delta == 2
    assert Judgement(True, 2, "").delta == -2
    assert Judgement(True, None, "").delta is None


def test_the_question_shows_both_replies_as_they_are():
    asked = verdicts.ask("1+1?", "{second} 2", "")
    assert "<request>\n1+1?\n</request>" in asked
    assert "<reply_a>\n{second} 2\n</reply_a>\n<reply_b>\n(nothing)\n</reply_b>" in asked
    assert all(f"[[{level}]]" in asked for level in verdicts.LEVELS)


def test_a_sure_and_fair_judge_says_the_truth():
    knobs = {"scale": 4.0, "noise": 0.0, "position_bias": 0.0}
    rng = np.random.default_rng(0)
    for first, second, want in ((1.0, 0.0, 2), (0.7, 0.4, 1), (0.4, 0.4, 0), (0.0, 1.0, -2)):
        assert verdicts.noisy(first, second, rng, **knobs) == want
        assert verdicts.noisy(second, first, rng, **knobs) == -want


def test_noise_and_position_move_the_mean_as_they_should():
    knobs = {"scale": 4.0, "noise": 0.3, "position_bias": 0.6}
    streams = [verdicts.stream(0, f"pair {i}", 1) for i in range(2000)]
    seen = [verdicts.noisy(0.5, 0.5, rng, **knobs) for rng in streams]
    # rounded: P(1) = P(0.6 + 0.3 n > 0.5) = 0.631, and 0 else but for the tails
    assert np.mean(seen) == pytest.approx(0.63, abs=0.04)


def test_a_judgement_is_a_function_of_seed_pair_and_number():
    def draw(*of):
        return verdicts.stream(*of).random()

    assert draw(0, "a", 1) == draw(0, "a", 1)
    assert len({draw(0, "a", 1), draw(1, "a", 1), draw(0, "b", 1), draw(0, "a", 2)}) == 4
