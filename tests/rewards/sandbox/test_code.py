import dataclasses

import pytest
import sandboxes
from hypothesis import given
from hypothesis import strategies as st

from r1jax.rewards.sandbox import code
from r1jax.rewards.sandbox.config import SandboxError

SUM = {"inputs": ["1 2\n", "30 4\n", "0 0\n"], "outputs": ["3\n", "34", "0"]}
ADD = {"asserts": ["assert add(1, 2) == 3", "assert add(0, 0) == 0"], "setup": ""}
PROMPT = '''import math


def halve(x: float) -> float:
    """Half of x."""
    return x / 2


def root(x: float) -> float:
    """The square root of x.
    >>> root(4.0)
    2.0
    """
'''
TEST = """
METADATA = {"author": "nobody"}


def check(candidate):
    from random import randint
    assert candidate(4.0) == 2.0
    for _ in range(20):
        x = float(randint(1, 99))
        assert math.isclose(halve(candidate(x) ** 2), x / 2)
"""
ROOT = {"prompt": PROMPT, "test": TEST, "entry_point": "root"}


@pytest.fixture(params=sandboxes.REAL)
def box(request):
    return sandboxes.config(sandboxes.need(request.param))


@pytest.fixture
def value(box):
    """The value of a program, whose judgement is no error."""

    def of(program: str, reference: dict, tests: str = "all") -> float:
        verdict = code.run(program, reference, box, tests)
        assert not verdict.error, verdict.reason
        return verdict.value

    return of


@pytest.mark.parametrize(
    "text, answer",
    [
        ("```python\nx = 1\n```", "x = 1\n"),
        ("<think>```\na\n```</think>so\n```py\n  b\n\n```\nends", "  b\n\n"),
        ("```\na\n```\nthen\n```Python3\nb\n```", "b\n"),
        ("```python\na\n```\noutput\n```text\n5\n```", "a\n"),
        ("```cpp\nint a;\n```\n```python\na\n```\n```bash\nls\n```", "a\n"),
        ("<answer>```python\na\n```</answer>", "a\n"),
        ("<think>x</think><answer>\nprint(1)\n</answer>", "\nprint(1)\n"),
        ("```python title=x\r\na\r\n```", "a\r\n"),
        ("```python\ns = 'a```b'\n```", "s = 'a```b'\n"),
        ("```python\na\n```\n```python\nb\n```", "b\n"),
        ("```\na\n```\nOutput:\n```\n5\n```", "5\n"),
        ("```\nclass A: pass\n```\nExample usage:\n```\nA()\n```", "class A: pass\n"),
        ("```python\nreturn x```", "return x"),
        ("```python\na\nb```\nIt prints\n```\n5\n```", "a\nb"),
        ("<answer>\n```py\na``` </answer>", "a"),
        ("```python3.11\na\n```\n```\nb\n```", "a\n"),
        ("~~~python\na\n~~~", "a\n"),
        ("~~~\na = '```'\n~~~\n", "a = '```'\n"),
        ("````py\na\n```\nb\n````", "a\n```\nb\n"),
        ("```python\na = b ~~~ c\n```", "a = b ~~~ c\n"),
        ("```python\na\n```python\nb\n```", "b\n"),
        ("1. ```python\n   a\n     b\n   ```", "a\n  b\n"),
        ("  ```python\n  a\n\n    b\n  ```", "a\n\n  b\n"),
        (
            '```python\n"""\n    ```\n    a\n    ```\n"""\n```',
            '"""\n    ```\n    a\n    ```\n"""\n',
        ),
        ("```python\n    a\n    ```\nends", "    a\n"),
        ("```python\n    a\n    ```\n```python\nb\n```", "b\n"),
        ('```python\n"""Says ```x```."""\nb\n```', '"""Says ```x```."""\nb\n'),
    ],
)
def test_the_last_finished_block_is_the_program(text, answer):
    assert code.program(text).answer == answer


DOUBLE = "def f(x):\n    return 2 * x\n"


@pytest.mark.parametrize(
    "after",
    [
        "Example output:\n```\n4\n```",
        "Example output:\n```\n4",
        "Example output:\n```text\n4\n```",
        "Example usage:\n```python\nprint(f(2))  # undefined\n```",
        "Example usage:\n```python\nprint(f(2))\n```\nwhich prints\n```\n4\n```",
    ],
)
@pytest.mark.parametrize("before", ["", "```python\ndef f(x): return x\n```\nNo, rather:\n"])
def test_examples_after_a_program_are_not_the_program(before, after):
    assert code.program(f"{before}```python\n{DOUBLE}```\n{after}") == (
        DOUBLE, "in a fenced block",
    )  # fmt: skip


@pytest.mark.parametrize("head", ["async def f", "class A", "    def f", "\tclass A", "@b\ndef f"])
def test_whatever_defines_is_preferred(head):
    assert code.program(f"```py\n{head}(): pass\n```\n```py\nprint(define)\n```").answer == (
        f"{head}(): pass\n"
    )


