import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from r1jax.rl.grpo import token_weights
from r1jax.train import rollouts
from r1jax.train.grpo import grpo_step, sequence_logps
from r1jax.train.packing import auto_tokens, best_fit, pack
from r1jax.types import GrpoBatch, Judged, PackedRows, Sequences

LENGTHS = (3, 12, 5, 4, 9, 3, 7, 4)  # 47 tokens: four rows of 12


def test_best_fit_by_hand():
    row_B, start_B, number_B = best_fit(np.array([3, 12, 5, 4, 9, 3, 7, 4]), width=12)
    assert row_B.tolist() == [1, 0, 2, 3, 1, 3, 2, 3]
    assert start_B.tolist() == [9, 0, 7, 0, 0, 8, 0, 4]
    assert number_B.tolist() == [2, 1, 2, 1, 1, 3, 1, 2]


def test_lengths_change_no_shape_and_no_token_is_lost():
    rng = np.random.default_rng(0)
    for micro_tokens, rows in ((1, 20), (24, 20), (36, 21), (1_000, 20)):
        lengths_B = rng.integers(1, 13, 20)
        packing = pack(lengths_B, width=12, micro_tokens=micro_tokens)
        real_BT = np.arange(12)[None] < lengths_B[:, None]
        x_BT = rng.integers(1, 99, (20, 12)) * real_BT
        packed_BT = packing.into(x_BT)
        assert packed_BT.shape == (rows, 12)
        assert (packed_BT > 0).sum() == lengths_B.sum()
        np.testing.assert_array_equal(packing.back(packed_BT, x_BT.shape), x_BT)


def test_ragged_lengths_leave_little_padding():
    """64 log-normal completions, their mean about a sixth of the cap, in micro-batches of a row."""
    rng = np.random.default_rng(0)
    drawn = np.exp(rng.normal(np.log(512 / 6) - 0.5, 1.0, 64)).astype(int)
    lengths_B = 16 + np.clip(drawn, 1, 512)
    row_B, _, _ = best_fit(lengths_B, width=528)
    assert 1 - lengths_B.sum() / ((row_B.max() + 1) * 528) < 0.08


def test_the_choice_of_tokens_follows_from_sizes(models):
    small = models["gqa_small"]
    large = dataclasses.replace(small, n_layers=61, n_dense_layers=61, d_model=7168)
    assert auto_tokens(large, "cpu", devices=2) == 1_024
    assert auto_tokens(small, "gpu", devices=2) == 32_768
    assert auto_tokens(large, "tpu", devices=1) == 4_911


@pytest.fixture(scope="module")
def judged(models):
    """Sequences of LENGTHS tokens in rows of 12, two prompts of four; old and new are far apart."""

    def of(name: str) -> Judged:
        rng, m = np.random.default_rng(1), models[name]
        real = np.arange(12)[None] < np.array(LENGTHS)[:, None]
        sampled = real & (np.arange(12)[None] >= 2)
        top = m.moe.experts_per_token if m.moe else 0
        arrays = {
            "tokens_BT": (rng.integers(1, m.n_tokens, real.shape) * real).astype(np.int32),
            "segments_BT": real.astype(np.int32),
            "mask_BT": np.pad(sampled[:, 1:], ((0, 0), (0, 1))),
            "old_logp_BT": (-4 + 0.3 * rng.normal(size=real.shape)).astype(np.float32),
            "ref_logp_BT": (-4 + 0.3 * rng.normal(size=real.shape)).astype(np.float32),
            "advantages_B": rng.normal(size=8).astype(np.float32),
            "routes_LBTK": np.full((m.n_moe_layers, *real.shape, top), -1, np.int32),
        }
        return Judged(**arrays)

    return of


def padded(rows: Judged, *, reduction: str) -> GrpoBatch:
    """A row for each sequence."""
    mask = jnp.asarray(rows.mask_BT)
    arrays = {
        "tokens_BT": rows.tokens_BT,
        "segments_BT": rows.segments_BT,
        "positions_BT": np.arange(12)[None] * np.asarray(rows.segments_BT),
        "weights_BT": token_weights(mask, reduction=reduction, constant=10),
        "advantages_BT": np.tile(rows.advantages_B[:, None], 12),
        "old_logp_BT": rows.old_logp_BT,
        "ref_logp_BT": rows.ref_logp_BT,
        "routes_LBTK": rows.routes_LBTK,
    }
    return GrpoBatch(**{name: jnp.asarray(x) for name, x in arrays.items()})


