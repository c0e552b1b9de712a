"""A run of stages in one picture, from top to bottom: who feeds whom, and what came out."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import matplotlib
import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch
from matplotlib.path import Path as Curve
from scipy.optimize import linprog

from r1jax.pipelines.recipe.flowchart import Node, exams_of
from r1jax.reports.panels import BLUE, GREEN, GREY, ORANGE, PURPLE, STYLE

COLOURS = {"model": BLUE, "data": GREEN, "reward model": ORANGE, "exam": PURPLE, "check": GREY}
# inches: a box, an exam at its foot, room for a box and for a bend, between rows, around all
WIDTH, HEIGHT, EXAM, ROOM, BEND, DOWN, MARGIN = 1.7, 0.72, 0.34, 2.0, 0.4, 0.52, 0.3
CODES = [Curve.MOVETO, Curve.LINETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4]


def graph_of(nodes: Sequence[Node]) -> nx.DiGraph:
    """Returns stages with `row`, below all they read, and a bend (source, row) for each row that
    the arrows of a source pass; both with the `node` whose colour they have."""
    stages = nx.DiGraph({node.name: node.inputs for node in nodes}).reverse()
    row = {n: i for i, names in enumerate(nx.topological_generations(stages)) for n in names}
    graph = nx.DiGraph()
    for node in nodes:
        if not node.inputs and stages.succ[node.name]:  # right above its first reader
            row[node.name] = min(row[reader] for reader in stages.succ[node.name]) - 1
        graph.add_node(node.name, row=row[node.name], node=node)
    for node in nodes:
        for source in node.inputs:
            bends = {(source, i): {"row": i} for i in range(row[source] + 1, row[node.name])}
            graph.add_nodes_from(bends.items(), node=graph.nodes[source]["node"])
            nx.add_path(graph, [source, *bends, node.name])
    return graph


def columns(graph: nx.DiGraph) -> dict[Any, float]:
    """Returns the x of each node, in inches: few crossings, then short and straight arrows."""
    row: dict[Any, int] = dict(graph.nodes(data="row"))
    rows = {number: [n for n in graph if row[n] == number] for number in row.values()}
    for sweep in range(12):  # each row by the mean place of its neighbours above, or below
        near = graph.pred if sweep % 2 == 0 else graph.succ
        for number in sorted(rows, reverse=sweep % 2 == 1):
            at = nx.multipartite_layout(graph, subset_key=rows, align="horizontal")
            mean = {n: np.mean([at[other][0] for other in near[n] or [n]]) for n in rows[number]}
            rows[number].sort(key=mean.__getitem__)
    unit = np.eye(len(graph) + graph.number_of_edges())
    x, length = dict(zip(graph, unit, strict=False)), unit[len(graph) :]
    room = {name: BEND if isinstance(name, tuple) else ROOM for name in graph}
    below = [(-unit[0], 0.0)]
    for a, b in (pair for names in rows.values() for pair in pairwise(names)):
        below.append((x[a] - x[b], -(room[a] + room[b]) / 2))
    for (a, b), longest in zip(graph.edges, length, strict=True):  # straightest between bends
        below += [(s * (x[a] - x[b]) - longest * max(room[a], room[b]), 0.0) for s in (1, -1)]
    matrix, bound = map(np.array, zip(*below, strict=True))
    best = linprog(length.sum(axis=0), matrix, bound).x[: len(graph)]
    return dict(zip(graph, best - best.min() + MARGIN + WIDTH / 2, strict=True))


def _box(ax: Axes, node: Node, x: float, y: float, height: float, *texts: str) -> None:
    colour, line = GREY if node.faint else COLOURS[node.kind], "--" if node.optional else "-"
    box = FancyBboxPatch((x - WIDTH / 2, y), WIDTH, height, "round,pad=0,rounding_size=0.07")
    ax.add_patch(box).set(fc=(colour, 0.1), ec=colour, lw=1.4, ls=line, zorder=3)
    for number, text in enumerate((node.name, *texts)):
        large, weight = (11, "bold") if number == 0 and height == HEIGHT else (8.5, "normal")
        ink = GREY if node.faint or (number < len(texts) and large < 11) else "#1f1f1f"
        look = {"size": min(large, 165 / max(len(text), 1)), "weight": weight, "color": ink}
        look |= {"ha": "center", "va": "center", "zorder": 4, "parse_math": False}
        ax.text(x, y + height * (number + 0.75) / (len(texts) + 1.5), text, **look)


def _port(graph: nx.DiGraph, x: dict[Any, float], name: Any, other: Any) -> float:
    """Where at a box an arrow ends: side by side with others, in the order of where they lead."""
    near = graph.succ[name] if other in graph.succ[name] else graph.pred[name]
    place = sorted(near, key=x.__getitem__).index(other) - (len(near) - 1) / 2
    return x[name] + (0 if isinstance(name, tuple) else place * min(0.2, 1.2 / len(near)))


def plot_pipeline(path: str | Path, *, title: str, nodes: Sequence[Node]) -> None:
    """Writes a PNG of stages as boxes, an exam of one model at its foot, and of who reads whom.

    Nodes come in an order in which inputs come first. Dashed ones are optional, grey ones not done.
    """
    exams = exams_of(nodes)
    graph = graph_of([n for n in nodes if not any(n in some for some in exams.values())])
    x, row = columns(graph), dict(graph.nodes(data="row"))
    tall = {name: HEIGHT + EXAM * len(exams.get(name, ())) for name in graph}
    deep = [max(tall[n] for n in graph if row[n] == i) for i in range(1 + max(row.values()))]
    top = list(accumulate((height + DOWN for height in deep), initial=0.85))
    width, height = max(*x.values(), 5.6) + WIDTH / 2 + MARGIN, top[-1] - DOWN + MARGIN
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height))
        ax = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        ax.set_axis_off()
        ax.text(MARGIN, 0.3, title, fontsize=14, weight="bold", va="center", parse_math=False)
        for a, b in graph.edges:
            source, begin, end = graph.nodes[a]["node"], top[row[a]], top[row[b]]
            foot, u, v = begin + deep[row[a]], _port(graph, x, a, b), _port(graph, x, b, a)
            begin, middle = begin + tall[a] * isinstance(a, str), (foot + end) / 2
            bends = Curve([(u, begin), (u, foot), (u, middle), (v, middle), (v, end)], CODES)
            head = "-|>,head_length=5,head_width=2.6" if isinstance(b, str) else "-"
            colour = "#c4c4c4" if source.faint else COLOURS[source.kind]
            arrow = FancyArrowPatch(path=bends, color=colour, arrowstyle=head, lw=1.3)
            ax.add_patch(arrow).set_fill(isinstance(b, str))
        for node in (node for node in nodes if node.name in graph):
            at = x[node.name], top[row[node.name]]
            _box(ax, node, *at, HEIGHT, node.pipeline, node.figure)
            for i, exam in enumerate(exams.get(node.name, ())):
                _box(ax, exam, at[0], at[1] + HEIGHT + EXAM * i, EXAM, exam.figure)
        keys = [Patch(fc=(colour, 0.25), ec=colour, label=kind) for kind, colour in COLOURS.items()]
        keys.append(Patch(fc="white", ec=GREY, ls="--", label="optional"))
        ax.legend(handles=keys, ncols=len(keys), loc=(MARGIN / width, 1 - 0.65 / height))
        figure.savefig(path, format="png", dpi=110, metadata={"Software": None})
