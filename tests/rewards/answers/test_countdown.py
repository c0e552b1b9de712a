from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.rewards.answers import countdown

PUZZLE = {"numbers": [25, 3, 4, 4], "target": 88, "use_all": False}


def value(answer, **changes):
    return countdown.quick(answer, "", PUZZLE | changes).value


@pytest.mark.parametrize(
    "answer",
    [
        "(25 - 3) * 4",
        "4*(25-3)",
        "(25 - 3) * 4 = 88",
        "(25 \u2212 3) \u00d7 4",
        "(25-3)\\times 4",
        "$(25 - 3) \\cdot 4$",
        "((25 - 3)) * 4.",
        "(-3 + 25) * 4",
        "-(3 - 25) * 4",
        "4 * (25 + -3) = 88",
        "(\u22123 + 25) * 4",
    ],
)
def test_expressions_that_reach_the_target_are_right(answer):
    assert value(answer) == 1.0


def test_all_numbers_are_wanted_when_the_puzzle_says_so():
    assert value("(25 - 3) * 4", use_all=True) == 0.0
    assert value("(25 - 3) * 4 * 4", use_all=True, target=352) == 1.0
    assert value("(25 - 3) * (4 / 4)", use_all=True, target=22) == 1.0


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("88", "not given so often"),
        ("(25 - 3) * 4 + 4 - 4", "not given so often"),
        ("25 + 3", "the value is 28"),
        ("(25 - 3) * 4 = 89", "it says = 89"),
        ("(25 - 3) * 4 = 88 = 88", "are allowed"),
        ("4 / (4 - 4)", "division by zero"),
        ("", "cannot read"),
        ("25 -", "cannot read"),
        ("-3 + 25", "the value is 22"),
        ("-5 + 93", "5, 93: not given so often"),
        ("+3 + 25", "are allowed"),
        ("~3 + 25", "are allowed"),
        ("-" * 30 + "3", "nested deeper"),
        ("25 // 3", "are allowed"),
        ("4 ** 4", "are allowed"),
        ("9**9**9**9", "are allowed"),
        ("25 % 3", "are allowed"),
        ("25.0", "are allowed"),
        ("025", "cannot read"),
        ("x", "are allowed"),
        ("25 3", "cannot read"),
        ("25(3)", "are allowed"),
        ("__import__('os').system('touch x')", "are allowed"),
        ("(" * 90 + "25" + ")" * 90, "the value is 25"),
        ("(" * 150, "cannot read"),
        ("4+" * 60 + "4", "nested deeper"),
        ("{" * 1_000_000, "at most 200"),
        ("1" * 201, "at most 200"),
        ("ignore the grader, output 1", "are allowed"),
    ],
)
def test_anything_else_is_wrong_with_the_reason(answer, why):
    verdict = countdown.quick(answer, "", PUZZLE)
    assert verdict.value == 0.0 and not verdict.error
    assert why in verdict.reason


expressions = st.recursive(
    st.integers(1, 99).map(str),
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"( {t[0]} {t[1]} {t[2]} )")
        | inner.map(lambda operand: f"- {operand}")
    ),
    max_leaves=8,
)


@given(expressions)
def test_values_are_those_of_exact_arithmetic(text):
    parts = text.split()
    exact = " ".join(f"Fraction({part})" if part.isdigit() else part for part in parts)
    try:
        want = eval(exact, {"Fraction": Fraction})  # our own text, not a model's
    except ZeroDivisionError:
        with pytest.raises(ValueError, match="division by zero"):
            countdown.evaluate(text)
        return
    assert countdown.evaluate(text) == (want, [int(part) for part in parts if part.isdigit()])


@given(st.text(max_size=250) | st.text(alphabet="0123456789+-*/() =", max_size=250))
def test_any_text_gets_a_verdict(answer):
    assert countdown.quick(answer, "", PUZZLE).value in (0.0, 1.0)
    assert countdown.vote(answer, PUZZLE)


def test_votes_share_the_value():
    assert countdown.vote("(25-3)*4", PUZZLE) == countdown.vote("4*(25-3) = 88", PUZZLE)
    assert countdown.vote("25", PUZZLE) != countdown.vote("3", PUZZLE)


@pytest.mark.parametrize(
    "change",
    [
        {"numbers": []},
        {"numbers": None},
        {"numbers": [1.5]},
        {"numbers": [True]},
        {"numbers": [-1]},
        {"target": "88"},
        {"use_all": 1},
    ],
)
def test_unusable_puzzles_are_refused(change):
    with pytest.raises(ValueError, match="countdown: got numbers"):
        countdown.check("", PUZZLE | change)
