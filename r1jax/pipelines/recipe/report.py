"""A run of stages on one page: its picture, its models side by side, its claims, its lineage."""

import contextlib
import fnmatch
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from r1jax.io.progress import clock
from r1jax.pipelines.recipe.flowchart import Node, flowchart
from r1jax.pipelines.recipe.lineage import split_reference
from r1jax.pipelines.recipe.panels import plot_measures
from r1jax.pipelines.recipe.picture import plot_pipeline
from r1jax.pipelines.table import Pipeline
from r1jax.reports import page
from r1jax.reports.markdown import span

# the rows of the table, in order; others that the exams measured follow by their own names
MEASURES = {
    "reasoning": "reasoning",
    "format": "format (R1's layout)",
    "own_format": "format it was trained for",
    "readability": "readability",
    "language": "language",
    "general": "general tasks",
    "helpfulness": "helpfulness",
    "safety": "safety",
}


class Stage(NamedTuple):
    """A stage in the report.

    Attributes:
      name, what, optional: as in the config.
      pipeline: its pipeline's name.
      inputs: its references to other stages, "stage:NAME/place".
      made: its pipeline's declaration.
      done: its done.json; None if it is not done.
      seconds: that it took, over all its processes.
      stale: it is done, but would be made from other things now, or reads what is stale.
    """

    name: str
    pipeline: str
    made: Pipeline
    what: str
    optional: bool
    inputs: tuple[str, ...]
    done: Mapping[str, Any] | None
    seconds: float
    stale: bool


def _rows(stage: Stage, done: Mapping[str, Any]) -> str:
    """Rows of the first of its pipeline's `leaves` that has any files with rows."""
    rows = {name: file["rows"] for name, file in done["artefacts"].items() if "rows" in file}
    for pattern in stage.made.leaves:
        counts = [count for name, count in rows.items() if fnmatch.fnmatchcase(name, pattern)]
        if counts:
            return f"{sum(counts):,} rows"
    return ""


def key_figure(stage: Stage) -> str:
    """Returns the one number that says most of a stage: a score, rows, updates; "" for none."""
    if stage.done is None:
        return "not done"
    facts = stage.done["metrics"]
    for figure in stage.made.figures:
        with contextlib.suppress(KeyError, TypeError):  # a fact that is not there, or None
            return figure.format(**facts)
    steps = facts.get("steps")
    return _rows(stage, stage.done) if steps is None else f"{steps:,} update{'s' * (steps != 1)}"


def _span(score: Mapping[str, Any] | None) -> str:
    return "—" if score is None else span(score)


def measures_of(models: Mapping[str, Any]) -> dict[str, str]:
    """Returns the measures that any model has and their names, in the order of the table."""
    seen = dict.fromkeys(measure for scores in models.values() if scores for measure in scores)
    known = {measure: name for measure, name in MEASURES.items() if measure in seen}
    return {**known, **{m: m.replace("_", " ") for m in seen if m not in known}}


def stage_table(results: Mapping[str, Any]) -> str:
    """Returns the paper's table of stages: a row a measure, a column a model.

    DeepSeek-R1 (arXiv:2501.12948v2, table 3).

    Args:
      results: of `claims.results` or `claims.aggregate`.
    """
    models = results["models"]
    body = [
        [name, *(_span((scores or {}).get(measure)) for scores in models.values())]
        for measure, name in measures_of(models).items()
    ]
    return page.table(["measure", *models], body)


def _bound(claim: Mapping[str, Any]) -> str:
    right = f"{claim['right']}" if claim["right"] else ""
    if right and claim["factor"] != 1:
        right = f"{claim['factor']:g} × {right}"
    if not right or claim["offset"]:
        shown = f"{claim['offset']:g}" if not right else f"{abs(claim['offset']):g}"
        sign = "" if not right else " - " if claim["offset"] < 0 else " + "
        right = f"{right}{sign}{shown}"
    return f"{claim['left']} {claim['relation']} {right}"


def _counted(verdicts: Sequence[str]) -> str:
    """How many seeds say what: "3 holds", or "2 holds, 1 within noise"."""
    return ", ".join(f"{count} {verdict}" for verdict, count in Counter(verdicts).most_common())