@pytest.mark.parametrize(
    "text, reason",
    [
        ("", "no fenced block"),
        ("print(5)", "no fenced block"),
        ("```python\na\n```\n</think> done", "no fenced block"),
        ("```python\na\n```\nno, better:\n```python\nb", "a program that is cut off"),
        ("```python\n\n \n```", "an empty program"),
        ("<answer>a</answer><answer>b</answer>", "no fenced block"),
        ("</answer><answer>a", "no fenced block"),
        ("```cpp\nint a;\n```", "no fenced block"),
        ("<answer> </answer>", "an empty program"),
        ("<think>I still\n```python\ndef f(): pass\n```\nand so on", "the thought does not end"),
        ("<think>a</think><think>\n```\na\n```", "the thought does not end"),
        ("```python\ndef f(): pass\n```\nor\n```python\nf(", "a program that is cut off"),
    ],
)
def test_no_program_for_a_reason(text, reason):
    assert code.program(text) == (None, reason)


def test_a_megabyte_of_the_future_takes_linear_time(box):
    answer = "from __future__ import (\n" * 40_000 + "def root(x): pass"
    assert code.run(answer, ROOT, box, "all").value == 0


@given(st.text(alphabet="`pyhton \n<>/answerthink"))
def test_any_text_has_a_program_or_a_reason(text):
    found = code.program(text)
    assert found.reason and (found.answer is None or found.answer.strip())


@pytest.mark.parametrize(
    "text",
    [
        "```" * 300_000,
        "```\n" * 200_000,
        "``` " * 200_000 + "\n" * 9,
        "```\n        ```\n" * 50_000,
        "```a\n" * 100_000,
        "~" * 300_000 + "`" * 300_000 + "x`\n",
        ("`" * 50_000 + "x") * 9,
    ],
)
def test_megabytes_of_fences_take_linear_time(text):
    assert code.program(text).answer is None or len(text) > 9


def test_contests_compare_what_is_printed(value):
    assert value("a, b = map(int, input().split())\nprint(a + b)", SUM) == 1
    assert value("a, b = map(int, input().split())\nprint(a - b)", SUM) == 0
    assert value("print(3)", SUM) == 0


def test_asserts_call_what_the_program_defines(value):
    assert value("def add(a, b):\n    return a + b", ADD) == 1
    assert value("def add(a, b):\n    return a - b", ADD) == 0
    assert value("add = lambda a, b: a + b\nif __name__ == '__main__':\n    input()", ADD) == 1
    assert value("def plus(a, b):\n    return a + b", ADD) == 0


def test_a_function_may_be_finished_or_written_afresh(value):
    assert value("    return math.sqrt(x)\n", ROOT) == 1
    assert value("def root(x):\n    return math.sqrt(x)", ROOT) == 1
    assert value(PROMPT + "    return x ** 0.5", ROOT) == 1
    assert value("    return halve(x)", ROOT) == 0
    assert value("def root(x):\n    return halve(x)", ROOT) == 0


def test_an_entry_point_may_be_a_method(value):
    head = "class Solution:\n    def add(self, x: List[int]) -> int:\n        "
    reference = {
        "prompt": head,
        "test": "def check(candidate):\n    assert candidate([1, 2]) == 3",
        "entry_point": "Solution().add",
    }
    for prompt in (head, "from typing import List\n\nclass Node:\n    pass\n"):
        assert value(head + "return sum(x)", reference | {"prompt": prompt}) == 1
        assert value(head + "return len(x)", reference | {"prompt": prompt}) == 0
    assert value("return sum(x)", reference) == 1


def test_tests_may_be_functions_as_pytest_has_them(value):
    test = "from solution import (\n    add)\n\ndef test_add():\n    assert add(1, 2) == 3"
    assert value("def add(a, b): return a + b", {"asserts": [test]}) == 1
    assert value("def add(a, b): return a - b", {"asserts": [test]}) == 0


@pytest.mark.parametrize(
    "future",
    [
        "from __future__ import annotations\n",
        "import math\r\nfrom __future__ import annotations\r\n",
        "from __future__ import (\n    annotations,\n    division,\n)  # both\n",
        "from __future__ import division; from __future__ import annotations; import math\n",
    ],
)
def test_an_answer_may_import_from_the_future(value, future):
    answer = "def root(x: Undefined) -> Undefined:\n    return math.sqrt(x)"
    assert value(answer, ROOT) == 0
    assert value(future.replace("import math\r\n", "") + answer, ROOT) == 1


def test_helpers_of_a_prompt_are_not_the_programs(value):
    reference = ROOT | {"test": "def check(candidate):\n    assert halve(candidate(4.0)) == 1.0"}
    assert value("    return x ** 0.5", reference) == 1
    assert value("def halve(x):\n    return 1.0\ndef root(x):\n    return 99.0", reference) == 0


