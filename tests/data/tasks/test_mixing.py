import collections

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1jax.data.tasks.mixing import Interleaving, mixed_indices
from r1jax.data.tasks.problems import Problem, batch_indices

# grain shuffles by walking a cycle of 2**16, so small sources are its slow ones: 16 ms for n = 3
SOURCES = st.lists(st.tuples(st.integers(90, 120), st.integers(1, 5)), min_size=2, max_size=4)


def drawn(sources, *, seed, count, batch=None):
    sizes, weights, batch = [n for n, _ in sources], [float(w) for _, w in sources], batch or count
    return [
        i
        for step in range(-(-count // batch))
        for i in mixed_indices(sizes, weights, seed=seed, step=step, batch=batch)
    ]


def by_source(sources, order):
    """What each source gave, counted from its own start."""
    given, starts = [[] for _ in sources], [0]
    for n, _ in sources:
        starts.append(starts[-1] + n)
    for index in order:
        source = next(i for i in range(len(sources)) if index < starts[i + 1])
        given[source].append(index - starts[source])
    return given


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 300), st.integers(0, 2**32 - 1), st.integers(0, 10**6), st.integers(1, 5))
def test_one_source_comes_as_it_always_did(n, seed, step, batch):
    want = batch_indices(n, seed=seed, step=step, batch=batch)
    assert mixed_indices([n], [0.3], seed=seed, step=step, batch=batch) == want


def test_the_order_of_one_source_is_that_of_the_shipped_results():
    got = mixed_indices([100_000], [1.0], seed=0, step=3, batch=4)
    assert got == [93854, 7319, 64840, 41098]


@settings(deadline=None, max_examples=6)
@given(SOURCES, st.integers(0, 2**32 - 1))
def test_every_source_gives_each_problem_once_an_epoch(sources, seed):
    given = by_source(sources, drawn(sources, seed=seed, count=500))
    assert any(len(order) > n for (n, _), order in zip(sources, given, strict=True))
    for (n, _), order in zip(sources, given, strict=True):
        for epoch in range(len(order) // n):
            assert sorted(order[epoch * n : (epoch + 1) * n]) == list(range(n))


@settings(deadline=None, max_examples=12)
@given(SOURCES, st.integers(0, 100), st.integers(1, 200))
def test_every_stretch_from_the_start_has_its_shares(sources, seed, count):
    total = sum(w for _, w in sources)
    given = by_source(sources, drawn(sources, seed=seed, count=count))
    for (_, weight), order in zip(sources, given, strict=True):
        # sources are chosen one after the other, each to within one of what is left
        assert abs(len(order) - count * weight / total) <= len(sources)


def test_shares_are_kept_over_a_long_run():
    sources, counts = [(500, 7.0), (300, 2.0), (200, 1.0)], collections.Counter()
    for index in drawn(sources, seed=1, count=2000, batch=100):
        counts[0 if index < 500 else 1 if index < 800 else 2] += 1
    assert [counts[i] for i in range(3)] == pytest.approx([1400, 400, 200], rel=0.01)


def named(name):
    return Problem(name, "q", "1", "", "", "maths", {})


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=5))
def test_sources_take_turns_by_their_sizes(sizes):
    made = Interleaving([[named(f"{i} {j}") for j in range(n)] for i, n in enumerate(sizes)])
    order = [tuple(map(int, made[index].id.split())) for index in range(len(made))]
    total = sum(sizes)
    assert len(order) == total
    for i, n in enumerate(sizes):
        assert [j for source, j in order if source == i] == list(range(n))
        for count in range(total + 1):
            here = sum(source == i for source, _ in order[:count])
            # each source is within half a problem of a moment that all share
            assert abs(here - count * n / max(total, 1)) <= 1 + len(sizes) / 2


def test_turns_by_hand():
    made = Interleaving([[named(letter) for letter in part] for part in ("abcd", "xy", "", "12")])
    assert "".join(made[i].id for i in range(8)) == "ax1bcy2d"
    for index in (-1, 8):
        with pytest.raises(IndexError, match="wanted 0 to 7"):
            made[index]


def test_the_mixed_order_does_not_depend_on_the_batch_size():
    sources = [(50, 1), (90, 3)]
    parts = drawn(sources, seed=3, count=60, batch=4)
    assert parts == drawn(sources, seed=3, count=60, batch=60)
    far = dict(seed=3, step=10**9, batch=3)
    assert mixed_indices([50, 90], [1.0, 3.0], **far) == mixed_indices([50, 90], [1.0, 3.0], **far)


def test_seeds_differ_and_so_do_sources_of_one_size():
    sources = [(90, 1), (90, 1)]
    one, two = (drawn(sources, seed=s, count=100) for s in (0, 1))
    assert one != two
    first, second = by_source(sources, one)
    assert first != second


@pytest.mark.parametrize(
    ("sizes", "weights", "step", "batch"),
    [
        ([], [], 0, 1),
        ([3], [1.0, 2.0], 0, 1),
        ([3, 0], [1.0, 1.0], 0, 1),
        ([3, 3], [1.0, 0.0], 0, 1),
        ([3, 3], [1.0, -1.0], 0, 1),
        ([3, 3], [1.0, 1.0], -1, 1),
        ([3, 3], [1.0, 1.0], 0, 0),
    ],
)
def test_impossible_mixtures_are_refused(sizes, weights, step, batch):
    with pytest.raises(ValueError, match="wanted"):
        mixed_indices(sizes, weights, seed=0, step=step, batch=batch)
