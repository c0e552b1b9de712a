"""What bfloat16 arithmetic leaves between the sampler and the trainer."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from r1jax.model import attention, forward
from r1jax.rl.logprobs import token_logps
from r1jax.sampling.sampler import Sampler
from r1jax.train import rollouts
from r1jax.train.grpo import sequence_logps


@pytest.fixture(scope="module")
def half():
    """Hidden states and an output matrix whose logits reach 20, in bfloat16."""
    rng = np.random.default_rng(0)
    hidden = jnp.asarray(rng.normal(size=(2, 5, 64)), jnp.bfloat16)
    head = jnp.asarray(rng.normal(size=(64, 33)), jnp.bfloat16)
    return hidden, head


def test_logps_come_of_logits_that_are_not_rounded(half):
    hidden, head = half
    targets, used = jnp.zeros((2, 5), int) + 7, jnp.ones(33, bool)
    exact = np.asarray(hidden, np.float64) @ np.asarray(head, np.float64)
    assert np.abs(exact).max() > 20
    want = exact[:, :, 7] - np.log(np.exp(exact).sum(-1))
    got, _ = token_logps(hidden, head, targets, used, temperature=1.0, chunk=5)
    np.testing.assert_allclose(got, want, atol=1e-4)


def test_the_logits_of_decoding_are_not_rounded(half, models, weights):
    hidden, head = half
    config = dataclasses.replace(models["mla_dense"], d_model=64, vocab_size=33, n_tokens=33)
    w = weights("mla_dense")
    w = w._replace(params={**w.params, "head": head})
    got = forward.logits(hidden, w, config=config)
    exact = np.asarray(hidden, np.float64) @ np.asarray(head, np.float64)
    np.testing.assert_allclose(got, exact, atol=1e-4)


def test_scores_of_attention_are_not_rounded():
    """Two keys whose scores differ by less than bfloat16 tells apart at 64."""
    q = jnp.full((1, 1, 1, 1, 2), 8.0, jnp.bfloat16)
    k = jnp.asarray([[[[8.0, 0.0], [8.0, 0.0078125]]]], jnp.bfloat16)
    v = jnp.asarray([[[[0.0], [1.0]]]], jnp.bfloat16)
    o = attention.attend_grouped(q, k, v, jnp.ones((1, 1, 2), bool), scale=1.0)
    # 64 and 64.0625 have one value in bfloat16, whose grid is 0.5 there
    np.testing.assert_allclose(o[0, 0, 0, 0, 0], 1 / (1 + np.exp(-0.0625)), atol=2e-3)
    assert o[0, 0, 0, 0, 0] > 0.51


@pytest.mark.parametrize(("name", "bound"), [("mla_dense", 0.03), ("gqa_norm", 0.03)])
def test_ratios_of_a_fresh_policy_stay_near_1(name, bound, models, weights, sampler):
    """The same weights in sampler and trainer: every ratio would be 1 without rounding."""
    model = dataclasses.replace(models[name], compute_dtype="bfloat16")
    draw = Sampler(model=model, config=sampler, max_new=16, stop_ids=(3,), pad_id=0, buckets=(4,))
    rollout = draw(weights(name), [[5, 6, 7], [8, 9]], jax.random.key(0), group=8, cap=16)
    rows = rollouts.contiguous(jax.tree.map(np.asarray, rollout), buckets=(20,))
    score = partial(
        sequence_logps, model=model, temperature=1.0, chunk=20, replay=False, micro_tokens=1_000
    )
    packing = rollouts.packing_of(rows, micro_tokens=1_000)
    packed = jax.tree.map(jnp.asarray, rollouts.rows_of(rows, packing))
    logp_BT = packing.back(np.asarray(jax.jit(score)(weights(name), packed)), rows.mask_BT.shape)
    ratios = np.exp(logp_BT - rows.old_logp_BT)[rows.mask_BT]
    assert np.abs(ratios - 1).max() < bound
    assert abs(ratios.mean() - 1) < bound / 10
