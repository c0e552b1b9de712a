"""Checkpoints that transformers wrote give the logits that transformers computed."""

import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from r1jax.hub import architectures, families
from r1jax.hub import read as huggingface
from r1jax.model import forward
from r1jax.model.config import ExecutionConfig

GOLDEN = Path(__file__).parent.parent / "golden/hugging_face"
FAMILIES = sorted(p.name for p in GOLDEN.iterdir() if p.is_dir())
HOW = ExecutionConfig(
    param_dtype="float32",
    compute_dtype="float32",
    scan_layers=False,
    remat=False,
    attention_block=64,
    numerics="fast",
    dispatch="blocks",
    block_size=4,
)
SPLIT = 17  # tokens prefilled; the others come one by one


@pytest.fixture(scope="module")
def golden():
    """Weights, model and expected arrays of a family, read once."""
    read = {}

    def of(family: str):
        if family not in read:
            folder = GOLDEN / family
            document = json.loads((folder / "config.json").read_text())
            vocabulary = document["vocab_size"]
            model = families.model_config(document, family, n_tokens=vocabulary, how=HOW)
            interleaved = families.is_interleaved(document)
            weights = huggingface.read_weights(
                folder, model=model, interleaved=interleaved, mesh=None
            )
            read[family] = weights, model, np.load(folder / "expected.npz")
        return read[family]

    return of


def whole(weights, ids, *, model, keep_cache: bool):
    positions = jnp.broadcast_to(jnp.arange(ids.shape[1])[None], ids.shape)
    return forward.forward(
        weights,
        ids,
        positions,
        jnp.ones_like(ids),
        config=model,
        routes_LBTK=None,
        with_mtp=model.mtp,
        keep_cache=keep_cache,
        layers=None,
    )


def test_every_family_is_there():
    assert set(architectures.FAMILIES) <= set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_transformers(family, golden):
    weights, model, expected = golden(family)
    out = jax.jit(partial(whole, model=model, keep_cache=False))(weights, expected["ids"])
    logits = forward.logits(out.hidden_BTD, weights, config=model)
    np.testing.assert_allclose(logits, expected["logits"], atol=1e-4)
    assert np.asarray(logits).std() > 0.5  # the bound says something
    if "mtp_logits" in expected:
        logits = forward.logits(out.mtp_hidden_BTD, weights, config=model)
        np.testing.assert_allclose(logits[:, :-1], expected["mtp_logits"], atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_step_by_step_they_are_the_same(family, golden):
    weights, model, expected = golden(family)
    ids = expected["ids"]
    out = jax.jit(partial(whole, model=model, keep_cache=True))(weights, ids[:, :SPLIT])
    cache = forward.resize_cache(out.cache, ids.shape[1])
    layers = forward.unstack(weights, config=model)

    @jax.jit
    def step(token_B1, cache, at):
        positions_B1 = jnp.full_like(token_B1, at)
        hidden, cache, _ = forward.extend(
            weights, layers, token_B1, positions_B1, cache, config=model
        )
        return forward.logits(hidden, weights, config=model)[:, 0], cache

    for at in range(SPLIT, ids.shape[1]):
        logits_BV, cache = step(ids[:, at : at + 1], cache, jnp.int32(at))
        np.testing.assert_allclose(logits_BV, expected["logits"][:, at], atol=1e-4)
