"""Group Relative Policy Optimization: the loss as a weighted sum over tokens.

DeepSeekMath (arXiv:2402.03300, equations 3-4) and DeepSeek-R1 (arXiv:2501.12948, equations 1-3).
GRPO, DAPO, Dr. GRPO and GSPO differ only in `token_weights`, the ratio and the clip interval; the
loss is one weighted sum, so micro-batches, shards and hosts add up exactly.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from r1jax.types import Mean

MAX_LOG_RATIO = 20.0  # exp of more overflows or means nothing; the gradient stops there


def token_weights(
    mask_BT: Bool[Array, "B T"], *, reduction: str, constant: int
) -> Float[Array, "B T"]:
    """Weights that turn a sum over tokens into the objective's average over the global batch.

    Args:
      mask_BT: True on the sampled tokens that count, the stop token included; all False drops a
        sequence, which still counts in B.
      reduction: "seq_mean_token_mean" (GRPO: 1/B sum 1/|o|), "token_mean" (DAPO, arXiv:2503.14476:
        one mean over all tokens), "seq_sum_const" (Dr. GRPO, arXiv:2503.20783: a sum over B *
        constant).
      constant: tokens, of "seq_sum_const" only: the generation limit.

    Raises:
      ValueError: on an unknown reduction.
    """
    mask = mask_BT.astype(jnp.float32)
    n_seq = mask.shape[0]
    if reduction == "seq_mean_token_mean":
        return mask / (jnp.maximum(mask.sum(1, keepdims=True), 1.0) * n_seq)
    if reduction == "token_mean":
        return mask / jnp.maximum(mask.sum(), 1.0)
    if reduction == "seq_sum_const":
        return mask / (constant * n_seq)
    raise ValueError(
        f"unknown reduction {reduction!r}: seq_mean_token_mean, token_mean or seq_sum_const"
    )


def k3(logp: Float[Array, "*batch"], ref_logp: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """KL estimator exp(d) - d - 1, d = ref - policy: never negative, its policy mean is the KL."""
    delta = jnp.clip(ref_logp - logp, -MAX_LOG_RATIO, MAX_LOG_RATIO)
    series = delta * delta / 2 * (1 + delta / 3 * (1 + delta / 4 * (1 + delta / 5)))
    return jnp.where(jnp.abs(delta) < 0.03, series, jnp.expm1(delta) - delta)  # no cancellation


def sequence_sums(x_BT: Float[Array, "B T"], segments_BT: Int[Array, "B T"]) -> Float[Array, "B T"]:
    """At every token the sum of x over its sequence, one of those packed into its row.

    Two scans that begin anew with every segment: the sum of one sequence never passes through that
    of another, and its bits depend on no scatter.
    """

    def add(left: tuple[Array, Array], right: tuple[Array, Array]) -> tuple[Array, Array]:
        same = left[1] == right[1]
        return right[0] + jnp.where(same, left[0], 0.0), right[1]

    up_to_BT, _ = jax.lax.associative_scan(add, (x_BT, segments_BT), axis=1)
    onwards_BT, _ = jax.lax.associative_scan(add, (x_BT, segments_BT), axis=1, reverse=True)
    return up_to_BT + onwards_BT - x_BT


def log_ratios(
    logp_BT: Float[Array, "B T"],
    old_logp_BT: Float[Array, "B T"],
    mask_BT: Bool[Array, "B T"],
    segments_BT: Int[Array, "B T"],
    *,
    ratio: str,
) -> Float[Array, "B T"]:
    """log of pi / pi_old per token, or of the whole sequence repeated on its tokens.

    Args:
      logp_BT: log-probabilities under the policy.
      old_logp_BT: under the policy that sampled.
      mask_BT: sampled tokens.
      segments_BT: number of each token's sequence within its row.
      ratio: "token" (DeepSeekMath equation 3), "sequence" (the product, as the R1 paper prints it)
        or "sequence_geomean" (GSPO, arXiv:2507.18071).

    Raises:
      ValueError: on an unknown ratio.
    """
    token_BT = jnp.where(mask_BT, logp_BT - old_logp_BT, 0.0)
    if ratio == "token":
        return jnp.clip(token_BT, -MAX_LOG_RATIO, MAX_LOG_RATIO)
    total_BT = sequence_sums(token_BT, segments_BT)
    if ratio == "sequence_geomean":
        length_BT = sequence_sums(mask_BT.astype(jnp.float32), segments_BT)
        total_BT = total_BT / jnp.maximum(length_BT, 1.0)
    elif ratio != "sequence":
        raise ValueError(f"unknown ratio {ratio!r}: token, sequence or sequence_geomean")
    total_BT = jnp.clip(total_BT, -MAX_LOG_RATIO, MAX_LOG_RATIO)
    return jnp.where(mask_BT, total_BT, 0.0)


def grpo_loss(
    logp_BT: Float[Array, "B T"],
    old_logp_BT: Float[Array, "B T"],
    ref_logp_BT: Float[Array, "B T"],
    advantages_BT: Float[Array, "B T"],
    weights_BT: Float[Array, "B T"],
    segments_BT: Int[Array, "B T"],
    *,
    clip_low: float,
    clip_high: float,
    kl_coef: float,
    ratio: str,
) -> tuple[Float[Array, ""], dict[str, Mean]]:
    """-sum_t w (min(r A, clip(r, 1 - low, 1 + high) A) - beta k3): the negated objective.

    Tokens with weight 0 (prompt, padding) contribute nothing, whatever they hold, NaN included.

    Args:
      logp_BT: log-probabilities under the policy being trained.
      old_logp_BT: constants under the policy that sampled; logp_BT with a stopped gradient when
        on-policy.
      ref_logp_BT: constants under the reference; not read where kl_coef is 0.
      advantages_BT: the sequence's advantage on each of its tokens.
      weights_BT: `token_weights`, or a slice of them.
      segments_BT: number of each token's sequence within its row.
      clip_low, clip_high: epsilons of the interval; a clip_low of 1 or more (R1 has 10) switches
        the lower clip off, since a ratio is never negative.
      kl_coef: beta.
      ratio: "token", "sequence" or "sequence_geomean" (`log_ratios`).

    Returns:
      The loss, and Means over tokens: kl, clip_fraction (and by side), ratio.
    """
    mask_BT = weights_BT > 0
    logp_BT = jnp.where(mask_BT, logp_BT, 0.0)
    old_logp_BT = jax.lax.stop_gradient(jnp.where(mask_BT, old_logp_BT, 0.0))
    advantages_BT = jax.lax.stop_gradient(jnp.where(mask_BT, advantages_BT, 0.0))
    ratio_BT = jnp.exp(log_ratios(logp_BT, old_logp_BT, mask_BT, segments_BT, ratio=ratio))
    clipped_BT = jnp.clip(ratio_BT, 1.0 - clip_low, 1.0 + clip_high)
    gain_BT = jnp.minimum(ratio_BT * advantages_BT, clipped_BT * advantages_BT)
    tokens = mask_BT.sum().astype(jnp.float32)

    def count(x_BT: Array) -> Mean:
        return Mean(jax.lax.stop_gradient(jnp.where(mask_BT, x_BT, 0.0).sum()), tokens)

    high_BT = (ratio_BT > 1.0 + clip_high) & (advantages_BT > 0)
    low_BT = (ratio_BT < 1.0 - clip_low) & (advantages_BT < 0)
    metrics = {
        "ratio": count(ratio_BT),
        "clip_fraction": count((high_BT | low_BT).astype(jnp.float32)),
        "clip_fraction_high": count(high_BT.astype(jnp.float32)),
        "clip_fraction_low": count(low_BT.astype(jnp.float32)),
    }
    if kl_coef:
        kl_BT = k3(logp_BT, jax.lax.stop_gradient(jnp.where(mask_BT, ref_logp_BT, 0.0)))
        metrics["kl"] = count(kl_BT)
        gain_BT = gain_BT - kl_coef * kl_BT
    return -(weights_BT * jnp.where(mask_BT, gain_BT, 0.0)).sum(), metrics
