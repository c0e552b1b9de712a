import ast
import contextlib
import dataclasses
import datetime
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from fractions import Fraction
from pathlib import Path

import pytest
import sandboxes
from hypothesis import given, settings
from hypothesis import strategies as st

from r1jax.rewards.sandbox import clock, process, seccomp
from r1jax.rewards.sandbox import run as sandbox
from r1jax.rewards.sandbox.config import SandboxError
from r1jax.rewards.sandbox.inside.outputs import compare
from r1jax.rewards.sandbox.inside.packing import pack, plain_only, unpack

ECHO = "print(input())"
SQUARE = "def f(x):\n    return x * x"


@pytest.fixture(params=sandboxes.REAL)
def backend(request) -> str:
    return sandboxes.need(request.param)


def output(given: str, wanted: str) -> dict:
    return {"kind": "output", "input": given, "output": wanted}


def code(source: str, *names: str) -> dict:
    return {"kind": "code", "before": "", "names": list(names or "f"), "code": source}


def run(backend: str, program: str, *tests: dict, stop: bool = False, **changes) -> list:
    return sandbox.run(
        sandboxes.config(backend, **changes), textwrap.dedent(program), list(tests),
        stop_at_failure=stop,
    )  # fmt: skip


def reason(backend: str, program: str, test: dict, **changes) -> str:
    """Why the only test fails."""
    (outcome,) = run(backend, program, test, **changes)
    assert not outcome.passed
    return outcome.reason


hour = st.just(datetime.timezone(datetime.timedelta(hours=1)))
zones = st.none() | st.just(datetime.UTC) | hour | st.builds(
    datetime.timezone, st.timedeltas(datetime.timedelta(-0.9), datetime.timedelta(0.9)), st.text()
)  # fmt: skip
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
    | st.complex_numbers() | st.fractions() | st.decimals() | st.dates() | st.timedeltas()
    | (st.times(timezones=zones) | st.datetimes(timezones=zones)).map(lambda t: t.replace(fold=0)),
    lambda inner: st.lists(inner) | st.tuples(inner, inner)
    | st.dictionaries(st.integers() | st.text() | st.tuples(st.text()), inner)
    | st.sets(st.integers() | st.text()) | st.frozensets(st.binary()),
    max_leaves=8,
)  # fmt: skip


def exact(value):
    """Tells 1, 1.0 and True apart, and NaN equal to itself."""
    name = type(value).__name__
    if isinstance(value, list | tuple):
        return name, [exact(item) for item in value]
    if isinstance(value, set | frozenset):
        return name, sorted(repr(exact(item)) for item in value)
    if isinstance(value, dict):
        return name, [(exact(key), exact(item)) for key, item in value.items()]
    return name, repr(value)


@settings(max_examples=60)
@given(plain)
def test_plain_data_arrives_as_it_left(value):
    assert exact(unpack(pack(value, plain_only), plain_only)) == exact(value)


@given(st.binary(max_size=60))
def test_bytes_that_nobody_packed_raise_value_errors_only(data):
    try:
        value = unpack(data, plain_only)
    except ValueError:
        return
    assert exact(unpack(pack(value, plain_only), plain_only)) == exact(value)


@settings(max_examples=60)
@given(plain, st.data())
def test_a_message_cut_short_raises(value, data):
    whole = pack(value, plain_only)
    with pytest.raises(ValueError):
        unpack(whole[: data.draw(st.integers(0, len(whole) - 1))], plain_only)


class Own(Fraction):
    pass


class Sneaky(datetime.tzinfo):
    pass


@pytest.mark.parametrize(
    "value",
    [object(), Own(1, 2), type("Fraction", (), {})(), datetime.time(1, tzinfo=Sneaky()), math.sin],
)
def test_what_is_no_plain_data_is_refused(value):
    with pytest.raises(TypeError, match="not plain data"):
        pack([value], plain_only)


@pytest.mark.parametrize(
    "value",
    [
        ("Fraction", (1, 0)), ("Fraction", ("1e999999999", 1)), ("Fraction", (1,)), ("system", ()),
        ("Decimal", ("x",)), ("Decimal", (0.5,)), ("date", (2024, 13, 1)), ("date", (True, 1, 1)),
        ("timezone", (datetime.timedelta(2), "")), ("time", (0, 0, 0, 0, 5)), (["date"], ()), 5,
    ],
)  # fmt: skip
def test_values_of_the_library_are_made_of_their_own_parts_only(value):
    with pytest.raises(ValueError):
        unpack(b"v" + pack(value, plain_only), plain_only)


