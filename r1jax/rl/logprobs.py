"""Log-probabilities of given tokens, in chunks of positions: no [B, T, V] array ever lives."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from r1jax.model.layers import ordered_sum, project, unfused
from r1jax.rl.chunks import by_chunk


def token_logps(
    hidden_BTD: Float[Array, "B T D"],
    head_DV: Float[Array, "D V"],
    targets_BT: Int[Array, "B T"],
    used_V: Bool[Array, " V"],
    *,
    temperature: float,
    chunk: int,
    exact: bool = False,
) -> tuple[Float[Array, "B T"], Float[Array, "B T"]]:
    """log p(target) and entropy under softmax(hidden @ head / temperature), in float32.

    Args:
      hidden_BTD: final hidden states; position t predicts targets_BT[:, t].
      head_DV: output matrix.
      targets_BT: the tokens to score; any valid id where the result is not used.
      used_V: ids that exist; others get no probability.
      temperature: of the distribution that was sampled from; 0 is not a distribution.
      exact: as of `layers.project`.
      chunk: positions scored at a time; the backward pass recomputes each chunk's logits.

    Returns:
      Natural log-probabilities and entropies (nats, no gradient).

    Raises:
      ValueError: if temperature is not positive.
    """
    if temperature <= 0:
        raise ValueError(f"log-probabilities need a temperature above 0, got {temperature}")

    def score(hidden_BCD: Array, targets_BC: Array) -> tuple[Array, Array]:
        return _score(hidden_BCD, head_DV, targets_BC, used_V, temperature, exact)

    return by_chunk(score, (hidden_BTD, targets_BT), chunk=chunk)


def _score(
    hidden_BCD: Float[Array, "B C D"],
    head_DV: Float[Array, "D V"],
    targets_BC: Int[Array, "B C"],
    used_V: Bool[Array, " V"],
    temperature: float,
    exact: bool = False,
) -> tuple[Float[Array, "B C"], Float[Array, "B C"]]:
    """`token_logps` of one chunk: the only place where logits stand."""
    axes = ("batch", "seq", "vocab")
    logits_BCV = project(hidden_BCD, head_DV, 1, *axes, exact=exact, to=jnp.float32)
    logits_BCV = jnp.where(used_V[None, None], unfused(logits_BCV / temperature), -1e30)
    below_BCV = logits_BCV - jax.lax.stop_gradient(logits_BCV.max(axis=-1, keepdims=True))
    below_BCV = jnp.maximum(below_BCV, -1e30)
    e_BCV = jnp.exp(below_BCV)
    total_BC = ordered_sum(e_BCV)
    hit_BCV = targets_BC[:, :, None] == jnp.arange(used_V.shape[0])[None, None]
    logp_BC = jnp.where(hit_BCV, below_BCV, 0.0).sum(-1) - jnp.log(total_BC)
    # - sum p log p = log total - sum e * below / total; an id without probability has e = 0
    seen_BC = (e_BCV * below_BCV).sum(-1)
    return logp_BC, jax.lax.stop_gradient(jnp.log(total_BC) - seen_BC / total_BC)
