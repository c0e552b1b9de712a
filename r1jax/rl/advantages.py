"""Advantages: how much better a sample is than its group."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def group_advantages(
    rewards_PG: Float[Array, "P G"],
    valid_PG: Bool[Array, "P G"],
    *,
    ddof: int,
    eps: float,
    divide_by_std: bool,
) -> Float[Array, "P G"]:
    """Standardises rewards within each prompt's group (DeepSeekMath, arXiv:2402.03300, 4.1.2).

    Args:
      rewards_PG: reward of each of G samples of P prompts, in reward units.
      valid_PG: False leaves a sample, whose judge failed, out of its group's mean and std.
      ddof: 0 for the population std, 1 for the sample std; the papers do not say which.
      eps: added to the std, in reward units.
      divide_by_std: False leaves r - mean, in reward units (Dr. GRPO, arXiv:2503.20783).

    Returns:
      Advantages, 0 where invalid. A group whose valid rewards are equal, or fewer than two, gives
      exact zeros, never NaN or rounding noise.

    Raises:
      ValueError: if G <= ddof or G < 2, where a group says nothing.
    """
    if rewards_PG.shape[1] < max(2, ddof + 1):
        raise ValueError(
            f"need G >= {max(2, ddof + 1)} samples per prompt, got rewards {rewards_PG.shape}"
        )
    known_PG = jnp.where(valid_PG, rewards_PG, 0.0)  # what an invalid one holds, NaN even, is inert
    n_P1 = jnp.maximum(valid_PG.sum(axis=1, keepdims=True), 1)
    mean_P1 = known_PG.sum(axis=1, keepdims=True) / n_P1
    centred_PG = jnp.where(valid_PG, rewards_PG - mean_P1, 0.0)
    most = float(jnp.finfo(rewards_PG.dtype).max)
    lowest_P1 = rewards_PG.min(axis=1, keepdims=True, where=valid_PG, initial=most)
    highest_P1 = rewards_PG.max(axis=1, keepdims=True, where=valid_PG, initial=-most)
    varied_PG = valid_PG & (highest_P1 > lowest_P1) & (n_P1 > ddof)
    if not divide_by_std:
        return jnp.where(varied_PG, centred_PG, 0.0)
    variance_P1 = (centred_PG**2).sum(axis=1, keepdims=True) / jnp.maximum(n_P1 - ddof, 1)
    return jnp.where(varied_PG, centred_PG / (jnp.sqrt(variance_P1) + eps), 0.0)