@pytest.mark.parametrize(
    "got, want, same",
    [
        ("1 2\n3", "1  2 3 \n", True),
        ("1 2", "1 2 3", False),
        ("1 2 3", "1 2", False),
        ("0.3333333", "0.33333333", True),
        ("0.3334", "0.33333333", False),
        ("1000000.5", "1000000.9", True),
        ("3.0", "3", False),
        ("3", "3.0", True),
        ("1e-7", "0.0", True),
        ("nan", "0.0", False),
        ("inf", "1.0", False),
        ("1e999", "1.0", False),
        ("1_0", "10.0", False),
        ("YES", "Yes", False),
        ("", "", True),
        ("", "0", False),
    ],
)
def test_outputs_are_compared_token_by_token(got, want, same):
    assert (compare(got, want) == "") == same


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(-1e3, 1e3))
def test_tolerance_is_one_millionth(x, factor):
    y = x + factor * 1e-6 * max(1.0, abs(x))
    if math.isfinite(y) and abs(abs(factor) - 1) > 1e-3 and "e" not in f"{x!r}{y!r}":
        assert (compare(repr(y), repr(x)) == "") == (abs(factor) < 1)


def test_programs_print_and_answer(backend):
    assert run(backend, ECHO, output("a b\n", "a b"), output("c", "c")) == [(True, "")] * 2
    assert run(backend, SQUARE, code("assert f(3) == 9"), code("assert f(-2) == 4")) == [
        (True, ""), (True, ""),
    ]  # fmt: skip


def test_every_outcome_has_its_test(backend):
    tests = [output(given, wanted) for given, wanted in ("00", "12", "22")]
    wrong = (False, "token 1: got '1', wanted '2'")
    assert run(backend, ECHO, *tests) == [(True, ""), wrong, (True, "")]
    assert run(backend, ECHO, *tests, stop=True) == [(True, ""), wrong, (False, "not run")]


@pytest.mark.parametrize(
    "program, why",
    [
        ("print(1 / 0)", "ZeroDivisionError: division by zero (line 1)"),
        ("import sys\nprint(5)\nsys.exit(3)", "exit status 3"),
        ("import sys\nprint(5)\nsys.exit('no')", "exit status 1"),
        ("print(5", "SyntaxError: '(' was never closed"),
        ("x = [0] * 10**9", "memory limit"),
        ("print(5 * 'ab' * 10**5)", "output limit of 64 KiB"),
        ("import os; os.abort()", ("aborted", "crashed (segmentation fault)")),
        ("print(6)", "token 1: got '6', wanted '5'"),
        ("exit(5)", "exit status 5"),
        ("a\0b", ("ValueError: source code", "SyntaxError: source code")),
    ],
)
def test_a_program_fails_for_a_reason(backend, program, why):
    assert reason(backend, program, output("", "5")).startswith(why)


@pytest.mark.parametrize(
    "program",
    [
        "import sys\nprint(int(sys.stdin.readline()) + 1)",
        "import os\nprint(int(os.read(0, os.fstat(0).st_size)) + 1)",
        "if __name__ == '__main__':\n    print(int(open(0).read()) + 1)\n    exit()",
        "import threading as t\nx = t.Thread(target=lambda: print(int(input()) + 1))\nx.start()",
        "try:\n    while 1:\n        print(int(input()) + 1)\nexcept EOFError:\n    pass",
        "import sys\nsys.setrecursionlimit(10**5)\n"
        "def f(n):\n    return n and f(n - 1) + 1\nprint(f(20000) - 19995)",
        "import resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\nprint(5)",
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\nprint(A(5).x)",
        "import collections, heapq, re, math, random, itertools, functools\nprint(5)",
    ],
)
def test_ways_of_honest_programs_work(backend, program):
    assert run(backend, program, output("4\n", "5\n")) == [(True, "")]


def test_the_usual_devices_are_there():
    program = """
        print(len(open("/dev/urandom", "rb").read(3)), file=open("/dev/null", "w"))
        print(int(open("/dev/stdin").read()) + 1)
    """
    assert run(sandboxes.need("bwrap"), program, output("4", "5")) == [(True, "")]


