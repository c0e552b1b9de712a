import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from r1jax.exams.statistics import (
    compare,
    consensus,
    mean_and_ends,
    mean_interval,
    pass_at_k,
    sign_flip_p,
    winner,
)
from r1jax.rewards.answers import maths


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
def test_equal_answers_vote_together(answers, want):
    first = winner([None if a is None else maths.canonical(a, {}) for a in answers])
    assert (None if first is None else answers[first]) == want


@pytest.mark.parametrize(
    ("votes", "want"),
    [
        (["a", "b", "b", "a"], 0),
        ([None, "b", "a", "a", "b"], 1),
        ([None, None, "c"], 2),
        (["a", "b", "b"], 1),
        ([("number", 2), 1, 1], 1),
        ([None], None),
        ([], None),
    ],
)
def test_of_equally_frequent_votes_the_first_cast_wins(votes, want):
    assert winner(votes) == want


@given(st.lists(st.sampled_from(["x", "y", "z", None]), max_size=9))
def test_the_winner_has_most_votes_and_is_first_of_those_that_do(votes):
    first = winner(votes)
    cast = [vote for vote in votes if vote is not None]
    if first is None:
        assert not cast
        return
    most = max(cast.count(vote) for vote in cast)
    assert votes[first] is not None and votes.count(votes[first]) == most
    assert all(vote is None or votes.count(vote) < most for vote in votes[:first])


@given(st.lists(st.sampled_from("xyz"), min_size=1, max_size=9))
def test_names_of_the_votes_do_not_matter(votes):
    assert winner(votes) == winner([{"x": 7, "y": "q", "z": (1, 2)}[vote] for vote in votes])


def test_consensus_votes_in_blocks_of_k():
    votes, right = [1, 2, 2, 1, 3, 1], [False, True, True, False, False, False]
    assert consensus(votes, right, k=3) == 0.5
    assert consensus(votes, right, k=6) == 0
    assert consensus(votes, right, k=1) == pytest.approx(2 / 6)
    votes, right = [None, None, None, "5", None, "5"], [False, False, False, True, False, True]
    assert consensus(votes, right, k=3) == 0.5 and consensus(votes, right, k=6) == 1


def test_a_vote_without_a_verdict_takes_that_of_its_like():
    assert consensus(["a", "a", "b"], [None, True, False], k=3) == 1
    assert consensus(["a", "b", "a", "b"], [None, False, True, False], k=2) == 1
    assert consensus(["a", "a"], [None, None], k=2) is None
    assert consensus(["a", "a", "b", "b"], [None, None, True, None], k=2) == 1


@pytest.mark.parametrize(
    ("votes", "right", "k"),
    [
        (["1"] * 4, [True] * 4, 3),
        (["1"] * 4, [True] * 4, 0),
        (["1"], [True, True], 1),
        ([], [], 1),
    ],
)
def test_consensus_refuses_what_does_not_fit(votes, right, k):
    with pytest.raises(ValueError, match="cons@k"):
        consensus(votes, right, k=k)


def clustered_interval(correct_QK, *, level):
    """Samples of a question resemble each other: one mean a question."""
    return mean_interval(np.asarray(correct_QK, np.float64).mean(axis=1), level=level)


