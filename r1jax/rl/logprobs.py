"""Log-probabilities of given tokens, in chunks of positions: no [B, T, V] array ever lives."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from r1jax.sharding import out


def token_logps(
    hidden_BTD: Float[Array, "B T D"],
    head_DV: Float[Array, "D V"],
    targets_BT: Int[Array, "B T"],
    used_V: Bool[Array, " V"],
    *,
    temperature: float,
    chunk: int,
) -> tuple[Float[Array, "B T"], Float[Array, "B T"]]:
    """log p(target) and entropy under softmax(hidden @ head / temperature), in float32.

    Args:
      hidden_BTD: final hidden states; position t predicts targets_BT[:, t].
      head_DV: output matrix.
      targets_BT: the tokens to score; any valid id where the result is not used.
      used_V: ids that exist; others get no probability.
      temperature: of the distribution that was sampled from; 0 is not a distribution.
      chunk: positions scored at a time; the backward pass recomputes each chunk's logits.

    Returns:
      Natural log-probabilities and entropies (nats, no gradient).

    Raises:
      ValueError: if temperature is not positive.
    """
    if temperature <= 0:
        raise ValueError(f"log-probabilities need a temperature above 0, got {temperature}")
    n_batch, n_seq, d = hidden_BTD.shape
    n_chunks = -(-n_seq // chunk)
    pad = n_chunks * chunk - n_seq
    hidden = jnp.pad(hidden_BTD, ((0, 0), (0, pad), (0, 0))).reshape(n_batch, n_chunks, chunk, d)
    targets = jnp.pad(targets_BT, ((0, 0), (0, pad))).reshape(n_batch, n_chunks, chunk)

    @jax.checkpoint
    def score(_, at):
        h_BCD, y_BC = at
        logits_BCV = jnp.einsum(
            "bcd,dv->bcv",
            h_BCD,
            head_DV.astype(h_BCD.dtype),
            out_sharding=out("batch", "seq", "vocab"),
        )
        logits_BCV = jnp.where(used_V[None, None], logits_BCV.astype(jnp.float32) / temperature, -1e30)
        norm_BC1 = jax.nn.logsumexp(logits_BCV, axis=-1, keepdims=True)
        hit_BCV = jax.nn.one_hot(y_BC, used_V.shape[0], dtype=bool)
        logp_BC = jnp.where(hit_BCV, logits_BCV, 0.0).sum(-1) - norm_BC1[:, :, 0]
        all_BCV = jax.lax.stop_gradient(logits_BCV - norm_BC1)
        return None, (logp_BC, -(jnp.exp(all_BCV) * jnp.maximum(all_BCV, -1e9)).sum(-1))

    if n_chunks == 1:
        _, (logp, entropy) = score(None, (hidden[:, 0], targets[:, 0]))
        return logp[:, :n_seq], entropy[:, :n_seq]
    _, (logp, entropy) = jax.lax.scan(score, None, (hidden.swapaxes(0, 1), targets.swapaxes(0, 1)))
    join = lambda x: x.swapaxes(0, 1).reshape(n_batch, n_chunks * chunk)[:, :n_seq]
    return join(logp), join(entropy)
