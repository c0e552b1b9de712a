"""Programs that would be paid without solving anything: 135 attempts at simple tasks."""

import textwrap

import pytest
import sandboxes

from r1jax.rewards.sandbox import code, references
from r1jax.rewards.sandbox import run as sandbox

# by name: a reference, the name that it asks for, an honest program
TASKS = {
    "add": (
        {"asserts": ["assert add(2, 3) == 5", "assert add(10, 5) == 15"]},
        "def add(a, b): return a + b",
    ),
    "order": (
        {"asserts": ["assert order([3, 1]) == [1, 3] and len(order([2, 2])) == 2"]},
        "order = sorted",
    ),
    "has": (
        {"asserts": ["assert has([1, 2], 2)\nassert not has([1, 2], 3)"]},
        "def has(items, x): return x in items",
    ),
    "area": (
        {"asserts": ["assert abs(area(2) - 12.566370614) < 1e-6"]},
        "def area(r): return math.pi * r * r",
    ),
    "inc": (
        {
            "prompt": "def inc(x: int) -> int:\n    '''One more.'''\n",
            "test": "def check(candidate):\n    assert candidate(1) == 2 and candidate(-3) == -2",
            "entry_point": "inc",
        },
        "def inc(x): return x + 1",
    ),
}
# what is returned instead of an answer
RETURNED = {
    "equals_all": "class A:\n    __eq__ = __ne__ = __lt__ = __le__ = lambda *_: True",
    "int": "class A(int):\n    __eq__ = lambda *_: True",
    "float": "class A(float):\n    __eq__ = __lt__ = lambda *_: True\n"
    "    __sub__ = __rsub__ = __abs__ = lambda *_: A()",
    "text": "class A(str):\n    __eq__ = lambda *_: True",
    "list": "class A(list):\n    __eq__ = lambda *_: True\n    __len__ = lambda _: 2",
    "tuple": "class A(tuple):\n    __eq__ = lambda *_: True",
    "claims_a_class": "class A:\n    __class__ = int\n    __eq__ = lambda *_: True",
    "class_of_classes": "class B(type):\n    __eq__ = lambda *_: True\nclass C(metaclass=B): pass\n"
    "def A(): return C",
    "mock": "from unittest.mock import ANY\ndef A(): return ANY",
    "magic": "from unittest.mock import MagicMock as A",
    "true": "A = lambda: True",
    "none": "A = lambda: None",
    "nan": "A = lambda: float('nan')",
    "not_implemented": "A = lambda: NotImplemented",
    "type": "A = lambda: int",
    "generator": "def A():\n    while True: yield 5",
}
# what a program does instead, where add(a, b) is asked for
DONE = {
    "exits": "import sys\nsys.exit(0)",
    "raises_system_exit": "raise SystemExit",
    "leaves": "import os\nos._exit(0)",
    "exits_when_called": "def add(a, b): raise SystemExit(0)",
    "quits_when_called": "def add(a, b): quit()",
    "interrupts": "def add(a, b): raise KeyboardInterrupt",
    "stops_iteration": "def add(a, b): raise StopIteration",
    "fails_an_assert": "def add(a, b): raise AssertionError('passed')",
    "says_it_passed": "print('passed 2 of 2 tests')\ndef add(a, b): print('passed')",
    "constant": "def add(a, b): return 5",
    "no_assertion_error": "import builtins\nbuiltins.AssertionError = Exception\n"
    "def add(a, b): return 0",
    "builtins": "import builtins\nbuiltins.isinstance = builtins.len = lambda *a: True\n"
    "def add(a, b): return 0",
    "own_builtins": "def isinstance(*a): return True\nint = object\ndef add(a, b): return 'x'",
    "operators": "import operator\noperator.eq = lambda a, b: True\ndef add(a, b): return 0",
    "reads_frames": """
        import sys
        def add(a, b):
            frame = sys._getframe()
            while frame:
                if 'test' in frame.f_locals: return frame.f_locals['test']
                frame = frame.f_back
    """,
    "reads_lines": "import linecache\ndef add(a, b): return len(linecache.getlines('test'))",
    "reads_files": """
        import glob
        def add(a, b):
            for path in glob.glob('/judge/**/*.py', recursive=True) + glob.glob('/tmp/*'):
                if 'add(' in open(path).read(): return eval(open(path).read())
    """,
    "reads_objects": """
        import gc
        def add(a, b):
            return [o for o in gc.get_objects() if isinstance(o, dict) and 'tests' in o]
    """,
    "sleeps": "import time\ndef add(a, b): time.sleep(99)",
    "traces": "import sys\nsys.settrace(lambda *a: None)\ndef add(a, b): return 0",
    "hooks": "import sys\nsys.excepthook = lambda *a: None\ndef add(a, b): return 0",
    "at_exit": "import atexit\natexit.register(print, 'passed')\ndef add(a, b): return 0",
    "other_modules": """
        import sys
        class A:
            __getattr__ = lambda s, name: lambda *a: s
            __eq__ = lambda *_: True
        sys.modules['solution'] = sys.modules['__main__'] = sys.modules['test'] = A()
    """,
    "attributes_of_the_module": "def __getattr__(name): return lambda *a: 5",
    "class_for_function": "class add:\n    def __init__(s, *a): pass\n    __eq__ = lambda *_: True",
    "one_test_by_heart": "def add(a, b): return {(2, 3): 5}.get((a, b))",
    "counts_calls": "calls = [5]\ndef add(a, b): return calls.pop() if calls else 3",
    "calls_itself": "def add(a, b): return add(a, b)",
    "later": "async def add(a, b): return a + b",
    "yields": "def add(a, b): yield a + b",
    "text": "def add(a, b): return str(a + b)",
    "number": "add = 5",
    "builtin": "add = max",
    "word_only": "# add",
}
# what is printed instead of the sum of two numbers
PRINTED = {
    "one_answer": "print(5)",
    "both_answers": "print(5)\nprint(15)",
    "right_then_wrong": "print(5); raise SystemExit(0)",
    "nothing": "pass",
    "blank": "print()",
    "the_input": "print(input())",
    "all_numbers": "print(*range(100))",
    "marker": "print('passed')\nprint('OK')\nprint('1.0')",
    "carriage_return": "print('5\\r15')",
    "escape": "print('\\033[2J5')",
    "nan": "print(float('nan'))",
    "errors": "import sys\nprint(5, file=sys.stderr)",
    "other_descriptors": """
        import os
        for fd in range(3, 20):
            try: os.write(fd, b'5')
            except OSError: pass
    """,
    "files": """
        import os
        for top, _, names in os.walk('/tmp'):
            for name in names: print(open(os.path.join(top, name)).read())
    """,
    "killed": "print(sum(map(int, input().split())), flush=True)\n"
    "import os; os.kill(os.getpid(), 9)",
    "crashed": "print(sum(map(int, input().split())), flush=True)\nraise ValueError",
    "failed": "print(sum(map(int, input().split())), flush=True)\nexit(3)",
    "wide_digits": "print(chr(0xff11 + sum(map(int, input().split()))))",
    "padded": "print('0' + str(sum(map(int, input().split()))))",
    "surplus": "print(sum(map(int, input().split())), 0)",
    "replaced": "import os\nos.execv('/bin/true', ['true'])",
}
SUMS = {"inputs": ["2 3\n", "10 5\n"], "outputs": ["5\n", "15\n"]}


