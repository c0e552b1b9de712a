"""What each stage of a run was made from, by hashes that anyone can derive again.

A stage that is done leaves `done.json`: its config as written, what it read and what it left, each
with a sha256. `lineage.json` above the stages holds all of them and who feeds whom. Neither holds a
time or the place where the run lies, so that the same run elsewhere leaves the same bytes.
"""

import fnmatch
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from r1jax.config import UserError
from r1jax.io.digests import canonical, fingerprint
from r1jax.io.disk import write_json

MADE_BY = "made_by.json"  # of a model: when and where it was made, which is no artefact


def sha256(document: Any) -> str:
    """Returns the sha256, in hex, of the one JSON text of a document."""
    return hashlib.sha256(canonical(document).encode()).hexdigest()


def artefact(path: Path) -> dict[str, Any]:
    """Returns sha256 and bytes of a file, and its rows if it is JSON lines."""
    sha, size, rows = hashlib.sha256(), 0, 0
    with path.open("rb") as file:
        while block := file.read(2**20):
            sha.update(block)
            size += len(block)
            rows += block.count(b"\n")
    entry = {"sha256": sha.hexdigest(), "bytes": size}
    return {**entry, "rows": rows} if path.suffix == ".jsonl" else entry


def size(path: Path) -> int | None:
    """Returns the bytes of a file; None if it is not there."""
    return path.stat().st_size if path.is_file() else None


def artefact_names(workdir: str | Path, leaves: Sequence[str]) -> list[str]:
    """Returns the paths, relative and sorted, of the files that match a pipeline's `leaves`."""
    top = Path(workdir)
    paths = {path for pattern in leaves for path in top.glob(pattern) if path.is_file()}
    return sorted(path.relative_to(top).as_posix() for path in paths if path.name != MADE_BY)


