"""The models of a run of stages side by side: a panel a measure."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib import ticker
from matplotlib.axes import Axes

from r1jax.reports.panels import COLOURS, GREY, picture


def _measure(ax: Axes, models: Mapping[str, Any], measure: str, *, label: str) -> None:
    for place, (name, scores) in enumerate(models.items()):
        score = (scores or {}).get(measure)
        if score is None or score["mean"] is None:
            ax.text(place, 0.02, "—", ha="center", color=GREY, transform=ax.get_xaxis_transform())
            continue
        colour = COLOURS[place % len(COLOURS)]
        if score.get("low") is not None and score.get("high") is not None:
            ax.vlines(place, score["low"], score["high"], color=colour, lw=3, alpha=0.4)
        ax.plot([place], [score["mean"]], "o", color=colour, ms=6, label=name, clip_on=False)
        top = score["mean"] if score.get("high") is None else score["high"]
        ax.annotate(
            f"{score['mean']:.2f}",
            (place, top),
            xytext=(0, 5),
            ha="center",
            textcoords="offset points",
            fontsize=7.5,
            color="#444444",
        )
    ax.set_title(label, pad=8)
    names = list(models)
    steep = sum(map(len, names)) > 34
    ax.set_xticks(
        range(len(names)),
        names,
        rotation=35 if steep else 0,
        ha="right" if steep else "center",
        rotation_mode="anchor",
    )
    for text in ax.get_xticklabels():
        text.set_parse_math(False)
    ax.set_xlim(-0.5, len(names) - 0.5)
    ax.grid(axis="x", visible=False)
    ax.yaxis.set_major_locator(ticker.MaxNLocator(5))


def plot_measures(
    path: str | Path,
    *,
    title: str,
    models: Mapping[str, Any],
    measures: Mapping[str, str],
    level: float,
) -> None:
    """Writes a PNG with a panel a measure: the models side by side, with their intervals.

    Args:
      path: of the PNG.
      title: above it.
      models: model -> measure -> mean, low, high; None where it was not examined.
      measures: measure -> its panel's title.
      level: of the intervals, for the title.
    """
    columns = min(4, max(1, len(measures)))
    rows = max(1, math.ceil(len(measures) / columns))
    heading = f"{title}: means with their {level:.0%} intervals"
    size = (max(3.6 * columns, 6.0), 2.7 * rows + 0.6)
    with picture(path, heading, size=size, style={}) as figure:
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax, (measure, label) in zip(axes, measures.items(), strict=False):
            values = [t[measure]["mean"] for t in models.values() if t and measure in t]
            _measure(ax, models, measure, label=label)
            if all(v is not None and 0 <= v <= 1 for v in values):
                ax.set_ylim(-0.03, 1.16)  # room for the numbers above
        for ax in axes[len(measures) :]:
            ax.set_axis_off()
        if not measures:
            axes[0].text(0.5, 0.5, "no model was examined", ha="center", color=GREY)
