import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from r1jax.pipelines import table
from r1jax.pipelines.recipe import layout as stage_layout
from r1jax.pipelines.recipe import panels, plots
from r1jax.pipelines.recipe.layout import BOX, DOCK, GAP, Node, layout


def node(name, *inputs, kind="model"):
    return Node(name, "pipeline", "12 rows", kind, inputs, False, False)


RECIPE = [
    node("zero"),
    node("samples", "zero", kind="data"),
    node("dev1", "samples"),
    node("rm", "samples", kind="reward model"),
    node("r1", "dev1", "rm"),
    node("exam", "r1", "rm", kind="exam"),
    node("lone"),
    node("exam_zero", "zero", "rm", kind="exam"),
]


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=6))
def test_isotonic_numbers_are_the_nearest_that_never_fall(wanted):
    got = np.array(stage_layout.isotonic(wanted))
    assert np.all(np.diff(got) >= -1e-12)
    # the oracle: max over starts of min over ends of the means between
    n = len(wanted)
    oracle = [
        max(min(np.mean(wanted[a : b + 1]) for b in range(i, n)) for a in range(i + 1))
        for i in range(n)
    ]
    np.testing.assert_allclose(got, oracle, atol=1e-9)


def test_a_stage_stands_right_of_what_it_reads():
    where = layout(RECIPE)
    for target in RECIPE:
        for source in target.inputs:
            if target.name in where.at:
                assert where.at[source][0] < where.at[target.name][0]


def test_an_exam_hangs_below_its_model_wherever_its_reward_models_are():
    where = layout(RECIPE)
    assert where.docked == {"zero": ["exam_zero"], "r1": ["exam"]}
    assert not {"exam", "exam_zero"} & where.at.keys()


@st.composite
def graphs(draw):
    nodes = []
    for i in range(draw(st.integers(1, 14))):
        before = [n.name for n in nodes]
        inputs = draw(st.lists(st.sampled_from(before), max_size=3, unique=True)) if before else []
        kind = draw(st.sampled_from(["model", "data", "exam"]))
        nodes.append(node(f"n{i}", *inputs, kind=kind))
    return nodes


@settings(max_examples=30)
@given(graphs())
def test_boxes_and_what_hangs_below_them_never_overlap(nodes):
    where = layout(nodes)
    assert len(where.at) + sum(map(len, where.docked.values())) == len(nodes)
    columns = {}
    for name, (column, y) in where.at.items():
        bottom = y + BOX / 2 + DOCK * len(where.docked.get(name, ()))
        columns.setdefault(column, []).append((y - BOX / 2, bottom))
    for boxes in columns.values():
        for (_, bottom), (top, _) in itertools.pairwise(sorted(boxes)):
            assert top - bottom >= GAP - 1e-9
    assert [c for band in where.bands for c in band] == list(range(len(columns)))


def test_a_long_graph_is_folded_where_few_arrows_pass():
    chain = [node("s0")]
    for i in range(1, 12):
        chain.append(node(f"s{i}", f"s{i - 1}"))
    side = [node(f"t{i}", "s4", "s5") for i in range(3)]
    where = layout([*chain, *side])
    assert len(where.bands) == 2 and max(map(len, where.bands)) <= stage_layout.LONGEST


def test_pictures_are_written_whatever_is_missing(tmp_path):
    plots.plot_pipeline(tmp_path / "a.png", title="$a_b", nodes=RECIPE)
    plots.plot_pipeline(tmp_path / "b.png", title="$a_b", nodes=RECIPE)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    told = {"mean": 0.5, "low": None, "high": None}
    for models in ({}, {"A": None}, {"A": {"x": told}, "B": {"x": {**told, "mean": None}}}):
        path = tmp_path / f"{len(models)}.png"
        measures = {"x": "x"} if len(models) > 1 else {}
        panels.plot_measures(path, title="t", models=models, measures=measures, level=0.95)
        assert path.stat().st_size > 1000


def test_every_kind_that_a_stage_may_be_has_a_colour():
    assert {made.kind for made in table.PIPELINES.values()} <= set(plots.KINDS)
