from collections import Counter

import pytest

from r1jax.config import UserError
from r1jax.data.files.choices import Options, options_of, right, shuffled

XY = Options(["x", "y", "z"], ["A", "B", "C"])
FIELDS = {"A": "x", "B": "y", "C": "z", "D": None, "E": ""}


@pytest.mark.parametrize(
    ("value", "labels"),
    [
        (["x", "y"], ["A", "B"]),
        ({"B": "y", "A": "x"}, ["A", "B"]),
        ('["x", "y"]', ["A", "B"]),
        ({"b": "y", "a": "x", "c": None}, ["a", "b"]),
        ({"2": "y", "1": "x"}, ["1", "2"]),
        ("{'A': 'x', 'B': 'y'}", ["A", "B"]),
        ({"0": "x", "1": "y"}, ["0", "1"]),
        ({"option_b": "y", "option_a": "x"}, ["option_a", "option_b"]),
        ({"text": ["x", "y"], "label": ["1", "2"]}, ["1", "2"]),
        (["A. x", "B. y"], ["A", "B"]),
    ],
)
def test_options_are_read_in_the_order_of_their_labels(value, labels):
    assert options_of({"o": value}, "o", "w") == Options(["x", "y"], labels)


def test_ten_options_of_an_object_keep_their_order():
    given = {str(i): f"o{i}" for i in (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)}
    assert options_of({"o": given}, "o", "w").texts == [f"o{i}" for i in range(1, 11)]


def test_options_may_stand_in_fields_of_their_own():
    assert options_of(FIELDS, "A, B, C", "w") == XY
    assert options_of(FIELDS, "A,B,C,D?,E?", "w") == XY
    assert options_of({"A, B": ["x", "y"]}, "A, B", "w").texts == ["x", "y"]
    with pytest.raises(UserError, match="w: 'D\\?' is absent, and an option behind it"):
        options_of({**FIELDS, "E": "e"}, "A,B,C,D?,E?", "w")
    with pytest.raises(UserError, match="w: no field 'X'"):
        options_of(FIELDS, "A, X", "w")


def test_a_word_that_begins_like_a_label_stays():
    assert options_of({"o": ["A. Lincoln", "Grant"]}, "o", "w").texts == ["A. Lincoln", "Grant"]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"A": "x", "C": "y"}, r"keys \['A', 'C'\], wanted A, B"),
        ({"A": "x", "a": "y"}, "keys"),
        ({"text": ["x"], "label": ["1", "2"]}, "got 1 texts"),
        (5, "is 5, wanted a list"),
        ("x or y", "wanted JSON"),
        (["x", {"a": 1}], "holds|is dict"),
        (["x"], "wanted 2 to 26"),
    ],
)
def test_what_are_no_options_is_named(value, why):
    with pytest.raises(UserError, match=f"w: field 'o'.*{why}"):
        options_of({"o": value}, "o", "w")


@pytest.mark.parametrize(
    ("answer", "form", "want"),
    [
        ("B", "letter", [1]),
        ("b", "letter", [1]),
        ("(B)", "letter", [1]),
        (2, "letter", [2]),
        (["A", "C"], "letter", [0, 2]),
        (0, "from_0", [0]),
        ("2", "from_0", [2]),
        (1, "from_1", [0]),
        ("3", "from_1", [2]),
        (2.0, "from_1", [1]),
        (" y ", "text", [1]),
    ],
)
def test_an_answer_is_read_as_the_config_says(answer, form, want):
    assert right(answer, XY, form, "w") == want


def test_labels_of_the_row_come_before_numbers_of_places():
    numbered = Options(["x", "y"], ["1", "2"])
    assert right("1", numbered, "letter", "w") == right(1, numbered, "letter", "w") == [0]
    assert right("option_b", Options(["x", "y"], ["option_a", "option_b"]), "letter", "w") == [1]


@pytest.mark.parametrize(
    ("answer", "form", "why"),
    [
        (3, "letter", "wanted 0 to 2; answer_as 'from_1'"),
        (3, "from_0", "wanted 0 to 2"),
        (0, "from_1", "wanted 1 to 3"),
        (True, "from_0", "answer True"),
        (True, "letter", "True"),
        ("1", "letter", "answer_as 'from_0' or 'from_1'"),
        ("y", "letter", "answer_as 'text'"),
        ("B", "from_0", "'B', wanted 0"),
        ("w", "text", "text of 0 options"),
        ([], "letter", "wanted"),
        (1.5, "from_0", "1.5, wanted"),
        (None, "letter", "None"),
        ({"a": 1}, "text", "dict"),
    ],
)
def test_an_answer_that_names_no_option_is_refused(answer, form, why):
    with pytest.raises(UserError, match=f"w: .*{why}"):
        right(answer, XY, form, "w")


def test_a_text_that_two_options_share_answers_nothing():
    with pytest.raises(UserError, match="'x' is the text of 2 options"):
        right("x", Options(["x", "y", "x"], ["A", "B", "C"]), "text", "w")


def test_orders_are_drawn_evenly_and_by_the_seed():
    options = Options(["p", "q", "r"], ["A", "B", "C"])
    orders = [tuple(shuffled(options, 0, f"question {i}")) for i in range(600)]
    counts = Counter(orders)
    assert len(counts) == 6 and min(counts.values()) > 60  # of 100, 9 the standard deviation
    assert orders[:50] == [tuple(shuffled(options, 0, f"question {i}")) for i in range(50)]
    assert orders[:50] != [tuple(shuffled(options, 1, f"question {i}")) for i in range(50)]