@pytest.mark.parametrize(
    ("name", "reduction", "ratio", "micro_tokens"),
    [
        ("mla_moe", "seq_mean_token_mean", "sequence", 24),
        ("mla_moe", "token_mean", "token", 1),
        ("mla_moe", "seq_sum_const", "sequence_geomean", 1_000),
        ("gqa_bias", "seq_mean_token_mean", "sequence_geomean", 1),
        ("gqa_bias", "token_mean", "sequence", 36),
        ("gqa_bias", "seq_sum_const", "token", 24),
    ],
)
def test_packed_rows_train_as_padded_ones(
    name, reduction, ratio, micro_tokens, judged, models, opt, grpo, train_state
):
    """Metrics, biases, moments (a tenth of the raw gradients) equal those of one sequence a row."""
    rows = judged(name)
    knobs = {"reduction": reduction, "constant": 10}
    batch = rollouts.minibatch(rows, np.arange(2), group=4, micro_tokens=micro_tokens, **knobs)
    opt = dataclasses.replace(opt, clip_norm=1e9)
    step = partial(grpo_step, model=models[name], opt=opt, temperature=0.9, on_policy=False)

    def after(batch: GrpoBatch, micro_tokens: int):
        config = dataclasses.replace(grpo, ratio=ratio, micro_tokens=micro_tokens)
        return jax.jit(partial(step, config=config))(train_state(name), batch)

    (state, metrics), (want, plain) = (
        after(jax.tree.map(jnp.asarray, batch), micro_tokens),
        after(padded(rows, reduction=reduction), 1_000),
    )
    got_padding, padding = (m.pop("padding") for m in (metrics, plain))
    moments, plain_moments = state.opt_state, want.opt_state
    close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    jax.tree.map(close, moments, plain_moments)
    np.testing.assert_allclose(state.weights.router_bias_LE, want.weights.router_bias_LE, atol=1e-7)
    # AdamW divides gradients by their size, so it enlarges a difference by up to 100
    jax.tree.map(partial(close, atol=1e-5), state.weights.params, want.weights.params)
    jax.tree.map(close, metrics, plain)
    np.testing.assert_allclose(padding.total / padding.weight, 49 / 96)
    run = {1: 48, 24: 48, 36: 72, 1_000: 96}[micro_tokens]  # whole micro-batches of four rows
    np.testing.assert_allclose((got_padding.total, got_padding.weight), (run - 47, run))


@pytest.mark.parametrize("micro_tokens", [1, 36, 1_000])
def test_packed_logps_come_back_to_their_sequences(micro_tokens, judged, models, weights):
    rows, w = judged("mla_moe"), weights("mla_moe")
    knobs = {"model": models["mla_moe"], "temperature": 0.9, "chunk": 5, "replay": False}

    def score(batch, micro_tokens):
        return jax.jit(partial(sequence_logps, micro_tokens=micro_tokens, **knobs))(w, batch)

    want = score(padded(rows, reduction="token_mean"), 1_000)
    sequences = Sequences(*(getattr(rows, name) for name in Sequences._fields))
    packing = rollouts.packing_of(sequences, micro_tokens=micro_tokens)
    packed = jax.tree.map(jnp.asarray, rollouts.rows_of(sequences, packing))
    got = packing.back(np.asarray(score(packed, micro_tokens)), rows.mask_BT.shape)
    mask = np.asarray(rows.mask_BT)
    np.testing.assert_allclose(got[mask], np.asarray(want)[mask], rtol=1e-6, atol=1e-6)


def test_other_lengths_trace_no_program_again(models, weights):
    traced, knobs = [], {"model": models["gqa_small"], "temperature": 1.0, "chunk": 5}

    @jax.jit
    def score(w, rows):
        traced.append(rows.tokens_BT.shape)
        return sequence_logps(w, rows, replay=False, micro_tokens=12, **knobs)

    for lengths in ((2, 2, 2, 2), (12, 12, 12, 12), (5, 9, 2, 4)):
        packing = pack(np.array(lengths), width=12, micro_tokens=12)
        tokens_BT = packing.into(np.ones((4, 12), np.int32))
        routes_LBTK = np.zeros((0, 4, 12, 0), np.int32)
        zeros_BT = np.zeros_like(tokens_BT)
        rows = PackedRows(*map(jnp.asarray, (tokens_BT, tokens_BT, zeros_BT, routes_LBTK)))
        score(weights("gqa_small"), rows)
    assert traced == [(4, 12)]
