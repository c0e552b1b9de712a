"""A distillation in one picture, made from its jsonl files alone."""

from pathlib import Path

from r1jax.reports.curves import GRADIENT_NORM, LENGTH, SPLITS, panel, rows_of
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
    Panel,
    bands,
    save_grid,
    stack,
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
      ValueError: if a line of a jsonl file is broken.
    """
    workdir = Path(workdir)
    metrics, timing, evals = (rows_of(workdir, kind) for kind in ("metrics", "timing", "eval"))
    accuracy = [(split, Line("pass_at_1", split, c), "-") for split, c in SPLITS.items()]
    # an update has not every phase, and what is missing took no time
    spent = [{f"seconds_{phase}": 0.0 for phase in PHASES} | row for row in timing]
    seconds = [Line(f"seconds_{phase}", phase, colour) for phase, colour in PHASES.items()]
    panels = [
        Panel("pass@1 with its interval", "share correct", bands(evals, accuracy)),
        *[panel(metrics, curves) for curves in CURVES],
        Panel("Seconds per update", "seconds", stack(spent, seconds)),
    ]
    save_grid(path, f"Distillation: {workdir.resolve().name}", panels, columns=3)
