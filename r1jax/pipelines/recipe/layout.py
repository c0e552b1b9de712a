"""Where the boxes and arrows of a graph of stages go: layers from left to right, few crossings.

Sugiyama's method: layers by longest path, order by barycentres, heights by isotonic regression.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

SWEEPS = 12
LONGEST = 8  # columns of a line
BOX, DOCK, WAY, GAP = 1.0, 0.62, 0.3, 0.34  # heights, in boxes: box, exam below it, arrow, between


class Node(NamedTuple):
    """A stage as a box.

    Attributes:
      name, pipeline, figure: texts in it.
      kind: "model", "data", "reward model", "exam" or "check".
      inputs: names of the stages it reads, all before it.
      faint: not done yet.
      optional: an arm beside the recipe.
    """

    name: str
    pipeline: str
    figure: str
    kind: str
    inputs: tuple[str, ...]
    faint: bool
    optional: bool


class Layout(NamedTuple):
    """Places in units of a column and of a box's height; y grows downwards.

    Attributes:
      at: centre (column, y) of each box that stands by itself.
      docked: exams below the box of the model they examine, in order.
      ways: (source, target) -> the points between them that its arrow passes.
      bands: columns of each line of the picture, from the top: a long graph is folded as text is.
      ends: (top, bottom) of the boxes and arrows of each band.
    """

    at: dict[str, tuple[int, float]]
    docked: dict[str, list[str]]
    ways: dict[tuple[str, str], list[tuple[int, float]]]
    bands: list[list[int]]
    ends: list[tuple[float, float]]


def _examined(nodes: Sequence[Node]) -> dict[str, str]:
    """Exams that nothing reads, and the one model each examines, below which they hang."""
    kinds = {node.name: node.kind for node in nodes}
    read = {name for node in nodes for name in node.inputs}
    found = {}
    for node in nodes:
        models = [name for name in node.inputs if kinds[name] == "model"]
        if node.kind == "exam" and node.name not in read and len(models) == 1:
            found[node.name] = models[0]
    return found


def _layers(nodes: Sequence[Node]) -> dict[str, int]:
    """The longest way to each node; one that reads nothing stands right before its first reader."""
    layer: dict[str, int] = {}
    for node in nodes:
        layer[node.name] = 1 + max((layer[name] for name in node.inputs), default=-1)
    for node in reversed(nodes):
        readers = [layer[other.name] for other in nodes if node.name in other.inputs]
        if not node.inputs and readers:
            layer[node.name] = min(readers) - 1
    return layer


def _crossings(columns: list[list[str]], links: list[tuple[str, str]]) -> int:
    place = {name: i for column in columns for i, name in enumerate(column)}
    where = {name: c for c, column in enumerate(columns) for name in column}
    count = 0
    for i, (a, b) in enumerate(links):
        for c, d in links[i + 1 :]:
            if where[a] == where[c] and (place[a] - place[c]) * (place[b] - place[d]) < 0:
                count += 1
    return count


def _ordered(columns: list[list[str]], links: list[tuple[str, str]]) -> list[list[str]]:
    """The columns in an order with few crossings."""
    linked = {name for link in links for name in link}
    columns = [sorted(column, key=lambda name: name not in linked) for column in columns]
    best, fewest = [list(c) for c in columns], _crossings(columns, links)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        numbers = range(len(columns)) if forward else reversed(range(len(columns)))
        for number in numbers:
            place = {name: i for column in columns for i, name in enumerate(column)}
            around = {name: [] for name in columns[number]}
            for a, b in links:
                here, there = (b, a) if forward else (a, b)
                if here in around:
                    around[here].append(place[there])
            centre = {
                n: sum(p) / len(p) if p else place[n] if n in linked else len(place)
                for n, p in around.items()
            }
            columns[number].sort(key=lambda name, centre=centre: centre[name])
        count = _crossings(columns, links)
        if count < fewest:
            best, fewest = [list(c) for c in columns], count
    return best


def isotonic(wanted: Sequence[float]) -> list[float]:
    """Returns the never falling numbers with the least squared distance to the wanted ones."""
    blocks: list[tuple[float, int]] = []  # mean, how many
    for value in wanted:
        mean, count = value, 1
        while blocks and blocks[-1][0] > mean:
            before, n = blocks.pop()
            mean, count = (before * n + mean * count) / (n + count), n + count
        blocks.append((mean, count))
    return [mean for mean, count in blocks for _ in range(count)]


def _heights(
    columns: list[list[str]], links: list[tuple[str, str]], above: Mapping[str, float],
    below: Mapping[str, float],
) -> dict[str, float]:  # fmt: skip
    """Heights near those of the neighbours, with room for every box."""
    offsets: dict[str, float] = {}
    for column in columns:
        at = 0.0
        for i, name in enumerate(column):
            at += below[column[i - 1]] + GAP + above[name] if i else 0.0
            offsets[name] = at
    y = {n: offsets[n] - offsets[column[-1]] / 2 for column in columns for n in column}
    around: dict[str, list[str]] = {name: [] for name in y}
    for a, b in links:
        around[a].append(b)
        around[b].append(a)
    for sweep in range(2 * SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wanted = [sum(y[o] for o in around[n]) / len(around[n]) if around[n] else y[n]
                      for n in column]  # fmt: skip
            free = isotonic([w - offsets[n] for w, n in zip(wanted, column, strict=True)])
            y.update({n: f + offsets[n] for f, n in zip(free, column, strict=True)})
    for column in columns:
        for before, name in itertools.pairwise(column):
            if not around[name]:  # they stand last, and below the others as close as there is room
                y[name] = y[before] + offsets[name] - offsets[before]
    return y


def _folded(columns: list[list[str]], links: list[tuple[str, str]]) -> list[list[int]]:
    """The columns in lines of about the same length, cut where few arrows have to follow."""
    count = len(columns)
    lines = -(-count // LONGEST)
    where = {name: c for c, column in enumerate(columns) for name in column}
    over = [sum(where[a] == c for a, _ in links) for c in range(count)]

    def cost(cuts: tuple[int, ...]) -> tuple[bool, int]:
        longest = max(b - a for a, b in itertools.pairwise((0, *cuts, count)))
        return longest > LONGEST, sum(over[c - 1] for c in cuts) + 2 * longest

    best = min(itertools.combinations(range(1, count), lines - 1), key=cost, default=())
    return [list(range(a, b)) for a, b in itertools.pairwise((0, *best, count))]


def layout(nodes: Sequence[Node]) -> Layout:
    """Returns where everything goes.

    Args:
      nodes: in an order in which inputs come first.
    """
    examined = _examined(nodes)
    docked: dict[str, list[str]] = {}
    for exam, model in examined.items():
        docked.setdefault(model, []).append(exam)
    free = [node for node in nodes if node.name not in examined]
    layer = _layers(free)
    columns: list[list[str]] = [[] for _ in range(1 + max(layer.values(), default=0))]
    for node in free:
        columns[layer[node.name]].append(node.name)
    links, passed = [], {}
    for node in free:
        for source in node.inputs:
            between = range(layer[source] + 1, layer[node.name])
            names = [f"{source} > {node.name} @ {c}" for c in between]
            for c, name in zip(between, names, strict=True):
                columns[c].append(name)
            chain = [source, *names, node.name]
            links += itertools.pairwise(chain)
            passed[source, node.name] = list(zip(between, names, strict=True))
    columns = _ordered(columns, links)
    above = {n: (BOX if n in layer else WAY) / 2 for column in columns for n in column}
    below = {n: half + DOCK * len(docked.get(n, ())) for n, half in above.items()}
    y = _heights(columns, links, above, below)
    bands = _folded(columns, links)
    return Layout(
        at={name: (layer[name], y[name]) for name in layer},
        docked=docked,
        ways={pair: [(c, y[n]) for c, n in points] for pair, points in passed.items()},
        bands=bands,
        ends=[
            (
                min(y[n] - above[n] for c in band for n in columns[c]),
                max(y[n] + below[n] for c in band for n in columns[c]),
            )
            for band in bands
        ],
    )
