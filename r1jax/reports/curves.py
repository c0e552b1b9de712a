"""A run in one picture, made from its jsonl files alone."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from r1jax.config import flatten
from r1jax.io.metrics import consensus_of, read_jsonl
from r1jax.reports.panels import (
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    LINEAR,
    LOG,
    ORANGE,
    PURPLE,
    RED,
    SHARE,
    SKY,
    Line,
    Panel,
    Rows,
    Scale,
    bands,
    lines,
    save_grid,
    stack,
)

SPLITS = {"validation": BLUE, "test": RED, "ood": GREEN}
PHASES = {"sample": BLUE, "reward": ORANGE, "logprobs": GREEN, "update": PURPLE}

Curves = tuple[str, str, Scale, tuple[Line, ...]]  # title, unit, scale, curves

LENGTH: Curves = (
    "Completion length",
    "tokens",
    LINEAR,
    (
        Line("length", "all", GREY),
        Line("length_correct", "correct", GREEN),
        Line("length_wrong", "wrong", RED),
    ),
)
GRADIENT_NORM: Curves = ("Gradient norm", "", LOG, (Line("grad_norm", "", SKY),))

RL_CURVES: tuple[Curves, ...] = (
    (
        "Training reward",
        "mean",
        LINEAR,
        (Line("reward", "reward", BLUE), Line("accuracy", "accuracy", RED)),
    ),
    LENGTH,
    ("Well-formed answers", "share", SHARE, (Line("format", "", BLUE),)),
    ("Reflective words", "share", LINEAR, (Line("reflective_rate", "", GREEN),)),
    ("Truncated completions", "share", SHARE, (Line("truncation", "", RED),)),
    ("Entropy", "nats per token", LINEAR, (Line("entropy", "", BLUE),)),
    ("KL to the reference", "nats per token", LINEAR, (Line("kl", "", PURPLE),)),
    ("Clipped tokens", "share", LINEAR, (Line("clip_fraction", "", ORANGE),)),
    ("Groups of equal rewards", "share", SHARE, (Line("zero_variance_groups", "", GREY),)),
    (
        "Sampler against trainer",
        "|log-prob gap|, nats",
        LOG,
        (Line("logp_gap_max", "largest", RED), Line("logp_gap_mean", "mean", BLUE)),
    ),
    GRADIENT_NORM,
)
RATES: Curves = (
    "Speed",
    "tokens per second",
    LOG,
    (
        Line("sampling", "sampling", BLUE),
        Line("training", "training", PURPLE),
        Line("all", "whole step", GREY),
    ),
)
PRETRAIN_CURVES: tuple[Curves, ...] = (
    (
        "Next-token loss",
        "nats per token",
        LINEAR,
        (Line("loss", "training", BLUE), Line("held_out_loss", "held out", RED)),
    ),
    ("Multi-token-prediction loss", "nats per token", LINEAR, (Line("mtp_loss", "", PURPLE),)),
    (
        "Router: most loaded expert",
        "load / mean load - 1",
        LINEAR,
        (Line("load_max_violation", "", ORANGE),),
    ),
    ("Balance loss", "", LINEAR, (Line("balance_loss", "", GREY),)),
    GRADIENT_NORM,
    ("Learning rate", "", LINEAR, (Line("lr", "", GREEN),)),
)


def rows_of(workdir: Path, kind: str) -> list[dict[str, Any]]:
    """Returns the rows of KIND.jsonl; a run that has not come so far has none."""
    path = workdir / f"{kind}.jsonl"
    return read_jsonl(path) if path.exists() else []


def flat(rows: Rows) -> list[dict[str, Any]]:
    """Returns rows whose keys are the paths of numbers: "pass_at_1.mean", "rates.format"."""
    return [flatten(row) for row in rows]


def panel(rows: Rows, curves: Curves) -> Panel:
    """Returns the panel of some curves over the updates."""
    title, unit, scale, wanted = curves
    return Panel(title, unit, lines(rows, wanted, scale))


def _by_split(evals: Rows, metric: str, style: str) -> Callable[[Axes], bool]:
    """Returns what draws a metric of the exams, a curve a split."""
    wanted = [(split, Line(metric, split, colour), style) for split, colour in SPLITS.items()]
    return bands(flat(evals), wanted)


def accuracy(evals: Rows) -> Panel:
    """Returns the panel of pass@1 of each split."""
    return Panel(
        "pass@1 with its interval", "share correct", _by_split(evals, "pass_at_1.mean", "-")
    )


def seconds(timing: Rows, phases: Mapping[str, str]) -> Panel:
    """Returns the panel of the time that each phase of an update takes, stacked.

    Args:
      timing: rows of timing.jsonl.
      phases: colour of each phase by its name; `seconds_NAME` is its time.
    """
    wanted = [Line(f"seconds_{phase}", phase, colour) for phase, colour in phases.items()]
    return Panel("Seconds per update", "seconds", stack(timing, wanted))


def save_run(
    workdir: Path, path: str | Path, kind: str, panels: Sequence[Panel], *, columns: int
) -> None:
    """Writes a PNG of a run's panels under what kind of run it is and its name."""
    save_grid(path, f"{kind}: {workdir.resolve().name}", panels, columns=columns)