def test_the_order_of_sets_is_the_same_each_time(backend):
    show = "print(*{'a', 'b', 'c', 'd', 'e', 'f', 'g'})"
    first = reason(backend, show, output("", "x"))
    assert all(reason(backend, show, output("", "x")) == first for _ in range(3))


NODE = """
    class Node:
        def __init__(self, value):
            self.value, self.next = value, None
        def __len__(self):
            return 2
        def __str__(self):
            return "a node"
    def total(node):
        return node.value + (total(node.next) if node.next else 0)
    def count():
        yield from (1, 2, 3)
    def grow(items, table):
        items.append(4)
        table["x"] = [1]
    def fail(kind):
        raise {"key": KeyError("k"), "own": type("Own", (ValueError,), {})("mine")}[kind]
    def kinds():
        import collections
        P = collections.namedtuple("P", "x y")
        return [collections.Counter("aab"), collections.deque([1]), P(1, 2), range(3), True, 2j]
"""


@pytest.mark.parametrize(
    "test",
    [
        "a = Node(1); a.next = Node(2); assert total(a) == 3 and a.next.value == 2",
        "assert len(Node(1)) == 2 and str(Node(1)) == 'a node' and Node(1)",
        "a = Node(1); b = Node(2); b.next = a; assert b.next is a and b.next == a and a != b",
        "assert list(count()) == [1, 2, 3] and sum(count()) == 6",
        "x, t = [3], {}; grow(x, t); assert x == [3, 4] and t == {'x': [1]}",
        "try:\n    fail('key')\nexcept KeyError as e:\n    pass\nelse:\n    assert 0",
        "try:\n    fail('own')\nexcept ValueError as e:\n    assert 'mine' in str(e)",
        "assert kinds() == [{'a': 2, 'b': 1}, [1], (1, 2), range(3), True, 2j]",
        "assert kinds()[4] is True and type(kinds()[2]) is tuple",
        "assert [total(n) for n in [Node(1), Node(5)]] == [1, 5]",
    ],
)
def test_tests_use_the_objects_of_a_program(backend, test):
    names = ("Node", "total", "count", "grow", "fail", "kinds")
    assert run(backend, NODE, code(test, *names)) == [(True, "")]


VALUES = """
    from datetime import *
    from decimal import Decimal
    from fractions import Fraction
    class Third(Fraction):
        __eq__ = lambda *_: True
    def half(x): return Fraction(x, 2)
    def cents(x): return Decimal(x) / 100
    def day(n): return date(2024, 2, 28) + timedelta(n)
    def noon(hours): return datetime(2024, 2, 28, 12, tzinfo=timezone(timedelta(hours=hours)))
    def third(): return Third(1, 3)
    def show(x): return str(x)
"""


@pytest.mark.parametrize(
    "test",
    [
        "assert half(3) == Fraction(3, 2) == 1.5 and half(3) * 2 == 3 and half(1).denominator == 2",
        "assert round(half(3)) == 2 and round(half(3), 1) == Fraction(3, 2)",
        "assert cents(150) == Decimal('1.5') and round(cents(125), 1) == Decimal('1.2')",
        "assert [day(1), day(2)] == [date(2024, 2, 29), date(2024, 3, 1)] and day(0) < day(1)",
        "assert noon(0) - noon(1) == timedelta(hours=1) and noon(0).date() == day(0)",
        "assert noon(0) == datetime(2024, 2, 28, 12, tzinfo=timezone.utc)",
        "assert show(Fraction(1, 3)) == '1/3' and show(time(1, 2)) == '01:02:00'",
        "assert third() != Fraction(1, 4) and not third() == Fraction(1, 3)",
    ],
)
def test_values_of_the_library_are_compared_by_value(backend, test):
    before = "from datetime import *\nfrom decimal import Decimal\nfrom fractions import Fraction\n"
    names = ["half", "cents", "day", "noon", "third", "show"]
    asked = {"kind": "code", "before": before, "names": names, "code": test}
    assert run(backend, VALUES, asked) == [(True, "")]


