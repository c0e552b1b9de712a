"""A run of stages in one picture: who feeds whom, and what came out."""

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch
from matplotlib.path import Path as Curve

from r1jax.pipelines.recipe.layout import BOX, DOCK, Layout, Node, layout
from r1jax.reports.panels import BLUE, GREEN, GREY, ORANGE, PURPLE, STYLE

KINDS = {"model": BLUE, "data": GREEN, "reward model": ORANGE, "exam": PURPLE, "check": GREY}

# inches
COLUMN, WIDTH, HEIGHT, MARGIN, HEAD = 2.05, 1.62, 0.78, 0.3, 0.72
LANE, GUTTER, LEAST = 0.1, 0.6, 6.5  # between arrows that fold, between bands, the least width


def _tint(colour: str, share: float) -> str:
    """The colour mixed with white."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(255 - share * (255 - c)):02x}" for c in (red, green, blue))


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _box(ax: Axes, node: Node, x: float, y: float, height: float) -> None:
    colour = GREY if node.faint else KINDS[node.kind]
    style = "round,pad=0,rounding_size=0.09"
    ax.add_patch(
        FancyBboxPatch(
            (x - WIDTH / 2, y - height / 2), WIDTH, height, boxstyle=style, zorder=3,
            fc=_tint(colour, 0.1), ec=colour, lw=1.4, ls=(0, (3, 2)) if node.optional else "-",
        )
    )  # fmt: skip


def _write(ax: Axes, x: float, y: float, text: str, **look: Any) -> None:
    ax.text(x, y, text, ha="center", va="center", zorder=4, parse_math=False, **look)


def _stage(ax: Axes, node: Node, x: float, y: float) -> None:
    _box(ax, node, x, y, HEIGHT)
    ink = "#8a8a8a" if node.faint else "#1f1f1f"
    small = min(11.0, 170 / len(node.name))  # points that let the name fit its box
    _write(ax, x, y - 0.2, _short(node.name, 26), fontsize=max(small, 7), weight="bold", color=ink)
    _write(ax, x, y + 0.015, _short(node.pipeline, 24), fontsize=8, color="#777777")
    colour = "#8a8a8a" if node.faint else _dark(KINDS[node.kind])
    _write(ax, x, y + 0.22, _short(node.figure, 24), fontsize=9, color=colour)


def _dark(colour: str) -> str:
    """The colour as ink: readable on its own tint."""
    return "#" + "".join(f"{round(0.72 * int(colour[i : i + 2], 16)):02x}" for i in (1, 3, 5))


def _exam(ax: Axes, node: Node, model: str, x: float, y: float) -> None:
    """An exam hangs below its model."""
    height = 0.78 * DOCK * HEIGHT
    ax.plot([x, x], [y - HEIGHT * DOCK / 2 - 0.02, y - height / 2], color="#a5a5a5", lw=1.2)
    _box(ax, node, x, y, height)
    ink = "#8a8a8a" if node.faint else "#1f1f1f"
    small = min(8.0, 185 / len(node.name))
    _write(ax, x, y - 0.075, _short(node.name, 34), fontsize=max(small, 6), color=ink)
    others = [name for name in node.inputs if name != model]
    judged = f" · {len(others)} RM" if others else ""
    colour = "#8a8a8a" if node.faint else _dark(KINDS[node.kind])
    _write(ax, x, y + 0.085, _short(node.figure + judged, 28), fontsize=8, color=colour)


class _Arrow:
    """A curve that grows from point to point and ends in a head."""

    def __init__(self, start: tuple[float, float]):
        self.path, self.codes = [start], [int(Curve.MOVETO)]

    def level(self, x: float, y: float) -> None:
        """Goes on to a point, leaving the last and reaching this one level."""
        x0, y0 = self.path[-1]
        middle = (x0 + x) / 2
        self.path += [(middle, y0), (middle, y), (x, y)]
        self.codes += [int(Curve.CURVE4)] * 3

    def turning(self, *corners: tuple[float, float]) -> None:
        """Goes on along straight lines to the last point, with round corners at the others."""
        for before, (here, after) in zip(
            [self.path[-1], *corners], itertools.pairwise(corners), strict=False
        ):
            for other in (before, after):
                way = math.dist(here, other)
                share = min(0.12, way / 2) / max(way, 1e-9)
                x, y = (h + share * (o - h) for h, o in zip(here, other, strict=True))
                self.path += [(x, y)] if other == before else [here, (x, y)]
                self.codes += [int(Curve.LINETO)] if other == before else [int(Curve.CURVE3)] * 2
        self.path.append(corners[-1])
        self.codes.append(int(Curve.LINETO))

    def draw(self, ax: Axes, colour: str) -> None:
        ax.add_patch(
            FancyArrowPatch(
                path=Curve(self.path, self.codes), color=colour, lw=1.5, zorder=2, shrinkA=0,
                shrinkB=0, arrowstyle="-|>,head_length=5,head_width=2.6", joinstyle="round",
            )
        )  # fmt: skip


def _ports(ends: Mapping[tuple[str, str], float], side: int) -> dict[tuple[str, str], float]:
    """How far from the middle of a box's side each of its arrows ends, ordered so that they do not
    cross there."""
    found = {}
    for box in {pair[side] for pair in ends}:
        mine = sorted((pair for pair in ends if pair[side] == box), key=lambda p: ends[p])
        step = min(0.16, 0.5 / len(mine))
        for i, pair in enumerate(mine):
            found[pair] = (i - (len(mine) - 1) / 2) * step
    return found


class _Page:
    """Where columns and heights of a layout lie on the page, in inches.

    Attributes:
      folded: the arrows that go from each band to the next, the lowest first.
      width, height: of the page.
    """

    def __init__(self, where: Layout):
        self.band = {c: number for number, band in enumerate(where.bands) for c in band}
        self.first = [band[0] for band in where.bands]
        self.ends = where.ends
        leaving: list[list[tuple[float, tuple[str, str]]]] = [[] for _ in where.bands]
        for pair, way in where.ways.items():
            points = [where.at[pair[0]], *way, where.at[pair[1]]]
            for (a, y), (b, _) in itertools.pairwise(points):
                if self.band[a] != self.band[b]:
                    leaving[self.band[a]].append((-y, pair))
        self.folded = [[pair for _, pair in sorted(mine)] for mine in leaving]
        self.left = MARGIN + LANE * max(map(len, self.folded))
        self.tops = [HEAD]
        for (top, bottom), folded in zip(where.ends, self.folded, strict=True):
            gutter = GUTTER + LANE * len(folded) if folded else MARGIN
            self.tops.append(self.tops[-1] + HEIGHT * (bottom - top) + gutter)
        longest = max(len(band) for band in where.bands)
        self.width = max(2 * self.left + WIDTH + COLUMN * (longest - 1), LEAST)
        self.height = self.tops[-1]

    def x(self, column: int) -> float:
        return self.left + WIDTH / 2 + COLUMN * (column - self.first[self.band[column]])

    def y(self, column: int, place: float) -> float:
        band = self.band[column]
        return self.tops[band] + HEIGHT * (place - self.ends[band][0])

    def fold(self, arrow: _Arrow, pair: tuple[str, str], column: int, x: float, y: float) -> None:
        """Takes an arrow from the end of a band, around, to a point in the next.

        On the right the lowest turns first, so that it comes first in the gutter and last on the
        left: none crosses another.
        """
        band = self.band[column]
        count = len(self.folded[band])
        number = self.folded[band].index(pair)
        right = self.x(column) + WIDTH / 2 + 0.14 + LANE * number
        gutter = self.tops[band + 1] - GUTTER / 2 - LANE * (count - number)
        left = self.left - 0.14 - LANE * (count - 1 - number)
        corners = [(right, arrow.path[-1][1]), (right, gutter), (left, gutter), (left, y)]
        arrow.turning(*corners, (x, y))


def _draw(ax: Axes, nodes: Mapping[str, Node], where: Layout, page: _Page) -> None:
    ahead = {p: (way or [where.at[p[1]]])[0][1] for p, way in where.ways.items()}
    behind = {p: (way or [where.at[p[0]]])[-1][1] for p, way in where.ways.items()}
    out, into = _ports(ahead, 0), _ports(behind, 1)
    for pair, way in where.ways.items():
        (c0, y0), (c1, y1) = (where.at[name] for name in pair)
        arrow = _Arrow((page.x(c0) + WIDTH / 2, page.y(c0, y0) + out[pair]))
        last = c0
        for column, place in [*way, (c1, y1)]:
            arrives = column == c1
            x = page.x(column) - WIDTH / 2 - (0.01 if arrives else 0)
            y = page.y(column, place) + (into[pair] if arrives else 0)
            if page.band[last] == page.band[column]:
                arrow.level(x, y)
            else:
                page.fold(arrow, pair, last, x, y)
            if not arrives:  # straight past the boxes of a column, curved between columns
                arrow.turning((page.x(column) + WIDTH / 2, y))
            last = column
        source, target = nodes[pair[0]], nodes[pair[1]]
        faint = source.faint or target.faint
        arrow.draw(ax, "#cccccc" if faint else _tint(KINDS[source.kind], 0.75))
    for name, (column, place) in where.at.items():
        x, y = page.x(column), page.y(column, place)
        _stage(ax, nodes[name], x, y)
        for number, exam in enumerate(where.docked.get(name, ())):
            _exam(ax, nodes[exam], name, x, y + HEIGHT * (BOX / 2 + DOCK * (number + 0.5)))


def plot_pipeline(path: str | Path, *, title: str, nodes: Sequence[Node]) -> None:
    """Writes a PNG of the stages as boxes, from left to right, and of who reads whom as arrows.

    Dashed boxes are optional, grey ones not done. An exam of one model hangs below it, and tells
    how many reward models judge in it.

    Args:
      path: of the PNG.
      title: above it.
      nodes: in an order in which inputs come first.
    """
    where = layout(nodes)
    page = _Page(where)
    width, height = page.width, page.height
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height))
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set(xlim=(0, width), ylim=(height, 0))
        ax.set_axis_off()
        ax.text(MARGIN, 0.3, title, fontsize=14, weight="bold", va="center", parse_math=False)
        kinds = dict.fromkeys(node.kind for node in nodes)
        keys = [Patch(fc=_tint(c, 0.25), ec=c, label=k) for k, c in KINDS.items()
                if k in kinds]  # fmt: skip
        if any(node.optional for node in nodes):
            keys.append(Patch(fc="white", ec=GREY, ls="--", label="optional"))
        if any(node.faint for node in nodes):
            keys.append(Patch(fc=_tint(GREY, 0.1), ec=GREY, label="not done"))
        ax.legend(
            handles=keys, loc="upper right", ncols=len(keys), handlelength=1.1, columnspacing=1.2,
            bbox_to_anchor=(1 - 0.5 * MARGIN / width, 1 - 0.1 / height), borderaxespad=0.0,
        )  # fmt: skip
        _draw(ax, {node.name: node for node in nodes}, where, page)
        figure.savefig(path, format="png", dpi=110, metadata={"Software": None})
