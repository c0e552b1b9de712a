import numpy as np
import pytest

from r1jax.data.rows import packing

LENGTH = 10


def document(number: int) -> packing.Document:
    """1 to 9 tokens that tell their document: number * 10 + place + 1."""
    ids = [number * 10 + place + 1 for place in range(number * 7 % 9 + 1)]
    return packing.Document(ids, [True] * len(ids), label=number % 3)


@pytest.fixture(scope="module")
def rows() -> packing.Rows:
    return packing.pack(document, range(40), length=LENGTH, bins=4)


def test_every_document_lies_whole_in_one_row(rows):
    found = {}
    for row in (rows[i] for i in range(len(rows))):
        for segment in range(1, row["segments"].max() + 1):
            ids = row["tokens"][row["segments"] == segment]
            number = (int(ids[0]) - 1) // 10
            assert number not in found
            found[number] = ids.tolist()
            assert row["positions"][row["segments"] == segment].tolist() == list(range(len(ids)))
    assert found == {n: document(n)[0] for n in range(40)}


def test_segments_count_from_one_and_padding_is_all_zero(rows):
    for name in ("tokens", "segments", "positions", "predict", "label"):
        assert rows.arrays[name].shape == (len(rows), LENGTH)
        assert rows.arrays[name].dtype == np.int32
        assert not rows.arrays[name][rows.arrays["segments"] == 0].any()
    for segments in rows.arrays["segments"]:
        real = segments[segments > 0]
        assert len(real) == np.argmin([*segments, 0])  # padding stands at the end alone
        assert set(np.diff(real)) <= {0, 1} and real[0] == 1


def test_rows_are_fairly_full(rows):
    assert (rows.arrays["segments"] > 0).mean() > 0.85


def test_more_bins_waste_no_more():
    packed = [len(packing.pack(document, range(40), length=LENGTH, bins=b)) for b in (1, 4, 16)]
    assert packed == sorted(packed, reverse=True)


def test_weights_are_1_before_each_token_of_the_same_document(rows):
    batch = packing.to_batch(rows.arrays, reduction="token_mean")
    tokens, weights = np.asarray(batch.tokens_BT), np.asarray(batch.weights_BT)
    for b in range(len(rows)):
        for t in range(LENGTH):
            here = int(tokens[b, t])
            follows = t + 1 < LENGTH and tokens[b, t + 1] == here + 1 and here % 10 != 0
            assert weights[b, t] == float(here > 0 and follows), (b, t, tokens[b])
    counts = sum(len(document(n)[0]) - 1 for n in range(40))
    assert weights.sum() == counts and weights.dtype == np.float32


def test_tokens_of_a_prompt_are_no_targets():
    given = packing.Document([5, 6, 7, 8], [False, False, True, True], label=0)
    rows = packing.pack(lambda n: given, range(2), length=8, bins=2)
    batch = packing.to_batch(rows.arrays, reduction="token_mean")
    assert np.asarray(batch.weights_BT).tolist() == [[0, 1, 1, 0, 0, 1, 1, 0]]


def test_the_first_token_of_the_next_document_is_no_target():
    row = {"tokens": [[4, 5, 6, 7, 0]], "segments": [[1, 1, 2, 2, 0]]}
    row |= {"positions": [[0, 1, 0, 1, 0]], "predict": [[1, 1, 1, 1, 1]]}
    arrays = {name: np.array(values) for name, values in row.items()}
    batch = packing.to_batch(arrays, reduction="token_mean")
    assert np.asarray(batch.weights_BT).tolist() == [[1, 0, 1, 0, 0]]


def test_numbers_need_not_start_at_zero():
    rows = packing.pack(document, range(30, 33), length=LENGTH, bins=2)
    numbers = {(int(t) - 1) // 10 for t in rows.arrays["tokens"].flat if t}
    assert numbers == {30, 31, 32}


def test_a_document_longer_than_a_row_is_told_by_its_number():
    def size(n):
        return 11 if n == 37 else 3

    def long(n):
        return packing.Document([1] * size(n), [True] * size(n), label=0)

    with pytest.raises(ValueError, match="document 37 has 11 tokens, a row 10"):
        packing.pack(long, range(35, 40), length=LENGTH, bins=2)


def test_no_documents_are_refused():
    with pytest.raises(ValueError, match="0 documents gave no row of 10 tokens"):
        packing.pack(document, range(0), length=LENGTH, bins=2)


def test_a_batch_is_a_function_of_seed_and_step(rows):
    def get(seed, step):
        return np.asarray(packing.batch(rows, seed=seed, step=step, size=3).tokens_BT)

    np.testing.assert_array_equal(get(1, 7), get(1, 7))
    assert (get(1, 7) != get(1, 8)).any() and (get(1, 7) != get(2, 7)).any()


def test_every_epoch_sees_every_row_once_in_a_new_order(rows):
    n = len(rows)
    assert n % 3, "a batch must straddle two epochs"
    batches = [packing.batch(rows, seed=0, step=s, size=3) for s in range(n)]
    seen = [tuple(row) for batch in batches for row in np.asarray(batch.tokens_BT).tolist()]
    every = sorted(tuple(row) for row in rows.arrays["tokens"].tolist())
    epochs = [seen[n * e : n * (e + 1)] for e in range(3)]
    assert all(sorted(epoch) == every for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_a_batch_larger_than_all_rows_is_refused(rows):
    with pytest.raises(ValueError, match=f"a batch of 99 rows .* there are {len(rows)}"):
        packing.batch(rows, seed=0, step=0, size=99)


def test_targets_within_a_document_may_come_and_go():
    given = packing.Document([5, 6, 7, 8, 9], [True, False, True, False, True], label=0)
    rows = packing.pack(lambda n: given, range(1), length=6, bins=1)
    batch = packing.to_batch(rows.arrays, reduction="token_mean")
    assert np.asarray(batch.weights_BT).tolist() == [[0, 1, 0, 1, 0, 0]]


def test_with_sequence_mean_every_document_weighs_one():
    sizes = (2, 4, 7)

    def given(n):
        return packing.Document([n + 1] * sizes[n], [True] * sizes[n], label=0)

    rows = packing.pack(given, range(3), length=8, bins=2)
    token, sequence = (
        np.asarray(packing.to_batch(rows.arrays, reduction=r).weights_BT)
        for r in ("token_mean", "sequence_mean")
    )
    np.testing.assert_array_equal(sequence > 0, token > 0)
    for n, size in enumerate(sizes):
        mine = sequence[(rows.arrays["tokens"] == n + 1) & (sequence > 0)]
        np.testing.assert_allclose(mine, 1 / (size - 1))


def test_a_label_stands_where_its_target_is_predicted(rows):
    labels = packing.labels_of(rows.arrays)
    batch = packing.to_batch(rows.arrays, reduction="token_mean")
    tokens, weights = np.asarray(batch.tokens_BT), np.asarray(batch.weights_BT)
    assert labels.shape == weights.shape and (labels[weights == 0] == 0).all()
    at = np.argwhere(weights > 0)
    assert {int(n) for n in labels[weights > 0]} == {0, 1, 2}
    assert all(labels[b, t] == (tokens[b, t + 1] - 1) // 10 % 3 for b, t in at)
