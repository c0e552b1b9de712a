"""Derives every hash of a run of stages again, and lists what differs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1jax.config import UserError
from r1jax.pipelines import table
from r1jax.pipelines.recipe import lineage


def _check_files(folder: Path, record: Mapping[str, Any]) -> list[str]:
    pipeline = table.PIPELINES.get(record["pipeline"])
    if pipeline is None:
        return [
            f"stage {folder.name}: got pipeline {record['pipeline']!r}, wanted one of the table"
        ]
    problems, left = [], lineage.artefact_names(folder, pipeline.leaves)
    for name, want in record["artefacts"].items():
        if name not in left:
            problems.append(f"{folder / name}: is not there")
            continue
        got = lineage.artefact(folder / name)
        for key in want.keys() | got:
            if got.get(key) != want.get(key):
                problems.append(f"{folder / name}: {key} is {got.get(key)}, was {want.get(key)}")
                break
    new = [name for name in left if name not in record["artefacts"]]
    return problems + [f"{folder / name}: was not left by the stage" for name in new]


def _check_stage(
    workdir: Path, name: str, record: Mapping[str, Any], stages: Mapping[str, Any], assets: Path
) -> list[str]:
    folder = workdir / "stages" / name
    problems = _check_files(folder, record)
    try:
        own = lineage.read_json(folder / "done.json")
    except ValueError as error:
        return [*problems, str(error)]
    without = {key: value for key, value in record.items() if key != "feeds"}
    keys = sorted(k for k in own.keys() | without if own.get(k) != without.get(k))
    if keys:
        problems.append(f"{folder / 'done.json'}: {keys} are not those of lineage.json")
    if lineage.sha256(record["config"]) != record["config_sha256"]:
        problems.append(
            f"stage {name}: config is not the one with sha256 {record['config_sha256']}"
        )
    for reference, want in record["inputs"].items():
        source, place = lineage.split_reference(reference)
        got = lineage.input_sha256(place, stages[source]["artefacts"]) if source in stages else None
        if got != want:
            problems.append(f"stage {name}: {reference}: sha256 is {got}, was {want} when read")
    for path, want in record["externals"].items():
        got = lineage.external_sha256(path, assets)
        if got != want:
            problems.append(f"stage {name}: {path}: fingerprint is {got}, was {want} when read")
    return problems


def check(workdir: str | Path, *, assets: Path) -> list[str]:
    """Derives every hash of a run again and returns a line for each that differs.

    Args:
      workdir: of the run, with lineage.json.
      assets: where "package:NAME" is looked for.

    Returns:
      Nothing if each stage's artefacts, config and inputs are those that it was done with.

    Raises:
      UserError: if lineage.json is not there or not whole.
    """
    workdir = Path(workdir)
    path = workdir / "lineage.json"
    document = lineage.read_json(path)
    problems = []
    try:
        stages: Mapping[str, Any] = document["stages"]
        for name, record in stages.items():
            problems += _check_stage(workdir, name, record, stages, assets)
            feeds = [n for n in stages if name in _sources(stages[n])]
            if record["feeds"] != feeds:
                problems.append(f"stage {name}: feeds {record['feeds']}, but {feeds} read it")
        for outside, entry in document["externals"].items():
            want = [n for n in stages if stages[n]["externals"].get(outside) == entry["sha256"]]
            if want != entry["read_by"]:
                problems.append(f"{outside}: read by {entry['read_by']}, but {want} name it")
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: no lineage of a run: {error!r}") from error
    return problems


def _sources(record: Mapping[str, Any]) -> Sequence[str]:
    return [lineage.split_reference(reference)[0] for reference in record["inputs"]]
