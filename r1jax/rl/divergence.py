"""How far a student's next-token distributions are from a teacher's, in chunks of positions.

Generalised knowledge distillation (GKD, arXiv:2306.13649, section 3). U is the width of the
teacher's residual stream; the other axes are those of `types`. No [B, T, V] array ever lives, and
nothing here sends a gradient into the teacher.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from r1jax.model.layers import project
from r1jax.rl.chunks import by_chunk


class Compared(NamedTuple):
    """Student and teacher at every position; entropies and agreement give no gradient.

    Attributes:
      divergence_BT: nats, 0 where the two distributions are equal.
      logp_BT: log-probability of the target under the student.
      teacher_logp_BT: the same under the teacher, a constant.
      entropy_BT: of the student, in nats.
      teacher_entropy_BT: of the teacher, in nats.
      agree_BT: 1 where both have the same most likely token, else 0.
    """

    divergence_BT: Float[Array, "B T"]
    logp_BT: Float[Array, "B T"]
    teacher_logp_BT: Float[Array, "B T"]
    entropy_BT: Float[Array, "B T"]
    teacher_entropy_BT: Float[Array, "B T"]
    agree_BT: Float[Array, "B T"]


def _kl(a_BCV: Array, b_BCV: Array) -> Array:
    """KL(a || b) in nats, of normalised log-probabilities."""
    return (jnp.exp(a_BCV) * (a_BCV - b_BCV)).sum(-1)


def _entropy(logp_BCV: Array) -> Array:
    """In nats, of normalised log-probabilities."""
    return -(jnp.exp(logp_BCV) * logp_BCV).sum(-1)


def divergence(
    logp_BCV: Float[Array, "B C V"], teacher_logp_BCV: Float[Array, "B C V"], *, beta: float
) -> Float[Array, "B C"]:
    """Generalised Jensen-Shannon divergence D_JSD(beta)(p_T || p_S) in nats (GKD, equation 1).

    beta KL(p_T || m) + (1 - beta) KL(p_S || m) with m = beta p_T + (1 - beta) p_S. At the ends,
    where this vanishes, the result is its limit when divided by beta or by 1 - beta: the forward
    KL(p_T || p_S) at 0, the reverse KL(p_S || p_T) at 1.

    Args:
      logp_BCV: of the student, normalised; finite where it is used.
      teacher_logp_BCV: of the teacher; no gradient goes there.
      beta: 0 to 1, static.

    Raises:
      ValueError: if beta is out of range.
    """
    if not 0 <= beta <= 1:
        raise ValueError(f"beta {beta}: wanted 0 (forward KL) to 1 (reverse KL)")
    teacher_logp_BCV = jax.lax.stop_gradient(teacher_logp_BCV)
    if beta == 0:
        return _kl(teacher_logp_BCV, logp_BCV)
    if beta == 1:
        return _kl(logp_BCV, teacher_logp_BCV)
    mixed_BCV = jnp.logaddexp(math.log(beta) + teacher_logp_BCV, math.log1p(-beta) + logp_BCV)
    return beta * _kl(teacher_logp_BCV, mixed_BCV) + (1 - beta) * _kl(logp_BCV, mixed_BCV)


def sampled_loss(
    logp_BT: Float[Array, "B T"], teacher_logp_BT: Float[Array, "B T"]
) -> Float[Array, "B T"]:
    """-A log p_S(o) with the constant advantage A = log p_T(o) - log p_S(o) of each sampled token.

    Where the student drew o, its gradient averages to that of the reverse KL at that position; what
    a token does to later positions is left out, as in the full-vocabulary divergence.
    """
    advantages_BT = jax.lax.stop_gradient(teacher_logp_BT - logp_BT)
    return -advantages_BT * logp_BT


def compare(
    hidden_BTD: Float[Array, "B T D"],
    head_DV: Float[Array, "D V"],
    teacher_hidden_BTU: Float[Array, "B T U"],
    teacher_head_UV: Float[Array, "U V"],
    targets_BT: Int[Array, "B T"],
    used_V: Bool[Array, " V"],
    *,
    beta: float,
    temperature: float,
    chunk: int,
) -> Compared:
    """Compares softmax(hidden @ head / temperature) of student and teacher, in float32.

    Args:
      hidden_BTD, head_DV: final hidden states and output matrix of the student.
      teacher_hidden_BTU, teacher_head_UV: of the teacher, over the same ids.
      targets_BT: position t is scored on targets_BT[:, t]; any valid id where that is not used.
      used_V: ids that exist; others have no part in it.
      beta: 0 (forward KL) to 1 (reverse KL), static.
      temperature: of both distributions.
      chunk: positions compared at a time; the backward pass recomputes each chunk's logits.

    Raises:
      ValueError: if the temperature is not positive, or beta is out of range.
    """
    if temperature <= 0:
        raise ValueError(f"a divergence needs a temperature above 0, got {temperature}")

    def score(h_BCD: Array, t_BCU: Array, targets_BC: Array) -> Compared:
        return _compare(
            _log_softmax(h_BCD, head_DV, used_V, temperature),
            jax.lax.stop_gradient(_log_softmax(t_BCU, teacher_head_UV, used_V, temperature)),
            targets_BC,
            used_V,
            beta,
        )

    return by_chunk(score, (hidden_BTD, teacher_hidden_BTU, targets_BT), chunk=chunk)


def _log_softmax(
    hidden_BCD: Float[Array, "B C D"],
    head_DV: Float[Array, "D V"],
    used_V: Bool[Array, " V"],
    temperature: float,
) -> Float[Array, "B C V"]:
    """Log-probabilities of a chunk; an id that does not exist has -1e30."""
    logits_BCV = project(hidden_BCD, head_DV, 1, "batch", "seq", "vocab", to=jnp.float32)
    logits_BCV = jnp.where(used_V[None, None], logits_BCV / temperature, -1e30)
    best_BC1 = jax.lax.stop_gradient(logits_BCV.max(axis=-1, keepdims=True))
    norm_BC1 = jnp.log(jnp.exp(logits_BCV - best_BC1).sum(-1, keepdims=True)) + best_BC1
    return jnp.where(used_V[None, None], logits_BCV - norm_BC1, -1e30)


def _compare(
    logp_BCV: Float[Array, "B C V"],
    teacher_logp_BCV: Float[Array, "B C V"],
    targets_BC: Int[Array, "B C"],
    used_V: Bool[Array, " V"],
    beta: float,
) -> Compared:
    """`compare` of one chunk."""
    hit_BCV = targets_BC[:, :, None] == jnp.arange(used_V.shape[0])[None, None]
    constant_BCV = jax.lax.stop_gradient(logp_BCV)
    return Compared(
        divergence_BT=divergence(logp_BCV, teacher_logp_BCV, beta=beta),
        logp_BT=jnp.where(hit_BCV, logp_BCV, 0.0).sum(-1),
        teacher_logp_BT=jnp.where(hit_BCV, teacher_logp_BCV, 0.0).sum(-1),
        entropy_BT=_entropy(constant_BCV),
        teacher_entropy_BT=_entropy(teacher_logp_BCV),
        agree_BT=(constant_BCV.argmax(-1) == teacher_logp_BCV.argmax(-1)).astype(jnp.float32),
    )
