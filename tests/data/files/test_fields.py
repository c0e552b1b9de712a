import decimal
import math

import pytest

from r1jax.data.files.fields import Filter, as_text, bare, filled, lookup, passes

ROW = {
    "q": " why? ", "n": 3, "level": "5", "null": None, "empty": "", "flag": True, "xs": ["a", "b"],
    "tests": {"inputs": ["1\n", "2\n"]}, "dotted.key": "d", "deep": [{"x": [7]}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "want"),
    [
        ("n", 3), ("tests.inputs", ["1\n", "2\n"]), ("tests.inputs.1", "2\n"), ("xs.-1", "b"),
        ("dotted.key", "d"), ("deep.0.x.0", 7), ("null", None),
    ],
)  # fmt: skip
def test_paths_go_through_objects_and_lists(path, want):
    assert lookup(ROW, path, "w") == want


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("nix", r"no field 'nix', got \['deep', 'dotted.key'"), ("xs.2", "a list of 2 there"),
        ("xs.-3", "a list of 2"), ("xs.a", "got list"), ("n.0", "got int"),
        ("tests.outputs", r"no field 'tests.outputs', got \['inputs'\]"),
        ("null.x", "got NoneType"),
    ],
)  # fmt: skip
def test_a_path_to_nothing_is_named(path, why):
    with pytest.raises(ValueError, match=f"w: .*{why}"):
        lookup(ROW, path, "w")


def test_numbers_and_lists_become_text():
    assert as_text(145.0, "f", "w", joint=", ") == "145.0"
    assert as_text(["1", 2], "f", "w", joint=", ") == "1, 2"
    assert as_text("  x", "f", "w", joint=", ") == "  x"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "is NoneType"), ({}, "is dict"), (["a", None], "holds NoneType"),
        ([["a"]], "holds list"), (" \n", "is empty"), ([], "is empty"), ([""], "is empty"),
    ],
)  # fmt: skip
def test_what_is_no_text_is_named(value, why):
    with pytest.raises(ValueError, match=f"w: field 'f' {why}"):
        as_text(value, "f", "w", joint=", ")


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (True, "true"),
        (False, "false"),
        (decimal.Decimal("2.50"), "2.50"),
        (1e-7, "0.0000001"),
        (1e22, "10000000000000000000000"),
        (decimal.Decimal("1E+3"), "1000"),
        (-0.5, "-0.5"),
        ([True, 2.0], "true, 2.0"),
        (10**30, "1" + "0" * 30),
    ],
)
def test_truth_values_and_numbers_are_spelt_one_way(value, want):
    assert as_text(value, "f", "w", joint=", ") == want


@pytest.mark.parametrize("value", [math.nan, math.inf, decimal.Decimal("NaN"), [1.0, -math.inf]])
def test_a_number_that_is_none_is_refused(value):
    with pytest.raises(ValueError, match=r"w: field 'f' .*(nan|inf|NaN|Infinity), wanted text"):
        as_text(value, "f", "w", joint=", ")


def test_the_items_of_a_list_stand_as_the_template_says():
    assert filled("{xs:, } {xs:+}", ROW, "w") == "a, b a+b"
    assert filled("{q}{n}", ROW, "w", change=str.upper) == "WHY?3"


def test_a_condition_on_each_item_holds_for_all():
    row = {"tests": [{"type": "stdin"}, {"type": "call"}]}
    assert passes(Filter("tests.*.type", "one_of", ["stdin", "call"]), row, "w")
    assert not passes(Filter("tests.*.type", "one_of", ["stdin"]), row, "w")


def test_templates_are_filled_and_fields_taken_whole():
    assert filled("q", ROW, "w") == "why?"
    assert filled("{q} {level}\n{xs}", ROW, "w") == "why? 5\na\nb"
    assert filled("{null?}{empty?}{nix?}{xs.1?}", ROW, "w") == "b"
    # LaTeX and code keep braces that name no field
    assert filled(r"\boxed{} {q}", ROW, "w") == r"\boxed{} why?"


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("{nix}", "no field 'nix'"), ("{null} x", "'null' is NoneType"), ("{empty}", "is empty"),
        ("{null?} {nix?}", "gives an empty text"),
    ],
)  # fmt: skip
def test_a_template_that_cannot_be_filled_is_named(spec, why):
    with pytest.raises(ValueError, match=f"w: .*{why}"):
        filled(spec, ROW, "w")


def test_a_bare_template_has_fields_alone():
    assert bare("Solve {q}, with {xs.0?} now.") == "{q}\n{xs.0?}"
    assert bare("q") == "q"


@pytest.mark.parametrize(
    ("field", "op", "value", "want"),
    [
        ("n", "one_of", [1, 3], True), ("n", "one_of", ["3"], False),
        ("n", "not_one_of", (3,), False), ("n", "not_one_of", (), True),
        ("flag", "one_of", [1], False), ("flag", "one_of", [True], True),
        ("null", "one_of", [None], True), ("null", "not_one_of", [None], False),
        ("xs", "one_of", [["a", "b"]], True),
        ("n", "at_least", 3, True), ("n", "at_least", 3.5, False), ("n", "at_most", 3, True),
        ("level", "at_most", 4, False), ("level", "at_least", 5, True),
        ("q", "matches", r"w.y", True), ("q", "matches", r"^why", False),
        ("q", "max_chars", 6, True), ("q", "max_chars", 5, False),
        ("tests.inputs.0", "matches", "1", True),
    ],
)  # fmt: skip
def test_filters_say_which_rows_stay(field, op, value, want):
    assert passes(Filter(field, op, value), ROW, "w") is want


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        (Filter("nix", "one_of", [1]), "no field 'nix'"),
        (Filter("q", "at_least", 1), "'q' is ' why. ', wanted a number"),
        (Filter("null", "at_most", 1), "is None, wanted a number"),
        (Filter("null", "matches", "x"), "is NoneType"),
    ],
)
def test_a_row_that_a_filter_cannot_judge_is_an_error(condition, why):
    with pytest.raises(ValueError, match=f"w: .*{why}"):
        passes(condition, ROW, "w")


@pytest.mark.parametrize(
    ("op", "value", "wanted"),
    [
        ("one_of", "abc", "a list"), ("not_one_of", 3, "a list"), ("at_least", "3", "a number"),
        ("at_most", True, "a number"), ("matches", 3, "a regular expression"),
        ("matches", "(", "no regular expression"), ("max_chars", [3], "a number"),
    ],
)  # fmt: skip
def test_a_filter_with_a_value_that_its_op_cannot_use_is_refused(op, value, wanted):
    with pytest.raises(ValueError, match=f"f {op}.*{wanted}"):
        Filter("f", op, value)