@pytest.mark.parametrize(
    "program, why",
    [
        ("1 / 0", "ZeroDivisionError: division by zero (line 1)"),
        ("def f(x", "SyntaxError: '(' was never closed"),
        ("import os\nos._exit(3)", "exit status 3"),
    ],
)
def test_a_program_that_ends_too_early_fails_for_its_reason(backend, program, why):
    late = {"kind": "code", "before": "import time\ntime.sleep(0.3)", "names": ["f"], "code": "f()"}
    early = code("f()")
    for test in (late, early):
        assert reason(backend, program, test).startswith(why)


def test_long_reasons_lose_no_outcome(backend):
    program = "print(input())\nassert input() == '', '\\ud800' * 300"
    wrong, right = output("x\n1\n", "x"), output("x\n\n", "x")
    outcomes = run(backend, program, *[wrong] * 20, right)
    assert [o.passed for o in outcomes] == [False] * 20 + [True]
    assert all(len(o.reason.encode()) <= 800 for o in outcomes)
    wide = run(backend, "raise ValueError('\u6570' * 300)", output("", ""))[0].reason
    assert set(wide.removeprefix("ValueError: ")) == {"\u6570"}


@pytest.mark.parametrize(
    "said",
    [(True, ({0: 1}, ""), None), {0: 1, 1: 2, 2: 3}, (True, ((), "")), (True, ((5,), ""), 0)],
)
def test_garbage_in_place_of_an_exception_fails_one_test_only(backend, said):
    program = f"import os\nif input() == '1':\n    os.write(3, {framed(said)!r})\nprint(1)"
    tests = [output(given, "1") for given in "010"]
    unread = (False, "an answer that cannot be read")
    assert run(backend, program, *tests) == [(True, ""), unread, (True, "")]


def framed(message) -> bytes:
    data = pack(message, plain_only)
    return len(data).to_bytes(4, "big") + data


@pytest.mark.parametrize(
    "test, why",
    [
        ("assert f(2) == 5, 'two'", "AssertionError: two (line 1)"),
        ("assert g(2) == 4", "NameError: the program does not define g"),
        ("assert f('a') == 4", "TypeError: can't multiply sequence"),
        ("assert f(lambda: 0) == 4", "TypeError: a test cannot hand a function to the program"),
        ("x = 1\nassert f(x) == 2", "AssertionError: (line 2)"),
    ],
)
def test_a_test_fails_for_a_reason(backend, test, why):
    assert reason(backend, SQUARE, code(test, "g" if "g(" in test else "f")).startswith(why)


def test_a_program_that_ends_passes_no_test_that_catches_all(backend):
    test = code("try:\n    f(1)\nexcept:\n    pass")
    assert run(backend, "def f(x): 1 / 0", test) == [(True, "")]
    ends = "import os\ndef f(x): os._exit(0)"
    assert reason(backend, ends, test) == "the program ended before its tests did"


@pytest.mark.parametrize("kind", ["SystemExit", "KeyboardInterrupt", "GeneratorExit", "Own"])
def test_an_exit_is_no_exception_that_a_test_may_catch(backend, kind):
    program = f"class Own(BaseException): pass\ndef f(x): raise {kind}"
    test = "try:\n    y = f(2)\nexcept Exception:\n    y = 4\nassert y == 4"
    assert reason(backend, program, code(test)) == f"the program exits: {kind}"
    program = program.replace(f"raise {kind}", "raise ValueError")
    assert run(backend, program, code(test)) == [(True, "")]


def test_answers_are_bounded_as_output_is(backend):
    test = code("f(1)")
    assert run(backend, "def f(x): return 'x' * 60_000", test) == [(True, "")]
    assert reason(backend, "def f(x): return 'x' * 70_000", test) == "output limit of 64 KiB"


CALL = "import ctypes, os, socket\nlibc = ctypes.CDLL(None, use_errno=True)\n"
CLONE = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
FOREIGN = {
    "unshare": "libc.unshare(0x10000000)",
    "clone": f"libc.syscall({CLONE}, 0x10000000, 0, 0, 0, 0)",
    "ptrace": "libc.ptrace(0, 0, 0, 0)",
    "mount": "libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)",
    "shared_memory": "libc.shmget(0, 4096, 0o1600)",
    "memory_file": "libc.memfd_create(b'x', 0)",
}
ALONE = FOREIGN | {
    "fork": "os.fork()",
    "execute": "os.execv('/bin/true', ['true'])",
    "socket": "socket.socket()",
    "internet": "socket.create_server(('127.0.0.1', 0))",
    "pair": "socket.socketpair()",
    "kill": "os.kill(os.getppid(), 0)",
    "session": "os.setsid()",
    "write": "open('/lib/canary', 'w')",
    "update": "open('/bin/python3', 'r+')",
    "append": "open('/bin/python3', 'a')",
    "folder": "os.mkdir('/canary')",
    "remove": "os.remove('/bin/python3')",
    "rename": "os.rename('/bin/python3', '/bin/canary')",
    "mode": "os.chmod('/bin/python3', 0o777)",
    "parents_limits": "import resource; resource.prlimit(os.getppid(), 0, (0, 0))",
}


