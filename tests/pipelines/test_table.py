"""What pipelines declare is what their sources say."""

import ast
import dataclasses
import functools
import string
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from r1jax import main
from r1jax.pipelines.table import Kind

ROOT = Path(main.__file__).parents[1]
PIPELINES = main.PIPELINES
EVERY = pytest.mark.parametrize("name", PIPELINES)


@functools.cache
def nodes(file: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(file.read_text())))


@functools.cache
def sources(name: str) -> set[Path]:
    """The module of a pipeline's run and the modules of ours that it imports."""
    run = Path(str(sys.modules[PIPELINES[name].run.__module__].__file__))
    names = set()
    for node in nodes(run):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("r1jax"):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = {ROOT.joinpath(*name.split(".")).with_suffix(".py") for name in names}
    return {run, *(file for file in files if file.is_file())}


def texts(name: str) -> set[str]:
    """Every text in a pipeline's sources, as written."""
    constants = [n for f in sources(name) for n in nodes(f) if isinstance(n, ast.Constant)]
    return {constant.value for constant in constants if isinstance(constant.value, str)}


def keys(name: str) -> set[str]:
    """Every key that a pipeline's sources put into a dict, by literal or by subscript."""
    expressions: list[ast.expr | None] = []
    for node in [node for file in sources(name) for node in nodes(file)]:
        if isinstance(node, ast.Dict):
            expressions += node.keys
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            expressions.append(node.slice)
    return {str(e.value) for e in expressions if isinstance(e, ast.Constant)}


def text_fields(kind: object) -> Iterator[str]:
    """Names of all fields anywhere in a config that are texts, or texts by name."""
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        for field in dataclasses.fields(kind):
            if hints[field.name] in (str, str | None, tuple[str, ...], dict[str, str]):
                yield field.name
            yield from text_fields(hints[field.name])
    for inner in typing.get_args(kind):
        yield from text_fields(inner)


@EVERY
def test_a_pipeline_says_its_kind_what_it_leaves_and_facts(name):
    made = PIPELINES[name]
    assert made.kind in typing.get_args(Kind)
    assert made.leaves and made.facts
    (said,) = typing.get_args(typing.get_type_hints(made.config)["pipeline"])
    assert said == name


@EVERY
def test_each_fact_is_a_key_that_the_run_writes(name):
    parts = {part for fact in PIPELINES[name].facts for part in fact.split(".")}
    assert parts <= keys(name)


@EVERY
def test_each_leaf_is_a_name_that_the_run_writes(name):
    for leaf in PIPELINES[name].leaves:
        file_or_folder = leaf.partition("/")[0]
        assert file_or_folder in texts(name)


@EVERY
def test_figures_are_of_declared_facts(name):
    made = PIPELINES[name]
    for figure in made.figures:
        for _, field, _, _ in string.Formatter().parse(figure):
            path = (field or "").replace("]", "").replace("[", ".")
            assert any(f"{path}.".startswith(f"{fact}.") for fact in made.facts), figure


@EVERY
def test_each_key_that_holds_a_path_is_declared(name):
    """A field that one pipeline declares as a path is one wherever it occurs."""
    paths = {key for made in PIPELINES.values() for key in made.reads}
    assert {*PIPELINES[name].reads} == paths & {*text_fields(PIPELINES[name].config)}
