"""Writes docs/configs.md: every key of every config, its meaning and its value.

python docs/make_configs.py

Keys and types come from the dataclasses of the pipelines, meanings from the "Attributes:" sections
of their docstrings, values from the files of configs/. tests/docs/test_configs.py compares the
result with the file that is committed.
"""

import dataclasses
import importlib
import inspect
import re
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from r1jax import main  # noqa: E402  # below the path

PAGE = ROOT / "docs" / "configs.md"
LONGEST = 72  # characters of a value
COMMAND = "python docs/make_configs.py"
INTRO = f"""# Every key of every config

Written by `{COMMAND}`; do not edit it by hand.

A config is a Python file of `configs/`. Its function `get_config` returns all keys of one
pipeline. Defaults live there and nowhere else. A key that is missing is an error, and so is a key
that nobody knows; the error names the nearest one. Set a key on the command line with its path:

```bash
python -m r1jax.main --config=configs/r1_zero_tiny.py --workdir=runs/mine --config.optimizer.lr=1e-4
```

`configs/data.py` and `configs/rewards.py` hold blocks that the other files share, `configs/models/`
holds networks. A value below is that of the file named above its table. Where a table has several
files, letters say which value is whose.

## Pipelines

`config.pipeline` names one of these. Those without a file of their own run as stages of
`configs/r1_tiny.py`; there a `seed` of -1 is that of the whole run.

"""


class Place(typing.NamedTuple):
    """A group of keys in a file: its path there ("" for the whole), its values.

    `main` says whether the file is the one that is shown for its pipeline.
    """

    file: str
    path: str
    values: Mapping[str, Any]
    main: bool


def pipelines() -> dict[str, tuple[type, Any]]:
    """The config and the function of every pipeline, by its name, sorted."""
    return {name: tuple(main.PIPELINES[name])[:2] for name in sorted(main.PIPELINES)}


def groups(kind: Any) -> list[type]:
    """The dataclasses within a type, such as that of `dict[str, Group | None]`."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return [kind]
    arguments = () if typing.get_origin(kind) is typing.Literal else typing.get_args(kind)
    return [group for argument in arguments for group in groups(argument)]


def fields(kind: type) -> dict[str, Any]:
    """The types of a dataclass's fields, by name, in order."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {f.name: hints[f.name] for f in dataclasses.fields(typing.cast(Any, kind))}


def files() -> dict[str, Mapping[str, Any]]:
    """The values of every file of configs/ that is a run, by its name."""
    values = {}
    for path in sorted((ROOT / "configs").glob("*.py")):
        module = importlib.import_module(f"configs.{path.stem}")
        given = module.get_config().to_dict() if hasattr(module, "get_config") else {}
        if "pipeline" in given:
            values[path.stem] = given
    return values


