"""What reward models are fitted to: which of two replies is better, or whether one is safe."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def bradley_terry(
    chosen_B: Float[Array, " B"], rejected_B: Float[Array, " B"], *, margin: float, centre: float
) -> Float[Array, ""]:
    """Mean of -log sigmoid(s+ - s- - margin) + centre * (s+ + s-)^2, in nats.

    The Bradley-Terry model says that y+ is preferred with probability sigmoid(s(x,y+) - s(x,y-));
    DeepSeek-R1's helpfulness model is fitted to pairs by it (arXiv:2501.12948, section 3.1). The
    margin is that of Llama 2 (arXiv:2307.09288, equation 2). Only differences of scores matter to
    the first term; the second (Eisenstein et al., arXiv:2312.09244, equation 7) keeps scores about
    0, so that those of several questions can be compared.

    Args:
      chosen_B: score of each preferred reply, a logit.
      rejected_B: score of the other reply to the same question.
      margin: logits by which the better reply should lead; 0 for plain Bradley-Terry.
      centre: eta, weight of the centring term, per squared logit; 0 leaves it out.
    """
    plus_B, minus_B = chosen_B.astype(jnp.float32), rejected_B.astype(jnp.float32)
    fit_B = -jax.nn.log_sigmoid(plus_B - minus_B - margin)
    return (fit_B + centre * jnp.square(plus_B + minus_B)).mean()


def pointwise(score_B: Float[Array, " B"], label_B: Float[Array, " B"]) -> Float[Array, ""]:
    """Mean of -y log sigmoid(s) - (1 - y) log sigmoid(-s), in nats.

    The binary cross-entropy on the logit: DeepSeek-R1's safety model classifies single replies
    (arXiv:2501.12948, section 3.1, which prints no formula).

    Args:
      score_B: score of each reply, a logit.
      label_B: y, 1 for safe and 0 for unsafe; anything between is a probability.
    """
    score_B, label_B = score_B.astype(jnp.float32), label_B.astype(jnp.float32)
    yes_B, no_B = jax.nn.log_sigmoid(score_B), jax.nn.log_sigmoid(-score_B)
    return -(label_B * yes_B + (1 - label_B) * no_B).mean()
