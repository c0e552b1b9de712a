from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.train.statistics import (
    clustered_interval,
    cons_at_k,
    consensus_correct,
    majority,
    pass_at_k,
)


@pytest.mark.parametrize(("k", "want"), [(1, 0.25), (2, 13 / 28), (4, 55 / 70), (8, 1.0)])
def test_pass_at_k_of_two_right_in_eight(k, want):
    np.testing.assert_allclose(pass_at_k(8, 2, k), want, rtol=1e-12)


@pytest.mark.parametrize("n", [1, 3, 6])
def test_pass_at_k_counts_the_subsets_with_a_right_sample(n):
    for c in range(n + 1):
        for k in range(1, n + 1):
            subsets = list(combinations([1] * c + [0] * (n - c), k))
            want = sum(map(any, subsets)) / len(subsets)
            np.testing.assert_allclose(pass_at_k(n, c, k), want, rtol=1e-12)


def test_pass_at_k_is_exact_for_many_samples():
    np.testing.assert_allclose(pass_at_k(10_000, 1, 5_000), 0.5, rtol=1e-12)


@pytest.mark.parametrize(("n", "c", "k"), [(4, 5, 1), (4, -1, 1), (4, 2, 0), (4, 2, 5)])
def test_pass_at_k_refuses_impossible_counts(n, c, k):
    with pytest.raises(ValueError, match="pass@k"):
        pass_at_k(n, c, k)


@pytest.mark.parametrize(
    ("answers", "want"),
    [
        (["7", "1/2", "0.5", "7.0", "\\frac{1}{2}"], "1/2"),
        (["a", "b", "B", "a"], "a"),
        (["b", "a", "a", "b"], "b"),
        ([None, None, "3"], "3"),
        ([None, None], None),
        ([], None),
        (["x" * 501, "x" * 501, "2"], "x" * 501),
    ],
)
def test_majority_counts_equal_answers_together(answers, want):
    assert majority(answers) == want


@given(st.lists(st.sampled_from(["1", "2", "3", None]), max_size=9))
def test_no_answer_beats_the_majority(answers):
    winner = majority(answers)
    assert all(answers.count(winner) >= answers.count(a) for a in answers if a is not None)


def test_consensus_votes_in_blocks_of_k():
    answers = [["1", "2", "2", "1", "3", "1"], [None, None, None, "5", None, "5.0"]]
    golds = ["1", "5"]
    np.testing.assert_array_equal(
        consensus_correct(answers, golds, k=3), [[False, True], [False, True]]
    )
    np.testing.assert_array_equal(consensus_correct(answers, golds, k=6), [[True], [True]])
    assert cons_at_k(answers, golds, k=3) == 0.5
    assert cons_at_k(answers, golds, k=1) == pytest.approx(5 / 12)


@pytest.mark.parametrize(
    ("answers", "golds", "k"),
    [
        ([["1"] * 4], ["1"], 3),
        ([["1"] * 4], ["1"], 0),
        ([["1"], ["1", "2"]], ["1", "1"], 1),
        ([["1"]], ["1", "2"], 1),
        ([[]], ["1"], 1),
        ([], [], 1),
    ],
)
def test_consensus_refuses_what_does_not_fit(answers, golds, k):
    with pytest.raises(ValueError, match="cons@k"):
        cons_at_k(answers, golds, k=k)


def test_the_interval_by_hand():
    correct_QK = np.array([[1.0, 1.0], [0.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    # per-question means 1, 0, .5, .5: std sqrt(1/6), over sqrt(4), times 1.959964
    mean, low, high = clustered_interval(correct_QK, level=0.95)
    np.testing.assert_allclose((mean, low, high), (0.5, 0.0999243, 0.9000757), atol=1e-6)


def test_copies_of_a_sample_do_not_narrow_the_interval():
    once_QK = np.random.default_rng(0).random((20, 1)) < 0.4
    assert clustered_interval(np.repeat(once_QK, 8, axis=1), level=0.9) == pytest.approx(
        clustered_interval(once_QK, level=0.9)
    )


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_interval_covers_the_truth_as_often_as_it_says(level):
    rng, hits = np.random.default_rng(1), 0
    for _ in range(500):
        # questions of unlike difficulty, truth 0.4
        chance_Q1 = rng.beta(0.8, 1.2, size=(100, 1))
        _, low, high = clustered_interval(rng.random((100, 8)) < chance_Q1, level=level)
        hits += low <= 0.4 <= high
    # 3 standard errors of 500 trials, and 1% for the normal approximation
    slack = 3 * np.sqrt(level * (1 - level) / 500) + 0.01
    assert abs(hits / 500 - level) < slack


def test_the_interval_stays_within_zero_and_one():
    correct_QK = np.array([[True]] * 9 + [[False]])
    assert clustered_interval(correct_QK, level=0.99)[2] == 1.0
    assert clustered_interval(~correct_QK, level=0.99)[1] == 0.0


@pytest.mark.parametrize(
    ("correct_QK", "level"),
    [
        (np.ones((1, 4)), 0.95),
        (np.ones((4, 0)), 0.95),
        (np.ones((4, 2)), 1.0),
        (np.full((4, 2), np.nan), 0.95),
        (np.full((4, 2), 1.5), 0.95),
    ],
)
def test_the_interval_refuses_what_says_nothing(correct_QK, level):
    with pytest.raises(ValueError, match="interval"):
        clustered_interval(correct_QK, level=level)
