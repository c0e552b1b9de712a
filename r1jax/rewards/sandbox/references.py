"""What tests a program: a reference is read, and refused where it tests nothing.

References, by what they hold:
  inputs, outputs: texts for standard input and what standard output must then say, as contests do.
  asserts, setup: assert statements, each a test, as in MBPP (arXiv:2108.07732).
  prompt, test, entry_point: the head of a function, and code whose check(candidate) raises where
    the function is wrong, as in HumanEval (arXiv:2107.03374): one test.
"""

import ast
import builtins
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from r1jax.config import UserError

_SHAPES = (("inputs", "outputs"), ("asserts", "setup"), ("prompt", "test", "entry_point"))


class Suite(NamedTuple):
    """What tests a program.

    Attributes:
      tests: as `sandbox.run` takes them.
      names: of each the wording, for a person.
      prompt: the head that a program may go on with, or "".
      entry_point: the function in it, or "".
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
    """A test whose free names are the program's, but for built-ins and modules."""
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
    imports = "".join(f"import {name}\n" for name in sorted(modules))
    return {"kind": "code", "before": imports + before, "names": sorted(names), "code": code}


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
        tests = [_code_test("", f"{setup}\n{line}", "a test", ()) for line in asserts]
        return Suite(tests, asserts, "", "")
    prompt, entry_point = reference["prompt"], reference["entry_point"]
    if not entry_point.isidentifier():
        raise UserError(f"reference['entry_point']: got {entry_point!r}, wanted a name")
    code = f"{reference['test']}\n\ncheck({entry_point})\n"
    test = _code_test(whole(prompt), code, "the test", (entry_point,))
    return Suite([test], [""], prompt, entry_point)


def whole(prompt: str) -> str:
    """The head of a function made a function that does nothing, with what precedes it."""
    return prompt.rstrip() + "\n    pass\n\n\n"


def check_reference(reference: Mapping[str, Any]) -> None:
    """Raises ValueError unless programs can be tested by a reference (see the module)."""
    read(reference)