def refused(backend: str, call: str) -> bool:
    """Whether a call fails with EPERM, be it Python's or of the C library."""
    program = f"{CALL}try:\n    {call}\n    print(ctypes.get_errno())\n"
    program += "except PermissionError as e:\n    print(e.errno)"
    (outcome,) = run(backend, program, output("", "1"))
    return outcome.passed


@pytest.mark.parametrize("name", FOREIGN)
def test_a_container_cannot_be_left(name):
    backend = sandboxes.need("bwrap")
    if seccomp.compiled(alone=False) is None:
        pytest.skip("no libseccomp")
    assert refused(backend, FOREIGN[name])


@pytest.mark.parametrize("name", ALONE)
def test_without_a_container_a_program_only_computes_and_reads(name):
    assert refused(sandboxes.need("limits"), ALONE[name])


CAPABILITIES = "print(*[line for line in open('/proc/self/status') if line[:3] == 'Cap'][:3])"
MANY_FILES = """
    import os
    made = 0
    try:
        while True:
            os.mknod(f"/tmp/{made}")
            made += 1
    except OSError as error:
        print(made <= 1024 + 16, made > 900, error.errno)
"""
ASKED_WITHOUT_ROOT = """
from r1jax.rewards.sandbox import run as sandbox
box = {box!r}
try:
    sandbox.choose(box)
except ValueError as error:
    print(error)
else:
    tests = [{{"kind": "output", "input": "1", "output": wanted}} for wanted in {wanted!r}]
    print([tuple(o) for o in sandbox.run(box, {program!r}, tests, stop_at_failure=False)])
"""


def run_without_root(program: str, *wanted: str) -> list:
    """Outcomes in a container of a user's own, which as root would be another."""
    box = sandboxes.config(sandboxes.need("bwrap"))
    script = ASKED_WITHOUT_ROOT.replace("{box!r}", f"sandbox.{box!r}")
    said = sandboxes.without_root(script.format(program=textwrap.dedent(program), wanted=wanted))
    if "No permissions to create new namespace" in said or "setting up uid map" in said:
        pytest.skip(f"no user namespaces: {said}")
    assert said.startswith("["), said
    return ast.literal_eval(said)


def run_as_this_user(program: str, *wanted: str) -> list:
    return run(sandboxes.need("bwrap"), program, *[output("1", text) for text in wanted])


users = pytest.mark.parametrize("run", [run_as_this_user, run_without_root])


@users
def test_empty_files_are_bounded_and_gone_in_the_next_test(run):
    assert run(MANY_FILES, *["True True 28"] * 3) == [(True, "")] * 3


@users
def test_folders_are_gone_in_the_next_test(run):
    program = """
        import os
        print(os.listdir("/tmp"))
        os.makedirs("/tmp/a/b")
        open("/tmp/a/b/c", "w").write("x" * (3 << 20))
        os.symlink("/tmp", "/tmp/a/d")
        os.chmod("/tmp/a", 0)
    """
    assert run(program, *["[]"] * 3) == [(True, "")] * 3


@users
def test_a_program_has_no_capabilities(run):
    none = " ".join(f"Cap{name}:\t{0:016x}\n" for name in ("Inh", "Prm", "Eff"))
    assert run(CAPABILITIES, none) == [(True, "")]


@users
@pytest.mark.parametrize(
    "attack",
    [
        "os.chmod('/tmp', 0)",
        "while True:\n        os.mkdir('x')\n        os.chdir('x')",
        "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (3, 3))",
        "for pid in range(1, 9):\n        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, 3))",
        "for pid in range(1, 9):\n        resource.prlimit(pid, resource.RLIMIT_NPROC, (0, 0))",
    ],
)
def test_what_breaks_after_a_program_began_is_its_fault(run, attack):
    program = f"import os, resource\ntry:\n    {attack}\nexcept OSError:\n    pass\nprint(2)"
    outcomes = run(program, "1", "1", "1")
    assert len(outcomes) == 3 and not any(passed for passed, _ in outcomes)


