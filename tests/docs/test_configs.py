"""docs/configs.md is what the dataclasses and configs/ say, and every key has a meaning."""

import dataclasses
import importlib.util
from pathlib import Path
from typing import Literal

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_configs", ROOT / "docs/make_configs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclasses.dataclass(frozen=True)
class Inner:
    """What lies within. It has more to say.

    Attributes:
      left, right: widths,
        in metres.
    """

    left: int
    right: int | None


@dataclasses.dataclass(frozen=True)
class Outer:
    """A whole config.

    Attributes:
      size: of it, < 3 `<think>`.
    """

    pipeline: Literal["outer"]
    size: float
    inner: tuple[Inner, ...]


@dataclasses.dataclass(frozen=True)
class Silent:
    """Says nothing of its field, and something of another.

    Attributes:
      other: a field of nobody.
    """

    size: float


def test_the_page_is_what_the_script_writes(script):
    assert script.PAGE.read_text() == script.make(), f"run: {script.COMMAND}"


def test_every_key_has_a_meaning(script):
    for kind in script.occurrences():
        _, told = script.meanings(kind)
        assert all(told[field.name] for field in dataclasses.fields(kind)), kind


def test_every_pipeline_has_its_table(script):
    page = script.PAGE.read_text()
    for name, (kind, _) in script.pipelines().items():
        assert f"| `{name}` |" in page and f"### {kind.__name__}" in page


def test_a_meaning_comes_from_the_docstring(script):
    assert script.meanings(Inner)[1] == {
        "left": "widths, in metres.",
        "right": "widths, in metres.",
    }


def test_a_group_and_the_pipeline_explain_themselves(script):
    told = script.meanings(Outer)[1]
    assert told["pipeline"] == "Names the pipeline."
    assert told["inner"] == "What lies within."


def test_a_key_without_a_meaning_is_an_error(script):
    with pytest.raises(ValueError, match=r"Silent: .*without a meaning \['size'\].*\['other'\]"):
        script.meanings(Silent)


def test_two_files_of_unlike_values_are_told_apart(script):
    values = {"pipeline": "outer", "inner": [{"left": 1, "right": None}]}
    places = [script.Place(f, "", {**values, "size": s}, True) for f, s in (("x", 1.0), ("y", 2.0))]
    table = script._table(Outer, script.titles([Outer, Inner]), places)
    assert "| `size` | `float` | of it, &lt; 3 `<think>`. | `1.0` a; `2.0` b |" in table
    assert "| `inner` | list of [Inner](#inner) | What lies within. | 1 of them |" in table
