"""A distillation in one picture, made from its jsonl files alone."""

from pathlib import Path

from r1jax.reports.curves import GRADIENT_NORM, LENGTH, accuracy, panel, rows_of, save_run, seconds
from r1jax.reports.panels import (
    BLUE,
    GREEN,
    LINEAR,
    LOG,
    ORANGE,
    PURPLE,
    RED,
    SHARE,
    Line,
)

CURVES = (
    ("Divergence from the teacher", "nats per token", LOG, (Line("divergence", "", BLUE),)),
    ("Same most likely token", "share", SHARE, (Line("agreement", "", GREEN),)),
    (
        "Entropy",
        "nats per token",
        LINEAR,
        (Line("entropy", "student", BLUE), Line("teacher_entropy", "teacher", RED)),
    ),
    (
        "Log-probability of the text",
        "nats per token",
        LINEAR,
        (Line("logp", "student", BLUE), Line("teacher_logp", "teacher", RED)),
    ),
    (
        "The student's samples",
        "mean",
        LINEAR,
        (Line("accuracy", "accuracy", RED), Line("format", "format", BLUE)),
    ),
    LENGTH,
    GRADIENT_NORM,
)
PHASES = {"sample": BLUE, "data": GREEN, "reward": ORANGE, "update": PURPLE}


def plot_distill(workdir: str | Path, path: str | Path) -> None:
    """Writes a PNG of a distillation; a panel whose metric is missing says so.

    Raises:
      UserError: if a line of a jsonl file is broken.
    """
    workdir = Path(workdir)
    metrics, timing, evals = (rows_of(workdir, kind) for kind in ("metrics", "timing", "eval"))
    # an update has not every phase, and what is missing took no time
    spent = [{f"seconds_{phase}": 0.0 for phase in PHASES} | row for row in timing]
    panels = [
        accuracy(evals),
        *[panel(metrics, curves) for curves in CURVES],
        seconds(spent, PHASES),
    ]
    save_run(workdir, path, "Distillation", panels, columns=3)
