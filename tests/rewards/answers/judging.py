"""Whether an answer is paid: by the quick judge, else by algebra, as a worker would."""

from r1jax.rewards.answers import maths, symbolic


def paid(answer: str, gold: str, question: str = "") -> bool:
    reference = {"question": question}
    verdict = maths.quick(answer, gold, reference)
    if verdict is None:
        verdict = symbolic.equal(answer, gold, maths.context(gold, reference))
    assert not verdict.error and verdict.reason
    return verdict.value == 1.0
