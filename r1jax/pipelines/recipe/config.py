"""What a run of stages is made of: the list of stages, and what the final report shows.

Within a stage's config a text "stage:NAME/rest/of/path" stands for what the stage NAME left at that
place: these texts are the graph of the run.
"""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ml_collections import ConfigDict

from r1jax import config as configs
from r1jax.config import Seed, UserError, Within
from r1jax.pipelines.recipe import lineage
from r1jax.pipelines.table import Pipeline

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclasses.dataclass(frozen=True)
class StageConfig:
    """One stage: another pipeline's run, in a directory of its own.

    Attributes:
      name: of the stage and of its directory.
      what: it does, in one sentence, for the report.
      config: the whole config of the other pipeline. A `seed` of -1 is the run's.
      optional: an ablation's arm: no other stage but such an arm may read what it leaves.
    """

    name: str
    what: str
    config: dict[str, object]
    optional: bool

    def __post_init__(self):
        if not NAME.fullmatch(self.name):
            raise UserError(f"name {self.name!r}: wanted small letters, digits, - and _")


@dataclasses.dataclass(frozen=True)
class ClaimConfig:
    """A statement that the run can show to be wrong: left RELATION factor * right + offset.

    Attributes:
      name: short, for the table.
      statement: in words.
      left, right: "model.measure", a column of the report and a row; right "" is 0.
      relation: how they compare.
      factor, offset: on the right side.
    """

    name: str
    statement: str
    left: str
    right: str
    relation: Literal[">=", "<=", ">"]
    factor: float
    offset: float


@dataclasses.dataclass(frozen=True)
class ReportConfig:
    """What the final report shows.

    Attributes:
      title: above it.
      models: column of the table -> stage that examined the model (its results.json has
        "columns": {measure: {mean, low, high, n}}); columns stand in the order of these stages.
      level: nominal coverage of those intervals.
      claims: that are held against them.
    """

    title: str
    models: dict[str, str]
    level: Within
    claims: tuple[ClaimConfig, ...]

    def __post_init__(self):
        for claim in self.claims:
            for side in [claim.left, *([claim.right] if claim.right else [])]:
                model, _, measure = side.rpartition(".")
                if model not in self.models or not measure:
                    raise UserError(
                        f"claim {claim.name!r}: got {side!r}, wanted MODEL.MEASURE with a model of "
                        f"{sorted(self.models)}"
                    )


@dataclasses.dataclass(frozen=True)
class R1Config:
    """A run of stages.

    Attributes:
      seed: of the stages whose own is -1.
      stages: in the order in which they run.
      only: the one stage to run, whose inputs must be there; "" for all.
      report: what is shown at the end.
    """

    pipeline: Literal["r1"]
    seed: Seed
    stages: tuple[StageConfig, ...]
    only: str
    report: ReportConfig

    def __post_init__(self):
        names = [stage.name for stage in self.stages]
        twice = sorted({name for name in names if names.count(name) > 1})
        if not names or twice:
            raise UserError(f"stages: got {names}, wanted at least one, {twice} only once")
        if self.only and self.only not in names:
            raise UserError(f"only {self.only!r}: wanted one of {names}")
        for number, stage in enumerate(self.stages):
            for reference in lineage.references(plain(stage.config, stage.name)):
                self._check_reference(number, reference)
        for column, name in self.report.models.items():
            if name not in names:
                raise UserError(f"report.models.{column}: got {name!r}, wanted one of {names}")

    def _check_reference(self, number: int, reference: str) -> None:
        stage, (source, place) = self.stages[number], lineage.split_reference(reference)
        before = {other.name: other for other in self.stages[:number]}
        where = f"stage {stage.name!r}: {reference!r}"
        if ".." in place.split("/"):
            raise UserError(f"{where}: leaves the stage's directory")
        if source in before:
            if before[source].optional and not stage.optional:
                raise UserError(f"{where}: {source!r} is optional, so nothing may depend on it")
            return
        if source == stage.name:
            raise UserError(f"{where}: a stage cannot read what it makes itself")
        later = {other.name: other for other in self.stages[number + 1 :]}
        if source not in later:
            raise UserError(f"{where}: no such stage, wanted one of {list(before)}")
        back = {lineage.split_reference(r)[0] for r in references(later[source])}
        cycle = f", and reads {stage.name!r} in turn: a cycle" if stage.name in back else ""
        raise UserError(f"{where}: stage {source!r} comes later{cycle}")


def plain(value: Any, path: str) -> Any:
    """Returns a config in JSON's types: dicts, lists, texts, numbers, booleans and None.

    Raises:
      UserError: names the place of anything else.
    """
    if isinstance(value, Mapping | ConfigDict):
        return {str(key): plain(inner, f"{path}.{key}") for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, f"{path}[{i}]") for i, inner in enumerate(value)]
    if value is not None and not isinstance(value, str | int | float):
        raise UserError(f"{path}: got {type(value).__name__}, wanted what JSON has a word for")
    return value


def references(stage: StageConfig) -> list[str]:
    """Returns the texts in a stage's config that name what other stages left."""
    return lineage.references(plain(stage.config, stage.name))


def written(stage: StageConfig, seed: int) -> dict[str, Any]:
    """Returns a stage's config as plain data, its references as they stand, its seed filled in."""
    values = plain(stage.config, stage.name)
    return {**values, "seed": seed} if values.get("seed") == -1 else values


def resolved(values: Any, stages: Path) -> Any:
    """Returns a config with every reference replaced by the path of what it names."""
    if isinstance(values, dict):
        return {key: resolved(inner, stages) for key, inner in values.items()}
    if isinstance(values, list):
        return [resolved(inner, stages) for inner in values]
    if isinstance(values, str) and values.startswith("stage:"):
        name, place = lineage.split_reference(values)
        return str(stages / name / place)
    return values


def build_stages(config: R1Config, table: Mapping[str, Pipeline], stages: Path) -> dict[str, Any]:
    """Returns the built config of every stage: a wrong key in the last stops the run at once.

    Args:
      config: of the run.
      table: the pipelines that a stage may be.
      stages: directory of the stages.

    Raises:
      UserError: names stage and key.
    """
    built = {}
    for stage in config.stages:
        where = f"config.stages.{stage.name}.config"
        values = written(stage, config.seed)
        name = values.get("pipeline")
        if name not in table:
            raise UserError(f"{where}.pipeline: got {name!r}, wanted one of {sorted(table)}")
        built[stage.name] = configs.build(table[str(name)].config, resolved(values, stages), where)
    return built