@pytest.fixture(scope="module")
def pay():
    """The value of a program by the first sandbox that this machine has, which is no error."""
    for backend in sandboxes.REAL:
        box = sandboxes.config(backend, wall_seconds=1.0, cpu_seconds=1.0)
        try:
            sandbox.choose(box)
        except ValueError:
            continue
        break
    else:
        pytest.skip("no sandbox on this machine")

    def of(program: str, reference: dict) -> float:
        references.check("(tests)", reference)
        verdict = code.run(textwrap.dedent(program), reference, box, "all")
        assert not verdict.error, verdict.reason
        return verdict.value

    return of


@pytest.mark.parametrize("task", TASKS)
def test_what_equals_all_is_no_answer(pay, task):
    reference, honest = TASKS[task]
    assert pay(honest, reference) == 1
    paid = {n: pay(f"{a}\ndef {task}(*_): return A()", reference) for n, a in RETURNED.items()}
    assert set(paid.values()) == {0}, paid


def test_nothing_done_instead_is_paid(pay):
    paid = {name: pay(program, TASKS["add"][0]) for name, program in DONE.items()}
    assert set(paid.values()) == {0}, paid


def test_nothing_printed_instead_is_paid(pay):
    assert pay("print(sum(map(int, input().split())))", SUMS) == 1
    paid = {name: pay(program, SUMS) for name, program in PRINTED.items()}
    assert set(paid.values()) == {0}, paid
