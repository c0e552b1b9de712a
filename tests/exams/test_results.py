import json
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.exams import results as exam
from r1jax.exams import statistics


def row(name, sample, value=0.0, *, vote=None, error=False, tokens=10, **fields):
    plain = {
        "id": name,
        "sample": sample,
        "stratum": "",
        "subject": "",
        "kind": "maths",
        "gold": "1",
        "answer": vote,
        "value": value,
        "error": error,
        "format": 1,
        "tokens": tokens,
        "truncated": False,
        "vote": vote,
    }
    return {**plain, **fields}


def question(name, marks, votes=None, **fields):
    """Rows of one question: 1 right, 0 wrong, ! errored."""
    votes = votes or [None] * len(marks)
    return [
        row(name, i, float(mark == "1"), error=mark == "!", vote=vote, **fields)
        for i, (mark, vote) in enumerate(zip(marks, votes, strict=True))
    ]


def results(rows, ks=(1, 2), level=0.95):
    return exam.results(rows, ks=ks, level=level)


def test_pass_at_k_is_the_mean_of_questions_over_all_subsets():
    marks = {"a": "1100", "b": "0001", "c": "0000"}
    got = results([r for name, m in marks.items() for r in question(name, m)], ks=(2, 3))
    for k in (1, 2, 3):
        shares = [np.mean(["1" in subset for subset in combinations(m, k)]) for m in marks.values()]
        np.testing.assert_allclose(got["pass_at"][str(k)]["mean"], np.mean(shares), rtol=1e-12)
        want = statistics.mean_interval(np.array(shares), level=0.95)
        np.testing.assert_allclose(
            [got["pass_at"][str(k)][end] for end in ("low", "high")], want[1:], atol=1e-12
        )
    assert got["pass_at_1"] == got["pass_at"]["1"]
    assert (got["questions"], got["samples"], got["answers"]) == (3, 4, 12)


def test_errored_answers_are_neither_right_nor_wrong():
    rows = [*question("a", "1!!!"), *question("b", "10!0"), *question("c", "!!!!")]
    got = results(rows, ks=(2,))
    assert got["pass_at_1"]["mean"] == pytest.approx((1 + 1 / 3) / 2)
    assert got["pass_at_1"]["questions"] == 2
    # only b has two judged answers: of its 3 pairs, 2 hold the right one
    assert got["pass_at"]["2"] == {
        "questions": 1,
        "mean": pytest.approx(2 / 3),
        "low": None,
        "high": None,
    }
    assert got["errors"] == {
        "answers": 8,
        "unjudged": ["c"],
        "pass_at_1_if_wrong": pytest.approx((1 / 4 + 1 / 4 + 0) / 3),
        "pass_at_1_if_right": pytest.approx((1 + 2 / 4 + 1) / 3),
    }
    assert got["rates"]["error"] == pytest.approx(8 / 12)
    assert [got["lengths"][kind]["answers"] for kind in ("all", "right", "wrong")] == [12, 2, 2]


@given(st.lists(st.text("01!", min_size=3, max_size=3), min_size=1, max_size=6))
def test_pass_at_1_lies_between_what_errors_could_have_been(marks):
    got = results([r for i, m in enumerate(marks) for r in question(f"q{i}", m)])
    low, high = (got["errors"][f"pass_at_1_if_{end}"] for end in ("wrong", "right"))
    assert low <= high and (low < high) == ("!" in "".join(marks))
    if not got["errors"]["unjudged"]:
        assert low - 1e-12 <= got["pass_at_1"]["mean"] <= high + 1e-12


