"""The network: its weights, declared from the table, and the wiring of the maths.

One set of weights serves every mode. Layers of one kind are stored stacked along a leading "layers"
axis, so a checkpoint does not depend on whether they are run as a scan or one after the other.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Bool, Float, Int

from r1jax.model import attention, blockwise, layers, moe, parameters, rotary
from r1jax.model.config import Gqa, Mla, ModelConfig
from r1jax.model.layers import rms_norm, swiglu
from r1jax.sharding import constrain, has_mesh, out, spec
from r1jax.types import LayerCache, Tree


class Network(nn.Module):
    """Declares the weights; applied, it returns them as the tree that the wiring below takes."""

    config: ModelConfig

    @nn.compact
    def __call__(self) -> Tree:
        params = {}
        for path, p in parameters.table(self.config).items():
            assert not (p.mean and p.std)
            init = nn.initializers.normal(p.std) if p.std else nn.initializers.constant(p.mean)
            init = nn.with_logical_partitioning(init, p.axes)
            params[path] = self.param(path, init, p.shape, jnp.dtype(p.dtype))
        return unflatten_dict(params, sep="/")


class Past(NamedTuple):
    """Cached positions, and which of them the new tokens are; each sees those up to its own."""

    cache: LayerCache
    positions_BT: Int[Array, "B T"]

    def mask_BTS(self) -> Bool[Array, "B T S"]:
        """True where a new token may see a cached position."""
        return jnp.arange(self.cache.first.shape[-2])[None, None] <= self.positions_BT[:, :, None]


class Routing(NamedTuple):
    """What the MoE layers of a pass did."""

    routes_BTK: Int[Array, "B T K"]
    load_E: Float[Array, " E"]
    balance: Float[Array, ""]


def _cached(past: Past | None, new: LayerCache) -> LayerCache:
    """The cache with the new positions, which stand on the last axis but one."""
    if past is None:
        return new

    def write(old: Array, new: Array, first_B: Array) -> Array:
        put = partial(jax.lax.dynamic_update_slice_in_dim, axis=old.ndim - 3)
        return jax.vmap(put)(old, new.astype(old.dtype), first_B)

    def write_all(old: LayerCache, new: LayerCache, first_B: Array) -> LayerCache:
        return jax.tree.map(lambda o, n: write(o, n, first_B), old, new)

    first_B = past.positions_BT[:, 0]
    if not has_mesh():
        return write_all(past.cache, new, first_B)
    # each device writes its own rows: as one scatter the layout would have to be guessed
    laid = jax.tree.map(lambda x: jax.typeof(x).sharding.spec, past.cache)
    local = jax.shard_map(
        write_all, in_specs=(laid, laid, spec("batch")), out_specs=laid, check_vma=False
    )
    new = jax.tree.map(jax.sharding.reshard, new, laid)
    return local(past.cache, new, constrain(first_B, "batch"))


def _attend(
    q: Array, kv: LayerCache, segments_BT, past: Past | None, c: ModelConfig, *, scale: float
) -> Array:
    """Attention over keys and values of every head: of whole sequences, or in a cache."""
    how = {"scale": scale, "block": c.attention_block}
    if past is None:
        return attention.attend(q, *kv, segments_BT, **how, exact=c.exact)
    return blockwise.attend_cached(q, *kv, past.positions_BT[:, 0], **how)


def _gqa(
    p: Tree, x_BTD, cos, sin, segments_BT, past: Past | None, c: ModelConfig, *, a: Gqa
) -> tuple[Array, LayerCache]:
    group, project = a.queries_per_kv, partial(layers.project, exact=c.exact)
    qkv = project(x_BTD, p["qkv"], 1, "batch", "seq", "heads", "none", "head_dim")
    if a.qkv_bias:
        qkv = qkv + p["qkv_bias"].astype(qkv.dtype)[None, None]
    q, k, v = jnp.split(qkv, (group, group + 1), axis=3)
    if a.qk_norm:
        q, k = rms_norm(q, p["q_norm"], eps=c.norm_eps), rms_norm(k, p["k_norm"], eps=c.norm_eps)
    rotate = partial(rotary.rotate, cos_BTX=cos, sin_BTX=sin, exact=c.exact)
    q, k = rotate(q), rotate(k)[:, :, :, 0]
    new = _cached(past, LayerCache(k.swapaxes(1, 2), v[:, :, :, 0].swapaxes(1, 2)))
    scale = rotary.softmax_scale(c.rope, a.head_dim)
    if past is None or c.exact:
        o = _attend(q, new, segments_BT, past, c, scale=scale)
    else:
        o = attention.attend_grouped(q, *new, past.mask_BTS(), scale=scale)
    return project(o, p["out"], 3, "batch", "seq", "act_embed"), new


def _mla(
    p: Tree, x_BTD, cos, sin, segments_BT, past: Past | None, c: ModelConfig, *, a: Mla
) -> tuple[Array, LayerCache]:
    """Expanded without a past (training, prefill), absorbed with one (decoding).

    Exact numerics expand in decoding too: their cache holds keys and values of every head.
    """
    # DeepSeek's checkpoints fix 1e-6 for the two latent norms whatever rms_norm_eps says.
    cq, project = x_BTD, partial(layers.project, exact=c.exact)
    if a.q_lora_rank:
        cq = project(x_BTD, p["q_down"], 1, "batch", "seq", "latent")
        cq = rms_norm(cq, p["q_latent_norm"], eps=1e-6)
    per_head = ("batch", "seq", "heads", "head_dim")
    q = project(cq, p["q_up"], 1, *per_head)
    rotate = partial(rotary.rotate, cos_BTX=cos, sin_BTX=sin, exact=c.exact)
    qn, qr = q[:, :, :, : a.nope_dim], rotate(q[:, :, :, a.nope_dim :])
    ckv = project(x_BTD, p["kv_down"], 1, "batch", "seq", "latent")
    latent = rms_norm(ckv[:, :, : a.kv_lora_rank], p["kv_norm"], eps=1e-6)
    kr = rotate(ckv[:, :, None, a.kv_lora_rank :])[:, :, 0]
    kv_up = p["kv_up"].astype(x_BTD.dtype)
    new = LayerCache(latent, kr) if c.exact else _cached(past, LayerCache(latent, kr))
    scale = rotary.softmax_scale(c.rope, a.nope_dim + a.rope_dim)
    if past is None or c.exact:
        kv = project(latent, kv_up, 1, *per_head)
        shared = jnp.broadcast_to(
            kr[:, :, None], (*kv.shape[:3], a.rope_dim), out_sharding=out(*per_head)
        )
        k = jnp.concatenate([kv[:, :, :, : a.nope_dim], shared], axis=-1).swapaxes(1, 2)
        v = kv[:, :, :, a.nope_dim :].swapaxes(1, 2)
        q = jnp.concatenate([qn, qr], axis=-1)[:, :, :, None]
        new = _cached(past, LayerCache(k, v)) if c.exact else new
        of_heads = new if c.exact else LayerCache(k, v)
        o = _attend(q, of_heads, segments_BT, past, c, scale=scale)[:, :, :, 0]
    else:
        q_latent = jnp.einsum(
            "btnh,rnh->btnr",
            qn,
            kv_up[:, :, : a.nope_dim],
            out_sharding=out("batch", "seq", "heads", "latent"),
        )
        o = attention.attend_latent(q_latent, qr, *new, past.mask_BTS(), scale=scale)
        o = jnp.einsum("btnr,rnv->btnv", o, kv_up[:, :, a.nope_dim :], out_sharding=out(*per_head))
    return project(o, p["out"], 2, "batch", "seq", "act_embed"), new


def block(
    p: Tree,
    bias_E: Float[Array, " E"] | None,
    x_BTD: Float[Array, "B T D"],
    rope: tuple[Array, Array],
    segments_BT: Int[Array, "B T"],
    past: Past | None,
    routes_BTK: Int[Array, "B T K"] | None,
    *,
    config: ModelConfig,
) -> tuple[Float[Array, "B T D"], LayerCache, Routing | None]:
    """One pre-norm layer: x + attention(norm x), then x + ffn(norm x); MoE if `p` has experts."""
    c, a, p = config, config.attention, gathered(p, config=config)
    attend = partial(_mla, a=a) if isinstance(a, Mla) else partial(_gqa, a=a)
    h_BTD = rms_norm(x_BTD, p["norms"]["attention"], eps=c.norm_eps)
    a_BTD, cache = attend(p["attention"], h_BTD, *rope, segments_BT, past, c)
    x_BTD = x_BTD + a_BTD
    h_BTD = rms_norm(x_BTD, p["norms"]["mlp"], eps=c.norm_eps)
    if "experts" not in p:
        return x_BTD + swiglu(h_BTD, p["mlp"]["up"], p["mlp"]["down"], exact=c.exact), cache, None
    assert c.moe is not None and bias_E is not None
    e = p["experts"]
    y_BTD, routes, load_E, balance = moe.mixture(
        h_BTD,
        e["gate"],
        bias_E,
        e["up"],
        e["down"],
        segments_BT,
        routes_BTK,
        config=c.moe,
        exact=c.exact,
    )
    if "mlp" in p:
        y_BTD = y_BTD + swiglu(h_BTD, p["mlp"]["up"], p["mlp"]["down"], exact=c.exact)
    return x_BTD + y_BTD, cache, Routing(routes, load_E, balance)


def gathered(p: Tree, *, config: ModelConfig) -> Tree:
    """One layer's weights, whole along "embed" as matmuls want them; no change without a mesh."""
    flat: Tree = flatten_dict(p, sep="/")
    whole: Tree = {}
    for path, w in parameters.layer(config, is_moe="experts" in p).items():
        whole[path] = constrain(flat[path], *("act_embed" if a == "embed" else a for a in w.axes))
    return unflatten_dict(whole, sep="/")


def layer(stacked: Tree, index: int) -> Tree:
    """The weights of one layer out of a stack."""
    return jax.tree.map(lambda w: w[index], stacked)


def checkpointed(fn: Callable, config: ModelConfig) -> Callable:
    """fn, recomputed in the backward pass if the config says so."""
    return jax.checkpoint(fn) if config.remat else fn
