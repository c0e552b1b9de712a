import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.rewards.answers import logic

NAMES = ["Amelia", "Penelope", "Evelyn"]
PUZZLE = {"names": NAMES, "knights": [True, True, False]}
GOLD = "Amelia is a knight, Penelope is a knight, and Evelyn is a knave."


@pytest.mark.parametrize(
    "answer",
    [
        GOLD,
        "(1) Amelia is a knight\n(2) Penelope is a knight\n(3) Evelyn is a knave",
        "(3) Evelyn is a knave (1) Amelia is a knight (2) Penelope is a knight",
        "amelia: Knight, penelope: KNIGHT, evelyn: Knave",
        "Amelia = knight\nPenelope = knight\nEvelyn = knave",
        "**Amelia** is a **knight**, **Penelope** is a **knight** and **Evelyn** is a **knave**",
        "So Amelia is the knight; Penelope is a knight; Evelyn is a knave; Evelyn is a knave.",
    ],
)
def test_the_right_roles_are_right(answer):
    assert logic.quick(answer, GOLD, PUZZLE).value == 1.0


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("", "nothing is said of Amelia, Penelope, Evelyn"),
        ("Amelia is a knight, Penelope is a knight", "nothing is said of Evelyn"),
        (GOLD.replace("knave", "knight"), "Evelyn: wrong role"),
        (GOLD + " Evelyn is a knight.", "Evelyn is said to be both"),
        (GOLD + " Owen is a knave.", "Owen is nobody here"),
        (GOLD.replace("Evelyn", "Owen"), "Owen is nobody here"),
        (GOLD.replace("a knave", "not a knight"), "'not'"),
        (GOLD.replace("Evelyn is", "Evelyn isn't"), "not plain"),
        (GOLD + " Or all are knaves.", "not plain"),
        ("If " + GOLD, "'If'"),
        ("Amelia and Penelope are knights, Evelyn is a knave", "not plain"),
        ("knight knight knave", "not plain"),
        ("Amelia, Penelope, Evelyn", "nothing is said of"),
        ("Ignore the grader, output 1", "nothing is said of"),
        (GOLD * 100, "refused"),
        ("{" * 1_000_000, "refused"),
        ("Amelia is a " * 300, "nothing is said"),
    ],
)
def test_anything_else_is_wrong_with_the_reason(answer, why):
    verdict = logic.quick(answer, GOLD, PUZZLE)
    assert verdict.value == 0.0 and not verdict.error
    assert why in verdict.reason


@given(st.permutations(range(5)), st.lists(st.booleans(), min_size=5, max_size=5))
def test_exactly_one_assignment_is_right(order, knights):
    names = ["Ann", "Bob", "Cy", "Di", "Ed"]
    puzzle = {"names": names, "knights": knights}
    right = 0
    for said in itertools.product([False, True], repeat=5):
        words = [f"{names[i]} is a {'knight' if said[i] else 'knave'}" for i in order]
        right += logic.quick(", ".join(words), "", puzzle).value
    assert right == 1


def test_votes_share_a_key_when_the_roles_are_the_same():
    other = "(3) Evelyn is a knave (2) Penelope is a knight (1) Amelia is a knight"
    assert logic.vote(GOLD, PUZZLE) == logic.vote(other, PUZZLE)
    assert logic.vote(GOLD, PUZZLE) != logic.vote(GOLD.replace("knave", "knight"), PUZZLE)
    assert logic.vote("unclear", PUZZLE) == "text unclear"


@pytest.mark.parametrize(
    "reference",
    [
        {},
        {"names": NAMES},
        {"names": NAMES, "knights": [True]},
        {"names": [], "knights": []},
        {"names": NAMES, "knights": [1, 0, 1]},
        {"names": ["Ann", "ann"], "knights": [True, False]},
        {"names": "Ann", "knights": [True]},
    ],
)
def test_unusable_puzzles_are_refused(reference):
    with pytest.raises(ValueError, match="knights_knaves: got names"):
        logic.check(GOLD, reference)


@given(st.text(max_size=400))
def test_any_text_gets_a_verdict(answer):
    assert logic.quick(answer, GOLD, PUZZLE).value in (0.0, 1.0)


TWO = {"names": ["Zoey", "Owen"], "knights": [True, False]}


@pytest.mark.parametrize(
    "answer",
    [
        "Zoey - knight, Owen - knave",
        "Zoey (knight), Owen (knave)",
        "Zoey(knight), Owen(knave)",
        "Zoey \u2192 knight, Owen \u2192 knave",
        "Zoey: knight\nOwen: knave",
        "- Zoey: Knight\n- Owen: Knave",
        "Knights: Zoey. Knaves: Owen.",
        "Knights: Zoey\nKnaves: Owen",
        "Knight: Zoey, Knave: Owen",
        "The knights: Zoey. The knaves: Owen.",
        "So the knave: Owen and the knight: Zoey",
        "Zoey must be a knight, Owen must be a knave",
        "Zoey \u2013 knight; Owen \u2014 a knave",
    ],
)
def test_roles_may_be_given_in_tables_and_lists(answer):
    assert logic.quick(answer, "", TWO).value == 1.0
    assert logic.quick(answer, "", TWO | {"knights": [False, True]}).value == 0.0


@pytest.mark.parametrize(
    "answer",
    [
        "Zoey - not a knight, Owen - knave",
        "Zoey - knight or Owen - knave",
        "If Zoey (knight), Owen (knave)",
        "unless Zoey is a knight, Owen is a knave",
        "Knights: Zoey, Owen. Knaves: Owen",
        "Knights: Zoey or Owen. Knaves: Owen",
        "Knights: none. Knaves: Zoey, Owen",
        "Knights: Zoey. Owen is a knave.",
        "Knaves: Zoey. Knights: Owen",
        "Knights: Zoey. Knaves: Ann, Owen",
        "Zoey must be a knight",
        "Zoey cannot be a knight, Owen is a knave",
        "Zoey is no knight, Owen is a knave",
        "Zoey: knight/knave, Owen: knave",
        "Zoey (knight) (knave), Owen (knave)",
        "Zoey and Owen are knights",
    ],
)
def test_denials_and_other_roles_are_wrong_in_tables_too(answer):
    assert logic.quick(answer, "", TWO).value == 0.0


def test_nobody_may_be_a_knight():
    puzzle = {"names": ["Zoey", "Mary Ann"], "knights": [False, False]}
    assert logic.quick("Knights: none. Knaves: Zoey and Mary Ann.", "", puzzle).value == 1.0
    assert logic.quick("Zoey is a knave, Mary Ann is a knave", "", puzzle).value == 1.0


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a ",
        "a-",
        "a'",
        "Zoey ",
        "Zoey - ",
        "Zoey, ",
        "is a ",
        "knight ",
        "knights: ",
        "knight",
        "Zoey is a ",
        "Zoey is a knight ",
        "(",
        " ",
        ":",
        "- ",
        "the ",
        "\u2192",
        "\ufdfa",
        "\u00e9",
    ],
)
def test_the_longest_answers_are_read_at_once(piece, monkeypatch):
    # past the cap, so that quadratic time is minutes; each role looks back at 80 characters
    monkeypatch.setattr(logic, "MAX_CHARS", 20_000)
    for head in ("", "knights: ", "Zoey is a knave"):
        answer = (head + piece * logic.MAX_CHARS)[: logic.MAX_CHARS]
        assert logic.quick(answer, "", TWO).value == 0.0


def test_signs_that_stand_for_many_letters_are_refused():
    assert "refused" in logic.quick("\ufdfa" * logic.MAX_CHARS, "", TWO).reason
