"""DeepSeek-R1's recipe, or any other list of stages: runs them in order and reports on them.

The same command skips a stage that is done, goes on with the one that was interrupted, and refuses
what no longer fits.
"""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from r1jax.config import UserError
from r1jax.io.disk import write_json
from r1jax.io.progress import clock
from r1jax.io.summary import check_writable, facts, peak_memory_bytes, write_summary
from r1jax.pipelines.recipe import claims, lineage
from r1jax.pipelines.recipe import report as stage_report
from r1jax.pipelines.recipe.config import (
    R1Config,
    ReportConfig,
    StageConfig,
    references,
    written,
)
from r1jax.pipelines.recipe.stages import ASSETS, Stages


@runtime_checkable
class _Examining(Protocol):
    """A stage that examines a model, as the report needs it."""

    @property
    def level(self) -> float: ...

    @property
    def measures(self) -> set[str]: ...


def _check_column(column: str, name: str, exam: Any, report: ReportConfig) -> None:
    """Checks that a stage examines a model, and measures all that claims name of its column."""
    if not isinstance(exam, _Examining):
        raise UserError(
            f"report.models.{column}: stage {name!r} is a {exam.pipeline!r}, wanted one that "
            "examines a model, as 'assess' does"
        )
    if exam.level != report.level:
        raise UserError(
            f"report.level {report.level}: the intervals of {column}, stage {name!r}, are of level "
            f"{exam.level}"
        )
    for claim in report.claims:
        for model, _, measure in (side.rpartition(".") for side in (claim.left, claim.right)):
            if model == column and measure not in exam.measures:
                raise UserError(
                    f"claim {claim.name!r}: {column} has no {measure!r}, wanted one of "
                    f"{sorted(exam.measures)}"
                )


def _wanted(config: R1Config, stages: Stages) -> Sequence[StageConfig]:
    """The stages of this command, of which one alone needs the others' work."""
    if not config.only:
        return config.stages
    (stage,) = [s for s in config.stages if s.name == config.only]
    unmet = stages.unmet(stage)
    if unmet:
        raise UserError(f"only {stage.name!r}: reads {unmet}, not done yet: run them first")
    for reference in references(stage):
        source = lineage.split_reference(reference)[0]
        stages.check(next(s for s in config.stages if s.name == source), stages.done[source])
    return (stage,)


def run(config: R1Config, workdir: Path) -> None:
    """Runs the stages in order, each in workdir/stages/NAME; writes lineage and report.

    Raises:
      UserError: before any work if a stage's config cannot be built, its references name nothing
        or a file that it reads is missing; later if what is done was made from something else.
      Stopped: if a signal stops a stage; the same command goes on.
    """
    workdir = workdir.absolute()  # paths in stages' configs do not depend on how it was written
    check_writable(workdir)
    start, ran = time.monotonic(), 0
    stages = Stages(config, workdir)
    for column, name in config.report.models.items():
        _check_column(column, name, stages.built[name], config.report)
    wanted = _wanted(config, stages)
    for stage in [s for s in wanted if s.name not in stages.done]:
        reads = stages.pipeline(stage).reads
        if missing := lineage.missing(written(stage, config.seed), reads=reads, assets=ASSETS):
            raise UserError(f"stage {stage.name!r} reads what is not there: {', '.join(missing)}")
    for stage in wanted:
        if stage.name in stages.done:
            stages.skip(stage)
        else:
            stages.run(stage)
            ran += 1
        stages.write_lineage()
    seconds = {s.name: stages.seconds(s) for s in config.stages}
    report = _report(config, stages, seconds)
    print(
        f"{len(stages.done)} of {len(config.stages)} stages done, {ran} now in "
        f"{clock(time.monotonic() - start)}, all in {clock(sum(seconds.values()))}; "
        f"report in {report}",
        flush=True,
    )


def _report(config: R1Config, stages: Stages, seconds: Mapping[str, float]) -> Path:
    """Writes results.json, summary.json, report.md and its pictures of what is done so far."""
    order = [stage.name for stage in config.stages]
    exams = {
        name: lineage.read_json(path)
        for name in stages.done
        if (path := stages.folder / name / "results.json").exists()
    }
    shown = sorted(config.report.models.items(), key=lambda item: order.index(item[1]))
    columns = {column: exams.get(name, {}).get("columns") for column, name in shown}
    asserted = [dataclasses.asdict(claim) for claim in config.report.claims]
    answers = {column: exams.get(name, {}).get("by_question", {}) for column, name in shown}
    results = claims.results(columns, answers, asserted, level=config.report.level)
    # all stages of the whole command were checked one by one
    stale = stages.stale() if config.only else []
    if stale:
        print(f"made from things that changed since: {', '.join(stale)}", flush=True)
    write_json(stages.workdir / "results.json", {"seed": config.seed, **results}, indent=1)
    shown_stages = [
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
    machine = facts()
    write_summary(
        stages.workdir,
        {
            "pipeline": config.pipeline,
            "seed": config.seed,
            **machine,
            "done": list(stages.done),
            "seconds": dict(seconds),
            "results": results,
            "peak_memory_bytes": peak_memory_bytes(),
        },
    )
    return stage_report.write_stage_report(
        stages.workdir,
        title=config.report.title,
        stages=shown_stages,
        results=results,
        facts={
            "seed": config.seed,
            "code": stages.code,
            "device": machine["device_kind"],
            "versions": machine["versions"],
        },
    )