def test_the_interval_by_hand():
    correct_QK = np.array([[1.0, 1.0], [0.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    # per-question means 1, 0, .5, .5: std sqrt(1/6), over sqrt(4), times 1.637744, the 90% point of
    # Student's t with 3 degrees of freedom
    got = clustered_interval(correct_QK, level=0.8)
    np.testing.assert_allclose(got, (0.5, 0.5 - 0.3343032, 0.5 + 0.3343032), atol=1e-6)


def test_copies_of_a_sample_do_not_narrow_the_interval():
    once_QK = np.random.default_rng(0).random((20, 1)) < 0.4
    assert clustered_interval(np.repeat(once_QK, 8, axis=1), level=0.9) == pytest.approx(
        clustered_interval(once_QK, level=0.9)
    )


def test_questions_with_more_samples_do_not_weigh_more():
    rows = [[1.0], [0.0, 0.0], [1.0, 0.0, 1.0, 0.0]]
    means_Q = np.array([np.mean(row) for row in rows])
    assert mean_interval(means_Q, level=0.9).mean == 0.5
    repeated_QK = np.array([row * (4 // len(row)) for row in rows])
    assert mean_interval(means_Q, level=0.9) == clustered_interval(repeated_QK, level=0.9)


@pytest.mark.parametrize(
    ("questions", "samples", "truth", "level"),
    [
        (30, 1, 0.5, 0.95),
        (30, 64, 0.3, 0.95),
        (100, 4, 0.7, 0.95),
        (100, 8, 0.4, 0.8),
        (6, 16, 0.5, 0.95),
    ],
)
def test_the_interval_covers_the_truth_as_often_as_it_says(questions, samples, truth, level):
    rng, hits, trials = np.random.default_rng(1), 0, 1000
    for _ in range(trials):
        # questions of unlike difficulty, samples of one question alike
        chance_Q1 = rng.beta(2 * truth, 2 * (1 - truth), size=(questions, 1))
        correct_QK = rng.random((questions, samples)) < chance_Q1
        _, low, high = clustered_interval(correct_QK, level=level)
        hits += low <= truth <= high
    # 3 standard errors of the trials, and 1% since means of questions are no normal numbers; the
    # normal quantile in place of Student's would cover 88% of 6 questions
    slack = 3 * np.sqrt(level * (1 - level) / trials) + 0.01
    assert abs(hits / trials - level) < slack


@pytest.mark.parametrize("truth", [0.03, 0.1])
def test_the_rule_of_three_covers_the_truth_if_none_is_right(truth):
    rng, missed, trials = np.random.default_rng(2), 0, 2000
    for _ in range(trials):
        means_Q = (rng.random(30) < truth).astype(float)
        # wrong only if all 30 failed and the truth lies beyond what that allows
        missed += means_Q.max() == 0 and mean_interval(means_Q, level=0.95).high < truth
    assert missed / trials < 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)


@pytest.mark.parametrize(
    ("questions", "reach"), [(100, 0.0295130), (30, 0.0950339), (2, 0.7763932)]
)
def test_all_right_and_all_wrong_still_leave_doubt(questions, reach):
    wrong_QK = np.zeros((questions, 4))
    # (1 - reach)^questions = 0.05
    got = clustered_interval(wrong_QK, level=0.95)
    np.testing.assert_allclose(got, (0, 0, reach), atol=1e-7)
    got = clustered_interval(1 - wrong_QK, level=0.95)
    np.testing.assert_allclose(got, (1, 1 - reach, 1), atol=1e-7)
    mean, low, high = mean_interval(np.full(questions, 1 / 3), level=0.95)
    assert 0 < low < mean < high < 1
    np.testing.assert_allclose(high - low, reach, atol=1e-7)


def test_the_interval_stays_within_zero_and_one():
    correct_QK = np.array([[True]] * 9 + [[False]])
    assert clustered_interval(correct_QK, level=0.99)[2] == 1.0
    assert clustered_interval(~correct_QK, level=0.99)[1] == 0.0


def test_equal_scores_without_bounds_have_no_interval():
    unbounded = (-np.inf, np.inf)
    with pytest.raises(ValueError, match=r"all values are 2\.0"):
        mean_interval(np.full(5, 2.0), level=0.95, bounds=unbounded)
    low, high = mean_interval(np.array([2.0, 2.5]), level=0.95, bounds=unbounded)[1:]
    assert low < 0 and high > 1


@pytest.mark.parametrize(
    ("correct_QK", "level"),
    [
        (np.ones((1, 4)), 0.95),
        (np.ones((4, 2)), 1.0),
        (np.full((4, 2), np.nan), 0.95),
        (np.full((4, 2), 1.5), 0.95),
    ],
)
def test_the_interval_refuses_what_says_nothing(correct_QK, level):
    with pytest.raises(ValueError, match="interval"):
        clustered_interval(correct_QK, level=level)


OPTIONS = {"level": 0.95, "draws": 2000, "seed": 0}
MEANS = st.lists(st.tuples(*[st.integers(0, 4).map(lambda c: c / 4)] * 2), min_size=2, max_size=14)


def exams(pairs) -> tuple[dict[str, float], dict[str, float]]:
    return tuple({f"q{i}": float(p[side]) for i, p in enumerate(pairs)} for side in (0, 1))


def test_a_comparison_by_hand():
    got = compare(*exams([(1, 0.5), (0.5, 0.5), (0.75, 0.25), (0, 0.25)]), **OPTIONS)
    # differences .5, 0, .5, -.25: std sqrt(.140625), t = 1 with 3 degrees of freedom
    assert (got.questions, got.mean_a, got.mean_b, got.difference) == (4, 0.5625, 0.375, 0.1875)
    np.testing.assert_allclose(got.high - got.low, 2 * 3.1824463 * 0.1875, rtol=1e-6)
    # of t with 3 degrees: 1 - 2 (atan(1 / sqrt 3) + sqrt 3 / 4) / pi
    np.testing.assert_allclose(got.p_t, 1 - 2 * (np.pi / 6 + np.sqrt(3) / 4) / np.pi, rtol=1e-9)
    # 8 patterns of the three that moved: .75 (seen) is reached by +++, ++-, and their negatives
    assert got.p_flip == 4 / 8


@given(MEANS)
def test_swapping_the_models_flips_the_sign(pairs):
    a, b = exams(pairs)
    there, back = compare(a, b, **OPTIONS), compare(b, a, **OPTIONS)
    assert (there.mean_a, there.mean_b) == (back.mean_b, back.mean_a)
    assert there.difference == -back.difference
    np.testing.assert_allclose([there.low, there.high], [-back.high, -back.low], atol=1e-12)
    assert there.p_t == pytest.approx(back.p_t) and there.p_flip == back.p_flip


@given(MEANS)
def test_a_model_does_not_differ_from_itself(pairs):
    a, _ = exams(pairs)
    got = compare(a, dict(reversed(a.items())), **OPTIONS)
    assert (got.difference, got.p_t, got.p_flip) == (0, 1, 1)
    assert -1 < got.low < 0 < got.high < 1


@settings(max_examples=25)
@given(MEANS)
def test_p_values_agree_with_scipy(pairs):
    a, b = (np.array(list(exam.values())) for exam in exams(pairs))
    got = compare(*exams(pairs), **(OPTIONS | {"draws": 2**14}))
    exact = stats.permutation_test((a - b,), np.sum, permutation_type="samples", n_resamples=np.inf)
    np.testing.assert_allclose(got.p_flip, exact.pvalue, atol=1e-12)
    if np.ptp(a - b) > 0:
        np.testing.assert_allclose(got.p_t, stats.ttest_1samp(a - b, 0).pvalue, rtol=1e-9)


def test_a_constant_difference_is_left_to_the_sign_flips():
    got = compare(*exams([(1, 0)] * 5), **OPTIONS)
    assert got.p_t is None and got.p_flip == 2 / 2**5
    assert got.difference == got.high == 1 and got.low < 0.2


def test_random_signs_come_close_to_all_of_them():
    differences_Q = np.random.default_rng(3).normal(0.3, 1, size=14)
    exact = sign_flip_p(differences_Q, draws=2**14, seed=0)
    drawn = sign_flip_p(differences_Q, draws=5000, seed=0)
    assert exact != drawn and abs(exact - drawn) < 4 * np.sqrt(exact * (1 - exact) / 5000)
    assert drawn == sign_flip_p(differences_Q, draws=5000, seed=0)
    assert drawn != sign_flip_p(differences_Q, draws=5000, seed=1)


def test_random_signs_never_give_certainty():
    assert sign_flip_p(np.ones(50), draws=99, seed=0) == 1 / 100


@pytest.mark.parametrize(("questions", "samples"), [(12, 4), (30, 16)])
def test_two_models_alike_are_told_apart_as_seldom_as_p_says(questions, samples):
    rng, trials = np.random.default_rng(4), 500
    significant = np.zeros(2)
    for _ in range(trials):
        chance_Q1 = rng.beta(1, 1, size=(questions, 1))
        means = [(rng.random((questions, samples)) < chance_Q1).mean(1).tolist() for _ in range(2)]
        got = compare(*exams(list(zip(*means, strict=True))), level=0.9, draws=199, seed=0)
        significant += [got.p_t < 0.1, got.p_flip <= 0.1]
        assert (got.p_t < 0.1) == (not got.low <= 0 <= got.high)
    slack = 3 * np.sqrt(0.1 * 0.9 / trials)
    assert abs(significant[0] / trials - 0.1) < slack + 0.01
    # sums of few differing questions tie often, and a tie counts against the difference
    assert 0 < significant[1] / trials < 0.1 + slack


@pytest.mark.parametrize("draws", [2**8, 199])
def test_p_of_random_signs_is_uniform_where_no_sums_tie(draws):
    rng, trials = np.random.default_rng(6), 500
    values = [
        sign_flip_p(differences_Q, draws=draws, seed=seed)
        for seed, differences_Q in enumerate(rng.normal(size=(trials, 8)))
    ]
    for level in (0.1, 0.5):
        # p comes in steps of 2/256 or 1/200
        slack = 3 * np.sqrt(level * (1 - level) / trials) + 0.01
        assert abs(np.mean(np.array(values) <= level) - level) < slack


def test_a_real_difference_is_found():
    rng = np.random.default_rng(5)
    chance_Q = rng.uniform(0.1, 0.6, size=100)
    pairs = np.stack([rng.binomial(8, c) / 8 for c in (chance_Q + 0.3, chance_Q)], axis=1)
    got = compare(*exams(pairs.tolist()), **OPTIONS)
    assert got.p_t < 1e-6 and got.p_flip == 1 / 2001 and got.low < 0.3 < got.high


@pytest.mark.parametrize(
    ("a", "b", "error"),
    [
        ({"p": 1.0, "q": 1.0}, {"q": 1.0, "r": 0.0}, r"2 questions .*\(2 against 2 .*first: 'p'"),
        ({"p": 1.0}, {"p": 0.0}, "got 1 questions, wanted at least 2"),
        ({}, {}, "got 0 questions"),
        ({"p": 1.0, "q": 2.0}, {"p": 0.0, "q": 1.5}, r"outside \[0, 1\]"),
        ({"p": 1.0, "q": np.nan}, {"p": 0.0, "q": 1.0}, "NaN"),
    ],
)
def test_what_cannot_be_compared_is_refused(a, b, error):
    with pytest.raises(ValueError, match=error):
        compare(a, b, **OPTIONS)


def test_no_draws_and_no_level_are_refused():
    a = {"p": 1.0, "q": 0.5}
    with pytest.raises(ValueError, match="0 draws"):
        compare(a, a, **(OPTIONS | {"draws": 0}))
    with pytest.raises(ValueError, match="level 1"):
        compare(a, a, **(OPTIONS | {"level": 1.0}))


def test_ends_that_nothing_tells_are_none():
    def ends(means, bounds=(0.0, 1.0)):
        score = mean_and_ends(means, level=0.95, bounds=bounds)
        return score["mean"], score["low"] is not None, score["high"] is not None

    nowhere = (-math.inf, math.inf)
    assert ends([]) == (None, False, False) and ends([0.5]) == (0.5, False, False)
    assert ends([0.5, 0.5]) == (0.5, True, True)
    assert ends([3.0, 3.0], nowhere) == (3.0, False, False)
    assert ends([3.0, 5.0], nowhere) == (4.0, True, True)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="seed -1, wanted at least"):
        compare({"p": 1.0, "q": 0.0}, {"p": 0.0, "q": 0.0}, **(OPTIONS | {"seed": -1}))
