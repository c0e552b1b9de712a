import jax
import numpy as np

from r1jax import keys


def data(key):
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


def test_a_stream_is_a_function_of_seed_name_and_indices():
    assert data(keys.stream(keys.root(3), "sample", 5)) == data(
        keys.stream(keys.root(3), "sample", 5)
    )


def test_streams_differ_by_seed_name_and_index():
    streams = [
        keys.root(0),
        keys.root(1),
        keys.stream(keys.root(0), "sample"),
        keys.stream(keys.root(0), "init"),
        keys.stream(keys.root(1), "sample"),
        *(keys.stream(keys.root(0), "sample", step) for step in range(3)),
        keys.stream(keys.root(0), "sample", 1, 2),
        keys.stream(keys.root(0), "sample", 2, 1),
    ]
    assert len({data(s) for s in streams}) == len(streams)


def test_a_stream_of_known_name_never_changes():
    # crc32("sample") folded into the root key: resumed runs of older checkpoints rely on it
    want = jax.random.fold_in(jax.random.fold_in(jax.random.key(7), 4_044_060_355), 2)
    assert data(keys.stream(keys.root(7), "sample", 2)) == data(want)
