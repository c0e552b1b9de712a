"""Small multiples: a grid of labelled panels, raw points faint beneath a smoothed line."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

# Okabe and Ito's colours, told apart by colour-blind readers too.
BLUE, RED, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY, GREY = "#CC79A7", "#56B4E9", "#6B6B6B"
COLOURS = (BLUE, RED, GREEN, ORANGE, PURPLE, SKY)
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9A9A9A",
    "axes.labelcolor": "#444444",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": True,
    "axes.formatter.limits": (-3, 4),
    "grid.color": "#E8E8E8",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "legend.handlelength": 1.4,
}

Rows = Sequence[dict[str, Any]]


class Line(NamedTuple):
    """One curve: the metric's name in the rows, its name in the legend, its colour."""

    metric: str
    label: str
    colour: str


class Scale(NamedTuple):
    """A vertical axis: its limits, or None to fit the values; logarithmic or not."""

    bounds: tuple[float, float] | None
    log: bool


LINEAR, LOG, SHARE = Scale(None, False), Scale(None, True), Scale((-0.02, 1.02), False)


class Panel(NamedTuple):
    """One panel: draws itself, if there is something to draw.

    Attributes:
      title: what is shown.
      unit: label of the vertical axis.
      draw: draws on the axes; returns whether there was anything.
    """

    title: str
    unit: str
    draw: Callable[[Axes], bool]


