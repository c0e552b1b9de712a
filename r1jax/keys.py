"""Named random streams: every key in r1jax is a function of (seed, name, step)."""

import zlib

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key


def root(seed: int) -> Key[Array, ""]:
    """Returns the key from which every stream of a run with this seed descends."""
    return jax.random.key(seed)


def stream(key: Key[Array, ""], name: str, *indices: int) -> Key[Array, ""]:
    """Returns the key of a named stream, e.g. `stream(key, "sample", step)`.

    Args:
      key: the run's root key, or a stream's own.
      name: what the randomness is for; different names never share a key.
      indices: step, minibatch, ... within the stream.
    """
    key = jax.random.fold_in(key, zlib.crc32(name.encode()))
    for index in indices:
        key = jax.random.fold_in(key, index)
    return key


def numbered(key: Key[Array, ""], count: int) -> Key[Array, " n"]:
    """Returns keys of which the i-th is a function of (key, i), however many there are."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(count))
