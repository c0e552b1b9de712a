"""Whether a program passes its tests, run in the sandbox.

References, by what they hold:
  inputs, outputs: texts for standard input and what standard output must then say, as contests do.
  asserts, setup: assert statements, each a test, as in MBPP (arXiv:2108.07732).
  prompt, test, entry_point: the head of a function, and code whose check(candidate) raises where
    the function is wrong, as in HumanEval (arXiv:2107.03374): one test.
"""

import ast
import builtins
import functools
import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from r1jax.config import UserError
from r1jax.rewards.sandbox.config import SandboxConfig, SandboxError
from r1jax.rewards.sandbox.fences import program as program
from r1jax.rewards.sandbox.run import run as run_tests
from r1jax.rewards.score import Verdict, failed, wrong

TESTS = ("all", "fraction")
_FUTURE = re.compile(
    r"^(?:from[ \t]+__future__[ \t]+import[ \t]*(?:\([^)]{0,500}\)|[^\n;(#]+);?[ \t]*)+",
    re.MULTILINE,
)
_SHAPES = (("inputs", "outputs"), ("asserts", "setup"), ("prompt", "test", "entry_point"))


class _Suite(NamedTuple):
    """The tests of a reference for `sandbox.run`, their wording for a person, the prompt."""

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


def _suite(reference: Mapping[str, Any]) -> _Suite:
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
        return _Suite(tests, ["" for _ in tests], "", "")
    if "asserts" in reference:
        asserts, setup = _texts(reference, "asserts"), reference.get("setup", "")
        tests = [_code_test("", f"{setup}\n{line}", "a test", ()) for line in asserts]
        return _Suite(tests, asserts, "", "")
    prompt, entry_point = reference["prompt"], reference["entry_point"]
    if not entry_point.isidentifier():
        raise UserError(f"reference['entry_point']: got {entry_point!r}, wanted a name")
    code = f"{reference['test']}\n\ncheck({entry_point})\n"
    test = _code_test(_whole(prompt), code, "the test", (entry_point,))
    return _Suite([test], [""], prompt, entry_point)


@functools.lru_cache(maxsize=16)
def _suite_of(packed: str) -> _Suite:
    return _suite(json.loads(packed))


def _whole(prompt: str) -> str:
    """The head of a function made a function that does nothing, with what precedes it."""
    return prompt.rstrip() + "\n    pass\n\n\n"


def check_reference(reference: Mapping[str, Any]) -> None:
    """Raises ValueError unless programs can be tested by a reference (see the module)."""
    _suite(reference)


def _complete(answer: str, suite: _Suite) -> str:
    """The program to run: where a prompt was given, an answer may go on with it or start afresh."""
    if not suite.prompt:
        return answer
    name = re.escape(suite.entry_point)
    if re.search(rf"^(?:def|async def|class)\s+{name}\b|^{name}\s*=", answer, re.MULTILINE):
        # it may count on the prompt's imports and helpers; Python wants its own of the future first
        future = "".join(found.strip("; \t\r") + "\n" for found in _FUTURE.findall(answer))
        return future + _whole(suite.prompt) + _FUTURE.sub("", answer)
    return suite.prompt + answer


def run(
    answer: str,
    reference: Mapping[str, Any],
    sandbox: SandboxConfig | Mapping[str, Any],
    tests: str,
) -> Verdict:
    """Returns how a program fares; an error only where the sandbox failed, not the program.

    Args:
      answer: the program, as `program` gives it.
      reference: the tests (see the module).
      sandbox: where and within what limits it runs, as a config or its fields.
      tests: "all" pays 1 if all pass, "fraction" the fraction that passes.

    Raises:
      UserError: if the reference, the sandbox or `tests` is unusable.
    """
    if tests not in TESTS:
        raise UserError(f"tests: got {tests!r}, wanted one of {TESTS}")
    if not isinstance(sandbox, SandboxConfig):
        sandbox = SandboxConfig(**{**sandbox, "read_only": tuple(sandbox["read_only"])})
    suite = _suite_of(json.dumps(dict(reference)))
    try:
        outcomes = run_tests(
            sandbox, _complete(answer, suite), suite.tests, stop_at_failure=tests == "all"
        )
    except SandboxError as error:
        return failed(f"sandbox: {error}")
    count, passed = len(outcomes), sum(outcome.passed for outcome in outcomes)
    if passed == count:
        return Verdict(1.0, f"passed {count} of {count} tests", False)
    worst = next(i for i, outcome in enumerate(outcomes) if not outcome.passed)
    reason = f"test {worst + 1} of {count}: {outcomes[worst].reason}"
    if suite.names[worst]:
        reason += f" in {suite.names[worst].strip()[:200]}"
    if tests == "all":
        return wrong(reason)
    return Verdict(passed / count, f"passed {passed} of {count} tests; {reason}", False)
