"""A reward model in one picture: loss, accuracy, calibration, and score against length."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from r1jax.reports.panels import (
    BLUE,
    GREEN,
    GREY,
    LINEAR,
    RED,
    Line,
    Rows,
    bands,
    head,
    lines,
    picture,
)

MARKER = 6.0  # points; the area of a bin's dot grows with its rows
FEW = 100  # rows below which a reply's dot is large


def _loss(ax: Axes, metrics: Rows, evals: Rows) -> None:
    lines(metrics, [Line("loss", "training", BLUE)], LINEAR)(ax)
    at = [row["update"] for row in evals]
    ax.plot(at, [row["loss"] for row in evals], "o", ms=5, color=RED, label="held out")
    ax.axhline(np.log(2), color=GREY, lw=1, ls=":")
    ax.locator_params(axis="x", integer=True)
    ax.set(xlabel="update", ylabel="nats")
    head(ax, "Loss (dotted: knowing nothing)")


def _accuracy(ax: Axes, evals: Rows) -> None:
    split = evals[0]["split"]
    bands(evals, [(split, Line("accuracy", "held out", BLUE), "-")])(ax)
    ax.axhline(0.5, color=GREY, lw=1, ls=":")
    ax.locator_params(axis="x", integer=True)
    ax.set(xlabel="update", ylabel="share right")
    head(ax, "Accuracy and its interval")


def _calibration(ax: Axes, results: Mapping[str, Any], kind: str) -> None:
    low = 0.5 if kind == "pairs" else 0.0
    ax.plot([low, 1], [low, 1], color=GREY, lw=1, ls=":")
    table = results["reliability"]
    most = max(row["rows"] for row in table)
    ax.scatter(
        [row["predicted"] for row in table],
        [row["happened"] for row in table],
        s=[MARKER * (2 + 14 * row["rows"] / most) for row in table],
        color=BLUE,
        clip_on=False,
        label=f"error {results['calibration_error']:.3f}",
    )
    event = {"pairs": "better scored reply is the chosen one", "labels": "reply is safe"}[kind]
    ax.set(xlabel=f"predicted: {event}", ylabel="share that is", ylim=(-0.02, 1.02))
    head(ax, "Calibration, a dot per bin")


def _lengths(ax: Axes, rows: Sequence[Mapping[str, Any]], results: Mapping[str, Any]) -> None:
    in_pairs = len(rows[0]["scores"]) == 2
    colours = {"chosen": GREEN, "rejected": RED} if in_pairs else {"safe": GREEN, "unsafe": RED}
    points: dict[str, list[tuple[float, float]]] = {name: [] for name in colours}
    for row in rows:
        names = tuple(colours) if in_pairs else ("safe" if row["label"] > 0.5 else "unsafe",)
        for name, length, score in zip(names, row["lengths"], row["scores"], strict=True):
            points[name].append((length, score))
    size = 10 if len(rows) < FEW else 4
    for name, colour in colours.items():
        if points[name]:
            x, y = zip(*points[name], strict=True)
            ax.plot(x, y, ".", ms=size, mew=0, alpha=0.5, color=colour, label=name)
    r = results["score_length_correlation"]
    relation = "one of them constant" if r is None else f"r = {r:.2f}"
    ax.locator_params(axis="x", integer=True)
    ax.set(xlabel="tokens of the reply", ylabel="score (logit)")
    head(ax, f"Score against length, {relation}")


def plot_reward(
    path: str | Path,
    *,
    title: str,
    kind: str,
    metrics: Rows,
    evals: Rows,
    held_out: Sequence[Mapping[str, Any]],
) -> None:
    """Writes a PNG of four panels.

    Args:
      path: of the PNG.
      title: above it.
      kind: "pairs" or "labels".
      metrics: rows of metrics.jsonl.
      evals: rows of eval.jsonl, at least one, each with its `results`.
      held_out: rows of held_out.jsonl, at least one.
    """
    results = evals[-1]["results"]
    with picture(path, title, size=(11.0, 7.6), style={}) as figure:
        (loss, accuracy), (calibration, lengths) = figure.subplots(2, 2)
        _loss(loss, metrics, evals)
        _accuracy(accuracy, evals)
        _calibration(calibration, results, kind)
        _lengths(lengths, held_out, results)