def artefacts(workdir: str | Path, leaves: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Returns {relative path: {sha256, bytes, rows of JSON lines}} of what a stage left."""
    return {name: artefact(Path(workdir) / name) for name in artefact_names(workdir, leaves)}


def covered(place: str, artefacts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Returns {path: sha256} of the artefacts at a place of a stage: a file, a folder or a pattern.

    Args:
      place: relative to the stage's directory; "" is all of it.
      artefacts: of the stage.
    """
    folder = f"{place.rstrip('/')}/"
    return {
        name: entry["sha256"]
        for name, entry in sorted(artefacts.items())
        if place in ("", name) or name.startswith(folder) or fnmatch.fnmatchcase(name, place)
    }


def input_sha256(place: str, artefacts: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns one sha256 for a place of a stage: its file's, or one of all names and hashes."""
    hashes = covered(place, artefacts)
    return hashes[place] if list(hashes) == [place] else sha256(hashes)


def split_reference(reference: str) -> tuple[str, str]:
    """Returns the stage and the place in it that "stage:NAME/place" names."""
    name, _, place = reference.removeprefix("stage:").partition("/")
    return name, place


def facts(summary: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Returns those facts of a stage's summary that its pipeline names, as far as they are there.

    Args:
      summary: of the stage.
      names: "KEY", or "GROUP.KEY" of a fact within a group.
    """
    kept: dict[str, Any] = {}
    for name in names:
        group, _, key = name.rpartition(".")
        if not group and summary.get(key) is not None:
            kept[key] = summary[key]
        elif group and key in (summary.get(group) or {}):
            kept.setdefault(group, {})[key] = summary[group][key]
    return kept


def _git(root: Path, *command: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *command], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None  # no git, or no repository
    return done.stdout.strip()


def code_state(package: Path) -> dict[str, Any]:
    """Returns the code that runs: the commit of its checkout, whether it was changed since, and a
    sha256 of the package's Python files.

    Args:
      package: directory of the package, in the top directory of its checkout if it has one.

    Returns:
      commit and dirty are None where the package lies in no checkout of its own.
    """
    sha = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        sha.update(f"{path.relative_to(package).as_posix()}\n".encode())
        sha.update(hashlib.sha256(path.read_bytes()).digest())
    root = package.parent
    top = _git(root, "rev-parse", "--show-toplevel")
    ours = top is not None and Path(top) == root.resolve()
    commit = _git(root, "rev-parse", "HEAD") if ours else None
    changed = _git(root, "status", "--porcelain", "--", package.name) if ours else None
    return {
        "commit": commit,
        "dirty": None if commit is None else bool(changed),
        "sha256": sha.hexdigest(),
    }


def _texts(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yields each text anywhere in a config behind the keys that lead to it."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner, path)


def references(config: Any) -> list[str]:
    """Returns the texts anywhere in a stage's config that name what another stage left."""
    return sorted({text for _, text in _texts(config) if text.startswith("stage:")})


def _matching(path: Path) -> list[Path]:
    """What is at a path, or the files of a pattern."""
    if "*" in path.name:
        return sorted(file for file in path.parent.glob(path.name) if file.is_file())
    return [path] if path.exists() else []


def _place(written: str, assets: Path) -> Path:
    packaged = written.startswith("package:")
    return assets / written.removeprefix("package:") if packaged else Path(written)


def external_sha256(written: str, assets: Path) -> str | None:
    """Returns a fingerprint of a file, a directory or the files of a pattern; None if not there."""
    path = _place(written, assets)
    paths = _matching(path)
    if not paths:
        return None
    return fingerprint(paths[0]) if paths == [path] else sha256([fingerprint(p) for p in paths])


def _names_something(path: tuple[str, ...], text: str, reads: Sequence[str]) -> bool:
    """Whether a text of a config is a path, or a pattern of files, at which there is something."""
    bare = not ("/" in text or Path(text).suffix)
    if text.startswith("stage:") or "\n" in text or (bare and not {*reads} & {*path[-2:]}):
        return text.startswith("package:")
    if "*" in text:
        return "**" not in text and os.path.isdir(os.path.dirname(text) or ".")
    return os.path.exists(text)


def externals(config: Any, *, reads: Sequence[str], workdir: Path, assets: Path) -> dict[str, str]:
    """Returns {path as written: fingerprint} of a config's files and models outside the run.

    A text is a path if it exists as one, and has a "/", a suffix or "package:", or stands at a key
    of `reads` or right below one. A word like "test" elsewhere is none, even if a directory has
    that name; nor is a directory that holds the run itself.

    Args:
      config: of a stage, as written.
      reads: keys of its pipeline's config whose texts are paths though they look like words.
      workdir: of the run.
      assets: where "package:NAME" is looked for.
    """
    hashes = {}
    for path, text in _texts(config):
        if not _names_something(path, text, reads):
            continue
        around = workdir.resolve().is_relative_to(Path(text).resolve())
        sha = None if around else external_sha256(text, assets)
        if sha is not None:
            hashes[text] = sha
    return dict(sorted(hashes.items()))


def missing(config: Any, *, reads: Sequence[str], assets: Path) -> list[str]:
    """Returns "KEYS: TEXT" of what a config reads by the key itself and that is not there.

    Args:
      config: of a stage; what other stages are to leave is not looked for.
      reads: keys of its pipeline's config whose texts are paths.
      assets: where "package:NAME" lies.
    """
    return [
        f"{'.'.join(path)}: {text}"
        for path, text in _texts(config)
        if path and path[-1] in reads and text and not text.startswith("stage:")
        if not _matching(_place(text, assets))
    ]


def read_json(path: Path) -> dict[str, Any]:
    """Returns the object of a JSON file; UserError names a file that holds none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: {error}") from error
    if not isinstance(document, dict):
        raise UserError(f"{path}: got {type(document).__name__}, wanted an object")
    return document


def write_lineage(workdir: Path, seed: int, done: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes `lineage.json`: all that is done, who feeds whom, and what came from outside.

    Args:
      workdir: of the run.
      seed: of the run.
      done: done.json of each stage that is done, in their order.
    """
    reads = {
        name: {split_reference(r)[0] for r in record["inputs"]} for name, record in done.items()
    }
    stages = {
        name: {**record, "feeds": [other for other in done if name in reads[other]]}
        for name, record in done.items()
    }
    outside: dict[str, dict[str, Any]] = {}
    for name, record in done.items():
        for path, sha in record["externals"].items():
            entry = outside.setdefault(path, {"sha256": sha, "read_by": []})
            entry["read_by"].append(name)
    document = {"seed": seed, "stages": stages, "externals": dict(sorted(outside.items()))}
    write_json(workdir / "lineage.json", document, indent=1)
