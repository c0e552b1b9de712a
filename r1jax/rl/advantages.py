"""How good a sample is next to its group."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def group_advantages(
    rewards_PG: Float[Array, "P G"], *, ddof: int, eps: float, divide_by_std: bool
) -> Float[Array, "P G"]:
    """Standardises rewards within each prompt's group (DeepSeekMath, arXiv:2402.03300, 4.1.2).

    Args:
      rewards_PG: reward of each of G samples of P prompts, in reward units.
      ddof: 0 for the population std, 1 for the sample std; the papers do not say which.
      eps: added to the std, in reward units.
      divide_by_std: False leaves r - mean, in reward units (Dr. GRPO, arXiv:2503.20783).

    Returns:
      Advantages. A group of equal rewards gives exact zeros, never NaN or rounding noise.

    Raises:
      ValueError: if G <= ddof or G < 2, where a group says nothing.
    """
    if rewards_PG.shape[1] < max(2, ddof + 1):
        raise ValueError(
            f"need G >= {max(2, ddof + 1)} samples per prompt, got rewards {rewards_PG.shape}"
        )
    centred_PG = rewards_PG - rewards_PG.mean(axis=1, keepdims=True)
    varied_P1 = rewards_PG.max(axis=1, keepdims=True) > rewards_PG.min(axis=1, keepdims=True)
    if not divide_by_std:
        return jnp.where(varied_P1, centred_PG, 0.0)
    scaled_PG = centred_PG / (rewards_PG.std(axis=1, ddof=ddof, keepdims=True) + eps)
    return jnp.where(varied_P1, scaled_PG, 0.0)
