import contextlib
import decimal
import io

import pytest

from r1jax.config import UserError
from r1jax.data.files.program_tests import tests_of as made
from r1jax.rewards.sandbox.code import check_reference

ADD = "def add(a, b):\n    return a + b\n"
BAD = "def add(a, b):\n    return a - b\n"
SOLUTION = "class Solution:\n    def add(self, a, b):\n        return a + b\n"


def passed(reference: dict, program: str) -> list[bool]:
    """Which asserts a program passes; the sandbox is not needed for programs of ours."""
    check_reference(reference)
    results = []
    for test in reference["asserts"]:
        scope: dict = {"__name__": "test"}
        exec(program + "\n" + reference["setup"] + "\n", scope)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(test, scope)
        except AssertionError:
            results.append(False)
        else:
            results.append(True)
    return results


@pytest.mark.parametrize(
    ("inputs", "outputs", "want"),
    [
        (["1\n"], ["2\n"], (["1\n"], ["2\n"])),
        ("2 3", "5", (["2 3"], ["5"])),
        ([["2", "3"]], [["5"]], (["2\n3"], ["5"])),
        ([2, 2.5], ["2", 3], (["2", "2.5"], ["2", "3"])),
        (["", "[1]"], ["0", "[2]"], (["", "[1]"], ["0", "[2]"])),
    ],
)
def test_inputs_and_outputs_become_texts(inputs, outputs, want):
    reference = made({"inputs": inputs, "outputs": outputs, "types": "stdin_stdout"}, "w")
    assert reference == {"inputs": want[0], "outputs": want[1]}
    check_reference(reference)


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ({"inputs": ["1", "2"], "outputs": ["1"]}, "got 2 inputs, 1 outputs"),
        ({"inputs": '["1"]', "outputs": '["2"]'}, r"end the path in \.\*"),
        ({"inputs": [], "outputs": []}, "inputs: got \\[\\], wanted at least one"),
        ({"inputs": [None], "outputs": ["1"]}, r"inputs\[0\]: got None, wanted a text"),
        ({"inputs": ["1"], "outputs": [True]}, r"outputs\[0\]: got True"),
        ({"inputs": ["1"]}, r"got \['inputs'\], wanted inputs and outputs"),
        ({"inputs": ["1"], "outputs": ["1"], "asserts": []}, "wanted inputs and outputs"),
        (
            {"inputs": ["1"], "outputs": ["1"], "types": ["functional"]},
            r"types: got \['functional'",
        ),
        ({"inputs": [[1]], "outputs": [1], "fn_name": ["f", "g"]}, "fn_name: got .*one name"),
        ({"inputs": [[1]], "outputs": [1], "fn_name": "f("}, "fn_name: got 'f\\(', wanted a name"),
        ({"inputs": [3], "outputs": [1], "fn_name": "f"}, "wanted the list of arguments of f"),
        ({"inputs": ["x y"], "outputs": ["1"], "fn_name": "f"}, r"inputs\[0\]: .*wanted JSON"),
        ({"inputs": [[float("nan")]], "outputs": [1], "fn_name": "f"}, "got nan"),
        ({"inputs": [[b"x"]], "outputs": [1], "fn_name": "f"}, "got bytes, wanted a value"),
        ({"asserts": "x = 1"}, "asserts: got 'x = 1', wanted asserts"),
        ({"asserts": "assert f(1"}, "asserts: no Python"),
        ({"test": "t"}, r"got \['test'\], wanted"),
        ({"test": "def check(", "entry_point": "f"}, "test: no Python"),
        ({}, r"got \[\], wanted"),
        ({"pytest": "x = 1"}, "pytest: got 'x = 1', wanted functions test_"),
    ],
)
def test_tests_that_cannot_be_run_are_named(reference, why):
    with pytest.raises(UserError, match=f"^w: .*{why}"):
        made(reference, "w")


def calls(**more):
    return {"inputs": [[2, 3], [0, 1]], "outputs": [5, [1]], "fn_name": "add"} | more


def test_calls_of_a_function_become_asserts():
    """[1] wanted takes 1 too: APPS wraps some results in a list."""
    assert passed(made(calls(), "w"), ADD) == [True, True]
    assert passed(made(calls(), "w"), BAD) == [False, False]
    assert passed(made(calls(fn_name=[None, "add"]), "w"), ADD) == [True, True]


def test_a_method_of_solution_is_called_where_the_starter_has_it():
    reference = made(calls(starter="class Solution:\n    def add(self, a, b):"), "w")
    assert passed(reference, SOLUTION) == [True, True]


def test_arguments_may_be_named_or_stand_on_lines():
    named = calls(inputs=[{"b": 3, "a": 2}, {"a": 0, "b": 1}])
    lines = calls(inputs=["2\n3\n", "0\n1"], outputs=["5", "1"])
    for reference in (made(named, "w"), made(lines, "w")):
        assert passed(reference, ADD) == [True, True] and passed(reference, BAD) == [False, False]


def test_results_are_compared_in_full():
    pair = "def pair(x):\n    return (x, [str(x), (None, True)])\n"
    given = {"inputs": [[1]], "outputs": [[1, ["1", [None, True]]]], "fn_name": "pair"}
    assert passed(made(given, "w"), pair) == [True]
    given["outputs"] = [[1, ["1", [None, False]]]]
    assert passed(made(given, "w"), pair) == [False]
    short = {"inputs": [[decimal.Decimal("2.50")]], "outputs": [5], "fn_name": "twice"}
    assert made(short, "w")["asserts"] == ["assert _same(twice(2.50), 5)"]
    text = {"inputs": [["a"]], "outputs": ["aa"], "fn_name": "twice"}
    assert passed(made(text, "w"), "def twice(x):\n    return 2 * x\n") == [True]


TEXT = """import math
x = add(1, 1)
assert x == 2
x = add(
    1, 2
)
assert x == 3, "a message"; assert math.isclose(add(1, 3), 4)
for i in range(3):
    assert add(i, i) == 2 * i
"""


def test_a_text_is_cut_into_its_asserts():
    reference = made({"asserts": TEXT, "setup": ["import os", "import sys"]}, "w")
    assert reference["setup"] == "import os\nimport sys"
    assert passed(reference, ADD) == [True] * 4
    wrong = "def add(a, b):\n    return 2 if b == 1 else 3 if b == 2 else 0\n"
    assert passed(reference, wrong) == [True, True, False, False]


def test_a_list_of_asserts_may_be_json_in_a_text():
    asserts = ["assert add(1, 2) == 3", "assert add(0, 0) == 0"]
    assert made({"asserts": '["assert add(1, 2) == 3", "assert add(0, 0) == 0"]'}, "w") == {
        "asserts": asserts,
        "setup": "",
    }
    assert made({"asserts": asserts, "setup": "import os"}, "w")["asserts"] == asserts


def test_a_check_needs_no_prompt():
    check = "def check(candidate):\n    assert candidate(2, 3) == 5\n"
    whole = {"prompt": "def add(a, b):\n", "test": check, "entry_point": "add"}
    assert made(whole, "w") == whole
    alone = made({"test": check, "entry_point": "Solution().add"}, "w")
    assert passed(alone, SOLUTION) == [True]
    assert passed(made({"test": check, "entry_point": "add"}, "w"), BAD) == [False]