def test_wall_time_bounds_all_tests_together(backend):
    sleep = "import time\ntime.sleep(1000)"
    outcomes = run(backend, sleep, output("", ""), output("", ""), wall_seconds=1.0)
    assert [o.reason for o in outcomes] == ["wall time limit of 1 s", "not run"]


SPIN = """
    import time
    def f(seconds):
        begin = time.process_time()
        while time.process_time() < begin + seconds:
            pass
"""


def test_cpu_time_bounds_all_tests_together(backend):
    tests = [code("f(0.3)"), code("f(0.3)"), code("f(0.3)"), code("f(0.3)")]
    outcomes = run(backend, SPIN, *tests, cpu_seconds=0.5, wall_seconds=0.7)
    want = ["", "", "time limit of 0.7 s CPU for all tests", "not run"]
    assert [o.reason for o in outcomes] == want


def test_a_busy_machine_takes_nothing_from_a_program(backend):
    """Nine neighbours on its processor leave it half of the clock at most."""
    cores, core = os.sched_getaffinity(0), min(os.sched_getaffinity(0))
    spin = [sys.executable, "-c", "print(flush=True)\nwhile 1: pass"]
    os.sched_setaffinity(0, {core})
    with contextlib.ExitStack() as stack:
        stack.callback(os.sched_setaffinity, 0, cores)
        for _ in range(9):
            neighbour = stack.enter_context(subprocess.Popen(spin, stdout=subprocess.PIPE))
            stack.callback(neighbour.kill)
            assert neighbour.stdout is not None and neighbour.stdout.readline() == b"\n"
        try:
            outcomes = run(backend, SPIN, code("f(0.45)"), code("f(0.45)"), wall_seconds=1.2)
        except SandboxError as error:
            assert "too busy" in str(error)
        else:
            assert outcomes == [(True, ""), (True, "")]


@pytest.mark.parametrize(
    "usage, why",
    [
        (clock.Usage(0.1, True), ""),
        (clock.Usage(0.1, False), "wall time limit of 0.3 s"),
        (clock.Usage(0.4, True), "time limit of 0.3 s CPU for all tests"),
    ],
)
def test_only_what_a_program_did_itself_makes_it_late(backend, monkeypatch, usage, why):
    monkeypatch.setattr(clock, "usage", lambda _: usage)
    sleep = "import time\ntime.sleep(1000)"
    if not why:
        with pytest.raises(SandboxError, match=r"too busy: \d+ s by .* gave .* 0\.1 s CPU"):
            run(backend, sleep, output("", "x"), wall_seconds=0.3)
    else:
        (outcome,) = run(backend, sleep, output("", "x"), wall_seconds=0.3)
        assert outcome == (False, why)


def test_cpu_time_bounds_each_test(backend):
    spin = "if __name__ == '__main__':\n    while 1: pass\ndef f(x):\n    while 1: pass"
    outcomes = run(backend, spin, output("", ""), code("f(1)"), cpu_seconds=0.2)
    assert [o.reason for o in outcomes] == ["time limit of 0.2 s CPU"] * 2


def test_large_jobs_pass(backend):
    text = "0123456789" * 300_000
    program = "import sys\nprint(len(sys.stdin.read()))"
    assert run(backend, program, *[output(text, "3000000")] * 2) == [(True, "")] * 2


def test_extra_directories_are_imported_from(tmp_path):
    backend = sandboxes.need("bwrap")
    (tmp_path / "extra_library.py").write_text("answer = 5\n")
    tmp_path.chmod(0o755)
    tmp_path.parent.chmod(0o700)  # as /root is
    program = "import extra_library\nprint(extra_library.answer)"
    assert "ModuleNotFoundError" in reason(backend, program, output("", "5"))
    assert run(backend, program, output("", "5"), read_only=(str(tmp_path),)) == [(True, "")]


def test_auto_takes_the_first_that_works():
    for backend in sandboxes.REAL:
        try:
            chosen = sandbox.choose(sandboxes.config(backend))
        except ValueError:
            continue
        assert sandbox.choose(sandboxes.config("auto")).name == chosen.name == backend
        return
    with pytest.raises(ValueError, match=r"apt-get install bubblewrap"):
        sandbox.choose(sandboxes.config("auto"))


