import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.sampling.tokens import (
    BLOCK,
    FILTERED,
    draw_bits,
    filter_logits,
    penalise,
    pick,
    sample_token,
    shares,
)

QWEN = 151_936  # ids of Qwen2.5's vocabulary


def bits(rows: int, seed: int = 0):
    return jax.random.bits(jax.random.key(seed), (rows, 2))


@pytest.fixture(scope="module")
def logits():
    rng = np.random.default_rng(0)
    return jnp.asarray(rng.normal(0, 2, size=(5, 9)), jnp.float32)


def kept_by_loops(row, top_k, top_p, min_p):
    """Ids that survive the filters, one after the other."""
    kept = set(range(len(row)))
    if top_k:
        kept = set(sorted(kept, key=lambda i: -row[i])[:top_k])
    if top_p < 1:
        total, mass, chosen = sum(np.exp(row[i]) for i in kept), 0.0, set()
        for i in sorted(kept, key=lambda i: -row[i]):
            if mass < top_p:
                chosen.add(i)
            mass += np.exp(row[i]) / total
        kept = chosen
    best = max(row[i] for i in kept)
    return {i for i in kept if not min_p or np.exp(row[i] - best) >= min_p}


@pytest.mark.parametrize(
    ("top_k", "top_p", "min_p"),
    [(3, 1.0, 0.0), (0, 0.7, 0.0), (0, 1.0, 0.2), (5, 0.9, 0.05), (100, 0.999, 0.0), (1, 1.0, 0.0)],
)
def test_filters_by_loops(top_k, top_p, min_p, logits):
    got = filter_logits(logits, top_k=top_k, top_p=top_p, min_p=min_p)
    for row, filtered in zip(np.asarray(logits, np.float64), np.asarray(got), strict=True):
        kept = kept_by_loops(row, top_k, top_p, min_p)
        assert set(np.flatnonzero(filtered > -1e29).tolist()) == kept
        np.testing.assert_allclose(filtered[list(kept)], row[list(kept)], rtol=1e-6)


def test_equal_logits_stay_together():
    row = jnp.array([[1.0, 1.0, 1.0, 0.0]])
    assert (filter_logits(row, top_k=2, top_p=1.0, min_p=0.0) > -1e29).tolist() == [[1, 1, 1, 0]]
    assert (filter_logits(row, top_k=0, top_p=0.1, min_p=0.0) > -1e29).tolist() == [[1, 1, 1, 0]]


@given(st.floats(1e-6, 1.0), st.floats(0.0, 1.0), st.integers(0, 9))
def test_the_best_token_always_stays(top_p, min_p, top_k):
    row = jnp.array([[0.3, 2.0, -1.0]])
    assert filter_logits(row, top_k=top_k, top_p=top_p, min_p=min_p)[0, 1] == 2.0


