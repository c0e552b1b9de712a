import dataclasses
import os
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from r1jax import sharding
from r1jax.sampling.sampler import Sampler, n_streams
from r1jax.train.grpo import sequence_logps
from r1jax.types import GrpoBatch

PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12]]
STOP = (3, 4)


@pytest.fixture(scope="module")
def samplers(models, sampler):
    """A Sampler of a tiny network, by name and changes; few programs are compiled."""
    made = {}

    def of(name: str, *, max_new=8, buckets=(4,), stop_ids=STOP, **changes) -> Sampler:
        key = (name, max_new, buckets, stop_ids, tuple(changes.items()))
        if key not in made:
            made[key] = Sampler(
                model=models[name],
                config=dataclasses.replace(sampler, **changes),
                max_new=max_new,
                stop_ids=stop_ids,
                pad_id=0,
                buckets=buckets,
                routes=True,
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
                np.tile(np.arange(real.shape[1]), (len(real), 1)),
                zeros,
                zeros,
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
                micro_tokens=1_000,
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


def test_a_row_draws_by_its_prompts_key_and_its_sample_alone(samplers, weights, models, sampler):
    """Whatever prompts, samples and rows stand beside it, and however wide the bucket is."""
    prompts, key, w = [*PROMPTS, [7, 7]], jax.random.key(5), weights("gqa_small")
    draw = samplers("gqa_small", temperature=2.0)
    whole = np.asarray(draw(w, prompts, key, group=3, cap=8).completion_BC)
    assert len({tuple(row) for row in whole.tolist()}) == 12
    half = draw(w, prompts[:2], key, group=3, cap=8)
    np.testing.assert_array_equal(half.completion_BC, whole[:6])
    others = draw(w, [[1], prompts[1], [2], [9, 9]], key, group=3, cap=8)
    np.testing.assert_array_equal(others.completion_BC[3:6], whole[3:6])
    one = draw(w, prompts, key, group=1, cap=8)
    np.testing.assert_array_equal(one.completion_BC, whole[::3])
    wide = samplers("gqa_small", temperature=2.0, buckets=(7,))
    np.testing.assert_array_equal(wide(w, prompts, key, group=3, cap=8).completion_BC, whole)
    for slots in (1, 4, 16):
        few = samplers("gqa_small", temperature=2.0, slots=slots)
        np.testing.assert_array_equal(few(w, prompts, key, group=3, cap=8).completion_BC, whole)


@pytest.mark.parametrize("name", ["mla_moe_mtp", "gqa_norm"])
@pytest.mark.parametrize("changes", [{}, {"top_p": 0.8}, {"repetition_penalty": 1.5}])
def test_slots_change_no_draw(name, changes, samplers, weights, models):
    """Of 18 samples; also the experts, and what was recorded but for rounding.

    Rounding may move a draw too where its bits point between two ids: once in 28,000 tokens here.
    """
    vocabulary = models[name].n_tokens
    stop_ids = tuple(range(3, 3 + vocabulary // 5))
    knobs = {"temperature": 2.0, "cache_segments": 3, "stop_ids": stop_ids, **changes}
    wide = samplers(name, slots=18, **knobs)
    want = wide(weights(name), PROMPTS, jax.random.key(3), group=6, cap=8)
    assert len(set(want.mask_BC.sum(1).tolist())) > 3
    for slots in (1, 4, 16):
        sampler = samplers(name, slots=slots, **knobs)
        got = sampler(weights(name), PROMPTS, jax.random.key(3), group=6, cap=8)
        assert sampler.slot_idle <= wide.slot_idle
        assert slots > 1 or sampler.slot_idle == 0
        for field, values in want._asdict().items():
            close = field in ("logp_BC", "entropy_BC")
            np.testing.assert_allclose(getattr(got, field), values, atol=1e-5 * close, rtol=0)


def test_idle_row_steps_are_counted_by_hand(samplers, weights, cores):
    """One stream of all rows, not narrowed, runs until the longest ends."""
    cores(1)
    sampler = samplers("gqa_small", temperature=2.0, slots=6, stop_ids=tuple(range(3, 20)))
    got = sampler(weights("gqa_small"), PROMPTS, jax.random.key(4), group=2, cap=8)
    lengths = got.mask_BC.sum(1)
    assert lengths.min() < lengths.max()
    assert sampler.slot_idle == pytest.approx(1 - lengths.mean() / lengths.max())


def test_routes_are_recorded_where_they_are_asked_for(models, sampler, weights):
    knobs = {"config": sampler, "max_new": 2, "stop_ids": STOP, "pad_id": 0, "buckets": (4,)}
    draw = Sampler(model=models["mla_moe_mtp"], **knobs)
    got = draw(weights("mla_moe_mtp"), PROMPTS, jax.random.key(0), group=1, cap=2)
    assert got.routes_LBTK.shape[:3] == (0, 3, 6)


@pytest.fixture
def cores(monkeypatch):
    """Sets how many cores this process may use."""

    def are(count: int) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(count)))

    return are


@pytest.mark.parametrize("name", ["mla_moe_mtp", "gqa_small"])
def test_streams_change_no_draw_and_share_one_program(name, samplers, weights, cores):
    prompts, w = [*PROMPTS, [7, 7]], weights(name)
    sampler = samplers(name, temperature=1.5)
    got = {}
    for count in (1, 2, 3):
        cores(count)
        before = sampler.n_compiled
        got[count] = sampler(w, prompts, jax.random.key(5), group=2, cap=6)
        first = sampler.n_compiled
        sampler(w, prompts, jax.random.key(6), group=2, cap=6)
        assert sampler.n_compiled - first <= 1  # another room or width may be met for once
        assert first > before
    for count in (2, 3):
        for field, one in got[1]._asdict().items():
            close = field in ("logp_BC", "entropy_BC")
            # another batch may be summed in another order
            np.testing.assert_allclose(getattr(got[count], field), one, atol=1e-5 * close, rtol=0)


@pytest.mark.parametrize(
    ("count", "rows", "wanted"),
    [(1, 4, 1), (2, 4, 2), (2, 1, 1), (2, 7, 2), (4, 6, 4), (64, 64, 8)],
)
def test_streams_are_the_cores_that_have_a_row(count, rows, wanted, cores):
    cores(count)
    assert n_streams(rows) == wanted
    with sharding.use(data=4, expert=1, model=1):
        assert n_streams(rows) == 1


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


def test_a_penalty_counts_prompt_and_completion_but_no_padding(samplers, weights):
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


def test_programs_are_counted_and_buckets_change_no_greedy_token(samplers, weights, cores):
    """Each shape takes four: to prefill, to begin, for the cache, to advance."""
    cores(1)
    sampler = samplers("gqa_small", buckets=(7, 4), temperature=0.0)
    w, key = weights("gqa_small"), jax.random.key(0)
    narrow = sampler(w, PROMPTS, key, group=1, cap=8)
    assert (narrow.prompt_BT.shape[1], sampler.n_compiled) == (4, 4)
    wide = sampler(w, [*PROMPTS[:2], [1, 2, 9, 9, 9]], key, group=1, cap=8)
    assert (wide.prompt_BT.shape[1], sampler.n_compiled) == (7, 8)
    np.testing.assert_array_equal(wide.completion_BC[:2], narrow.completion_BC[:2])
    for _ in range(2):
        sampler(w, PROMPTS, key, group=1, cap=3)
    assert sampler.n_compiled == 8
    sampler(w, PROMPTS, key, group=2, cap=8)
    assert sampler.n_compiled > 8


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
