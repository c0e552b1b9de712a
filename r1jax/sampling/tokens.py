"""One token from logits: filters, the penalty on repetition, the draw and its log-probability."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from r1jax.sampling.config import SamplerConfig

FILTERED = -1e30


def _least_bits(
    probs_BV: Float[Array, "B V"], bits_BV: Int[Array, "B V"], top_p: float
) -> Int[Array, "B 1"]:
    """The least bits above which the probabilities sum to less than top_p.

    Halving the range 31 times is exact, and 8 times as fast as sorting 40 rows of 49,152 on CPU.
    """

    def halve(_, ends):
        low_B1, high_B1 = ends
        middle_B1 = low_B1 + (high_B1 - low_B1) // 2
        above_B1 = jnp.where(bits_BV > middle_B1, probs_BV, 0.0).sum(1, keepdims=True)
        few_B1 = above_B1 < top_p
        return jnp.where(few_B1, low_B1, middle_B1), jnp.where(few_B1, middle_B1, high_B1)

    high_B1 = bits_BV.max(1, keepdims=True)
    return jax.lax.fori_loop(0, 31, halve, (jnp.full_like(high_B1, -1), high_B1))[1]


def filter_logits(
    logits_BV: Float[Array, "B V"], *, top_k: int, top_p: float, min_p: float
) -> Float[Array, "B V"]:
    """Removes tokens by top-k, then top-p, then min-p.

    Equal logits stay or go together; the best always stays.
    """
    if top_k:
        kth_B1 = jax.lax.top_k(logits_BV, min(top_k, logits_BV.shape[1]))[0][:, -1:]
        logits_BV = jnp.where(logits_BV >= kth_B1, logits_BV, FILTERED)
    if top_p < 1:
        probs_BV = jax.nn.softmax(logits_BV.astype(jnp.float32), axis=1)
        # positive floats sort as their bits do
        bits_BV = jax.lax.bitcast_convert_type(probs_BV, jnp.int32)
        logits_BV = jnp.where(bits_BV >= _least_bits(probs_BV, bits_BV, top_p), logits_BV, FILTERED)
    if min_p:
        best_B1 = logits_BV.max(1, keepdims=True)
        logits_BV = jnp.where(logits_BV >= best_B1 + np.log(min_p), logits_BV, FILTERED)
    return logits_BV


def sample_token(
    key: Key[Array, ""], logits_BV: Float[Array, "B V"], *, config: SamplerConfig
) -> tuple[Int[Array, " B"], Float[Array, " B"], Float[Array, " B"]]:
    """Draws one token per row.

    Returns:
      Token ids, their natural log-probabilities and the entropy (nats) of the distribution drawn
      from. Greedy (temperature 0) draws from a point mass: log-probability 0, entropy 0.
    """
    if config.temperature == 0:
        zeros_B = jnp.zeros_like(logits_BV[:, 0], dtype=jnp.float32)
        return logits_BV.argmax(1).astype(jnp.int32), zeros_B, zeros_B
    scaled_BV = logits_BV.astype(jnp.float32) / config.temperature
    scaled_BV = filter_logits(scaled_BV, top_k=config.top_k, top_p=config.top_p, min_p=config.min_p)
    logps_BV = jax.nn.log_softmax(scaled_BV, axis=1)
    probs_BV = jnp.exp(logps_BV)
    # Inverse CDF: one uniform per row instead of V Gumbels (14% of a step at V = 49152 on CPU).
    cdf_BV = jnp.cumsum(probs_BV, axis=1)
    u_B1 = jax.random.uniform(key, (logits_BV.shape[0], 1)) * cdf_BV[:, -1:]
    below_B = (cdf_BV <= u_B1).sum(1)
    ids_1V = jnp.arange(probs_BV.shape[1])[None]
    last_B = jnp.where(probs_BV > 0, ids_1V, 0).max(1)
    token_B = jnp.minimum(below_B, last_B).astype(jnp.int32)
    hit_BV = token_B[:, None] == ids_1V
    entropy_B = -(probs_BV * jnp.maximum(logps_BV, -1e9)).sum(1)
    return token_B, jnp.where(hit_BV, logps_BV, 0.0).sum(1), entropy_B


def penalise(
    logits_BV: Float[Array, "B V"], seen_BV: Bool[Array, "B V"], *, penalty: float
) -> Float[Array, "B V"]:
    """Makes ids that a row has met less likely (CTRL, arXiv:1909.05858, section 4.1).

    Positive logits are divided by the penalty, negative ones multiplied.
    """
    lower_BV = jnp.where(logits_BV > 0, logits_BV / penalty, logits_BV * penalty)
    return jnp.where(seen_BV, lower_BV, logits_BV)
