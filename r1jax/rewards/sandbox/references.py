"""What tests a program: a reference is read, and refused where it tests nothing.

References, by what they hold:
  inputs, outputs: texts for standard input and what standard output must then say, as contests do.
  asserts, setup: assert statements, each a test, as in MBPP (arXiv:2108.07732). Functions named
    test... that nothing calls are called, as pytest does; "from solution import f" names what is
    the program's.
  prompt, test, entry_point: the head of a function, and code whose check(candidate) raises where
    the function is wrong, as in HumanEval (arXiv:2107.03374): one test. The entry point may be a
    method, Solution().add, and the prompt need not hold its head.

A test must assert something of what the program gives, and use no name that nobody defines.
"""

import ast
import builtins
import functools
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from r1jax.config import UserError
from r1jax.rewards.sandbox import given
from r1jax.rewards.sandbox.asserting import asserts as asserts_of

_ENTRY = re.compile(r"([A-Za-z_]\w*)(?:\(\))?(?:\.[A-Za-z_]\w*)*")
# names of helpers that compare, where they get what the program gives
_HELPER = re.compile(
    r"(?:assert|check|compare|expect|verify)\w*|(?:is|are|all|almost|nearly|approx)?_?"
    r"(?:close|equals?|equal_to|approx\w*|same|allclose)",
    re.IGNORECASE,
)
_BODIES = ("", "    pass", "        pass", "  pass")  # of a head: a function's, a method's
_SHAPES = (("inputs", "outputs"), ("asserts", "setup"), ("prompt", "test", "entry_point"))


class Suite(NamedTuple):
    """What tests a program.

    Attributes:
      tests: as `sandbox.run` takes them.
      names: of each the wording, for a person.
      prompt: the head that a program may go on with, or "".
      entry_point: the function or class in it, or "".
    """

    tests: list[dict[str, Any]]
    names: list[str]
    prompt: str
    entry_point: str


def _bound_and_used(tree: ast.AST) -> tuple[set[str], set[str], set[str]]:
    """Names that code binds, that it reads, and that it reads otherwise than as X.attribute."""
    bound, used, bare = set(), set(), set()
    bases = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            used.add(node.id)
            if id(node) not in bases:
                bare.add(node.id)
        elif isinstance(node, ast.Name):
            bound.add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            bound.add(node.name)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).partition(".")[0])
    return bound, used, bare