@pytest.fixture
def no_bwrap(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    sandbox._choose.cache_clear()
    yield
    sandbox._choose.cache_clear()


def test_without_bubblewrap_auto_warns(no_bwrap):
    if os.getuid():
        pytest.skip("the fallback needs root")
    chosen = sandbox.choose(sandboxes.config("auto"))
    assert chosen.name == "limits"
    assert "WEAK" in chosen.warning and "no bwrap on PATH" in chosen.warning


def test_what_does_not_work_is_refused_with_a_remedy(no_bwrap):
    with pytest.raises(ValueError, match=r"apt-get install bubblewrap.*i_accept_the_risk"):
        sandbox.choose(sandboxes.config("bwrap"))


def test_without_any_sandbox_auto_refuses(no_bwrap, monkeypatch):
    monkeypatch.setattr(sandbox.os, "getuid", lambda: 1000)
    with pytest.raises(ValueError, match=r"no bwrap on PATH.*needs root.*i_accept_the_risk"):
        sandbox.choose(sandboxes.config("auto"))


def test_the_risk_is_taken_by_name_only():
    risky = sandboxes.config(sandbox.RISK)
    assert "NO SANDBOX" in sandbox.choose(risky).warning
    assert sandbox.run(risky, SQUARE, [code("assert f(2) == 4")], stop_at_failure=True) == [
        (True, "")
    ]


@pytest.mark.parametrize("python", ["/usr/bin/no_such_python", "/usr/bin/true"])
def test_a_python_that_does_not_work_is_refused(backend, python):
    with pytest.raises(ValueError, match="does not work"):
        sandbox.choose(sandboxes.config(backend, python=python))


def test_what_runs_in_the_sandbox_imports_nothing_else_of_ours():
    ours = "r1jax.rewards.sandbox.inside."
    for path in process.INSIDE.glob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        names = [node.module or "." for node in nodes if isinstance(node, ast.ImportFrom)]
        names += [a.name for node in nodes if isinstance(node, ast.Import) for a in node.names]
        assert not [n for n in names if n.startswith((".", "r1jax")) and not n.startswith(ours)]


def test_a_sandbox_that_fails_is_no_fault_of_the_program(backend, monkeypatch):
    monkeypatch.setattr(process, "_BOOT", "import sys; {!r}; sys.exit('no memory')")
    with pytest.raises(SandboxError, match="did not start: no memory"):
        run(backend, ECHO, output("", ""))


def test_a_sandbox_that_cannot_start_is_no_fault_of_the_program(backend, monkeypatch):
    def popen(*args, **kwargs):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(process.subprocess, "Popen", popen)
    with pytest.raises(SandboxError, match="temporarily unavailable"):
        run(backend, ECHO, output("", ""))


def test_a_killed_judge_takes_its_sandbox_along(backend):
    if os.getuid():
        pytest.skip("only root's sandboxes can be told apart")
    root = Path(sandbox.__file__).parents[3]
    config = dataclasses.asdict(sandboxes.config(backend))
    script = (
        "from r1jax.rewards.sandbox import run as sandbox\n"
        f"config = sandbox.SandboxConfig(**{config!r})\n"
        "test = {'kind': 'output', 'input': '', 'output': ''}\n"
        "sandbox.choose(config)\nprint('go', flush=True)\n"
        "sandbox.run(config, 'import time; time.sleep(1000)', [test], stop_at_failure=True)\n"
    )
    judge = subprocess.Popen(
        [sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
    )  # fmt: skip
    with judge:
        assert judge.stdout is not None and judge.stdout.readline() == b"go\n"
        for _ in range(400):
            if len(sandboxes.processes(judge.pid)) >= 3:
                break
            time.sleep(0.05)
        assert len(sandboxes.processes(judge.pid)) >= 3
        judge.send_signal(signal.SIGKILL)
    assert sandboxes.soon_none(judge.pid)


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(backend="docker"), "sandbox.backend: got 'docker', wanted one of"),
        (dict(read_only=("lib",)), "relative path 'lib'"),
        (dict(python="python3"), "relative path 'python3'"),
    ],
)
def test_limits_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        sandboxes.config(**({"backend": "bwrap"} | changes))
