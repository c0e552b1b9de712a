"""The stages of a run and their state: each a pipeline with a directory of its own.

A stage that is done says so in done.json, with the hashes of what it read and left. Stages share a
process, so that libraries load once. Between them garbage is collected, which frees the arrays of
the last; compiled programs stay, for stages of one shape use them again.
"""

import gc
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r1jax.config import UserError, flatten
from r1jax.io.digests import differences
from r1jax.io.disk import write_json
from r1jax.io.lock import held
from r1jax.pipelines import table
from r1jax.pipelines.recipe import lineage
from r1jax.pipelines.recipe.config import (
    R1Config,
    StageConfig,
    build_stages,
    references,
    written,
)

PACKAGE = Path(__file__).parents[2]
ASSETS = PACKAGE / "hub" / "assets"
MADE_BY = ("pipeline", "seed", "config", "config_sha256", "inputs", "externals")


class Stages:
    """The stages of a run and what is done of them.

    Attributes:
      done: done.json of the stages that are, in their order.
    """

    def __init__(self, config: R1Config, workdir: Path):
        self.config, self.workdir = config, workdir
        self.folder = workdir / "stages"
        self.built = build_stages(config, table.PIPELINES, self.folder)
        self.code = lineage.code_state(PACKAGE)
        paths = {stage.name: self.folder / stage.name / "done.json" for stage in config.stages}
        self.done = {n: lineage.read_json(path) for n, path in paths.items() if path.exists()}

    def pipeline(self, stage: StageConfig) -> table.Pipeline:
        return table.PIPELINES[self.built[stage.name].pipeline]

    def inputs(self, stage: StageConfig) -> dict[str, str]:
        """The references of a stage and the hashes of what is there."""
        hashes = {}
        for reference in references(stage):
            source, place = lineage.split_reference(reference)
            artefacts = self.done[source]["artefacts"]
            if not lineage.covered(place, artefacts):
                raise UserError(
                    f"stage {stage.name!r}: {reference!r}: stage {source!r} left nothing there, "
                    f"but {sorted(artefacts)}"
                )
            hashes[reference] = lineage.input_sha256(place, artefacts)
        return hashes

    def unmet(self, stage: StageConfig) -> list[str]:
        """The stages that this one reads and that are not done."""
        sources = {lineage.split_reference(reference)[0] for reference in references(stage)}
        return [s.name for s in self.config.stages if s.name in sources - self.done.keys()]

    def made_by(self, stage: StageConfig) -> dict[str, Any]:
        """What a stage's artefacts are a function of, beside the code."""
        values = written(stage, self.config.seed)
        return {
            "pipeline": values["pipeline"],
            "seed": values.get("seed"),
            "config": values,
            "config_sha256": lineage.sha256(values),
            "inputs": self.inputs(stage),
            "externals": lineage.externals(
                values, reads=self.pipeline(stage).reads, workdir=self.workdir, assets=ASSETS
            ),
        }

    def check(self, stage: StageConfig, record: Mapping[str, Any]) -> None:
        """Checks that a stage that is done, or begun, would be made from the same again."""
        folder = self.folder / stage.name
        mend = f"; to run the stage again: rm -r {shlex.quote(str(folder))}"
        if changed := self._changed(stage, record):
            lines = "".join(f"\n  {line}" for line in changed)
            raise UserError(f"stage {stage.name!r} was made from other things{mend}{lines}")
        for name, file in record.get("artefacts", {}).items():
            path = folder / name
            if (size := lineage.size(path)) != file["bytes"]:
                raise UserError(
                    f"stage {stage.name!r}: {path}: got {size} bytes, wanted {file['bytes']}{mend}"
                )

    def check_read(self, stage: StageConfig) -> None:
        """Checks that what a stage is about to read is, to the bit, what other stages left."""
        for reference in references(stage):
            source, place = lineage.split_reference(reference)
            folder = self.folder / source
            for name, sha in lineage.covered(place, self.done[source]["artefacts"]).items():
                if lineage.artefact(folder / name)["sha256"] != sha:
                    raise UserError(
                        f"stage {stage.name!r}: {reference!r}: {folder / name} is not as stage "
                        f"{source!r} left it; to run that again: rm -r {shlex.quote(str(folder))}"
                    )

    def stale(self) -> list[str]:
        """The stages that are done, but not from what is there now, in their order."""
        stale: list[str] = []
        for stage in self.config.stages:
            if stage.name not in self.done:
                continue
            sources = {lineage.split_reference(reference)[0] for reference in references(stage)}
            if sources & set(stale) or self._changed(stage, self.done[stage.name]):
                stale.append(stage.name)
        return stale

    def _changed(self, stage: StageConfig, record: Mapping[str, Any]) -> list[str]:
        """What differs between what a stage was made from and what it would be made from."""
        if unmet := self.unmet(stage):
            return [f"it has read {unmet}, not done any more"]
        before, now = ({k: d.get(k) for k in MADE_BY} for d in (record, self.made_by(stage)))
        return [
            line.replace(": checkpoint ", ": was ")
            for line in differences(flatten(before), flatten(now))
        ]

    def skip(self, stage: StageConfig) -> None:
        """Checks that a stage that is done still fits, and prints that it is done."""
        record = self.done[stage.name]
        self.check(stage, record)
        other = record["code"]["sha256"] != self.code["sha256"]
        note = (
            f" by other code, {(record['code']['commit'] or '(no commit)')[:10]}" if other else ""
        )
        print(f"{self.headed(stage)}: done{note}", flush=True)

    def headed(self, stage: StageConfig) -> str:
        number = 1 + [s.name for s in self.config.stages].index(stage.name)
        pipeline = self.built[stage.name].pipeline
        return f"stage {number}/{len(self.config.stages)} {stage.name} ({pipeline})"

    def run(self, stage: StageConfig) -> None:
        """Runs a stage, or goes on with it, and writes its done.json."""
        folder, pipeline = self.folder / stage.name, self.pipeline(stage)
        begun, made_by = folder / "begun.json", self.made_by(stage)
        self.check_read(stage)
        folder.mkdir(parents=True, exist_ok=True)
        going_on = begun.exists()
        if going_on:
            self.check(stage, lineage.read_json(begun))
        # a stage that other code began says so: its artefacts are of both
        began = lineage.read_json(begun)["code"] if going_on else self.code
        write_json(begun, {**made_by, "code": began}, indent=1)
        again = "; going on" if going_on else ""
        print(f"{self.headed(stage)}: {stage.what}{again}", flush=True)
        start = time.monotonic()
        try:
            with held(folder):
                pipeline.run(self.built[stage.name], folder)
        finally:
            _spent(folder, time.monotonic() - start)
        gc.collect()
        path = folder / "summary.json"
        summary = lineage.read_json(path) if path.exists() else {}
        record = {
            "name": stage.name,
            **made_by,
            "artefacts": lineage.artefacts(folder, pipeline.leaves),
            "metrics": lineage.facts(summary, pipeline.facts),
            "code": self.code,
            **({} if began == self.code else {"begun_by": began}),
        }
        write_json(folder / "done.json", record, indent=1)
        self.done[stage.name] = record

    def seconds(self, stage: StageConfig) -> float:
        """Seconds that a stage took so far, over all its processes."""
        return _timing(self.folder / stage.name)["seconds"]

    def write_lineage(self) -> None:
        done = {s.name: self.done[s.name] for s in self.config.stages if s.name in self.done}
        lineage.write_lineage(self.workdir, self.config.seed, done)


def _timing(folder: Path) -> dict[str, Any]:
    path = folder / "timing.json"
    return lineage.read_json(path) if path.exists() else {"seconds": 0.0, "processes": 0}


def _spent(folder: Path, seconds: float) -> None:
    """Adds the seconds of a process to a stage's; one that was killed hard leaves none."""
    timing = _timing(folder)
    timing = {"seconds": timing["seconds"] + seconds, "processes": timing["processes"] + 1}
    write_json(folder / "timing.json", timing, indent=1)
