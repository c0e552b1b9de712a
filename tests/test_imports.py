import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "r1jax"
MODULES = sorted(ROOT.rglob("*.py"))

# what may import what: a module imports its own layer and the ones below
LAYERS = [
    {"types"}, {"config", "keys", "sharding"}, {"model"}, {"rl", "losses"}, {"sampling"}, {"train"},
    {"pipelines"}, {"main"},
]  # fmt: skip
BESIDE = {"data", "rewards", "io"}  # import nothing of ours above types, except each within itself
PURE = {"model", "rl"}
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


def ours(path: Path) -> set[str]:
    """Rooms of r1jax that a module imports."""
    return {name.split(".")[1] for name in imports(path) if name.startswith("r1jax.")}


def allowed(here: str) -> set[str]:
    if here in BESIDE:
        return {"types", here}
    (height,) = [i for i, layer in enumerate(LAYERS) if here in layer]
    below = set().union(*LAYERS[: height + 1])
    return below | BESIDE if here in {"train", "pipelines", "main"} else below


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    if room(path) != "__init__":
        assert ours(path) <= allowed(room(path))


@pytest.mark.parametrize(
    "path", [p for p in MODULES if room(p) in PURE], ids=lambda path: str(path.relative_to(ROOT))
)
def test_the_maths_sees_no_clock_disk_log_or_config_dict(path):
    assert not {name.split(".")[0] for name in imports(path)} & IMPURE


def test_only_main_imports_pipelines():
    users = {room(p) for p in MODULES if "pipelines" in ours(p)}
    assert users <= {"main", "pipelines"}


def test_every_room_has_its_place():
    rooms = {room(p) for p in MODULES} - {"__init__"}
    assert rooms <= set().union(*LAYERS) | BESIDE
