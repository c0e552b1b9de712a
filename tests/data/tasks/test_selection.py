import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.data.tasks.selection import drawn, mixture_sizes, repeated, select


def row(completion: str, tokens: int, *rejected_by: str) -> dict:
    return {"completion": completion, "tokens": tokens, "rejected_by": list(rejected_by)}


ROWS = [row("a", 5), row("bad", 1, "correct"), row("a", 5), row("b", 3), row("c", 3), row("d", 4)]


@pytest.mark.parametrize(
    ("prefer", "keep", "want"),
    [
        ("first", 2, "kept rejected duplicate kept surplus surplus"),
        ("shortest", 2, "surplus rejected duplicate kept kept surplus"),
        ("shortest", 9, "kept rejected duplicate kept kept kept"),
    ],
)
def test_fit_samples_are_kept_up_to_a_number(prefer, keep, want):
    assert select(ROWS, keep=keep, prefer=prefer) == want.split()


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 9))
def test_a_draw_is_without_replacement_and_grows(n, count, seed):
    if count > n:
        with pytest.raises(ValueError, match=f"x: {count} wanted, {n} there"):
            drawn(n, count, seed=seed, name="x")
        return
    got = drawn(n, count, seed=seed, name="x")
    assert got == sorted(set(got)) and len(got) == count and all(0 <= i < n for i in got)
    assert set(got) <= set(drawn(n, n, seed=seed, name="x"))
    if count:
        assert set(drawn(n, count - 1, seed=seed, name="x")) < set(got)


def test_seed_and_name_make_the_draw():
    draws = {tuple(drawn(50, 9, seed=s, name=n)) for s in (0, 1) for n in ("a", "b")}
    assert len(draws) == 4 and len(drawn(50, 9, seed=0, name="a")) == 9


@given(st.integers(1, 9), st.integers(0, 40))
def test_repeats_use_every_row_equally_often_to_within_one(n, count):
    got = repeated(n, count, seed=0, name="x")
    times = [got.count(i) for i in range(n)]
    assert len(got) == count and max(times) - min(times) <= 1


def test_nothing_cannot_be_repeated():
    assert repeated(0, 0, seed=0, name="x") == []
    with pytest.raises(ValueError, match="x: 3 wanted, none there"):
        repeated(0, 3, seed=0, name="x")


def test_parts_get_their_share_of_all_rows():
    assert mixture_sizes(600_000, {"general": 0.25}) == {"general": 200_000}  # as R1
    assert mixture_sizes(50, {"a": 0.3, "b": 0.2}) == {"a": 30, "b": 20}
    assert mixture_sizes(7, {}) == {}