@given(
    st.lists(st.text("01!", min_size=4, max_size=4), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_stored_answers_does_not_matter(marks, random):
    rows = [r for i, m in enumerate(marks) for r in question(f"q{i}", m, list("abab"))]
    shuffled = rows[:]
    random.shuffle(shuffled)
    one, other = results(rows, ks=(1, 2, 4)), results(shuffled, ks=(1, 2, 4))
    for key in ("cons_at", "rates", "lengths", "length_histogram"):
        assert json.dumps(one[key]) == json.dumps(other[key])
    assert one["accuracies"] == other["accuracies"]
    assert one["pass_at"]["4"] == pytest.approx(other["pass_at"]["4"])


def test_the_most_frequent_answer_of_each_block_is_judged():
    rows = [
        *question("a", "1001", ["x", "y", "y", "x"]),  # x and y level twice: x first, right
        *question("b", "0110", ["y", "x", "x", None]),  # block of 2: y, first of two; then x
        *question("c", "0000", [None] * 4),  # nobody answered: wrong
    ]
    got = results(rows, ks=(1, 2, 3, 4))["cons_at"]
    assert sorted(got) == ["1", "2", "4"]
    assert got["1"]["mean"] == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert got["2"]["mean"] == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert got["4"]["mean"] == pytest.approx((1 + 1 + 0) / 3)


def test_consensus_by_loops():
    rng = np.random.default_rng(0)
    answers = [[str(a) for a in rng.integers(1, 4, 6)] for _ in range(20)]
    rows = [
        row(f"q{q}", s, float(answer == "1"), vote=answer)
        for q, given in enumerate(answers)
        for s, answer in enumerate(given)
    ]
    for k in (1, 2, 3, 6):
        blocks = [given[i : i + k] for given in answers for i in range(0, 6, k)]
        # max keeps the first of equals
        want = np.mean([max(block, key=block.count) == "1" for block in blocks])
        got = results(rows, ks=(k,))["cons_at"][str(k)]
        assert got["mean"] == pytest.approx(want)


def test_a_winner_whose_judge_failed_is_judged_by_its_like():
    votes = ["x", "x", "y", "x"]
    alike = results(question("a", "!!01", votes), ks=(2,))["cons_at"]["2"]
    assert (alike["mean"], alike["questions"]) == (0.5, 1)
    unknown = results(question("a", "!!0!", votes), ks=(4,))["cons_at"]["4"]
    assert (unknown["mean"], unknown["questions"]) == (None, 0)


def test_a_winner_is_judged_as_its_block_worded_it():
    # equivalent answers may earn unlike marks: 17 + 25 is not worked out, 42 is
    rows = question("a", "0011", ["x", "x", "x", "x"])
    assert results(rows, ks=(2,))["cons_at"]["2"]["mean"] == 0.5


def test_majorities_without_votes_and_fractions_are_not_right():
    rows = [row("a", 0, 0.5), row("a", 1, 1.0), row("b", 0, 0.75), row("b", 1, 0.0)]
    got = results(rows)
    assert {k: score["mean"] for k, score in got["cons_at"].items()} == {"1": 0, "2": 0}
    assert got["pass_at_1"]["mean"] == 0.25
    assert got["mean_value"]["mean"] == pytest.approx((0.75 + 0.375) / 2)


def test_open_questions_count_for_rates_and_lengths_alone():
    rows = question("a", "10", ["1", "2"])
    wish = question("wish", "00", ["x", "y"], kind="helpful", tokens=30, stratum="", format=0)
    alone, both = results(rows), results([*rows, *wish])
    for key in ("pass_at_1", "pass_at", "cons_at", "mean_value", "errors", "accuracies"):
        assert both[key] == alone[key], key
    assert both["questions"] == 2 and both["rates"]["format"] == 0.5
    lengths = {name: kind["answers"] for name, kind in both["lengths"].items()}
    assert lengths == {"all": 4, "right": 1, "wrong": 1, "truncated": 0}


def test_rates_and_lengths():
    rows = [
        row("a", 0, 1.0, tokens=5),
        row("a", 1, 1.0, tokens=9, format=0),
        row("b", 0, 0.0, tokens=100, truncated=True),
        row("b", 1, 0.0, tokens=2, error=True, format=0),
    ]
    got = results(rows)
    assert got["rates"] == {"truncation": 0.25, "format": 0.5, "error": 0.25}
    assert got["lengths"] == {
        "all": {"answers": 4, "mean": 29.0, "median": 7.0},
        "right": {"answers": 2, "mean": 7.0, "median": 7.0},
        "wrong": {"answers": 1, "mean": 100.0, "median": 100.0},
        "truncated": {"answers": 1, "mean": 100.0, "median": 100.0},
    }
    none = results(question("a", "00"))["lengths"]["right"]
    assert none == {"answers": 0, "mean": None, "median": None}


def test_lengths_of_a_wide_range_are_binned_in_equal_ratios():
    wide = results([row(f"q{n}", 0, tokens=n) for n in (1, 10_000)], ks=(1,))
    ratios = np.diff(np.log(wide["length_histogram"]["edges"][-8:]))
    np.testing.assert_allclose(ratios, np.log(10_001) / 24, rtol=0.01)
    narrow = results([row(f"q{n}", 0, tokens=n) for n in (1_000, 1_239)], ks=(1,))
    np.testing.assert_array_equal(np.diff(narrow["length_histogram"]["edges"]), 10)


@given(st.lists(st.integers(0, 40_000), min_size=1, max_size=30))
def test_every_judged_length_falls_into_one_bin(tokens):
    rows = [row(f"q{i}", 0, i % 2, tokens=n) for i, n in enumerate(tokens)]
    histogram = results(rows, ks=(1,))["length_histogram"]
    assert len(histogram["right"]) == len(histogram["wrong"]) == len(histogram["edges"]) - 1 <= 24
    assert np.all(np.diff(histogram["edges"]) > 0)
    assert sum(histogram["right"]) + sum(histogram["wrong"]) == len(tokens)
    assert histogram["edges"][0] == min(tokens) and histogram["edges"][-1] == max(tokens) + 1


def test_tables_by_stratum_and_subject():
    rows = [
        *question("a", "11", stratum="Level 2", subject="algebra"),
        *question("b", "10", stratum="Level 10", subject="algebra", tokens=30),
        *question("c", "00", stratum="Level 2", subject="algebra", tokens=20),
        *question("d", "!!", stratum="", subject="algebra"),
    ]
    got = results(rows)
    assert list(got["by_stratum"]) == ["", "Level 2", "Level 10"]
    two = got["by_stratum"]["Level 2"]
    assert (two["questions"], two["mean"], two["mean_length"]) == (2, 0.5, 15)
    assert (two["low"], two["high"]) == (0, 1)
    ten = got["by_stratum"]["Level 10"]
    assert (ten["questions"], ten["mean"], ten["low"]) == (1, 0.5, None)
    assert got["by_stratum"][""]["mean"] is None
    assert got["by_subject"]["algebra"]["questions"] == 4
    assert got["by_subject"]["algebra"]["mean"] == 0.5
    assert results(question("a", "10"))["by_subject"] == {}


def test_results_are_json():
    rows = [*question("a", "10", ["x", "y"], stratum="1"), *question("b", "1!", ["x", None])]
    got = results(rows)
    assert json.loads(json.dumps(got, allow_nan=False)) == got
    other = results([*question("a", "00"), *question("b", "01")])
    comparison = exam.compare(got, other, against="base", level=0.95, draws=100, seed=0)
    assert json.loads(json.dumps(comparison, allow_nan=False)) == comparison


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([], "no answers"),
        (
            [*question("a", "11"), *question("b", "1"), *question("c", "0")],
            "2 of 3 questions lack .* first: 'b' has 1 of 2",
        ),
        ([*question("a", "11"), row("b", 1), row("b", 2)], "2 of 2 questions lack"),
        ([*question("a", "1"), *question("a", "1")], r"'a' has a sample twice: \[0, 0\]"),
        ([{"id": "a", "sample": 0}], "answer of 'a': missing fields"),
        ([row("a", 0, 1.5)], "sample 0 of 'a': got value 1.5"),
        ([row("a", 0, float("nan"))], "got value nan"),
        ([row("a", 0, tokens=-1)], "tokens -1"),
        ([row("a", 0), row("a", 1, subject="x")], "more than one stratum or subject"),
        (question("a", "1"), r"got k of \[1, 2\], wanted 1 to the 1 samples"),
    ],
)
def test_incomplete_answers_are_told(rows, error):
    with pytest.raises(ValueError, match=error):
        results(rows)


