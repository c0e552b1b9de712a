import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1jax.data.tasks.problems import batch_indices, question_digest


def test_the_digest_of_a_question_is_the_sha256_of_its_bytes():
    want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    assert question_digest("abc") == want
    assert question_digest("ab\u7b54") != question_digest("ab")


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 12), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_every_item_comes_once_per_epoch(n, batch, seed):
    epochs = 3
    order = [
        index
        for step in range(-(-epochs * n // batch))
        for index in batch_indices(n, seed=seed, step=step, batch=batch)
    ]
    for epoch in range(epochs):
        assert sorted(order[epoch * n : (epoch + 1) * n]) == list(range(n))


def test_epochs_and_seeds_differ():
    first = batch_indices(50, seed=1, step=0, batch=50)
    assert first != list(range(50))
    assert first != batch_indices(50, seed=1, step=1, batch=50)
    assert first != batch_indices(50, seed=2, step=0, batch=50)


def test_the_order_does_not_depend_on_the_batch_size():
    whole = batch_indices(30, seed=3, step=0, batch=60)
    parts = [i for step in range(15) for i in batch_indices(30, seed=3, step=step, batch=4)]
    assert parts == whole


def test_a_far_step_needs_no_history():
    assert batch_indices(1000, seed=3, step=10**9, batch=2) == batch_indices(
        1000, seed=3, step=10**9, batch=2
    )


@pytest.mark.parametrize(("n", "step", "batch"), [(0, 0, 1), (1, -1, 1), (1, 0, 0)])
def test_impossible_batches_are_refused(n, step, batch):
    with pytest.raises(ValueError, match="wanted n, batch >= 1"):
        batch_indices(n, seed=0, step=step, batch=batch)
