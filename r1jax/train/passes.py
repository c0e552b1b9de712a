"""What objectives share: a pass over whole rows, the token ahead, a mean over some positions."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from r1jax.model import forward
from r1jax.model.config import ModelConfig
from r1jax.types import ForwardOut, Mean, Weights


def forward_rows(
    weights: Weights,
    tokens_BT: Int[Array, "B T"],
    positions_BT: Int[Array, "B T"],
    segments_BT: Int[Array, "B T"],
    *,
    model: ModelConfig,
    routes_LBTK: Int[Array, "L B T K"] | None,
    with_mtp: bool,
) -> ForwardOut:
    """The network on whole rows, without a cache.

    Args:
      weights: of the network.
      tokens_BT: token ids.
      positions_BT: position of each token within its document.
      segments_BT: 0 on padding, else the number of the document within its row.
      model: the network.
      routes_LBTK: experts that every token is sent to (-1: as the router says), or None.
      with_mtp: whether to run the MTP module too.
    """
    return forward.forward(
        weights,
        tokens_BT,
        positions_BT,
        segments_BT,
        config=model,
        routes_LBTK=routes_LBTK,
        with_mtp=with_mtp,
        keep_cache=False,
        layers=None,
    )


def documents(segments_BT: Int[Array, "B T"], positions_BT: Int[Array, "B T"]) -> Float[Array, ""]:
    """Number of documents, each counted at its first token; at least 1."""
    firsts = ((segments_BT > 0) & (positions_BT == 0)).sum().astype(jnp.float32)
    return jnp.maximum(firsts, 1.0)


def padding(segments_BT: Int[Array, "B T"]) -> Mean:
    """The share of positions that are padding."""
    return mean_over(jnp.ones_like(segments_BT, bool), (segments_BT == 0).astype(jnp.float32))


def ahead(x_BT: Shaped[Array, "B T"], by: int) -> Shaped[Array, "B T"]:
    """At every position t what x_BT has at t + by; 0 where the row ends before."""
    return jnp.pad(x_BT[:, by:], ((0, 0), (0, by)))


def mean_over(mask_BT: Bool[Array, "B T"], x_BT: Float[Array, "B T"]) -> Mean:
    """The mean of x_BT where the mask is True, whatever else it holds; gives no gradient."""
    total = jax.lax.stop_gradient(jnp.where(mask_BT, x_BT, 0.0).sum())
    return Mean(total, mask_BT.sum().astype(jnp.float32))
