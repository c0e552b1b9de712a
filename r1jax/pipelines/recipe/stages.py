"""DeepSeek-R1's recipe, or any other list of stages: each a pipeline with a directory of its own.

A stage that is done says so in done.json, with the hashes of what it read and left; the same
command skips it, goes on with the one that was interrupted, and refuses what no longer fits.
Stages share a process, so that libraries load once. Between them garbage is collected, which frees
the arrays of the last; compiled programs stay, for stages of one shape use them again.
"""

import dataclasses
import gc
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from r1jax.config import flatten
from r1jax.io.digests import differences
from r1jax.io.progress import clock
from r1jax.io.summary import check_writable, facts, peak_memory_bytes, write_summary
from r1jax.pipelines import table
from r1jax.pipelines.recipe import lineage
from r1jax.pipelines.recipe import report as stage_report
from r1jax.pipelines.recipe.config import (
    ClaimConfig,
    R1Config,
    ReportConfig,
    StageConfig,
    build_stages,
    references,
    written,
)

__all__ = ["ASSETS", "ClaimConfig", "R1Config", "ReportConfig", "StageConfig", "run"]

PACKAGE = Path(__file__).parents[2]
ASSETS = PACKAGE / "assets"
MADE_BY = ("pipeline", "seed", "config", "config_sha256", "inputs", "externals")


class _Stages:
    """The stages of a run and what is done of them.

    Attributes:
      done: done.json of the stages that are, in their order.
    """

    def __init__(self, config: R1Config, workdir: Path):
        self.config, self.workdir = config, workdir
        self.folder = workdir / "stages"
        self.built = build_stages(config, table.PIPELINES, self.folder)
        for column, name in config.report.models.items():
            _check_column(column, name, self.built[name], config.report)
        self.code = lineage.code_state(PACKAGE)
        there = {stage.name: self.folder / stage.name / "done.json" for stage in config.stages}
        self.done = {n: lineage.read_json(path) for n, path in there.items() if path.exists()}

    def pipeline(self, stage: StageConfig) -> table.Pipeline:
        return table.PIPELINES[self.built[stage.name].pipeline]

    def inputs(self, stage: StageConfig) -> dict[str, str]:
        """The references of a stage and the hashes of what is there."""
        found = {}
        for reference in references(stage):
            source, place = lineage.split_reference(reference)
            there = self.done[source]["artefacts"]
            if not lineage.covered(place, there):
                raise ValueError(
                    f"stage {stage.name!r}: {reference!r}: stage {source!r} left nothing there, "
                    f"but {sorted(there)}"
                )
            found[reference] = lineage.input_sha256(place, there)
        return found

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

    def check(self, stage: StageConfig, told: Mapping[str, Any]) -> None:
        """Raises unless a stage that is done, or begun, would be made from the same again."""
        folder = self.folder / stage.name
        mend = f"; to run the stage again: rm -r {shlex.quote(str(folder))}"
        if changed := self._changed(stage, told):
            lines = "".join(f"\n  {line}" for line in changed)
            raise ValueError(f"stage {stage.name!r} was made from other things{mend}{lines}")
        for name, file in told.get("artefacts", {}).items():
            path = folder / name
            if (size := lineage.size(path)) != file["bytes"]:
                raise ValueError(
                    f"stage {stage.name!r}: {path}: got {size} bytes, wanted {file['bytes']}{mend}"
                )

    def check_read(self, stage: StageConfig) -> None:
        """Raises unless what a stage is about to read is to the bit what other stages left."""
        for reference in references(stage):
            source, place = lineage.split_reference(reference)
            folder = self.folder / source
            for name, sha in lineage.covered(place, self.done[source]["artefacts"]).items():
                if lineage.artefact(folder / name)["sha256"] != sha:
                    raise ValueError(
                        f"stage {stage.name!r}: {reference!r}: {folder / name} is not as stage "
                        f"{source!r} left it; to run that again: rm -r {shlex.quote(str(folder))}"
                    )

    def stale(self) -> list[str]:
        """The stages that are done, but not from what is there now, in their order."""
        found: list[str] = []
        for stage in self.config.stages:
            if stage.name not in self.done:
                continue
            sources = {lineage.split_reference(reference)[0] for reference in references(stage)}
            if sources & set(found) or self._changed(stage, self.done[stage.name]):
                found.append(stage.name)
        return found

    def _changed(self, stage: StageConfig, told: Mapping[str, Any]) -> list[str]:
        """What differs between what a stage was made from and what it would be made from."""
        if unmet := self.unmet(stage):
            return [f"it has read {unmet}, not done any more"]
        before, now = ({k: d.get(k) for k in MADE_BY} for d in (told, self.made_by(stage)))
        return [
            line.replace(": checkpoint ", ": was ")
            for line in differences(flatten(before), flatten(now))
        ]

    def skip(self, stage: StageConfig) -> None:
        """Tells that a stage is done, after checking that it still fits."""
        told = self.done[stage.name]
        self.check(stage, told)
        other = told["code"]["sha256"] != self.code["sha256"]
        note = f" by other code, {(told['code']['commit'] or '(no commit)')[:10]}" if other else ""
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
        lineage.write_json(begun, {**made_by, "code": began})
        more = "; going on" if going_on else ""
        print(f"{self.headed(stage)}: {stage.what}{more}", flush=True)
        start = time.monotonic()
        try:
            pipeline.run(self.built[stage.name], folder)
        finally:
            _spent(folder, time.monotonic() - start)
        gc.collect()
        path = folder / "summary.json"
        summary = lineage.read_json(path) if path.exists() else {}
        told = {
            "name": stage.name,
            **made_by,
            "artefacts": lineage.artefacts(folder, pipeline.leaves),
            "metrics": lineage.facts(summary, pipeline.facts),
            "code": self.code,
            **({} if began == self.code else {"begun_by": began}),
        }
        lineage.write_json(folder / "done.json", told)
        self.done[stage.name] = told

    def write_lineage(self) -> None:
        done = {s.name: self.done[s.name] for s in self.config.stages if s.name in self.done}
        lineage.write_lineage(self.workdir, self.config.seed, done)


