import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax import sharding
from r1jax.sampling.sampler import Sampler
from r1jax.sampling.tokens import filter_logits, penalise, sample_token
from r1jax.train.grpo import sequence_logps
from r1jax.types import GrpoBatch

PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12]]
STOP = (3, 4)

# one token


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
    tokens, logps, entropies = map(np.asarray, draw(jax.random.key(0), rows))
    counts = np.bincount(tokens, minlength=7)
    assert counts[p == 0].sum() == 0
    chi2 = ((counts - n * p) ** 2 / (n * np.where(p > 0, p, 1)))[p > 0].sum()
    assert chi2 < 24.3  # 99.95% of 6 degrees of freedom, and fewer need less
    np.testing.assert_allclose(logps, np.log(p[tokens]), atol=1e-5)
    np.testing.assert_allclose(entropies, -(p[kept] * np.log(p[kept])).sum(), rtol=1e-4)


def test_greedy_takes_the_best_with_certainty(logits, sampler):
    greedy = dataclasses.replace(sampler, temperature=0.0)
    tokens, logps, entropies = sample_token(jax.random.key(0), logits, config=greedy)
    np.testing.assert_array_equal(tokens, logits.argmax(1))
    np.testing.assert_array_equal(logps, 0.0)
    np.testing.assert_array_equal(entropies, 0.0)


def test_a_certain_token_is_drawn_whatever_the_key(sampler):
    row = jnp.full((256, 5), -1e30).at[:, 2].set(0.0)
    tokens, logps, entropies = sample_token(jax.random.key(1), row, config=sampler)
    assert set(tokens.tolist()) == {2}
    np.testing.assert_array_equal(logps, 0.0)
    np.testing.assert_array_equal(entropies, 0.0)


# whole rollouts


@pytest.fixture(scope="module")
def samplers(models, sampler):
    """A Sampler of a tiny network, by name and changes; few programs are compiled."""
    made = {}

    def of(name: str, *, max_new=8, buckets=(4,), **changes) -> Sampler:
        key = (name, max_new, buckets, tuple(changes.items()))
        if key not in made:
            made[key] = Sampler(
                model=models[name],
                config=dataclasses.replace(sampler, **changes),
                max_new=max_new,
                stop_ids=STOP,
                pad_id=0,
                buckets=buckets,
            )
        return made[key]

    return of


def as_batch(rollout) -> GrpoBatch:
    """Rollout rows made contiguous from position 0, the routes with them."""
    r = jax.tree.map(np.asarray, rollout)
    tokens = np.concatenate([r.prompt_BT, r.completion_BC], axis=1)
    real = np.concatenate([r.prompt_mask_BT, r.mask_BC], axis=1)
    order = np.argsort(~real, axis=1, kind="stable")

    def take(x):
        return np.take_along_axis(x, order, axis=1)

    zeros = np.zeros(real.shape, np.float32)
    routes = np.take_along_axis(r.routes_LBTK, order[None, :, :, None], axis=2)
    return GrpoBatch(
        *(
            jnp.asarray(a)
            for a in (
                take(tokens),
                take(real).astype(np.int32),
                zeros,
                zeros[:, 0],
                zeros,
                zeros,
                routes,
            )
        )
    )


@pytest.mark.parametrize("name", ["mla_moe_mtp", "gqa_norm"])
def test_what_the_sampler_records_is_what_the_trainer_computes(name, samplers, models, weights):
    """Log-probabilities at temperature 0.8, with the experts replayed and routed afresh."""
    sampler, w = samplers(name, temperature=0.8, cache_segments=2), weights(name)
    rollout = sampler(w, PROMPTS, jax.random.key(3), group=2, cap=8)
    batch = as_batch(rollout)
    scored = [
        jax.jit(
            partial(
                sequence_logps,
                model=models[name],
                temperature=0.8,
                chunk=5,
                replay=replay,
                micro_batches=1,
            )
        )(w, batch)
        for replay in ((False, True) if models[name].moe else (False,))
    ]
    lengths = rollout.prompt_mask_BT.sum(1)
    for logps in scored:
        for row in range(6):
            n = int(rollout.mask_BC[row].sum())
            start = int(lengths[row]) - 1
            # float32 through two orders of summation
            np.testing.assert_allclose(
                logps[row, start : start + n], rollout.logp_BC[row, :n], atol=1e-4
            )
    if models[name].moe:
        ran = batch.routes_LBTK[:, :, :-1][:, np.asarray(batch.segments_BT[:, 1:]) > 0]
        assert ran.min() >= 0


@pytest.fixture(scope="module")
def rollout(samplers, weights):
    sampler = samplers("gqa_small", temperature=2.0)
    return sampler(weights("gqa_small"), PROMPTS, jax.random.key(0), group=16, cap=8)


