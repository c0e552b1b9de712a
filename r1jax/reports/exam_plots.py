"""An exam in one picture: samples against score, groups, lengths, questions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import font_manager, ticker
from matplotlib.axes import Axes

from r1jax.reports.panels import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, Line, head, picture

Results = Mapping[str, Any]

# matplotlib takes each letter from the first of these that is installed and has it
FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
)
FEW = 14  # groups that fit beside two panels; more take a column of their own
LONGEST = 38  # characters of a group's name


class Group(NamedTuple):
    """A row of the panel of groups: its name, its numbers, its colour, its place from above."""

    name: str
    score: Mapping[str, Any]
    colour: str
    y: float


def _families() -> list[str]:
    installed = set(font_manager.get_font_names())
    return [name for name in FONTS if name in installed]


def drawable(text: str, otherwise: str) -> str:
    """Returns the text on one line, cut if long; `otherwise` if the fonts here lack a letter."""
    line = " ".join(text.split())
    fonts = [font_manager.get_font(font_manager.findfont(name)) for name in _families()]
    if not all(any(font.get_char_index(ord(c)) for font in fonts) for c in line):
        return otherwise
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _spans(ax: Axes, groups: Sequence[Group], *, label: str) -> None:
    """Means of one colour and their intervals as dots and bars, lying."""
    known = [group for group in groups if group.score["mean"] is not None]
    for group in groups:
        if group.score["mean"] is None:
            ax.text(0.0, group.y, " not judged", va="center", color=GREY, fontsize=8)
    if not known:
        return
    colour = known[0].colour
    sure = [group for group in known if group.score["low"] is not None]
    low, high = ([group.score[end] for group in sure] for end in ("low", "high"))
    ax.hlines([group.y for group in sure], low, high, color=colour, lw=2.2, alpha=0.45)
    ax.plot(
        [group.score["mean"] for group in known],
        [group.y for group in known],
        "o",
        color=colour,
        ms=5,
        clip_on=False,
        zorder=3,
        label=label,
    )


def _curve(
    ax: Axes, points: Mapping[int, Mapping[str, Any]], line: Line, style: str, *, aside: float
) -> None:
    """One score against k with its band; one or two points stay apart, as in `panels.bands`."""
    few = len(points) < 3
    ks = [k * (aside if few else 1.0) for k in points]
    means = [score["mean"] for score in points.values()]
    low, high = (
        [score["mean"] if score[end] is None else score[end] for score in points.values()]
        for end in ("low", "high")
    )
    ax.plot(
        ks,
        means,
        color=line.colour,
        lw=1.8,
        ls="none" if few else style,
        marker="o",
        ms=5,
        mfc=line.colour if style == "-" else "white",
        label=line.label,
        clip_on=False,
        zorder=3,
    )
    if few:
        ax.vlines(ks, low, high, color=line.colour, lw=2.2, alpha=0.45)
    else:
        ax.fill_between(ks, low, high, color=line.colour, alpha=0.15, lw=0)


def _curves(ax: Axes, results: Results) -> None:
    passes, votes = (
        {int(k): score for k, score in results[metric].items() if score["mean"] is not None}
        for metric in ("pass_at", "cons_at")
    )
    votes = {} if list(votes) == [1] else votes  # the vote of one sample is that sample
    if passes:
        _curve(ax, passes, Line("", "pass@k", BLUE), "-", aside=0.985 if votes else 1.0)
    if votes:
        _curve(ax, votes, Line("", "cons@k", RED), "--", aside=1.015)
    ticks = sorted({int(k) for metric in ("pass_at", "cons_at") for k in results[metric]})
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(ticker.FixedLocator(ticks))
    ax.xaxis.set_major_formatter(ticker.FuncFormatter(lambda k, _: f"{k:g}"))
    ax.xaxis.set_minor_locator(ticker.NullLocator())
    ax.set_xlim(ticks[0] / 1.15, ticks[-1] * 1.15)
    ax.set_ylim(-0.02, 1.02)
    ax.set(xlabel="samples k", ylabel="share of questions")
    head(ax, "Right within k samples, and by their vote")


def _groups(results: Results) -> list[Group]:
    groups = [Group("all", {**results["pass_at_1"], "questions": results["questions"]}, GREY, 0)]
    for kind, colour in (("stratum", BLUE), ("subject", PURPLE)):
        y = groups[-1].y + 0.6  # a gap before each kind
        for number, (name, score) in enumerate(results[f"by_{kind}"].items(), 1):
            label = drawable(name, f"{kind} {number}") or "(none)"
            groups.append(Group(label, score, colour, y + number))
    return groups


def _table(ax: Axes, results: Results) -> None:
    groups = _groups(results)
    mean = results["pass_at_1"]["mean"]
    if mean is not None:
        ax.axvline(mean, color=GREY, lw=1, ls=":")
    for label, colour in (("_all", GREY), ("by stratum", BLUE), ("by subject", PURPLE)):
        _spans(ax, [group for group in groups if group.colour == colour], label=label)
    names = [f"{group.name}  ({group.score['questions']:,})" for group in groups]
    small = 9 if len(groups) <= FEW else 8
    ax.set_yticks([group.y for group in groups], names, fontsize=small)
    for label in ax.get_yticklabels():
        label.set_parse_math(False)
    ax.set_ylim(max(groups[-1].y, 4) + 0.6, -0.6)
    ax.set_xlim(-0.02, 1.02)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)
    ax.set(xlabel=f"share right, and its {results['level']:.0%} interval")
    head(ax, "pass@1 by group (questions)")


def _lengths(ax: Axes, results: Results) -> None:
    histogram = results["length_histogram"]
    edges = np.array(histogram["edges"], float)
    wide = edges[-1] > 20 * max(edges[0], 1)
    if wide:
        edges[0] = max(edges[0], 0.5)  # no place for 0 tokens on a logarithmic axis
    for kind, colour in (("wrong", RED), ("right", GREEN)):
        median = results["lengths"][kind]["median"]
        label = kind if median is None else f"{kind}, median {median:,.0f}"
        ax.stairs(histogram[kind], edges, fill=True, color=colour, alpha=0.25)
        ax.stairs(histogram[kind], edges, color=colour, lw=1.6, label=label)
    cut = results["lengths"]["truncated"]
    if cut["answers"]:
        label = f"cut off, {results['rates']['truncation']:.1%}"
        ax.axvline(cut["median"], color=ORANGE, lw=1.6, ls="--", label=label)
    if wide:
        ax.set_xscale("log")
        subs = (1, 3) if edges[-1] < 200 * edges[0] else (1,)
        ax.xaxis.set_major_locator(ticker.LogLocator(subs=subs))
        ax.xaxis.set_major_formatter(ticker.FuncFormatter(lambda n, _: f"{n:,.0f}"))
        ax.xaxis.set_minor_formatter(ticker.NullFormatter())
    else:
        ax.xaxis.set_major_locator(ticker.MaxNLocator(5, integer=True))
    ax.set_ylim(0, 1.05 * max([1, *histogram["right"], *histogram["wrong"]]))
    ax.yaxis.set_major_locator(ticker.MaxNLocator(5, integer=True))
    ax.set(xlabel="tokens", ylabel="answers")
    head(ax, "Length of right and wrong answers")


def _questions(ax: Axes, results: Results) -> None:
    """Every question's share of right answers, best first."""
    shares = np.sort(list(results["accuracies"].values()))[::-1]
    always, never = int(np.sum(shares >= 1)), int(np.sum(shares <= 0))
    some = len(shares) - always - never
    ax.stairs(shares, np.arange(len(shares) + 1), fill=True, color=BLUE, alpha=0.3)
    ax.stairs(
        shares,
        np.arange(len(shares) + 1),
        color=BLUE,
        lw=1.6,
        label=f"always right {always:,} · at times {some:,} · never {never:,}",
    )
    ax.set_xlim(0, max(1, len(shares)))
    ax.set_ylim(0, 1.02)
    ax.xaxis.set_major_locator(ticker.MaxNLocator(5, integer=True))
    ax.set(xlabel="questions, easiest first", ylabel="share of samples right")
    head(ax, "Questions")


def plot_exam(path: str | Path, *, title: str, results: Results) -> None:
    """Writes a PNG of four panels: pass@k and cons@k, groups, lengths, questions.

    A name of a title or group that no installed font can draw (Chinese where there is no Chinese
    font) gives way to its number in the tables of report.md.

    Args:
      path: of the PNG.
      title: above it.
      results: of `exams.results`.
    """
    rows = len(_groups(results))
    if rows <= FEW:
        mosaic, height = "kg;lq", 7.1
    else:
        mosaic, height = "kg;lg;qg", max(10.4, 0.19 * rows + 1.5)
    draw = {"k": _curves, "g": _table, "l": _lengths, "q": _questions}
    style = {"font.family": _families()}
    with picture(path, drawable(title, "Exam"), size=(12.0, height), style=style) as figure:
        for name, ax in figure.subplot_mosaic(mosaic).items():
            draw[name](ax, results)