def _parse(source: str, what: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise UserError(f"reference: {what} is no Python: {error}: {source[:80]!r}") from error


def _code_test(before: str, code: str, what: str, own: Sequence[str]) -> dict[str, Any]:
    """A test whose free names are the program's, but for built-ins and modules.

    Args:
      before: runs before the test, and defines what it uses.
      code: of the test.
      what: it is, for errors.
      own: names that are the program's though `before` has them; no other may be, if there is one.
    """
    known = _bound_and_used(_parse(before, "the prompt or setup"))[0] if before else set()
    tree = _parse(code, what)
    bound, used, bare = _bound_and_used(tree)
    free = used - bound - (known - set(own))
    modules = {name for name in free - bare if name in sys.stdlib_module_names}
    names = free - modules - set(vars(builtins))
    if not names:  # a task may ask for a function named as a built-in: assert sum(10, 15) == 6
        first = (n.func for n in ast.walk(tree) if isinstance(n, ast.Call))
        names = {n.id for n in first if isinstance(n, ast.Name)}
    if not names:
        raise UserError(f"reference: {what} calls nothing of the program: {code[:80]!r}")
    if own and (unknown := sorted(names - set(own))):
        raise UserError(
            f"reference: {what} uses {unknown}, which neither it nor the prompt defines"
        )
    if helpers := sorted(names & _comparing(tree, names)):
        raise UserError(f"reference: {what} compares by {helpers}, which nobody defines")
    if not asserts_of(tree, names):
        raise UserError(
            f"reference: {what} asserts nothing of what the program gives: {code.strip()[:80]!r}"
        )
    imports = "".join(f"import {name}\n" for name in sorted(modules))
    # what is from the future must come first
    heads = "" if "__future__" in before else given.imports(before, set()) + "\n"
    before = imports + heads + before
    return {"kind": "code", "before": before, "names": sorted(names), "code": code}


def _comparing(tree: ast.AST, names: set[str]) -> set[str]:
    """Names that compare what another of the program's gives: close(f(2), 4)."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            given = (n for argument in node.args for n in ast.walk(argument))
            calls = {
                n.func.id for n in given if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
            }
            if _HELPER.fullmatch(node.func.id) and calls & names:
                found.add(node.func.id)
    return found


def _as_statements(code: str) -> str:
    """The code of a test with what a runner of tests would do: call functions, find the program."""
    tree = _parse(code, "a test")
    lines = code.split("\n")
    loaded = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    calls = [
        f"{n.name}()"
        for n in tree.body
        if isinstance(n, ast.FunctionDef) and n.name.startswith("test") and n.name not in loaded
    ]
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "solution":
            for at in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[at] = ""
    return "\n".join([*lines, *calls])


def _texts(reference: Mapping[str, Any], key: str) -> list[str]:
    texts = reference[key]
    if not isinstance(texts, list | tuple) or not texts:
        raise UserError(f"reference[{key!r}]: got {texts!r:.80}, wanted a list of texts")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise UserError(f"reference[{key!r}][{i}]: got {text!r:.80}, wanted a text")
    return list(texts)


def read(reference: Mapping[str, Any]) -> Suite:
    """Returns the tests of a reference (see the module).

    Raises:
      UserError: if it holds anything else.
    """
    shape = next((keys for keys in _SHAPES if keys[0] in reference), ())
    missing = set(shape) - set(reference) - {"setup"}
    if not shape or missing or set(reference) - set(shape):
        raise UserError(f"reference: got {sorted(reference)}, wanted one of {_SHAPES}")
    for key in set(shape) & {"setup", "prompt", "test", "entry_point"} & set(reference):
        if not isinstance(reference[key], str):
            raise UserError(f"reference[{key!r}]: got {reference[key]!r:.80}, wanted a text")
    if "inputs" in reference:
        inputs, outputs = _texts(reference, "inputs"), _texts(reference, "outputs")
        if len(inputs) != len(outputs):
            raise UserError(f"reference: got {len(inputs)} inputs, {len(outputs)} outputs")
        tests = [
            {"kind": "output", "input": given, "output": wanted}
            for given, wanted in zip(inputs, outputs, strict=True)
        ]
        return Suite(tests, ["" for _ in tests], "", "")
    if "asserts" in reference:
        asserts, setup = _texts(reference, "asserts"), reference.get("setup", "")
        tests = [
            _code_test("", _as_statements(f"{setup}\n{line}"), "a test", ()) for line in asserts
        ]
        return Suite(tests, asserts, "", "")
    prompt, entry_point = reference["prompt"], reference["entry_point"]
    entry = _ENTRY.fullmatch(entry_point)
    if entry is None:
        raise UserError(f"reference['entry_point']: got {entry_point!r}, wanted a name")
    code = f"{reference['test']}\n\ncheck({entry_point})\n"
    test = _code_test(whole(prompt), code, "the test", (entry[1],))
    return Suite([test], [""], prompt, entry[1])


@functools.lru_cache(maxsize=16)
def whole(prompt: str) -> str:
    """The head of a function made a function that does nothing, with what precedes it."""
    head = prompt.rstrip()
    for body in _BODIES:
        text = f"{head}\n{body}\n\n\n"
        try:
            ast.parse(text)
        except (SyntaxError, ValueError):
            continue
        return text
    return f"{head}\n    pass\n\n\n"


def _own_names(gold: str) -> set[str]:
    """Names that a gold program defines, none if gold is no program."""
    try:
        return _bound_and_used(ast.parse(gold))[0]
    except (SyntaxError, ValueError):
        return set()


def check(gold: str, reference: Mapping[str, Any]) -> None:
    """Refuses a reference that cannot test programs.

    Args:
      gold: a right program, if the data have one.
      reference: see the module.

    Raises:
      UserError: if it is malformed, asserts nothing, or asks for names that gold does not define.
    """
    suite, defined = read(reference), _own_names(gold)
    asked = {name for test in suite.tests for name in test.get("names", ())}
    if "asserts" in reference and defined and (missing := sorted(asked - defined)):
        raise UserError(f"reference: tests use {missing}, which the gold program does not define")


def check_pay(reference: Mapping[str, Any], tests: str) -> None:
    """Refuses a reference by which a program that does nothing would be paid.

    Args:
      reference: that `check` accepts.
      tests: "all" or "fraction", as `code.run` has it.

    Raises:
      UserError: if the wanted outputs are blank, one of them where a fraction is paid.
    """
    outputs = reference.get("outputs", ())
    blank = [at for at, text in enumerate(outputs) if not text.strip()]
    if blank and (tests == "fraction" or len(blank) == len(outputs)):
        raise UserError(
            f"reference['outputs'][{blank[0]}] is blank: a program that does nothing would be paid"
        )


def check_reference(reference: Mapping[str, Any]) -> None:
    """Raises ValueError unless programs can be tested by a reference (see the module)."""
    read(reference)
