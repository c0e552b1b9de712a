import json

import pytest

from r1jax.config import MissingPackage, UserError
from r1jax.data.files.example_rows import passing, put, shown_with, with_fields
from r1jax.data.files.fields import Filter
from r1jax.data.files.paths import lookup, parts_of


@pytest.mark.parametrize(
    ("path", "value"),
    [("a", 1), ("a.b.c", "x"), ("a.1.b", 2), ("a.-1", 3), ("a.*.b", [4, 5]), ("a[0].b", {})],
)
def test_a_value_is_found_where_it_was_put(path, value):
    row = put({}, parts_of(path), value)
    assert lookup(row, path, "w") == value and json.dumps(row)


def test_paths_share_their_objects():
    row = put(put({}, ["t", "*", "in"], ["1"]), ["t", "*", "out"], ["2"])
    assert row == {"t": [{"in": "1", "out": "2"}]}


def test_templates_and_conditions_are_met():
    row = with_fields({}, "{a.b} of {c} {d?}", "what")
    conditions = [
        Filter("n", "at_least", 3),
        Filter("n", "at_most", 5),
        Filter("k", "one_of", ["x"]),
    ]
    assert passing(row, conditions) == {"a": {"b": "what"}, "c": "...", "n": 3, "k": "x"}


def test_errors_show_a_right_row():
    said = r'^x:1: bad; a right row: \{"a": "\u7b54"\}$'
    with pytest.raises(UserError, match=said), shown_with({"a": "\u7b54"}):
        raise UserError("x:1: bad")
    with pytest.raises(MissingPackage, match=r"^install it$"), shown_with({}):
        raise MissingPackage("install it")