@pytest.mark.parametrize(
    "changes",
    [{}, {"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.8}, {"min_p": 0.3, "temperature": 2.0}],
)
def test_frequencies_and_records_match_the_distribution(changes, sampler):
    config, n = dataclasses.replace(sampler, **changes), 20_000
    row = np.array([1.0, 0.2, -0.5, 2.0, 0.0, -3.0, 1.5])
    scaled = row / config.temperature
    kept = list(kept_by_loops(scaled, config.top_k, config.top_p, config.min_p))
    p = np.zeros(7)
    p[kept] = np.exp(scaled[kept]) / np.exp(scaled[kept]).sum()
    rows = jnp.broadcast_to(jnp.asarray(row, jnp.float32), (n, 7))
    draw = jax.jit(partial(sample_token, config=config))
    tokens, logps, entropies = map(np.asarray, draw(bits(n), rows))
    counts = np.bincount(tokens, minlength=7)
    assert counts[p == 0].sum() == 0
    chi2 = ((counts - n * p) ** 2 / (n * np.where(p > 0, p, 1)))[p > 0].sum()
    assert chi2 < 24.3  # 99.95% of 6 degrees of freedom, and fewer need less
    np.testing.assert_allclose(logps, np.log(p[tokens]), atol=1e-5)
    np.testing.assert_allclose(entropies, -(p[kept] * np.log(p[kept])).sum(), rtol=1e-4)


def test_greedy_takes_the_best_with_certainty(logits, sampler):
    greedy = dataclasses.replace(sampler, temperature=0.0)
    tokens, logps, entropies = sample_token(bits(5), logits, config=greedy)
    np.testing.assert_array_equal(tokens, logits.argmax(1))
    np.testing.assert_array_equal(logps, 0.0)
    np.testing.assert_array_equal(entropies, 0.0)


def test_a_certain_token_is_drawn_whatever_the_key(sampler):
    row = jnp.full((256, 5), -1e30).at[:, 2].set(0.0)
    tokens, logps, entropies = sample_token(bits(256), row, config=sampler)
    assert set(tokens.tolist()) == {2}
    np.testing.assert_array_equal(logps, 0.0)
    np.testing.assert_array_equal(entropies, 0.0)


# the draw


def exact_probabilities(logits):
    """What the draw's own integers say of every id: shares of its block, and in its block."""
    below = np.full(-(-len(logits) // BLOCK) * BLOCK, FILTERED, np.float32)
    below[: len(logits)] = logits - logits.max()
    e = jnp.exp(jnp.asarray(below).reshape(-1, BLOCK))
    blocks, ids = shares(e.sum(1)[None]), shares(jnp.where(e.sum(1, keepdims=True) > 0, e, 1.0))
    p = np.asarray(blocks[0], np.float64)[:, None] * np.asarray(ids, np.float64) / 2.0**62
    return p.ravel()[: len(logits)]


def softmax64(logits):
    e = np.exp(np.asarray(logits, np.float64) - np.max(logits))
    return e / e.sum()


def shapes_of_logits(n):
    rng = np.random.default_rng(0)
    normal = rng.normal(0, 3, n)
    return {
        "normal": normal,
        "flat": np.zeros(n),
        "sorted": np.sort(normal),
        "one_high": np.where(np.arange(n) == n - 1, 20.0, normal),
        "filtered": np.where(rng.random(n) < 0.9, FILTERED, normal),
    }


@pytest.mark.parametrize("n", [500, QWEN])
@pytest.mark.parametrize("shape", shapes_of_logits(1))
def test_the_draw_is_within_1e_6_of_the_softmax(shape, n):
    """In total variation, over every id, enumerated from the integers that are drawn by."""
    logits = shapes_of_logits(n)[shape].astype(np.float32)
    got, want = exact_probabilities(logits), softmax64(logits)
    assert got.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.abs(got - want).sum() / 2 < 1e-6
    assert got[want == 0].sum() == 0.0
    assert want[got == 0].sum() < 1e-6


def test_bits_at_the_ends_of_shares_pick_their_indices():
    mass = jnp.array([[0.0, 3e-7, 0.0, 0.25, 1.0, 0.0, 1e-30]])
    parts = np.asarray(shares(mass))[0].astype(np.int64)
    ends = np.cumsum(parts)
    assert ends[-1] == 2**31 and parts[[0, 2, 5, 6]].sum() == 0
    for index in np.flatnonzero(parts):
        for point in (ends[index] - parts[index], ends[index] - 1):
            drawn = pick(mass, jnp.array([2 * point], jnp.uint32))
            assert drawn.tolist() == [[index]]


@pytest.mark.parametrize("n", [100, QWEN])
def test_tokens_are_where_the_bits_point(n, sampler):
    """Ties the enumeration to the draw: bits find their id in the cumulative sums of shares."""
    logits = np.random.default_rng(1).normal(0, 3, n).astype(np.float32)
    rows, b = jnp.broadcast_to(jnp.asarray(logits), (32, n)), bits(32)
    tokens, logps, _ = jax.jit(partial(sample_token, config=sampler))(b, rows)
    p = np.append(exact_probabilities(logits), np.zeros(-n % BLOCK)).reshape(-1, BLOCK)
    u = (np.asarray(b) >> 1).astype(np.float64) / 2.0**31
    for token, (first, second) in zip(np.asarray(tokens), u, strict=True):
        block = np.searchsorted(np.cumsum(p.sum(1)), first, side="right")
        inside = np.cumsum(p[block] / p[block].sum())
        assert token == block * BLOCK + np.searchsorted(inside, second, side="right")
    np.testing.assert_allclose(logps, np.log(softmax64(logits))[np.asarray(tokens)], atol=1e-5)


def test_draws_from_a_large_vocabulary_pass_a_chi_square(sampler):
    """1,024 draws of 151,936 ids, by 16 groups of equal mass that lie across all blocks."""
    logits = np.random.default_rng(2).normal(0, 2, QWEN).astype(np.float32)
    p, n = softmax64(logits), 1024
    order = np.random.default_rng(3).permutation(QWEN)
    group = np.empty(QWEN, int)
    group[order] = np.minimum(np.cumsum(p[order]) * 16, 15).astype(int)
    draw = jax.jit(partial(sample_token, config=sampler))
    rows = jnp.broadcast_to(jnp.asarray(logits), (128, QWEN))
    tokens = np.concatenate([draw(bits(128, seed), rows)[0] for seed in range(n // 128)])
    expected = n * np.bincount(group, p)
    chi2 = ((np.bincount(group[tokens], minlength=16) - expected) ** 2 / expected).sum()
    assert chi2 < 39.7  # 99.95% of 15 degrees of freedom


@pytest.mark.parametrize("kept", [[0], [63], [64], [63, 64], [127, 128, 199]])
def test_filtered_ids_are_never_drawn(kept, sampler):
    """At the edges of blocks, and in front of the padding of the last one."""
    row = np.full(200, FILTERED, np.float32)
    row[kept] = np.linspace(0.0, -1.0, len(kept))
    ends = jnp.array([[a, b] for a in (0, 2**32 - 1) for b in (0, 2**32 - 1)], jnp.uint32)
    b = jnp.concatenate([ends, bits(508)])
    rows = jnp.broadcast_to(jnp.asarray(row), (512, 200))
    tokens, logps, _ = sample_token(b, rows, config=sampler)
    assert set(tokens.tolist()) == set(kept)
    want = np.log(softmax64(row[kept]))
    np.testing.assert_allclose(logps, want[np.searchsorted(kept, tokens)], atol=1e-6)


def test_a_rows_bits_are_its_keys_and_the_steps():
    key_B = jax.random.split(jax.random.key(0), 3)
    first, later = draw_bits(key_B, jnp.zeros(3, int)), draw_bits(key_B, jnp.ones(3, int))
    assert len(set(np.concatenate([first, later]).ravel().tolist())) == 12
    mixed = draw_bits(key_B[1:], jnp.array([1, 0]))
    np.testing.assert_array_equal(mixed, [later[1], first[2]])


def test_the_penalty_by_hand():
    logits = jnp.array([[2.0, -2.0, 2.0, -2.0, 0.0]])
    seen = jnp.array([[True, True, False, False, True]])
    got = penalise(logits, seen, penalty=4.0)
    np.testing.assert_array_equal(got, [[0.5, -8.0, 2.0, -2.0, 0.0]])
