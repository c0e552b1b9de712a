import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1jax.pipelines import table
from r1jax.pipelines.recipe import flowchart, panels, picture
from r1jax.pipelines.recipe.flowchart import Node
from r1jax.pipelines.recipe.picture import BEND, ROOM


def node(name, *inputs, kind="model", **more):
    shown = {"pipeline": "pipeline", "figure": "12 rows", "faint": False, "optional": False}
    return Node(name=name, kind=kind, inputs=inputs, **{**shown, **more})


RECIPE = [
    node("zero"),
    node("samples", "zero", kind="data"),
    node("dev1", "samples"),
    node("rm", "samples", kind="reward model"),
    node("r1", "dev1", "rm"),
    node("exam", "r1", "rm", kind="exam"),
    node("lone", optional=True),
    node("late", kind="data", faint=True),
    node("exam_zero", "zero", "rm", kind="exam"),
    node("end", "zero", "dev1", "late", kind="check"),
]


def test_a_stage_stands_below_what_it_reads_a_source_just_above():
    graph = picture.graph_of(RECIPE)
    row = dict(graph.nodes(data="row"))
    assert all(row[source] < row[n.name] for n in RECIPE for source in n.inputs)
    assert row["late"] == row["end"] - 1 == 2
    # arrows that pass rows bend in each of them, and one stage's arrows share their bends
    assert all(row[b] == row[a] + 1 for a, b in graph.edges)
    bends = {n for n in graph if isinstance(n, tuple)}
    assert bends == {("rm", 3), ("zero", 1), ("zero", 2)}


def test_an_exam_stands_at_the_foot_of_the_one_model_it_examines():
    exams = flowchart.exams_of(RECIPE)
    assert {model: [e.name for e in some] for model, some in exams.items()} == {
        "r1": ["exam"],
        "zero": ["exam_zero"],
    }
    both = [*RECIPE, node("both", "zero", "r1", kind="exam"), node("on", "exam_zero")]
    assert set(flowchart.exams_of(both)) == {"r1"}


@st.composite
def graphs(draw):
    nodes = []
    for i in range(draw(st.integers(1, 14))):
        before = [n.name for n in nodes]
        inputs = draw(st.lists(st.sampled_from(before), max_size=3, unique=True)) if before else []
        nodes.append(node(f"n{i}", *inputs))
    return nodes


@settings(max_examples=30, deadline=None)
@given(graphs())
def test_boxes_and_arrows_of_a_row_never_overlap(nodes):
    graph = picture.graph_of(nodes)
    x = picture.columns(graph)
    assert set(x) == set(graph) >= {n.name for n in nodes}
    rows: dict[int, list] = {}
    for name, row in graph.nodes(data="row"):
        rows.setdefault(row, []).append(name)
    room = {name: BEND if isinstance(name, tuple) else ROOM for name in graph}
    for names in rows.values():
        for a, b in itertools.pairwise(sorted(names, key=x.__getitem__)):
            assert x[b] - x[a] >= (room[a] + room[b]) / 2 - 1e-6


def test_arrows_do_not_cross_where_they_need_not():
    """A ladder whose rungs are named the other way round."""
    ladder = [node("a"), node("b"), node("d", "b"), node("c", "a"), node("e", "c"), node("f", "d")]
    x = picture.columns(picture.graph_of(ladder))
    sides = [(x[left] < x[right]) for left, right in ("ab", "cd", "ef")]
    assert len(set(sides)) == 1
    assert x["a"] == pytest.approx(x["c"]) == pytest.approx(x["e"])


def test_an_arrow_that_passes_rows_is_straight_there():
    wide = [node("a"), node("b", "a"), node("c", "b"), node("d", "b"), node("e", "c", "d", "a")]
    x = picture.columns(picture.graph_of(wide))
    assert x["a", 1] == pytest.approx(x["a", 2])


@pytest.mark.parametrize("nodes", [RECIPE, RECIPE[:1], RECIPE[6:8]], ids=len)
def test_a_picture_is_the_same_bytes_each_time(tmp_path, nodes):
    for name in ("a.png", "b.png"):
        picture.plot_pipeline(tmp_path / name, title="$a_b", nodes=nodes)
    first = (tmp_path / "a.png").read_bytes()
    assert first == (tmp_path / "b.png").read_bytes() and len(first) > 1000


def test_panels_are_written_whatever_is_missing(tmp_path):
    score = {"mean": 0.5, "low": None, "high": None}
    for models in ({}, {"A": None}, {"A": {"x": score}, "B": {"x": {**score, "mean": None}}}):
        path = tmp_path / f"{len(models)}.png"
        measures = {"x": "x"} if len(models) > 1 else {}
        panels.plot_measures(path, title="t", models=models, measures=measures, level=0.95)
        assert path.stat().st_size > 1000


def test_every_kind_that_a_stage_may_be_has_a_colour():
    kinds = {made.kind for made in table.PIPELINES.values()}
    assert kinds <= set(picture.COLOURS) == set(flowchart.KINDS)


def test_a_flowchart_has_a_box_a_stage_and_an_arrow_a_reading():
    lines = flowchart.flowchart(RECIPE).splitlines()
    assert lines[:2] == ["```mermaid", "flowchart TD"] and lines[-1] == "```"
    assert '    s2["samples<br/>pipeline<br/>12 rows"]' in lines
    assert '    s10["end<br/>pipeline<br/>12 rows"]' in lines  # "end" would end the chart as an id
    arrows = [line.strip() for line in lines if "-->" in line]
    assert len(arrows) == sum(len(n.inputs) for n in RECIPE) and "s1 --> s2" in arrows
    assert "    class s4 reward_model" in lines and "    class s7 optional" in lines
    assert "    class s8 faint" in lines


def test_a_flowchart_escapes_what_means_something_to_it():
    odd = node('a"b', figure="x < 1 & `y` #2 → 3")
    (box,) = [
        line for line in flowchart.flowchart([odd]).splitlines() if line.startswith("    s1[")
    ]
    assert box == '    s1["a#quot;b<br/>pipeline<br/>x #lt; 1 #amp; #96;y#96; #35;2 → 3"]'
