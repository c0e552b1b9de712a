import pytest

from r1jax.rewards.sandbox import code, references

SUM = {"inputs": ["1 2\n", "30 4\n"], "outputs": ["3\n", "34"]}
ADD = {"asserts": ["assert add(1, 2) == 3", "assert add(0, 0) == 0"], "setup": ""}
PROMPT = 'def root(x: float) -> float:\n    """The square root of x."""\n'
ROOT = {
    "prompt": PROMPT,
    "test": "def check(candidate):\n    assert candidate(4.0) == 2.0",
    "entry_point": "root",
}


@pytest.mark.parametrize("reference", [SUM, ADD, ROOT, {"asserts": ["assert f(1)"]}])
def test_good_references_are_taken(reference):
    references.check_reference(reference)


@pytest.mark.parametrize(
    "reference, message",
    [
        ({}, "got \\[\\], wanted one of"),
        ({"inputs": ["1"]}, "got \\['inputs'\\]"),
        ({"inputs": ["1"], "outputs": []}, "outputs'\\]: got \\[\\], wanted a list"),
        ({"inputs": ["1"], "outputs": ["1", "2"]}, "got 1 inputs, 2 outputs"),
        ({"inputs": ["1"], "outputs": [1]}, "outputs'\\]\\[0\\]: got 1, wanted a text"),
        ({"inputs": "1", "outputs": "1"}, "got '1', wanted a list"),
        (SUM | {"extra": 1}, "got \\['extra'"),
        ({"asserts": ["assert f("]}, "a test is no Python"),
        (ROOT | {"entry_point": "root()()"}, "wanted a name"),
        ({"asserts": ["assert 1 == 1"]}, "calls nothing of the program"),
        ({"asserts": ["assert f()"], "setup": None}, "setup'\\]: got None"),
        (ROOT | {"entry_point": "a b"}, "got 'a b', wanted a name"),
        (ROOT | {"prompt": "def f(x):\n  if"}, "the prompt or setup is no Python"),
    ],
)
def test_bad_references_are_refused(reference, message):
    with pytest.raises(ValueError, match=message):
        references.check_reference(reference)


def asserting(*tests: str) -> dict:
    return {"asserts": [*tests]}


def checking(body: str, helpers: str = "") -> dict:
    lines = "\n".join("    " + line for line in body.split("\n"))
    return ROOT | {"test": f"{helpers}\ndef check(candidate):\n{lines}\n"}


@pytest.mark.parametrize(
    "reference",
    [
        asserting("f(2)"),
        asserting("try:\n    assert f(2) == 4\nexcept Exception:\n    pass"),
        asserting("try:\n    assert f(2) == 4\nexcept:\n    print('no')"),
        asserting("assert f(2) == 4", "f(3)"),
        asserting("x = f(2)\nassert True"),
        asserting("f(2)\nassert 1 == 1"),
        asserting("assert (f(2) == 4, 'no')"),
        asserting("assert f"),
        asserting("print(f(2) == 4)"),
        asserting("def run():\n    assert f(2) == 4"),
        asserting("if __name__ == '__main__':\n    assert f(2) == 4"),
        asserting("import unittest\nclass T(unittest.TestCase):\n"
                  "    def test_it(self):\n        self.assertEqual(f(2), 4)"),
        checking("pass"),
        checking("candidate(4.0)"),
        checking("return candidate(4.0) == 2.0"),
        checking("assert 2.0 ** 2 == 4.0"),
        checking("x = 4.0\ncandidate(1.0)\nassert x == 4.0"),
        checking("assert candidate"),
        checking("def inner():\n    assert candidate(4.0) == 2.0"),
    ],
)  # fmt: skip
def test_a_test_that_asserts_nothing_is_refused(reference):
    with pytest.raises(ValueError, match="asserts nothing of what the program gives"):
        references.check("(tests)", reference)