@runtime_checkable
class _Examining(Protocol):
    """What the report needs to know of a stage that examines a model."""

    @property
    def level(self) -> float: ...

    @property
    def measures(self) -> set[str]: ...


def _check_column(column: str, name: str, exam: Any, report: ReportConfig) -> None:
    """Raises unless a stage fills a column of the report, and with all that claims ask of it."""
    if not isinstance(exam, _Examining):
        raise ValueError(
            f"report.models.{column}: stage {name!r} is a {exam.pipeline!r}, wanted one that "
            "examines a model, as 'assess' does"
        )
    if exam.level != report.level:
        raise ValueError(
            f"report.level {report.level}: the intervals of {column}, stage {name!r}, are of level "
            f"{exam.level}"
        )
    for claim in report.claims:
        for model, _, measure in (side.rpartition(".") for side in (claim.left, claim.right)):
            if model == column and measure not in exam.measures:
                raise ValueError(
                    f"claim {claim.name!r}: {column} has no {measure!r}, wanted one of "
                    f"{sorted(exam.measures)}"
                )


def _timing(folder: Path) -> dict[str, Any]:
    path = folder / "timing.json"
    return lineage.read_json(path) if path.exists() else {"seconds": 0.0, "processes": 0}


def _spent(folder: Path, seconds: float) -> None:
    """Adds the seconds of a process to a stage's; one that was killed hard leaves none."""
    told = _timing(folder)
    told = {"seconds": told["seconds"] + seconds, "processes": told["processes"] + 1}
    lineage.write_json(folder / "timing.json", told)


