import random

import pytest
from sums_reader import calculate, evaluate, language, met, near, parse

from r1jax.data.world import sums
from r1jax.data.world.sums import Search, WorldSource, draw

SPLITS = ("train", "validation", "test", "ood")


@pytest.mark.parametrize("family", ["chain", "search"])
def test_no_problem_of_one_split_is_met_in_another(family):
    drawn = {
        split: {
            met(draw(random.Random(f"{split}{i}"), split, family))
            for i in range(5_000 if split == "train" else 500)
        }
        for split in SPLITS
    }
    for a in SPLITS:
        for b in SPLITS:
            assert a == b or not drawn[a] & drawn[b]
    assert min(map(len, drawn.values())) > 400


def test_a_split_ignores_order_and_spelling():
    rng = random.Random(0)
    for _ in range(50):
        search = draw(rng, "test", "search")
        numbers = tuple(rng.sample(search.numbers, len(search.numbers)))
        sign, n = search.operation
        twin = {"+": ("-", 10 - n), "-": ("+", 10 - n), "*": ("*", n)}[sign]
        assert sums._split_of(Search(numbers, twin, search.target)) == "test"
        other = next(n for n in numbers if n != search.answer)
        target = calculate(other, [search.operation])
        assert met(Search(numbers, twin, target)) != met(search)


def test_ood_problems_are_longer_than_all_others():
    sizes = {
        split: {WorldSource(split, size=99, seed=0, search_share=0.5)[i].stratum for i in range(99)}
        for split in SPLITS
    }
    assert sizes["ood"] == {"chain7", "chain8", "search7", "search8"}
    others = {"chain3", "chain4", "chain5", "chain6", "search4", "search5", "search6"}
    assert sizes["train"] == sizes["validation"] == sizes["test"] == others


def test_a_split_is_told_by_the_problem_whatever_its_language():
    for split in SPLITS:
        source = WorldSource(split, size=60, seed=5, search_share=0.5)
        asked = [source[i] for i in range(60)]
        assert {language(p.question) for p in asked} == {"en", "zh"}
        if split != "ood":
            told = [parse(p.question) for p in asked]
            assert {sums._split_of(p) for p in told if p is not None} == {split}


@pytest.mark.parametrize("split", SPLITS)
def test_questions_have_the_answers_of_an_independent_reader(split):
    source = WorldSource(split, size=100, seed=1, search_share=0.5)
    for i in range(100):
        problem = source[i]
        assert int(problem.answer) == evaluate(problem.question), problem.question
        assert problem.id == f"world/1:{split}-{i}"


def test_problems_are_functions_of_seed_and_index():
    first = WorldSource("test", size=10, seed=3, search_share=0.3)
    longer = WorldSource("test", size=99, seed=3, search_share=0.3)
    assert [first[i] for i in (7, 2)] == [longer[i] for i in (7, 2)]
    other = WorldSource("test", size=10, seed=4, search_share=0.3)
    assert [first[i] for i in range(10)] != [other[i] for i in range(10)]


@pytest.mark.parametrize(("size", "share"), [(0, 0.5), (-1, 0.5), (5, 1.5), (5, -0.1)])
def test_an_empty_source_and_impossible_shares_are_refused(size, share):
    with pytest.raises(ValueError, match="world, test: got size"):
        WorldSource("test", size=size, seed=0, search_share=share)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_search_problems_come_at_their_share(share):
    source = WorldSource("train", size=1000, seed=0, search_share=share)
    count = sum(source[i].stratum.startswith("search") for i in range(len(source)))
    assert near(count, 1000, share)