def series(rows: Rows, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the updates and values of a metric over the rows that have it; null becomes NaN."""
    pairs = [(row["update"], row[metric]) for row in rows if metric in row]
    updates = np.array([u for u, _ in pairs], float)
    values = np.array([np.nan if v is None else v for _, v in pairs], float)
    return updates, values


def smooth(values: np.ndarray) -> np.ndarray:
    """Returns the centred moving mean over a twentieth of the run; NaN stays and does not count.

    Centred, so that a step is seen where it happened. Towards both ends the window shrinks, so that
    a slope reaches them, but not to a point, which would end every curve in a hook of noise.
    """
    n = len(values)
    index = np.arange(n)
    half = np.clip(np.minimum(index, n - 1 - index), n // 80, n // 40)
    known = np.isfinite(values)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    count = np.concatenate([[0], np.cumsum(known)])
    first, last = np.maximum(index - half, 0), np.minimum(index + half + 1, n)
    mean = (total[last] - total[first]) / np.maximum(count[last] - count[first], 1)
    return np.where(known, mean, np.nan)


def lines(rows: Rows, wanted: Sequence[Line], scale: Scale) -> Callable[[Axes], bool]:
    """Returns what draws the curves: raw points faint, smoothed line on top; a lone point is plain.

    Args:
      rows: of metrics.jsonl or timing.jsonl.
      wanted: curves; those without a number are left out.
      scale: on a logarithmic one the smoothing is too, and values <= 0 have no place.
    """

    def draw(ax: Axes) -> bool:
        drawn = 0
        for line in wanted:
            updates, values = series(rows, line.metric)
            if scale.log:
                values = np.where(values > 0, values, np.nan)
            if not np.isfinite(values).any():
                continue
            drawn += 1
            if np.isfinite(values).sum() == 1:
                ax.plot(updates, values, "o", color=line.colour, ms=4, label=line.label)
                continue
            shown = np.exp(smooth(np.log(values))) if scale.log else smooth(values)
            ax.plot(updates, values, ".", color=line.colour, alpha=0.3, ms=4, mew=0)
            ax.plot(updates, shown, color=line.colour, lw=1.8, label=line.label)
        if scale.log and drawn:
            log_axis(ax)
        if scale.bounds is not None:
            ax.set_ylim(*scale.bounds)
        elif drawn and not any(ax.dataLim.intervaly):  # all 0: half of the axis would be below
            ax.set_ylim(-0.02, 1.02)
        return drawn > 0

    return draw


def ends_of(metric: str) -> tuple[str, str]:
    """Returns the keys of the ends of a metric's interval: "x.low" of "x.mean", "x_low" of "x"."""
    stem = metric.removesuffix("mean") if metric.endswith(".mean") else f"{metric}_"
    return f"{stem}low", f"{stem}high"


def bands(rows: Rows, wanted: Sequence[tuple[str, Line, str]]) -> Callable[[Axes], bool]:
    """Returns what draws few, exact points each with its interval, as evaluations are.

    One or two points are not joined: a line would claim to know the way between them.

    Args:
      rows: of eval.jsonl.
      wanted: (split, line, line style); `ends_of` its metric is the interval.
    """

    def draw(ax: Axes) -> bool:
        drawn = 0
        for split, line, style in wanted:
            own = [row for row in rows if row.get("split") == split]
            updates, values = series(own, line.metric)
            if not np.isfinite(values).any():
                continue
            few = len(values) < 3
            ax.plot(
                updates,
                values,
                linestyle="none" if few else style,
                marker="o",
                ms=4,
                mfc=line.colour if style == "-" else "white",
                color=line.colour,
                lw=1.6,
                label=line.label,
            )
            (at, low), (_, high) = (series(own, metric) for metric in ends_of(line.metric))
            if few:
                ax.vlines(at, low, high, color=line.colour, lw=1.6, alpha=0.6)
            else:
                ax.fill_between(at, low, high, color=line.colour, alpha=0.15, lw=0)
            drawn += 1
        ax.set_ylim(-0.02, 1.02)
        return drawn > 0

    return draw


def stack(rows: Rows, wanted: Sequence[Line]) -> Callable[[Axes], bool]:
    """Returns what draws smoothed metrics on top of each other; rows that lack one are left out."""

    def draw(ax: Axes) -> bool:
        known = [line for line in wanted if any(line.metric in row for row in rows)]
        whole = [r for r in rows if known and all(r.get(k.metric) is not None for k in known)]
        if not whole:
            return False
        updates = np.array([row["update"] for row in whole])
        layers = [smooth(series(whole, line.metric)[1]) for line in known]
        if len(whole) == 1:  # an area needs a width
            updates = updates[0] + np.array([-0.4, 0.4])
            layers = [np.repeat(layer, 2) for layer in layers]
        ax.stackplot(
            updates,
            layers,
            labels=[line.label for line in known],
            colors=[line.colour for line in known],
            alpha=0.75,
            lw=0,
        )
        ax.set_ylim(bottom=0)
        return True

    return draw


def log_axis(ax: Axes) -> None:
    """Makes the vertical axis logarithmic, with plain numbers, enough of them on a short range."""
    ax.set_yscale("log")
    low, high = ax.dataLim.intervaly
    if high < 1.01 * low:  # one value, or as good as one: matplotlib would zoom in on its rounding
        ax.set_ylim(low / 2, 2 * high)
    low, high = ax.get_ylim()
    subs = (1, 2, 3, 5) if high < 10 * low else (1, 3) if high < 100 * low else (1,)
    ax.yaxis.set_major_locator(ticker.LogLocator(subs=subs))
    ax.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(ticker.NullFormatter())


@contextmanager
def picture(
    path: str | Path, title: str, *, size: tuple[float, float], style: Mapping[Any, Any]
) -> Iterator[Figure]:
    """Yields a figure with the title above its panels, and writes it as a PNG when it is drawn.

    The bytes are a function of what is drawn (and of matplotlib's version).

    Args:
      path: of the PNG.
      title: above all panels, as it stands: no formulas.
      size: width and height in inches.
      style: matplotlib settings beside those of `STYLE`.
    """
    with matplotlib.rc_context({**STYLE, **style}):
        layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
        figure = Figure(figsize=size, layout=layout)
        heading = figure.suptitle(title, x=0.01, ha="left", fontsize=14, weight="bold")
        heading.set_parse_math(False)
        yield figure
        figure.savefig(path, format="png", dpi=110, metadata={"Software": None})


def head(ax: Axes, title: str) -> None:
    """Writes a wide panel's title and, in one row below it, the curves' names."""
    ax.set_title(title, pad=22)
    if ax.get_legend_handles_labels()[1]:
        ax.legend(
            loc="lower left",
            bbox_to_anchor=(-0.01, 1.0),
            borderaxespad=0.2,
            ncols=3,
            columnspacing=1.0,
            handletextpad=0.4,
            borderpad=0.1,
        )


def _head(ax: Axes, title: str) -> None:
    """Writes a narrow panel's title and, in rows below it, where no curve runs, the names."""
    names = ax.get_legend_handles_labels()[1]
    if not names:
        ax.set_title(title, pad=8)
        return
    columns = min(len(names), max(1, 48 // (4 + max(map(len, names)))))
    ax.set_title(title, pad=8 + 13 * -(-len(names) // columns))
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(-0.02, 0.985),
        ncols=columns,
        columnspacing=1.0,
        handletextpad=0.4,
        borderpad=0.1,
        labelspacing=0.2,
    )


def save_grid(path: str | Path, title: str, panels: Sequence[Panel], *, columns: int) -> None:
    """Writes a PNG with the panels row by row; one without numbers says "no data"."""
    n_rows = -(-len(panels) // columns)
    with picture(path, title, size=(4.6 * columns, 2.9 * n_rows + 0.6), style={}) as figure:
        axes = figure.subplots(n_rows, columns, squeeze=False).ravel()
        drawn = []
        for ax, panel in zip(axes, panels, strict=False):
            ax.set_ylabel(panel.unit)
            ax.set_xlabel("update")
            if panel.draw(ax):
                drawn.append(ax)
            else:
                ax.clear()
                ax.set(xticks=[], yticks=[])
                ax.text(0.5, 0.5, "no data", ha="center", va="center", color=GREY)
            _head(ax, panel.title)
        for ax in axes[len(panels) :]:
            ax.set_axis_off()
        last = max((ax.dataLim.x1 for ax in drawn), default=1)
        for ax in drawn:
            ax.locator_params(axis="x", integer=True)
            ax.set_xlim(-0.015 * max(last, 1), 1.015 * max(last, 1))