def main_file(pipeline: str, runs: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The file that is shown for a pipeline: the one of its name, else the shortest name."""
    names = [name for name, values in runs.items() if values["pipeline"] == pipeline]
    return min(names, key=lambda name: (name != pipeline, len(name), name), default=None)


def _places(kind: type, place: Place) -> Iterator[tuple[type, Place]]:
    """The groups within a group, itself first; lists and dicts show their first entry."""
    yield kind, place
    for name, hint in fields(kind).items():
        value, path = place.values[name], f"{place.path}.{name}".strip(".")
        if isinstance(value, (list, tuple)) and value:
            value, path = value[0], f"{path}[0]"
        elif typing.get_origin(hint) is dict and isinstance(value, Mapping) and value:
            first = next(iter(value))
            value, path = value[first], f"{path}.{first}"
        for group in groups(hint):
            if isinstance(value, Mapping) and set(value) == set(fields(group)):
                yield from _places(group, place._replace(path=path, values=value))


def _stages(place: Place) -> Iterator[tuple[type, Place]]:
    """The configs of the pipelines that a run of stages holds."""
    for stage in place.values.get("stages", ()):
        config = stage.get("config") if isinstance(stage, Mapping) else None
        if isinstance(config, Mapping) and config.get("pipeline") in pipelines():
            path = f"stages.{stage['name']}"
            inner = Place(place.file, path, config, place.file == "r1_tiny")
            yield from _places(pipelines()[config["pipeline"]][0], inner)


def occurrences() -> dict[type, list[Place]]:
    """Every config dataclass, with the places in configs/ that give its values."""
    runs, seen = files(), {}
    todo: list[type] = [kind for kind, _ in pipelines().values()]
    for kind in todo:
        seen.setdefault(kind, [])
        inner = [group for hint in fields(kind).values() for group in groups(hint)]
        todo += [group for group in inner if group not in seen and group not in todo]
    whole = [
        Place(name, "", values, name == main_file(values["pipeline"], runs))
        for name, values in runs.items()
    ]
    for of in (lambda place: _places(pipelines()[place.values["pipeline"]][0], place), _stages):
        for place in whole:
            for kind, found in of(place):
                seen[kind].append(found)
    return seen


def shown(places: list[Place]) -> list[Place]:
    """The places whose values are shown: of the main files, else one of any file.

    A stage is shown only where no file of the pipeline's own has the group.
    """
    alone = [place for place in places if not place.path.startswith("stages.")]
    chosen = [place for place in alone if place.main] or alone[:1]
    return chosen or [place for place in places if place.main][:1] or places[:1]


def _first(thing: Any) -> str:
    """The first paragraph of a docstring, in one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def _obvious(hint: Any) -> str | None:
    """What a field means that has no entry: a group says it itself, as does a pipeline's name."""
    if inner := groups(hint):
        return " ".join(re.split(r"(?<=\.) ", _first(group))[0] for group in inner)
    if typing.get_origin(hint) is typing.Literal and len(typing.get_args(hint)) == 1:
        return "Names the pipeline."
    return None


def meanings(kind: type) -> tuple[str, dict[str, str]]:
    """What a dataclass is, and the meaning of each field, from its docstring.

    A group of keys needs no entry of its own: the first sentence of its docstring says what it is.

    Raises:
      ValueError: names the fields without a meaning, and the meanings without a field.
    """
    text, _, attributes = inspect.getdoc(kind).partition("\nAttributes:\n")  # pyright: ignore[reportOptionalMemberAccess]  # a dataclass has one
    entries = re.findall(r"^  (\w[\w, ]*): (.*(?:\n    .*)*)", attributes, re.MULTILINE)
    told = {n: " ".join(text.split()) for names, text in entries for n in names.split(", ")}
    obvious = {name: _obvious(hint) for name, hint in fields(kind).items()}
    told = {name: text for name, text in obvious.items() if text} | told
    missing, odd = sorted(set(fields(kind)) - set(told)), sorted(set(told) - set(fields(kind)))
    if missing or odd:
        name = f"{kind.__module__}.{kind.__name__}"
        raise ValueError(f"{name}: fields without a meaning {missing}, meanings without one {odd}")
    return text.strip(), told


def titles(kinds: list[type]) -> dict[type, str]:
    """A heading for each dataclass; two of one name say where they stand."""
    names = [kind.__name__ for kind in kinds]
    places = {k: f" of {k.__module__.removeprefix('r1jax.')}" for k in kinds}
    return {
        k: n + (places[k] if names.count(n) > 1 else "") for k, n in zip(kinds, names, strict=True)
    }


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _cell(text: str) -> str:
    """Text for a table; outside of code a "<" would begin a tag."""
    pieces = re.split(r"(`+[^`]*`+)", text.replace("|", "\\|"))
    return "".join(p if p.startswith("`") else p.replace("<", "&lt;") for p in pieces)


def _type(kind: Any, names: Mapping[type, str]) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in names:
        return f"[{kind.__name__}](#{slug(names[kind])})"
    if origin is typing.Literal:
        return " or ".join(f'`"{value}"`' for value in arguments)
    if origin is typing.Annotated:
        of = " of them" if typing.get_origin(arguments[0]) is tuple else ""
        return f"{_type(arguments[0], names)} ({arguments[1]}{of})"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type(argument, names) for argument in arguments)
    if origin is tuple:
        return f"list of {_type(arguments[0], names)}"
    if origin is dict:
        return f"by name: {_type(arguments[1], names)}"
    return {type(None): "None", object: "any"}.get(kind) or f"`{kind.__name__}`"