def compared(ours, theirs):
    return exam.compare(
        results(ours), results(theirs), against="base", level=0.95, draws=1000, seed=0
    )


def test_exams_are_compared_on_the_questions_that_both_judged():
    ours = [*question("a", "11"), *question("b", "10"), *question("c", "!!")]
    theirs = [*question("b", "00"), *question("a", "10"), *question("c", "11")]
    got = compared(ours, theirs)
    assert (got["questions"], got["left_out"], got["against"]) == (2, 1, "base")
    assert (got["mean_a"], got["mean_b"], got["difference"]) == (0.75, 0.25, 0.5)
    assert got["p_t"] is None and got["p_flip"] == 0.5
    same = compared(ours, ours)
    assert (same["difference"], same["p_t"], same["p_flip"]) == (0, 1, 1)


def test_exams_of_other_questions_are_not_compared():
    ours = [*question("a", "11"), *question("b", "10")]
    with pytest.raises(ValueError, match="2 questions are in one exam only"):
        compared(ours, [*question("a", "11"), *question("b2", "10")])
    with pytest.raises(ValueError, match="the first: 'c'"):
        compared(ours, [*ours, *question("c", "!!")])


def test_examples_are_the_first_of_their_kind():
    rows = [
        row("a", 0, truncated=True),
        row("a", 1),
        row("b", 0, 1.0),
        row("b", 1, error=True, truncated=True),
    ]
    got = exam.examples(rows)
    places = {name: (r["id"], r["sample"]) if r else None for name, r in got.items()}
    assert places == {
        "right": ("b", 0),
        "wrong": ("a", 1),
        "truncated": ("a", 0),
        "errored": ("b", 1),
    }
    assert exam.examples(rows[:1])["errored"] is None