def _rate(row: Mapping[str, Any], tokens: str, seconds: str) -> float | None:
    return row[tokens] / row[seconds] if row.get(tokens) and row.get(seconds) else None


def _rates(timing: Rows) -> list[dict[str, Any]]:
    """Returns tokens per second of the whole update and of its two large phases."""
    return [
        {
            "update": row["update"],
            "all": row.get("tokens_per_s"),
            "sampling": _rate(row, "tokens_sampled", "seconds_sample"),
            "training": _rate(row, "tokens_trained", "seconds_update"),
        }
        for row in timing
    ]


def _strata(evals: Rows) -> Panel:
    """Returns pass@1 of each stratum of the first split that has any."""
    for split in SPLITS:
        tables = [row.get("by_stratum", {}) for row in evals if row["split"] == split]
        names = list(dict.fromkeys(name for table in tables for name in table))
        if names:
            rows = [
                {"update": row["update"], "split": split}
                | {name: group["mean"] for name, group in row.get("by_stratum", {}).items()}
                for row in evals
                if row["split"] == split
            ]
            wanted = [
                (split, Line(name, name, COLOURS[i % len(COLOURS)]), "-" if i < 6 else ":")
                for i, name in enumerate(names)
            ]
            return Panel(f"pass@1 by stratum ({split})", "share correct", bands(rows, wanted))
    return Panel("pass@1 by stratum", "share correct", lambda ax: False)


def plot_rl(workdir: str | Path, path: str | Path) -> None:
    """Writes a PNG of a reinforcement-learning run; a panel whose metric is missing says so.

    Raises:
      UserError: if a line of a jsonl file is broken.
    """
    workdir = Path(workdir)
    metrics, timing, evals = (rows_of(workdir, kind) for kind in ("metrics", "timing", "eval"))
    votes = consensus_of(evals)
    consensus = _by_split(evals, f"cons_at.{votes}.mean", "--")
    panels = [
        accuracy(evals),
        Panel(f"cons@{votes}, majority of {votes}", "share correct", consensus),
        _strata(evals),
        *[panel(metrics, curves) for curves in RL_CURVES],
        seconds(timing, PHASES),
        panel(_rates(timing), RATES),
    ]
    save_run(workdir, path, "Reinforcement learning", panels, columns=4)


def _sources(rows: Rows, sources: Sequence[str], title: str) -> Panel:
    """Returns the loss of each source."""
    wanted = [
        Line(f"loss_{name}", name, COLOURS[i % len(COLOURS)]) for i, name in enumerate(sources)
    ]
    return Panel(title, "nats per token", lines(rows, wanted, LINEAR))


def _beside(metrics: Rows, held_out: Rows) -> list[dict[str, Any]]:
    """The rows of training with those of held-out losses between them."""
    renamed = [{"update": row["update"], "held_out_loss": row["loss"]} for row in held_out]
    return sorted([*metrics, *renamed], key=lambda row: row["update"])


def plot_sft(workdir: str | Path, path: str | Path, *, sources: Sequence[str]) -> None:
    """Writes a PNG of a fine-tuning run; a panel whose metric is missing says so.

    Args:
      workdir: the run's directory.
      path: of the picture.
      sources: of the training rows, whose losses are shown one by one.

    Raises:
      UserError: if a line of a jsonl file is broken.
    """
    workdir = Path(workdir)
    metrics, evals = rows_of(workdir, "metrics"), rows_of(workdir, "eval")
    held_out = [row for row in evals if row["split"] == "held_out"]
    both = _beside(metrics, held_out)
    known = {curves[0]: curves for curves in PRETRAIN_CURVES}
    panels = [
        panel(both, known["Next-token loss"]),
        _sources(metrics, sources, "Training loss by source"),
        _sources(held_out, sources, "Held-out loss by source"),
        panel(metrics, known["Learning rate"]),
        panel(metrics, known["Gradient norm"]),
        accuracy(evals)._replace(title="Exam: pass@1 with its interval"),
        Panel("Exam: well-formed answers", "share", _by_split(evals, "rates.format", "-")),
        Panel("Exam: truncated answers", "share", _by_split(evals, "rates.truncation", "-")),
    ]
    save_run(workdir, path, "Fine-tuning", panels, columns=4)


def plot_pretrain(workdir: str | Path, path: str | Path) -> None:
    """Writes a PNG of a pretraining run; a panel whose metric is missing says so.

    Raises:
      UserError: if a line of a jsonl file is broken.
    """
    workdir = Path(workdir)
    metrics, timing, evals = (rows_of(workdir, kind) for kind in ("metrics", "timing", "eval"))
    held_out = [row for row in evals if row["split"] == "validation"]
    both = _beside(metrics, held_out)
    speed = ("Speed", "tokens per second", LINEAR, (Line("tokens_per_s", "", BLUE),))
    panels = [*[panel(both, curves) for curves in PRETRAIN_CURVES], panel(timing, speed)]
    save_run(workdir, path, "Pretraining", panels, columns=4)
