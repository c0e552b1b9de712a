"""The configs that ship with r1jax: where they lie, and how one is named without a path."""

import ast
import difflib
import sys
import types
from pathlib import Path

from r1jax.config import UserError

ROOT = Path(__file__).parents[1]
# r1jax/configs in a wheel (setup.py), beside r1jax in a checkout
FOLDER = next(f for f in (ROOT / "configs", ROOT.parent / "configs") if f.is_dir())


def share() -> None:
    """Makes `from configs import data` find ours from any folder, then those of this folder."""
    package = types.ModuleType("configs")
    package.__path__ = [str(FOLDER), str(Path.cwd() / "configs")]
    sys.modules.setdefault("configs", package)


def shipped() -> dict[str, str]:
    """The first line of each file that makes a run's config, by name; no file is run."""
    lines = {}
    for path in sorted(FOLDER.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        made = {f.name for f in tree.body if isinstance(f, ast.FunctionDef)}
        if "get_config" in made and path.stem != "rewards":  # a block of runs, no run
            lines[path.stem] = (ast.get_docstring(tree) or "").split("\n")[0]
    return lines


def resolve(value: str) -> str:
    """The path of a config: of a shipped one that is named, else the value itself.

    Raises:
      UserError: if it is neither a name nor a file; names the nearest of ours.
    """
    name, colon, argument = value.partition(":")
    if (names := shipped()) and name in names:
        return f"{FOLDER / name}.py{colon}{argument}"
    if Path(name).is_file():
        return value
    near = difflib.get_close_matches(Path(name).stem, names, 1)
    hint = f"; did you mean --config={near[0]}?" if near else ""
    raise UserError(f"--config={value}: no such file or config{hint} --config=list names all")