def test_builtins_and_modules_of_a_test_are_not_the_programs(value):
    reference = {"asserts": ["assert set(f(2)) == set((4, 5)) and math.floor(g(2)) == 3"]}
    assert value("def f(x): return [5, 4]\ndef g(x): return 3.5", reference) == 1
    cheat = "def f(x): return 1\ng = f\ndef set(x): return 1\nclass math:\n    floor = lambda x: 3"
    assert value(cheat, reference) == 0


def test_a_function_may_be_named_as_a_builtin(value):
    reference = {"asserts": ["assert sum(10, 15) == 6"]}
    assert value("def sum(a, b): return 6", reference) == 1
    assert value("def total(a, b): return 6", reference) == 0


@pytest.mark.parametrize(
    "head, body",
    [
        ("x: List[int]", "sum(x)"),
        ("x: Optional[Tuple[int, ...]] = None", "sum(x)"),
        ("x: Deque[int]", "sum(deque(x))"),
        ("x: Dict[int, Any]", "math.floor(sum(x))"),
        ("x", "functools.reduce(lambda a, b: a + b, x)"),
        ("x", "list(itertools.accumulate(x))[-1]"),
        ("x", "bisect.bisect([0, 1], 5) + heapq.nlargest(1, collections.Counter(x))[0] - 1"),
        ("x", "Counter([1] * 3)[1] + bisect_left(x, 0)"),
    ],
)
def test_usual_names_need_no_import(value, head, body):
    method = f"class Solution:\n    def add(self, {head}) -> int:\n        return {body}"
    assert value(method, {"asserts": ["assert Solution().add([1, 2]) == 3"]}) == 1
    script = f"def add({head}):\n    return {body}\nprint(add([*map(int, input().split())]))"
    assert value(script, {"inputs": ["1 2"], "outputs": ["3"]}) == 1


def test_a_program_may_bind_the_usual_names_itself(value):
    own = "def sqrt(x):\n    return 5\nmath = 2\ndef f(x: 'List'): return sqrt(x) + math"
    assert value(own, {"asserts": ["assert f(1) == 7"]}) == 1
    future = "from __future__ import annotations\ndef f(x: List[Unknown]): return 7"
    assert value(future, {"asserts": ["assert f(1) == 7"]}) == 1


def test_what_a_test_asks_for_is_not_given(value):
    reference = {"asserts": ["assert gcd(4, 6) == 2"]}
    assert value("x = 'gcd'", reference) == 0
    assert value("def f(): return gcd(4, 6)", reference) == 0
    assert value("from math import gcd", reference) == 1
    assert value("def gcd(a, b): return a if not b else gcd(b, a % b)", reference) == 1


def test_lines_keep_their_numbers(box):
    program = "x = deque()\ny = heapq\nprint(1 / 0)"
    verdict = code.run(program, SUM, box, "all")
    assert verdict.reason == "test 1 of 3: ZeroDivisionError: division by zero (line 3)"


def test_setup_uses_the_classes_of_the_program(value):
    reference = {
        "asserts": ["assert depth(root) == 2"],
        "setup": "root = Node(1)\r\nroot.left = Node(2)",
    }
    tree = "class Node:\n    def __init__(s, x):\n        s.x, s.left = x, None\n"
    assert value(tree + "def depth(n): return 1 + depth(n.left) if n else 0", reference) == 1
    assert value(tree + "def depth(n): return 1", reference) == 0


def test_fractions_count_the_tests_that_pass(value):
    assert value("print(3)", SUM, "fraction") == pytest.approx(1 / 3)
    assert value("a, b = map(int, input().split())\nprint(a + b)", SUM, "fraction") == 1
    assert value("def add(a, b):\n    return 1 // a * 3", ADD, "fraction") == 0.5


def test_reasons_name_the_test(box):
    assert code.run("print(3)", SUM, box, "all").reason == (
        "test 2 of 3: token 1: got '3', wanted '34'"
    )
    fraction = code.run("def add(a, b):\n    return 3", ADD, box, "fraction")
    assert fraction.reason == (
        "passed 1 of 2 tests; test 2 of 2: AssertionError: (line 2) in assert add(0, 0) == 0"
    )
    assert code.run("print(1 +", SUM, box, "all").reason.startswith("test 1 of 3: SyntaxError")


def test_a_config_may_come_as_its_fields(box):
    fields = dataclasses.asdict(box) | {"read_only": []}
    assert code.run("def add(a, b): return a + b", ADD, fields, "all") == (
        1.0, "passed 2 of 2 tests", False,
    )  # fmt: skip


def test_a_failing_sandbox_is_an_error_and_no_zero(box, monkeypatch):
    def fail(*args, **kwargs):
        raise SandboxError("out of order")

    monkeypatch.setattr(code, "run_tests", fail)
    assert code.run("x", SUM, box, "all") == (0.0, "sandbox: out of order", True)


def test_an_unknown_way_of_counting_is_refused(box):
    with pytest.raises(ValueError, match="tests: got 'most', wanted one of"):
        code.run("x", SUM, box, "most")