@pytest.mark.parametrize(
    "reference",
    [
        asserting("x = [3, 1]\nsort_it(x)\nassert x == [1, 3]"),
        asserting("s = Stack()\ns.push(2)\nassert s.pop() == 2"),
        asserting("try:\n    f(-1)\n    assert False\nexcept ValueError:\n    pass"),
        asserting("try:\n    f(-1)\nexcept ValueError as e:\n    assert 'neg' in str(e)"),
        asserting("try:\n    assert f(2) == 4\nexcept AssertionError:\n    raise"),
        asserting("try:\n    assert f(2) == 4\nexcept ValueError:\n    pass"),
        asserting("if f(2) != 4:\n    raise AssertionError"),
        asserting("for x in range(3):\n    y = f(x)\n    z = y + 1\n    assert z == 5"),
        asserting("assert not f(2)"),
        asserting("assert all(f(x) == x for x in (1, 2))"),
        asserting("def test_f():\n    assert f(2) == 4"),
        asserting("def same(a, b):\n    assert a == b\nsame(f(2), 4)"),
        asserting("def same(a, b):\n    return a == b\nassert same(f(2), 4)"),
        asserting("import unittest\nunittest.TestCase().assertEqual(f(2), 4)"),
        asserting("with open(f(2)) as file:\n    assert file.read() == 'x'"),
        asserting("(y := f(2))\nassert y == 4"),
        checking("for x, y in ((4.0, 2.0),):\n    assert abs(candidate(x) - y) < 1e-6"),
        checking("near(candidate(4.0), 2.0)", "def near(a, b):\n    assert abs(a - b) < 1e-6"),
        checking("class T:\n    def run(self):\n        assert candidate(4.0) == 2.0\nT().run()"),
        checking("assert True, 'it runs'\nassert candidate(4.0) == 2.0"),
        checking("global done\ndone = candidate(4.0)\nassert done == 2.0"),
    ],
)
def test_a_test_that_asserts_something_is_taken(reference):
    references.check("(tests)", reference)


@pytest.mark.parametrize(
    "reference, names",
    [
        (checking("assert near(candidate(4.0), 2.0)"), "near"),
        (checking("for x in INPUTS:\n    assert candidate(x) == 2.0"), "INPUTS"),
        (ROOT | {"test": "assert root(4.0) == 2.0"}, "check"),
    ],
)
def test_a_helper_that_nobody_defines_is_refused(reference, names):
    with pytest.raises(ValueError, match=rf"uses \['{names}'\], which neither it nor"):
        references.check("(tests)", reference)


@pytest.mark.parametrize(
    "helper", ["close", "is_close", "allclose", "assertEqual", "check_f", "same"]
)
def test_a_helper_that_compares_is_not_the_programs(helper):
    with pytest.raises(ValueError, match=rf"compares by \['{helper}'\], which nobody defines"):
        references.check("(tests)", asserting(f"assert {helper}(f(2), 4)"))
    references.check("(tests)", asserting(f"assert {helper}(2, 4)"))
    references.check(
        "(tests)", asserting(f"def {helper}(a, b): return a == b\nassert {helper}(f(2), 4)")
    )


def test_names_must_be_those_of_the_gold_program():
    reference = asserting("assert near(f(2), 4)")
    references.check("(tests)", reference)
    references.check("def f(x): return 4\nnear = f", reference)
    with pytest.raises(ValueError, match=r"use \['near'\], which the gold program does not"):
        references.check("def f(x): return 4", reference)


@pytest.mark.parametrize(
    "outputs, tests, free",
    [
        (["", " \n"], "all", True),
        (["", "3"], "all", False),
        (["3", ""], "fraction", True),
        (["3", "0"], "fraction", False),
    ],
)
def test_what_pays_a_program_that_does_nothing_is_refused(outputs, tests, free):
    reference = {"inputs": ["1", "2"], "outputs": outputs}
    if not free:
        references.check_pay(reference, tests)
        return
    with pytest.raises(ValueError, match=r"outputs'\]\[[01]\] is blank: a program"):
        references.check_pay(reference, tests)
    references.check_pay(ADD, tests)


def test_a_head_becomes_whole_in_any_indentation():
    for head in ("def f():\n  'two'\n", "def f():\n", "class A:\n    def f(self):\n", "x = 1"):
        scope: dict = {}
        exec(references.whole(head), scope)
        assert "f" in scope or "A" in scope or scope["x"] == 1


def test_the_judge_of_programs_checks_references():
    assert code.check_reference is references.check_reference
