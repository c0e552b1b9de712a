"""Every function and test that docs/equations.md names exists, and no cited paper is missing."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "equations.md"
CITED = re.compile(r"arXiv:(\d{4}\.\d{5})")
ROW = re.compile(r"^\| (?!paper|---)(.*) \|$", re.MULTILINE)
ROWS = [line.split(" | ") for line in ROW.findall(PAGE.read_text())]
MATHS = ("model", "rl", "sampling", "train", "rewards/parts", "exams")


def defined(path: Path) -> set[str]:
    """The names of the functions and classes of a module."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, kinds)}


def test_the_table_has_rows_of_five_cells():
    assert len(ROWS) >= 25
    assert all(len(row) == 5 and CITED.search(row[0]) for row in ROWS)


@pytest.mark.parametrize("cell", sorted({row[3] for row in ROWS}))
def test_a_named_function_exists(cell):
    module, name = cell.strip("`").split(":")
    assert name in defined(ROOT / "r1jax" / (module.replace(".", "/") + ".py"))


@pytest.mark.parametrize("cell", sorted({row[4] for row in ROWS}))
def test_a_named_test_exists(cell):
    file, name = cell.strip("`").split("::")
    assert name in defined(ROOT / "tests" / file)


def test_no_paper_that_the_maths_cites_is_missing():
    files = [path for room in MATHS for path in (ROOT / "r1jax" / room).rglob("*.py")]
    cited = {paper for path in files for paper in CITED.findall(path.read_text())}
    assert len(cited) > 10 and cited <= set(CITED.findall(PAGE.read_text()))