def claims_table(results: Mapping[str, Any]) -> str:
    """Returns a table of claims, each with its two sides, its margin and verdict."""
    claims, body = results["claims"], []
    for claim in claims:
        margin = "—" if claim["margin"] is None else f"{claim['margin']:+.3f}"
        if claim["low"] is not None:
            margin += f" [{claim['low']:+.3f}, {claim['high']:+.3f}]"
        sides = [_span(claim[side]) for side in ("left_told", "right_told") if side in claim]
        words = [claim["name"], claim["statement"], _bound(claim)]
        seeds = [_counted(claim["seed_verdicts"])] if "seed_verdicts" in claim else []
        body.append([*words, *sides, margin, f"**{claim['verdict']}**", *seeds])
    sides = ["left", "right"] if any("left_told" in claim for claim in claims) else []
    seeds = ["seed by seed"] if any("seed_verdicts" in claim for claim in claims) else []
    header = ["claim", "in words", "in numbers", *sides, "margin", "verdict", *seeds]
    return page.table(header, body, words=3)


def _sources(stage: Stage) -> tuple[str, ...]:
    return tuple(dict.fromkeys(split_reference(text)[0] for text in stage.inputs))


def _stages(stages: Sequence[Stage]) -> str:
    body = [
        [
            f"{number}. {stage.name}{' (optional)' if stage.optional else ''}",
            stage.pipeline,
            stage.what,
            ", ".join(_sources(stage)) or "—",
            key_figure(stage) or "—",
            clock(stage.seconds),
        ]
        for number, stage in enumerate(stages, 1)
    ]
    total = ["all", "", "", "", "", clock(sum(stage.seconds for stage in stages))]
    header = ["stage", "pipeline", "what it does", "reads", "what came out", "time"]
    return page.table(header, [*body, total], words=4)


def _artefacts(stages: Sequence[Stage]) -> str:
    body = [
        [
            f"stages/{stage.name}/{name}",
            f"{file.get('rows', '—')}",
            f"{file['bytes']:,}",
            f"`{file['sha256'][:16]}`",
        ]
        for stage in stages
        if stage.done is not None
        for name, file in stage.done["artefacts"].items()
    ]
    return page.table(["file", "rows", "bytes", "sha256 begins"], body)


def _warning(stages: Sequence[Stage]) -> str:
    """Names the stages that no longer fit; "" if all do."""
    stale = [stage.name for stage in stages if stage.stale]
    if not stale:
        return ""
    return (
        f"**Not of one piece:** {', '.join(stale)} were made from things that changed since. "
        "The command without `only` tells what, and how to run them again."
    )


def write_stage_report(
    workdir: str | Path,
    *,
    title: str,
    stages: Sequence[Stage],
    results: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> Path:
    """Writes `report.md` with `pipeline.png` and `stages.png`.

    Args:
      workdir: of the run.
      title: above both.
      stages: in their order.
      results: of `claims.results`.
      facts: of the run, nested.

    Returns:
      The path of report.md.
    """
    workdir = Path(workdir)
    nodes = [
        Node(
            name=stage.name,
            pipeline=stage.pipeline,
            figure=key_figure(stage),
            kind=stage.made.kind,
            inputs=_sources(stage),
            faint=stage.done is None,
            optional=stage.optional,
        )
        for stage in stages
    ]
    plot_pipeline(workdir / "pipeline.png", title=title, nodes=nodes)
    plot_measures(
        workdir / "stages.png",
        title=title,
        models=results["models"],
        measures=measures_of(results["models"]),
        level=results["level"],
    )
    measured = any(results["models"].values())
    blocks = [
        _warning(stages),
        page.picture("The stages and what they read of each other", "pipeline.png"),
        "## Stage by stage",
        stage_table(results) if measured else "No model was examined.",
        f"In brackets the {results['level']:.0%} interval. A dash: not measured.",
        page.picture("Each measure over the models", "stages.png"),
        "## Claims",
        claims_table(results) if results["claims"] else "None.",
        "The margin is by how much the left side exceeds the right, its interval over questions "
        "that both models answered where these are the same. A claim holds or does not hold "
        "where the margin's whole interval says so; else it is within noise.",
        "## Stages",
        flowchart(nodes),
        _stages(stages),
        "## Lineage",
        "lineage.json holds what each stage was made from; `--config=configs/lineage.py "
        f"--config.path={workdir}` derives every hash again.",
        _artefacts(stages),
        page.facts(facts, "fact"),
    ]
    return page.write_page(workdir, title, blocks)
