"""Modules of pytest as tests that run without it, one for each test function."""

import ast
from typing import Any

from r1jax.config import UserError

PROGRAM = "solution"  # the module that tests import the program from, as in KodCode

# what tests use of pytest most
_PYTEST = """
class pytest:
    class raises:
        def __init__(self, expected, match=None):
            self.expected, self.match = expected, match

        def __enter__(self):
            return self

        def __exit__(self, kind, value, traceback):
            assert kind is not None, f"did not raise {self.expected}"
            self.value = value
            import re
            return issubclass(kind, self.expected) and (
                self.match is None or re.search(self.match, str(value)) is not None
            )

    class approx:
        def __init__(self, expected, rel=1e-6, abs=1e-12):
            self.expected, self.rel, self.abs = expected, rel, abs

        def __eq__(self, got):
            import math
            want = self.expected
            if isinstance(want, (list, tuple)):
                return len(got) == len(want) and all(
                    pytest.approx(w, self.rel, self.abs) == g for w, g in zip(want, got)
                )
            return got == want or math.isclose(got, want, rel_tol=self.rel, abs_tol=self.abs)
"""
_KNOWN = {"raises", "approx", "mark"}


def parsed(text: Any, what: str) -> ast.Module:
    """Returns the parsed code.

    Raises:
      UserError: if it is no Python; begins with `what`.
    """
    if not isinstance(text, str) or not text.strip():
        raise UserError(f"{what}: got {text!r:.80}, wanted the text of a program")
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"{what}: no Python: {error}: {text[:80]!r}") from error


def _is_main(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)


def _parametrized(node: ast.FunctionDef, what: str) -> list[tuple[list[str], str]]:
    """(argument names, source of the list of their values) of each parametrize."""
    given = []
    for decorator in node.decorator_list:
        name = ast.unparse(decorator).partition("(")[0]
        if name != "pytest.mark.parametrize" or not isinstance(decorator, ast.Call):
            raise UserError(f"{what}: {node.name} has the decorator {name}, which is not known")
        words = {str(k.arg): k.value for k in decorator.keywords}
        names, values = [*decorator.args, *(words.get(k) for k in ("argnames", "argvalues"))][:2]
        if not isinstance(names, ast.expr) or not isinstance(values, ast.expr):
            raise UserError(f"{what}: {node.name}: parametrize without names or values")
        listed = ast.literal_eval(names)
        listed = listed.split(",") if isinstance(listed, str) else listed
        given.append(([n.strip() for n in listed], ast.unparse(values)))
    return given


def _test(node: ast.FunctionDef, what: str) -> str:
    """The source of a test function, and its calls."""
    given = _parametrized(node, what)
    known = [name for names, _ in given for name in names]
    wanted = [a.arg for a in node.args.args[: len(node.args.args) - len(node.args.defaults)]]
    if fixtures := sorted(set(wanted) - set(known)):
        raise UserError(f"{what}: {node.name} wants the fixtures {fixtures}, there are none")
    node.decorator_list = []
    lines, depth, words = [ast.unparse(node), ""], 0, []
    for i, (names, values) in enumerate(given):
        lines.append("    " * depth + f"for _values{i} in {values}:")
        depth += 1
        one = len(names) == 1
        words.append(
            f"**{{{names[0]!r}: _values{i}}}" if one else f"**dict(zip({names!r}, _values{i}))"
        )
    return "\n".join([*lines, "    " * depth + f"{node.name}({', '.join(words)})"])


def _methods(node: ast.ClassDef, what: str) -> list[str]:
    """The tests of a class, each on an object of its own; none of a class that is no test's."""
    if not node.name.startswith("Test") and "TestCase" not in ast.unparse(node).partition(":")[0]:
        return []
    defined = [inner for inner in node.body if isinstance(inner, ast.FunctionDef)]
    before = [inner.name for inner in defined if inner.name in ("setUp", "setup_method")]
    tests = [inner for inner in defined if inner.name.startswith("test")]
    for inner in tests:
        if inner.decorator_list or len(inner.args.args) != 1:
            raise UserError(f"{what}: {node.name}.{inner.name} has arguments or a decorator")
    begin = [ast.unparse(node), "", f"_test = {node.name}()", *(f"_test.{b}()" for b in before)]
    return ["\n".join([*begin, f"_test.{inner.name}()"]) for inner in tests]


def from_pytest(text: Any, what: str) -> dict[str, Any]:
    """Returns asserts and setup of a module of pytest: a test for each function or method.

    What is imported from "solution" is the program's. pytest itself is not there: raises, approx
    and mark.parametrize are put in other words.

    Raises:
      UserError: names what cannot be put so (fixtures, other decorators), or says that there is no
        test.
    """
    module = parsed(text, what)
    module.body = [node for node in module.body if not _is_main(node)]
    for node in ast.walk(module):
        if (
            isinstance(node, ast.Attribute)
            and ast.unparse(node.value) == "pytest"
            and node.attr not in _KNOWN
        ):
            raise UserError(f"{what}: uses pytest.{node.attr}, wanted {sorted(_KNOWN)}")
        if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("test"):
            raise UserError(f"{what}: {node.name} is async, which is not known")
    setup, tests = [], []
    for node in module.body:
        if isinstance(node, ast.ImportFrom) and node.module == PROGRAM:
            setup += [f"{n.asname} = {n.name}" for n in node.names if n.asname]
        elif isinstance(node, ast.ImportFrom) and node.module == "pytest":
            if odd := sorted({n.name for n in node.names} - {"raises", "approx"}):
                raise UserError(f"{what}: imports {odd} of pytest, wanted raises or approx")
            names = [f"{n.asname or n.name} = pytest.{n.name}" for n in node.names]
            setup += [_PYTEST, *names]
        elif isinstance(node, ast.Import) and any(
            n.name in (PROGRAM, "pytest") for n in node.names
        ):
            if [n for n in node.names if n.name == PROGRAM or n.asname]:
                raise UserError(f"{what}: got {ast.unparse(node)!r}, wanted from {PROGRAM} import")
            rest = [n for n in node.names if n.name != "pytest"]
            setup += [_PYTEST] + ([ast.unparse(ast.Import(rest))] if rest else [])
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            tests.append(_test(node, what))
        elif isinstance(node, ast.ClassDef) and (methods := _methods(node, what)):
            tests += methods
        else:
            setup.append(ast.unparse(node))
    if not tests:
        raise UserError(f"{what}: got {text[:60]!r}, wanted functions test_...")
    return {"asserts": tests, "setup": "\n".join(setup)}
