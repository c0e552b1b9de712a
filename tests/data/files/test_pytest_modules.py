import pytest

from r1jax.config import UserError
from r1jax.data.files.pytest_modules import from_pytest
from r1jax.rewards.sandbox.code import check_reference

ADD = "def add(a, b):\n    return a + b\n"
BAD = "def add(a, b):\n    return a - b\n"


def passed(reference: dict, program: str) -> list[bool]:
    """Which tests a program passes."""
    check_reference(reference)
    results = []
    for test in reference["asserts"]:
        scope: dict = {"__name__": "test"}
        exec(program + "\n" + reference["setup"] + "\n", scope)
        try:
            exec(test, scope)
        except (AssertionError, TypeError):
            results.append(False)
        else:
            results.append(True)
    return results


MODULE = '''"""Tests."""
import pytest
from math import isclose
from solution import add, add as plus

LARGE = 10**6


def helper(x):
    return add(x, LARGE)


def test_small():
    assert add(2, 3) == 5


def test_large(unused=None):
    assert helper(1) == 1_000_001 and plus(1, 1) == 2 and isclose(add(1, 1), 2)


@pytest.mark.parametrize("a, b", [(1, 2), (3, 4)])
@pytest.mark.parametrize("c", [0, 1])
def test_order(a, b, c):
    assert add(a, b + c) == add(b + c, a)


def test_errors():
    with pytest.raises(TypeError, match="unsupported"):
        add(1, None)
    assert [add(0.1, 0.2), 1] == pytest.approx([0.3, 1]) and add(1, 1) == pytest.approx(2)


class TestNode:  # a helper, whatever its name
    value = 1


class TestMore:
    def setup_method(self):
        self.x = 7

    def test_attribute(self):
        assert add(self.x, TestNode.value) == 8


if __name__ == "__main__":
    pytest.main([__file__])
'''


def test_each_function_and_method_is_a_test():
    reference = from_pytest(MODULE, "w")
    assert passed(reference, ADD) == [True] * 5
    assert passed(reference, BAD) == [False] * 5
    assert len(reference["asserts"]) == 5 and "import pytest" not in reference["setup"]


def test_an_error_that_does_not_come_fails():
    reference = from_pytest(
        "import pytest\nfrom solution import add\n\ndef test_it():\n"
        "    with pytest.raises(ValueError):\n        add(1, 2)\n",
        "w",
    )
    assert passed(reference, ADD) == [False]
    assert passed(reference, "def add(a, b):\n    raise ValueError\n") == [True]


def test_names_of_pytest_may_be_imported():
    reference = from_pytest(
        "from pytest import approx as near, raises\nfrom solution import add\n\ndef test_it():\n"
        "    assert add(1, 1) == near(2)\n    with raises(TypeError):\n        add(1, None)\n",
        "w",
    )
    assert passed(reference, ADD) == [True] and passed(reference, BAD) == [False]


def test_cases_of_unittest_are_tests():
    reference = from_pytest(
        "import unittest\nfrom solution import add\n\nclass Cases(unittest.TestCase):\n"
        "    def setUp(self):\n        self.x = 2\n\n"
        "    def test_it(self):\n        self.assertEqual(add(self.x, 3), 5)\n",
        "w",
    )
    assert passed(reference, ADD) == [True] and passed(reference, BAD) == [False]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def test_x(tmp_path):\n    assert 1", r"test_x wants the fixtures \['tmp_path'\]"),
        ("import pytest\n@pytest.fixture\ndef f(): pass", "uses pytest.fixture"),
        ("import pytest\n@pytest.mark.skip\ndef test_x(): pass", "decorator pytest.mark.skip"),
        ("import pytest\n@pytest.mark.parametrize()\ndef test_x(a): pass", "without names"),
        ("import solution\ndef test_x(): pass", "wanted from solution import"),
        ("class TestX:\n    def test_x(self, a): pass", "TestX.test_x has arguments"),
        ("async def test_x(): pass", "test_x is async"),
        ("class TestX:\n    async def test_x(self): pass", "test_x is async"),
        ("from pytest import fixture\ndef test_x(): pass", r"imports \['fixture'\] of pytest"),
        ("def helper(): pass", "wanted functions test_"),
        ("def (", "no Python"),
        (None, "wanted the text"),
        (" ", "wanted the text"),
    ],
)
def test_what_cannot_be_run_without_pytest_is_named(text, why):
    with pytest.raises(UserError, match=f"^w: .*{why}"):
        from_pytest(text, "w")
