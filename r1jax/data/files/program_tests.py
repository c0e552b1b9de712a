"""Tests of programs in the forms that data sets have them, brought to those that judges take.

The judge takes inputs with outputs, or asserts with a setup, or HumanEval's prompt, test and
entry_point (`rewards.sandbox.code`).
"""

import ast
import decimal
import json
import math
from collections.abc import Mapping
from typing import Any

from r1jax.config import UserError
from r1jax.data.files.fields import rendered
from r1jax.data.files.paths import opened
from r1jax.data.files.pytest_modules import from_pytest, parsed

STDIN = ("stdin_stdout", "stdin")  # what data sets call tests of whole programs
_CALLED = """
def _same(got, want):
    def plain(value):
        return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value

    got, want = plain(got), plain(want)
    return got == want or (isinstance(want, list) and len(want) == 1 and got == want[0])
"""


def _listed(value: Any, key: str, where: str) -> list[Any]:
    """A list of tests; one text is one test."""
    values = value if isinstance(value, list) else [value]
    if not values:
        raise UserError(f"{where}: {key}: got [], wanted at least one test")
    return values


def _stdin(value: Any, what: str) -> str:
    """A text for standard input or output; a list is its lines, as in APPS."""
    if isinstance(value, list):
        return "\n".join(_stdin(line, what) for line in value)
    if value is None or isinstance(value, bool | dict):
        raise UserError(f"{what}: got {value!r:.80}, wanted a text or the list of its lines")
    return rendered(value, f"{what}: is")


def _is_list(text: Any) -> bool:
    if not isinstance(text, str) or not text.lstrip().startswith("["):
        return False
    try:
        return isinstance(json.loads(text), list)
    except (ValueError, RecursionError):
        return False


def _values(text: str, what: str) -> list[Any]:
    """Values of which each stands on a line of its own."""
    return [opened(line, what) for line in text.splitlines() if line.strip()]


def _source(value: Any, what: str) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{what}: got {value}, which no value equals, wanted a finite number")
    if isinstance(value, list):
        return "[" + ", ".join(_source(item, what) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {_source(v, what)}" for k, v in value.items()) + "}"
    if isinstance(value, tuple):
        return "(" + "".join(_source(item, what) + ", " for item in value) + ")"
    if isinstance(value, decimal.Decimal):
        return rendered(value, f"{what}: is")
    if value is not None and not isinstance(value, str | int | float):
        raise UserError(f"{what}: got {type(value).__name__}, wanted a value as JSON has it")
    return repr(value)


def _call(name: str, given: Any, what: str) -> str:
    arguments = _values(given, what) if isinstance(given, str) else given
    if isinstance(arguments, dict):
        words = (f"{key}={_source(value, what)}" for key, value in arguments.items())
    elif isinstance(arguments, list):
        words = (_source(value, what) for value in arguments)
    else:
        raise UserError(f"{what}: got {given!r:.80}, wanted the list of arguments of {name}")
    return f"{name}({', '.join(words)})"


def _calls(name: str, inputs: list[Any], outputs: list[Any], where: str) -> dict[str, Any]:
    """Asserts that a function gives these outputs; [3] wanted takes 3 too, as APPS judges."""
    asserts = []
    for i, (given, wanted) in enumerate(zip(inputs, outputs, strict=True)):
        what = f"{where}: outputs[{i}]"
        if isinstance(given, str) and isinstance(wanted, str):  # both are texts of values
            wanted = opened(wanted, what)
        call = _call(name, given, f"{where}: inputs[{i}]")
        asserts.append(f"assert _same({call}, {_source(wanted, what)})")
    return {"asserts": asserts, "setup": _CALLED}


def _function(tests: Mapping[str, Any], where: str) -> str:
    """The function that tests call, "" where they are of whole programs."""
    given = tests.get("fn_name")
    names = {n for n in (given if isinstance(given, list) else [given]) if n}
    if len(names) > 1 or not all(isinstance(name, str) for name in names):
        raise UserError(f"{where}: fn_name: got {given!r:.80}, wanted one name")
    name = next(iter(names), "")
    kinds = tests.get("types")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    odd = sorted({str(kind) for kind in kinds if kind is not None and kind not in STDIN})
    if odd and not name:
        raise UserError(f"{where}: types: got {odd}, wanted {STDIN}, or a function's name, fn_name")
    if name and not all(part.isidentifier() for part in name.split(".")):
        raise UserError(f"{where}: fn_name: got {name!r:.80}, wanted a name")
    starter = tests.get("starter") or ""
    if name and "class Solution" in str(starter):
        return f"Solution().{name}"
    return name