def test_rows_end_with_their_stop_token_or_are_truncated(rollout):
    r = jax.tree.map(np.asarray, rollout)
    stopped = 0
    for tokens, mask, truncated in zip(r.completion_BC, r.mask_BC, r.truncated_B, strict=True):
        n = mask.sum()
        assert mask[:n].all() and not mask[n:].any()
        assert not np.isin(tokens[: n - 1], STOP).any()
        assert truncated == (tokens[n - 1] not in STOP)
        assert n == 8 or not truncated
        assert (tokens[n:] == 0).all()
        stopped += not truncated
    assert 0 < stopped < len(r.mask_BC)  # both kinds were seen
    np.testing.assert_array_equal(r.logp_BC[~r.mask_BC], 0.0)
    np.testing.assert_array_equal(r.entropy_BC[~r.mask_BC], 0.0)
    assert (r.logp_BC[r.mask_BC] < 0).all()


def test_rows_of_a_prompt_lie_together(rollout):
    for row, prompt in enumerate(np.repeat(np.arange(3), 16)):
        mask = rollout.prompt_mask_BT[row]
        assert rollout.prompt_BT[row][mask].tolist() == PROMPTS[prompt]
        assert (mask[:-1] <= mask[1:]).all()  # padding stands on the left


def test_the_same_key_repeats_and_another_differs(samplers, weights, rollout):
    call = partial(samplers("gqa_small", temperature=2.0), weights("gqa_small"), PROMPTS)
    again = call(jax.random.key(0), group=16, cap=8)
    jax.tree.map(np.testing.assert_array_equal, again, rollout)
    other = call(jax.random.key(1), group=16, cap=8)
    assert (other.completion_BC != rollout.completion_BC).any()
    # samples of one prompt differ among themselves
    assert len({tuple(row.tolist()) for row in np.asarray(rollout.completion_BC)[:16]}) > 8


def test_the_cap_is_decided_at_run_time(samplers, weights, rollout):
    sampler = samplers("gqa_small", temperature=2.0)
    before = sampler.n_compiled
    for cap in (1, 5):
        short = sampler(weights("gqa_small"), PROMPTS, jax.random.key(0), group=16, cap=cap)
        np.testing.assert_array_equal(short.completion_BC[:, :cap], rollout.completion_BC[:, :cap])
        assert not short.mask_BC[:, cap:].any()
        ended = np.isin(short.completion_BC[:, :cap], STOP).any(1)
        np.testing.assert_array_equal(short.truncated_B, ~ended)
    assert sampler.n_compiled == before


@pytest.mark.parametrize("segments", [2, 4])
def test_growing_the_cache_changes_no_token(segments, samplers, weights, rollout):
    grown = samplers("gqa_small", temperature=2.0, cache_segments=segments)(
        weights("gqa_small"), PROMPTS, jax.random.key(0), group=16, cap=8
    )
    np.testing.assert_array_equal(grown.completion_BC, rollout.completion_BC)
    np.testing.assert_array_equal(grown.mask_BC, rollout.mask_BC)
    np.testing.assert_allclose(grown.logp_BC, rollout.logp_BC, atol=1e-5)


@pytest.mark.parametrize("name", ["mla_moe_mtp", "gqa_small"])
def test_streams_are_the_halves_sampled_on_their_own_with_one_program(name, samplers, weights):
    prompts, key, w = [*PROMPTS, [7, 7]], jax.random.key(5), weights(name)
    sampler, alone = samplers(name, streams=2), samplers(name)
    both = sampler(w, prompts, key, group=2, cap=6)
    halves = [
        alone(w, prompts[2 * i : 2 * i + 2], jax.random.fold_in(key, i), group=2, cap=6)
        for i in range(2)
    ]
    for field, whole in both._asdict().items():
        axis = 1 if field == "routes_LBTK" else 0
        joined = np.concatenate([getattr(half, field) for half in halves], axis=axis)
        np.testing.assert_array_equal(whole, joined)
    assert np.any(both.completion_BC[:2] != both.completion_BC[2:4])
    again = sampler(w, prompts, key, group=2, cap=6)
    jax.tree.map(np.testing.assert_array_equal, both, again)
    assert sampler.n_compiled == 1


@pytest.mark.parametrize(("chunk", "segments"), [(1, 1), (3, 2), (100, 3)])
def test_streamed_ids_are_those_of_one_call(chunk, segments, samplers, weights):
    sampler = samplers("gqa_small", cache_segments=segments)
    w, key = weights("gqa_small"), jax.random.key(7)
    for prompt, cap in zip(PROMPTS, (8, 5, 1), strict=True):
        whole = sampler(w, [prompt], key, group=1, cap=cap)
        parts = list(sampler.stream(w, prompt, key, cap=cap, chunk=chunk))
        assert [i for part in parts for i in part] == whole.completion_BC[whole.mask_BC].tolist()
        assert all(len(part) <= chunk for part in parts)


