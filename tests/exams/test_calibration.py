import numpy as np
import pytest
from scipy import special

from r1jax.data.rows.preferences import Encoded, Preference
from r1jax.exams import calibration as statistics


def row(question: str, lengths: tuple[int, ...], label: float = 1.0) -> Encoded:
    replies = tuple("x" * n for n in lengths)
    preference = Preference("f:1", 0, "", question, replies, label)
    return Encoded(preference, tuple([1] * n for n in lengths), lengths)


def test_results_of_pairs_are_those_by_hand():
    rows = [row("a", (5, 3)), row("a", (3, 5)), row("b", (4, 4)), row("c", (9, 1))]
    scores = [[1.0, 0.0], [0.0, 2.0], [0.5, 0.5], [3.0, -1.0]]
    got = statistics.results(rows, scores, kind="pairs", level=0.95)
    # a: one of two right; b: a tie; c: right
    assert got["accuracy"]["mean"] == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert got["accuracy"]["rows"] == 4 and got["accuracy"]["questions"] == 3
    assert got["ties"] == 0.25
    ahead = np.array([1.0, -2.0, 0.0, 4.0])
    assert got["loss"] == pytest.approx(-np.log(special.expit(ahead)).mean())
    by = got["accuracy_where_chosen_is"]
    assert [by[k]["rows"] for k in ("longer", "shorter", "equal")] == [2, 1, 1]
    assert [by[k]["mean"] for k in ("longer", "shorter", "equal")] == [1.0, 0.0, 0.5]
    assert by["shorter"]["low"] is None
    assert got["longer_wins"]["mean"] == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert got["mean_lengths"] == {"chosen": 5.25, "rejected": 3.25}
    assert got["difference_correlation"] == pytest.approx(np.corrcoef(ahead, [2, -2, 0, 8])[0, 1])


def test_turns_of_one_conversation_are_one_unit_of_the_interval():
    turns = ["Q", "Human: Q\n\nAssistant: a\n\nHuman: more"]
    rows = [row(question, (5, 3)) for question in [*turns, "R"]]
    got = statistics.results(rows, [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], kind="pairs", level=0.95)
    assert got["accuracy"]["questions"] == 2 and got["accuracy"]["mean"] == 0.5


def test_equal_scores_are_half_right_and_correlate_with_nothing():
    rows = [row(f"q{i}", (i + 1, 3)) for i in range(5)]
    got = statistics.results(rows, [[0.0, 0.0]] * 5, kind="pairs", level=0.95)
    assert got["accuracy"]["mean"] == 0.5 and got["ties"] == 1.0
    assert got["calibration_error"] == 0.0  # half right, and no more was claimed
    assert got["score_length_correlation"] is None


def test_calibration_compares_claims_with_outcomes():
    claimed = np.array([0.55, 0.55, 0.95, 0.95])
    error, table = statistics.reliability(claimed, np.array([1.0, 0.0, 1.0, 1.0]), low=0.5, bins=10)
    assert error == pytest.approx(0.5 * 0.05 + 0.5 * 0.05)
    assert [(r["rows"], r["happened"]) for r in table] == [(2, 0.5), (2, 1.0)]


def test_scores_that_are_true_odds_are_calibrated():
    rng = np.random.default_rng(0)
    logit = rng.normal(0, 2, size=20_000)
    happened = (rng.random(20_000) < special.expit(logit)).astype(float)
    honest = statistics.reliability(special.expit(logit), happened, low=0.0, bins=10)[0]
    boastful = statistics.reliability(special.expit(3 * logit), happened, low=0.0, bins=10)[0]
    assert honest < 0.02 < 0.1 < boastful


def test_results_of_labels_are_those_by_hand():
    rows = [row("a", (5,), 1.0), row("b", (3,), 0.0), row("c", (2,), 0.0)]
    got = statistics.results(rows, [[1.0], [2.0], [-1.0]], kind="labels", level=0.95)
    assert got["accuracy"]["mean"] == pytest.approx(2 / 3)
    assert got["auc"] == 0.5  # above one of two
    assert got["auc_of_length"] == 1.0 and got["most_frequent_label"] == pytest.approx(2 / 3)
    assert got["mean_lengths"] == {"safe": 5.0, "unsafe": 2.5}


def test_the_area_is_the_share_of_couples_in_order():
    rng = np.random.default_rng(1)
    scores, ones = rng.integers(0, 5, size=40).astype(float), rng.random(40) < 0.4
    couples = [(a > b) + (a == b) / 2 for a in scores[ones] for b in scores[~ones]]
    assert statistics.area(scores, ones) == pytest.approx(np.mean(couples))
    assert statistics.area(scores, np.ones(40, bool)) is None