def _by_values(tests: Mapping[str, Any], where: str) -> dict[str, Any]:
    inputs, outputs = (_listed(tests[key], key, where) for key in ("inputs", "outputs"))
    if _is_list(tests["inputs"]) and _is_list(tests["outputs"]):
        raise UserError(
            f"{where}: inputs: got one text that holds a list, {tests['inputs'][:40]!r}, wanted "
            "its items: end the path in .*"
        )
    if len(inputs) != len(outputs):
        raise UserError(f"{where}: got {len(inputs)} inputs, {len(outputs)} outputs")
    name = _function(tests, where)
    if name:
        return _calls(name, inputs, outputs, where)
    return {
        key: [_stdin(value, f"{where}: {key}[{i}]") for i, value in enumerate(values)]
        for key, values in (("inputs", inputs), ("outputs", outputs))
    }


def _asserts_in(text: str, what: str) -> list[str]:
    """The asserts of a text, each behind all that is no assert and stands before it."""
    before: list[str] = []
    asserts = []
    for node in parsed(text, what).body:
        source = ast.get_source_segment(text, node) or ""
        named = isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)
        if not named and any(isinstance(inner, ast.Assert) for inner in ast.walk(node)):
            asserts.append("\n".join([*before, source]))
        else:
            before.append(ast.unparse(node) if named else source)
    if not asserts:
        raise UserError(f"{what}: got {text[:60]!r}, wanted asserts: 'assert add(1, 2) == 3'")
    return asserts


def _by_asserts(tests: Mapping[str, Any], where: str) -> dict[str, Any]:
    what, given = f"{where}: asserts", tests["asserts"]
    if _is_list(given):
        given = json.loads(given)
    asserts = _asserts_in(given, what) if isinstance(given, str) else given
    setup = tests.get("setup") or ""
    setup = "\n".join(map(str, setup)) if isinstance(setup, list) else setup
    return {"asserts": asserts, "setup": setup}


_FORMS = {  # what tells a form: what else it may have
    "inputs": {"outputs", "fn_name", "types", "starter"},
    "asserts": {"setup"},
    "pytest": set(),
    "test": {"prompt", "entry_point"},
}


def tests_of(reference: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Returns the tests of a program in a form that its judge takes.

    Args:
      reference: one of
        inputs and outputs: texts for standard input and output. One text is one test; a list in the
          place of a text is its lines. With a `fn_name`, arguments and results of a function: lists
          or, where both are texts, values as JSON, an argument on each line. It is a method of
          Solution if `starter` holds that class. `types` refuses tests that are of another kind;
        asserts and perhaps setup: a list of asserts, or a text that is cut into its own;
        pytest: the text of a module with test functions;
        test and entry_point: code with check(candidate), perhaps with the prompt.
      where: the row, for the error.

    Raises:
      UserError: if it is none of these, or lists differ in length.
    """
    form = next((key for key in _FORMS if key in reference), None)
    wanted = {"inputs": {"outputs"}, "test": {"entry_point"}}.get(form or "", set())
    strange = set(reference) - {form} - _FORMS.get(form or "", set())
    if form is None or strange or not wanted <= set(reference):
        raise UserError(
            f"{where}: got {sorted(reference)}, wanted inputs and outputs (with fn_name, types, "
            "starter), asserts (with setup), pytest, or test and entry_point (with prompt)"
        )
    if form == "inputs":
        return _by_values(reference, where)
    if form == "asserts":
        return _by_asserts(reference, where)
    if form == "pytest":
        return from_pytest(reference["pytest"], f"{where}: pytest")
    if "prompt" in reference:
        return dict(reference)
    code = f"{reference['test']}\n\ncheck({reference['entry_point']})\n"
    parsed(code, f"{where}: test")
    return {"asserts": [code], "setup": ""}