def test_a_stream_refuses_what_a_call_refuses(samplers, weights):
    sampler, w = samplers("gqa_small"), weights("gqa_small")
    with pytest.raises(ValueError, match=r"cap 9 is not within 1\.\.8"):
        next(sampler.stream(w, [1], jax.random.key(0), cap=9, chunk=1))
    with pytest.raises(ValueError, match="prompt 0 has 5 tokens"):
        next(sampler.stream(w, [1] * 5, jax.random.key(0), cap=1, chunk=1))


def test_the_penalty_by_hand():
    logits = jnp.array([[2.0, -2.0, 2.0, -2.0, 0.0]])
    seen = jnp.array([[True, True, False, False, True]])
    got = penalise(logits, seen, penalty=4.0)
    np.testing.assert_array_equal(got, [[0.5, -8.0, 2.0, -2.0, 0.0]])


def test_a_penalty_holds_for_prompt_and_completion_and_not_for_padding(samplers, weights):
    """Greedy, so heavy that an id is only repeated when all have been met."""
    sampler = samplers("gqa_small", temperature=0.0, repetition_penalty=1e6)
    got = sampler(weights("gqa_small"), PROMPTS, jax.random.key(0), group=1, cap=8)
    free = samplers("gqa_small", temperature=0.0)(
        weights("gqa_small"), PROMPTS, jax.random.key(0), group=1, cap=8
    )
    for prompt, ids, mask in zip(PROMPTS, got.completion_BC, got.mask_BC, strict=True):
        met = [*prompt, *ids[mask].tolist()]
        assert len(set(met)) == len(set(prompt)) + len(ids[mask])
    assert (got.completion_BC != free.completion_BC).any()


def test_prompts_that_do_not_split_into_the_streams_are_refused(samplers, weights):
    with pytest.raises(ValueError, match="3 prompts do not split into 2 streams"):
        samplers("gqa_small", streams=2)(
            weights("gqa_small"), PROMPTS, jax.random.key(0), group=1, cap=2
        )


def test_streams_on_a_mesh_are_refused(samplers, weights):
    sampler, w = samplers("gqa_small", streams=2), weights("gqa_small")
    with (
        sharding.use(data=4, expert=1, model=1),
        pytest.raises(ValueError, match="2 streams on a mesh, wanted 1"),
    ):
        sampler(w, [[1], [2]], jax.random.key(0), group=2, cap=2)


def test_programs_are_counted_and_the_bucket_changes_no_greedy_token(samplers, weights):
    sampler = samplers("gqa_small", buckets=(7, 4), temperature=0.0)
    w, key = weights("gqa_small"), jax.random.key(0)
    narrow = sampler(w, PROMPTS, key, group=1, cap=8)
    assert (narrow.prompt_BT.shape[1], sampler.n_compiled) == (4, 1)
    wide = sampler(w, [*PROMPTS[:2], [1, 2, 9, 9, 9]], key, group=1, cap=8)
    assert (wide.prompt_BT.shape[1], sampler.n_compiled) == (7, 2)
    np.testing.assert_array_equal(wide.completion_BC[:2], narrow.completion_BC[:2])
    for _ in range(2):
        sampler(w, PROMPTS, key, group=1, cap=3)
    assert sampler.n_compiled == len(sampler.shapes) == 2
    sampler(w, PROMPTS, key, group=2, cap=8)
    assert sampler.n_compiled == len(sampler.shapes) == 3


@pytest.mark.parametrize(
    ("prompts", "cap", "message"),
    [
        ([[1], []], 8, "prompt 1 is empty"),
        ([], 8, "prompt 0 is empty"),
        ([[1], [1] * 5], 8, "prompt 1 has 5 tokens, the largest bucket 4"),
        ([[1]], 9, r"cap 9 is not within 1\.\.8"),
        ([[1]], 0, r"cap 0 is not within 1\.\.8"),
    ],
)
def test_calls_that_cannot_be_served_raise(prompts, cap, message, samplers, weights):
    with pytest.raises(ValueError, match=message):
        samplers("gqa_small")(weights("gqa_small"), prompts, jax.random.key(0), group=1, cap=cap)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"buckets": ()}, "need prompt buckets"),
        ({"buckets": (0, 4)}, "need prompt buckets of at least 1 token"),
        ({"stop_ids": ()}, "no stop ids, so no row would ever end"),
    ],
)
def test_samplers_that_cannot_work_raise(changes, message, models, sampler):
    good = {"max_new": 8, "stop_ids": STOP, "pad_id": 0, "buckets": (4,)}
    with pytest.raises(ValueError, match=message):
        Sampler(model=models["gqa_small"], config=sampler, **good | changes)
