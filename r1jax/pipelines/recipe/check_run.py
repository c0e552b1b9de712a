"""Checks that a run of stages is what its lineage says, to the bit."""

import dataclasses
from pathlib import Path
from typing import Literal

from r1jax.config import UserError
from r1jax.io.summary import check_writable, write_run_summary
from r1jax.pipelines.recipe import check, lineage
from r1jax.pipelines.recipe.stages import ASSETS


@dataclasses.dataclass(frozen=True)
class LineageConfig:
    """What is checked.

    Attributes:
      path: workdir of the run of stages.
    """

    pipeline: Literal["lineage"]
    path: str


def run(config: LineageConfig, workdir: Path) -> None:
    """Derives every hash again and writes what differs to summary.json.

    Raises:
      UserError: names each file, config and input that is not what the lineage says.
    """
    check_writable(workdir)
    problems = check.check(config.path, assets=ASSETS)
    stages = lineage.read_json(Path(config.path) / "lineage.json")["stages"]
    files = sum(len(stage["artefacts"]) for stage in stages.values())
    values = {"stages": len(stages), "artefacts": files, "problems": problems}
    write_run_summary(workdir, config, values)
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise UserError(f"{config.path}: {len(problems)} things are not what they were:\n{lines}")
    print(f"{config.path}: {len(stages)} stages, {files} artefacts, all as they were", flush=True)