def _value(value: Any, hint: Any) -> str:
    many = isinstance(value, (list, tuple))
    if groups(hint) and value is not None:
        if typing.get_origin(hint) is dict:
            return ", ".join(f"`{name}`" for name in value) or "none"
        return f"{len(value)} of them" if many else "a group"
    if isinstance(value, Mapping) and len(repr(value)) > LONGEST:
        return "keys " + ", ".join(f"`{name}`" for name in value)
    text = repr(value)
    text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    ticks = "``" if "`" in text else "`"
    return f"{ticks}{text}{ticks}"


def _values(name: str, hint: Any, places: list[Place]) -> str:
    """The value, or each of the values with the letters of its places."""
    letters: dict[str, list[str]] = {}
    for i, place in enumerate(places):
        letters.setdefault(_value(place.values[name], hint), []).append(chr(ord("a") + i))
    if len(letters) == 1:
        return next(iter(letters))
    return "; ".join(f"{value} {' '.join(who)}" for value, who in letters.items())


def _where(places: list[Place]) -> str:
    """The files that a table's values are from, each with its letter if they are several."""
    links = [
        f"[{p.file}.py](../configs/{p.file}.py) `{p.path}`".removesuffix(" ``") for p in places
    ]
    if len(links) > 1:
        links = [f"{chr(ord('a') + i)} {link}" for i, link in enumerate(links)]
    return "Values: " + ", ".join(links) if links else "No file of `configs/` has this group"


def _table(kind: type, names: Mapping[type, str], places: list[Place]) -> str:
    what, told = meanings(kind)
    rows = []
    for name, hint in fields(kind).items():
        value = _values(name, hint, places) if places else ""
        rows.append((f"`{name}`", _type(hint, names), told[name], value))
    lines = [f"### {names[kind]}", "", what, "", _where(places) + ".", ""]
    return "\n".join([*lines, *_rows(("key", "type", "meaning", "value"), rows)]) + "\n"


def _rows(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = [heads, ("---",) * len(heads), *rows]
    return ["| " + " | ".join(map(_cell, cells)) + " |" for cells in lines]


def make() -> str:
    """Returns the page.

    Raises:
      ValueError: if a field of a config has no meaning in its docstring.
    """
    seen = occurrences()
    names = titles(list(seen))
    top, about, runs = [kind for kind, _ in pipelines().values()], [], []
    for name, (kind, run) in pipelines().items():
        link = f"[{kind.__name__}](#{slug(names[kind])})"
        about.append((f"`{name}`", _first(inspect.getmodule(run)), link))
    for name, values in files().items():
        what = _first(importlib.import_module(f"configs.{name}"))
        runs.append((f"[{name}.py](../configs/{name}.py)", f"`{values['pipeline']}`", what))
    rest = sorted((kind for kind in seen if kind not in top), key=lambda kind: names[kind])
    parts = [INTRO + "\n".join(_rows(("pipeline", "what it does", "its keys"), about))]
    parts += ["\n## Files\n", "\n".join(_rows(("file", "pipeline", "what it is"), runs))]
    parts += ["\n## The keys of each pipeline\n"]
    parts += [_table(kind, names, shown(seen[kind])) for kind in top]
    parts += ["## Groups of keys\n"]
    parts += [_table(kind, names, shown(seen[kind])) for kind in rest]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(make())