def _wanted(config: R1Config, stages: _Stages) -> Sequence[StageConfig]:
    """The stages of this command, of which one alone needs the others' work."""
    if not config.only:
        return config.stages
    (stage,) = [s for s in config.stages if s.name == config.only]
    unmet = stages.unmet(stage)
    if unmet:
        raise ValueError(f"only {stage.name!r}: reads {unmet}, not done yet: run them first")
    for reference in references(stage):
        source = lineage.split_reference(reference)[0]
        stages.check(next(s for s in config.stages if s.name == source), stages.done[source])
    return (stage,)


def run(config: R1Config, workdir: Path) -> None:
    """Runs the stages in order, each in workdir/stages/NAME; writes lineage and report.

    Raises:
      ValueError: before any work if a stage's config cannot be built, its references name nothing
        or a file that it reads is missing; later if what is done was made from something else.
      Stopped: as a stage raises it; the same command goes on.
    """
    workdir = workdir.absolute()  # paths in stages' configs do not depend on how it was written
    check_writable(workdir)
    start, ran = time.monotonic(), 0
    stages = _Stages(config, workdir)
    wanted = _wanted(config, stages)
    for stage in [s for s in wanted if s.name not in stages.done]:
        reads = stages.pipeline(stage).reads
        if missing := lineage.missing(written(stage, config.seed), reads=reads, assets=ASSETS):
            raise ValueError(f"stage {stage.name!r} reads what is not there: {', '.join(missing)}")
    for stage in wanted:
        if stage.name in stages.done:
            stages.skip(stage)
        else:
            stages.run(stage)
            ran += 1
        stages.write_lineage()
    seconds = {s.name: _timing(stages.folder / s.name)["seconds"] for s in config.stages}
    report = _report(config, stages, seconds)
    print(
        f"{len(stages.done)} of {len(config.stages)} stages done, {ran} now in "
        f"{clock(time.monotonic() - start)}, all in {clock(sum(seconds.values()))}; "
        f"report in {report}",
        flush=True,
    )


def _report(config: R1Config, stages: _Stages, seconds: Mapping[str, float]) -> Path:
    """Writes results.json, summary.json, report.md and its pictures of what is done so far."""
    order = [stage.name for stage in config.stages]
    found = {
        name: lineage.read_json(path)
        for name in stages.done
        if (path := stages.folder / name / "results.json").exists()
    }
    shown = sorted(config.report.models.items(), key=lambda item: order.index(item[1]))
    columns = {column: found.get(name, {}).get("columns") for column, name in shown}
    claims = [dataclasses.asdict(claim) for claim in config.report.claims]
    answers = {column: found.get(name, {}).get("by_question", {}) for column, name in shown}
    results = stage_report.results(columns, answers, claims, level=config.report.level)
    # all stages of the whole command were checked one by one
    stale = stages.stale() if config.only else []
    if stale:
        print(f"made from things that changed since: {', '.join(stale)}", flush=True)
    lineage.write_json(stages.workdir / "results.json", {"seed": config.seed, **results})
    told = [
        stage_report.Stage(
            name=stage.name,
            pipeline=stages.built[stage.name].pipeline,
            made=stages.pipeline(stage),
            what=stage.what,
            optional=stage.optional,
            inputs=tuple(references(stage)),
            done=stages.done.get(stage.name),
            seconds=seconds[stage.name],
            stale=stage.name in stale,
        )
        for stage in config.stages
    ]
    known = facts()
    write_summary(
        stages.workdir,
        {
            "pipeline": config.pipeline, "seed": config.seed, **known,
            "done": list(stages.done), "seconds": dict(seconds), "results": results,
            "peak_memory_bytes": peak_memory_bytes(),
        },
    )  # fmt: skip
    return stage_report.write_stage_report(
        stages.workdir, title=config.report.title, stages=told, results=results,
        facts={"seed": config.seed, "code": stages.code, "device": known["device_kind"],
               "versions": known["versions"]},
    )  # fmt: skip
