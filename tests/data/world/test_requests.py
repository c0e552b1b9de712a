import random

import pytest

from r1jax.data.world import requests
from r1jax.data.world.requests import EXACT, KINDS, RequestSource


def drawn(kind: str, split, n: int = 30) -> list[requests.Request]:
    rng = random.Random(f"{kind} {split}")
    return [requests.draw(rng, split, kind) for _ in range(n)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_question_tells_its_request(kind):
    for request in drawn(kind, None):
        assert requests.request_of(request.question) == request


@pytest.mark.parametrize("kind", KINDS)
def test_splits_are_disjoint_in_either_language(kind):
    questions = {s: {r.question for r in drawn(kind, s)} for s in ("train", "validation", "test")}
    assert not questions["train"] & questions["test"]
    assert not questions["validation"] & (questions["train"] | questions["test"])
    if kind in ("copy", "sort"):
        return
    contents = {s: {r.content for r in drawn(kind, s, 200)} for s in ("train", "test")}
    if kind != "fact":  # two facts may have one answer
        assert not contents["train"] & contents["test"]


def test_a_source_gives_the_same_problem_for_the_same_index():
    def make():
        return RequestSource("test", size=20, seed=3, kinds=(*EXACT, "harm"))

    first, second = make(), make()
    assert [first[i] for i in range(20)] == [second[i] for i in range(20)]
    for i in range(20):
        problem = first[i]
        request = requests.request_of(problem.question)
        assert (problem.kind == "harmless") == (request.kind == "harm")
        assert problem.answer == request.content and problem.stratum == request.kind


def test_what_is_no_request_and_an_empty_source_are_refused():
    with pytest.raises(ValueError, match="is no request of the synthetic world"):
        requests.request_of("what is love?")
    with pytest.raises(ValueError, match=r"size 0 and kinds \(\)"):
        RequestSource("test", size=0, seed=0, kinds=())
