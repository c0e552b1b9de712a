"""Equal forms are right and neighbours wrong, on random expressions. More of them by hand:

PYTHONPATH=.:tests/rewards/answers python -c "
import test_neighbours
print(test_neighbours.misjudged(20_000, seed=1))"
"""

import random

import expressions

from r1jax.rewards.answers import maths, symbolic


def paid(answer: str, gold: str) -> bool:
    verdict = maths.quick(answer, gold, {}) or symbolic.equal(answer, gold, "")
    return verdict.value == 1.0


def misjudged(count: int, seed: int) -> list[tuple[str, str, bool]]:
    """The pairs of answer and gold that are judged wrong, with the right verdict."""
    draw, found = random.Random(seed), []
    for at in range(count):
        done, undone = draw.choice(expressions.KINDS)(draw)
        near = expressions.neighbour(draw, done)
        gold = expressions.spelt(draw, draw.choice([done, undone]))
        wrong = at % 2 == 1 and expressions.differ(near, done)
        answer = expressions.spelt(draw, near if wrong else done)
        if paid(answer, gold) == wrong:
            found.append((answer, gold, not wrong))
    return found


def test_equal_forms_are_right_and_neighbours_wrong():
    assert misjudged(400, seed=0) == []


def test_both_forms_of_every_kind_have_one_value():
    for kind in expressions.KINDS:
        for seed in range(20):
            assert not expressions.differ(*kind(random.Random(seed)))
