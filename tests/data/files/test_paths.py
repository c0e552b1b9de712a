import pytest

from r1jax.config import UserError
from r1jax.data.files.paths import Missing, lookup, optional, parts_of

ROW = {
    "text": '{"a": [1, {"b": "x"}], "again": "{\\"c\\": 2}"}',
    "literal": "{'a': (1, None), 'b': True}",
    "tests": [{"in": "1", "type": "stdin"}, {"in": "2"}],
    "prompt": [{"role": "user", "content": "why?"}],
    "broken": "{a: 1",
    "null": None,
    "a.b": "whole",
    "odd?": 5,
}


@pytest.mark.parametrize(
    ("path", "want"),
    [
        ("text.a.1.b", "x"),
        ("text.again.c", 2),
        ("literal.b", True),
        ("tests.*.in", ["1", "2"]),
        ("prompt[0].content", "why?"),
        ("prompt[-1].role", "user"),
        ("text.a.*", [1, {"b": "x"}]),
        ("tests[*].in", ["1", "2"]),
        ("a.b", "whole"),
        ("text", ROW["text"]),
    ],
)
def test_a_path_opens_json_in_texts_and_spreads_over_lists(path, want):
    assert lookup(ROW, path, "w") == want


def test_a_text_without_json_is_named():
    with pytest.raises(UserError, match=r"w: no field 'broken.a': .*'\{a: 1', wanted JSON") as hit:
        lookup(ROW, "broken.a", "w")
    assert not isinstance(hit.value, Missing)


def test_an_item_without_the_field_is_named():
    with pytest.raises(Missing, match=r"w: no field 'tests.\*.type', got \['in'\]"):
        lookup(ROW, "tests.*.type", "w")


def test_only_what_is_marked_may_be_absent():
    assert optional(ROW, "nix?", "w") is None and optional(ROW, "null.x?", "w") is None
    assert optional(ROW, "odd?", "w") == 5 and optional(ROW, "text.a.0?", "w") == 1
    assert optional(ROW, "tests.*.type?", "w") == ["stdin", None]
    assert optional(ROW, "tests.*.fn_name?", "w") is None
    with pytest.raises(Missing):
        optional(ROW, "nix", "w")
    with pytest.raises(UserError, match="wanted JSON"):
        optional(ROW, "broken.a?", "w")


def test_brackets_are_steps():
    assert parts_of("a[0].b[-1].*") == ["a", "0", "b", "-1", "*"]
