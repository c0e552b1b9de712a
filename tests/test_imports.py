"""The house: which room may import which, how large a folder and a module may be."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "r1jax"
MODULES = sorted(ROOT.rglob("*.py"))

# What the modules of a room may import beside their own room.
TRUNK = {"types", "config", "keys", "sharding"}
NETWORK = TRUNK | {"model", "rl", "sampling"}
BELOW = {
    "types": set(),
    "config": {"types"},
    "keys": {"types"},
    "sharding": {"types", "config"},
    "model": TRUNK,
    "rl": TRUNK | {"model"},
    "sampling": TRUNK | {"model"},
    "io": TRUNK,
    "train": NETWORK,
    "text": TRUNK,
    "data": TRUNK | {"text"},
    "rewards": TRUNK | {"text"},
    "hub": TRUNK | {"model", "text", "io"},
    "exams": NETWORK | {"train", "text", "data", "rewards", "hub", "io"},
    "reports": TRUNK | {"io", "exams"},
}
ABOVE = {"pipelines", "integrations", "main"}  # may import every room of BELOW
PURE = {"model", "rl", "train"}
IMPURE = {"absl", "logging", "time", "os", "ml_collections"}


def room(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imports(path: Path) -> set[str]:
    """Full names of everything that a module imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def ours(path: Path) -> list[list[str]]:
    """The names of r1jax that a module imports, in their parts below r1jax."""
    return [name.split(".")[1:] for name in imports(path) if name.startswith("r1jax.")]


def rooms(path: Path) -> set[str]:
    return {parts[0] for parts in ours(path)}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    here = room(path)
    if here in BELOW:
        assert rooms(path) <= BELOW[here] | {here}


@pytest.mark.parametrize(
    "path", [p for p in MODULES if room(p) in PURE], ids=lambda path: str(path.relative_to(ROOT))
)
def test_the_maths_sees_no_clock_disk_log_or_config_dict(path):
    assert not {name.split(".")[0] for name in imports(path)} & IMPURE


@pytest.mark.parametrize(
    "path",
    [p for p in MODULES if room(p) == "pipelines"],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_a_pipeline_imports_no_other_but_recipe_and_table(path):
    own = path.relative_to(ROOT / "pipelines").with_suffix("").parts[0]
    if own != "table":
        others = {parts[1] for parts in ours(path) if parts[0] == "pipelines"}
        assert others <= {own, "recipe", "table"}


def test_only_main_imports_pipelines():
    users = {room(p) for p in MODULES if "pipelines" in rooms(p)}
    assert users <= {"main", "pipelines"}


def test_every_room_has_its_place():
    assert {room(p) for p in MODULES} - {"__init__"} <= BELOW.keys() | ABOVE


def test_no_folder_has_more_than_18_entries():
    for folder in {path.parent for path in MODULES}:
        entries = {p for p in folder.iterdir() if p.name not in ("__init__.py", "__pycache__")}
        assert len(entries) <= 18, folder


def test_the_core_can_be_read_in_a_day():
    core = [
        p for p in MODULES if p.parent == ROOT or room(p) in {"model", "rl", "sampling", "train"}
    ]
    assert sum(len(p.read_text().splitlines()) for p in core) < 5500


def test_every_folder_of_modules_is_a_package():
    """setuptools leaves others out of the wheel."""
    folders = {folder for p in MODULES for folder in p.parents if folder.is_relative_to(ROOT)}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]
