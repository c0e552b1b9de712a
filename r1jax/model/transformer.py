"""The network: its weights, declared with logical axes, and the wiring of the maths.

One set of weights serves every mode. Layers of one kind are stored stacked along a leading "layers"
axis, so a checkpoint does not depend on whether they are run as a scan or one after the other.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from r1jax.model import attention, moe, rotary
from r1jax.model.config import Gqa, Mla, ModelConfig
from r1jax.model.layers import project, rms_norm, swiglu
from r1jax.sharding import constrain, out
from r1jax.types import LayerCache, Tree

Shape = tuple[int, ...]
Axes = tuple[str, ...]


def _attention_shapes(a: Mla | Gqa, d: int) -> dict[str, tuple[Shape, Axes]]:
    """Weights of one attention layer: {name: (shape, logical axes)}."""
    if isinstance(a, Gqa):
        group = a.queries_per_kv
        fused = (a.n_kv_heads, group + 2, a.head_dim)  # per kv head: its queries, key, value
        shapes: dict[str, tuple[Shape, Axes]] = {
            "qkv": ((d, *fused), ("embed", "heads", "none", "head_dim")),
            "out": ((a.n_kv_heads, group, a.head_dim, d), ("heads", "none", "head_dim", "embed")),
        }
        if a.qkv_bias:
            shapes["qkv_bias"] = (fused, ("heads", "none", "head_dim"))
        if a.qk_norm:
            shapes["q_norm"] = shapes["k_norm"] = ((a.head_dim,), ("head_dim",))
        return shapes
    query = (a.q_lora_rank, ("latent",)) if a.q_lora_rank else (d, ("embed",))
    shapes = {
        "q_up": ((query[0], a.n_heads, a.nope_dim + a.rope_dim), (*query[1], "heads", "head_dim")),
        "kv_down": ((d, a.kv_lora_rank + a.rope_dim), ("embed", "latent")),
        "kv_norm": ((a.kv_lora_rank,), ("latent",)),
        "kv_up": (
            (a.kv_lora_rank, a.n_heads, a.nope_dim + a.v_dim),
            ("latent", "heads", "head_dim"),
        ),
        "out": ((a.n_heads, a.v_dim, d), ("heads", "head_dim", "embed")),
    }
    if a.q_lora_rank:
        shapes["q_down"] = ((d, a.q_lora_rank), ("embed", "latent"))
        shapes["q_latent_norm"] = ((a.q_lora_rank,), ("latent",))
    return shapes


def _layer_shapes(c: ModelConfig, is_moe: bool) -> dict[str, dict[str, tuple[Shape, Axes]]]:
    d = c.d_model
    layer = {
        "attention": _attention_shapes(c.attention, d),
        "norms": {"attention": ((d,), ("act_embed",)), "mlp": ((d,), ("act_embed",))},
    }
    if not is_moe:
        return layer | {
            "mlp": {
                "up": ((d, 2, c.mlp_dim), ("embed", "none", "mlp")),
                "down": ((c.mlp_dim, d), ("mlp", "embed")),
            }
        }
    assert c.moe is not None
    e, f = c.moe.n_experts, c.moe.hidden_dim
    layer["experts"] = {
        "gate": ((d, e), ("none", "none")),
        "up": ((e, d, 2, f), ("experts", "embed", "none", "mlp")),
        "down": ((e, f, d), ("experts", "mlp", "embed")),
    }
    if c.moe.n_shared_experts:
        shared = c.moe.n_shared_experts * f
        layer["mlp"] = {
            "up": ((d, 2, shared), ("embed", "none", "mlp")),
            "down": ((shared, d), ("mlp", "embed")),
        }
    return layer


def _fan_in(name: str, shape: Shape, *, tied: bool) -> int:
    if name == "embedding":
        return shape[1] if tied else 1  # tied, it is the output matrix too
    if name == "out":
        return shape[0] * (shape[1] if len(shape) == 3 else shape[1] * shape[2])
    if name in ("up", "down") and len(shape) > (3 if name == "up" else 2):
        return shape[1]
    return shape[0]


class Network(nn.Module):
    """Declares the weights; applied, it returns them as the tree that the wiring below takes."""

    config: ModelConfig

    @nn.compact
    def __call__(self) -> Tree:
        c = self.config

        def weight(path: str, shape: Shape, axes: Axes, layers: int | None) -> Tree:
            name = path.split("/")[-1]
            is_norm, is_bias = "norm" in path, name == "qkv_bias"
            std = c.init_std or _fan_in(name, shape, tied=c.tie_embeddings) ** -0.5
            make = (
                nn.initializers.ones
                if is_norm
                else nn.initializers.zeros
                if is_bias
                else nn.initializers.normal(std)
            )
            if layers is not None:
                shape, axes = (layers, *shape), ("layers", *axes)
            dtype = jnp.float32 if name == "gate" else jnp.dtype(c.param_dtype)
            return self.param(path, nn.with_logical_partitioning(make, axes), shape, dtype)

        def stack(prefix: str, is_moe: bool, layers: int | None) -> Tree:
            groups = _layer_shapes(c, is_moe)
            return {
                group: {
                    n: weight(f"{prefix}/{group}/{n}", *shape_axes, layers)
                    for n, shape_axes in leaves.items()
                }
                for group, leaves in groups.items()
            }

        d, v = c.d_model, c.vocab_size
        params = {
            "embedding": weight("embedding", (v, d), ("vocab", "embed"), None),
            "final_norm": weight("final_norm", (d,), ("act_embed",), None),
        }
        if c.n_dense_layers:
            params["dense_layers"] = stack("dense_layers", False, c.n_dense_layers)
        if c.n_moe_layers:
            params["moe_layers"] = stack("moe_layers", True, c.n_moe_layers)
        if not c.tie_embeddings:
            params["head"] = weight("head", (d, v), ("embed", "vocab"), None)
        if c.mtp:
            params["mtp"] = stack("mtp", c.moe is not None, None) | {
                "embedding_norm": weight("mtp/embedding_norm", (d,), ("act_embed",), None),
                "hidden_norm": weight("mtp/hidden_norm", (d,), ("act_embed",), None),
                "final_norm": weight("mtp/final_norm", (d,), ("act_embed",), None),
                "project": weight("mtp/project", (2 * d, d), ("embed", "act_embed"), None),
            }
        return params


class Past(NamedTuple):
    """Cached positions that new tokens may see, and where the new ones are written."""

    cache: LayerCache
    slot: Int[Array, ""]


class Routing(NamedTuple):
    """What the MoE layers of a pass did."""

    routes_BTK: Int[Array, "B T K"]
    load_E: Float[Array, " E"]
    balance: Float[Array, ""]


def _cached(past: Past | None, new: LayerCache) -> LayerCache:
    """The cache with the new positions, which stand on the last axis but one."""
    if past is None:
        return new

    def write(old: Array, new: Array) -> Array:
        axis = old.ndim - 2
        return jax.lax.dynamic_update_slice_in_dim(old, new.astype(old.dtype), past.slot, axis)

    return jax.tree.map(write, past.cache, new)


def _gqa(
    p: Tree, x_BTD, cos, sin, mask_BTS, past: Past | None, c: ModelConfig, *, a: Gqa
) -> tuple[Array, LayerCache]:
    group = a.queries_per_kv
    qkv = project(x_BTD, p["qkv"], 1, "batch", "seq", "heads", "none", "head_dim")
    if a.qkv_bias:
        qkv = qkv + p["qkv_bias"].astype(qkv.dtype)[None, None]
    q, k, v = jnp.split(qkv, (group, group + 1), axis=3)
    if a.qk_norm:
        q, k = rms_norm(q, p["q_norm"], eps=c.norm_eps), rms_norm(k, p["k_norm"], eps=c.norm_eps)
    q, k = rotary.rotate(q, cos, sin), rotary.rotate(k, cos, sin)[:, :, :, 0]
    new = _cached(past, LayerCache(k.swapaxes(1, 2), v[:, :, :, 0].swapaxes(1, 2)))
    o = attention.attend_grouped(q, *new, mask_BTS, scale=rotary.softmax_scale(c.rope, a.head_dim))
    return project(o, p["out"], 3, "batch", "seq", "act_embed"), new


def _mla(
    p: Tree, x_BTD, cos, sin, mask_BTS, past: Past | None, c: ModelConfig, *, a: Mla
) -> tuple[Array, LayerCache]:
    """Expanded without a past (training, prefill), absorbed with one (decoding)."""
    # DeepSeek's checkpoints fix 1e-6 for the two latent norms whatever rms_norm_eps says.
    cq = x_BTD
    if a.q_lora_rank:
        cq = project(x_BTD, p["q_down"], 1, "batch", "seq", "latent")
        cq = rms_norm(cq, p["q_latent_norm"], eps=1e-6)
    per_head = ("batch", "seq", "heads", "head_dim")
    q = project(cq, p["q_up"], 1, *per_head)
    qn, qr = q[:, :, :, : a.nope_dim], rotary.rotate(q[:, :, :, a.nope_dim :], cos, sin)
    ckv = project(x_BTD, p["kv_down"], 1, "batch", "seq", "latent")
    latent = rms_norm(ckv[:, :, : a.kv_lora_rank], p["kv_norm"], eps=1e-6)
    kr = rotary.rotate(ckv[:, :, None, a.kv_lora_rank :], cos, sin)[:, :, 0]
    new, kv_up = _cached(past, LayerCache(latent, kr)), p["kv_up"].astype(x_BTD.dtype)
    scale = rotary.softmax_scale(c.rope, a.nope_dim + a.rope_dim)
    if past is None:
        kv = project(latent, kv_up, 1, *per_head)
        shared = jnp.broadcast_to(
            kr[:, :, None], (*kv.shape[:3], a.rope_dim), out_sharding=out(*per_head)
        )
        k = jnp.concatenate([kv[:, :, :, : a.nope_dim], shared], axis=-1).swapaxes(1, 2)
        v = kv[:, :, :, a.nope_dim :].swapaxes(1, 2)
        q = jnp.concatenate([qn, qr], axis=-1)[:, :, :, None]
        o = attention.attend_grouped(q, k, v, mask_BTS, scale=scale)[:, :, :, 0]
    else:
        q_latent = jnp.einsum(
            "btnh,rnh->btnr",
            qn,
            kv_up[:, :, : a.nope_dim],
            out_sharding=out("batch", "seq", "heads", "latent"),
        )
        o = attention.attend_latent(q_latent, qr, *new, mask_BTS, scale=scale)
        o = jnp.einsum("btnr,rnv->btnv", o, kv_up[:, :, a.nope_dim :], out_sharding=out(*per_head))
    return project(o, p["out"], 2, "batch", "seq", "act_embed"), new


def block(
    p: Tree,
    bias_E: Float[Array, " E"] | None,
    x_BTD: Float[Array, "B T D"],
    rope: tuple[Array, Array],
    mask_BTS: Bool[Array, "B T S"],
    real_BT: Bool[Array, "B T"],
    past: Past | None,
    routes_BTK: Int[Array, "B T K"] | None,
    *,
    config: ModelConfig,
) -> tuple[Float[Array, "B T D"], LayerCache, Routing | None]:
    """One pre-norm layer: x + attention(norm x), then x + ffn(norm x); MoE if `p` has experts."""
    c, a, p = config, config.attention, gathered(p, config=config)
    attend = partial(_mla, a=a) if isinstance(a, Mla) else partial(_gqa, a=a)
    a_BTD, cache = attend(
        p["attention"],
        rms_norm(x_BTD, p["norms"]["attention"], eps=c.norm_eps),
        *rope,
        mask_BTS,
        past,
        c,
    )
    x_BTD = x_BTD + a_BTD
    h_BTD = rms_norm(x_BTD, p["norms"]["mlp"], eps=c.norm_eps)
    if "experts" not in p:
        return x_BTD + swiglu(h_BTD, p["mlp"]["up"], p["mlp"]["down"]), cache, None
    assert c.moe is not None and bias_E is not None
    e = p["experts"]
    y_BTD, routes, load_E, balance = moe.mixture(
        h_BTD, e["gate"], bias_E, e["up"], e["down"], real_BT, routes_BTK, config=c.moe
    )
    if "mlp" in p:
        y_BTD = y_BTD + swiglu(h_BTD, p["mlp"]["up"], p["mlp"]["down"])
    return x_BTD + y_BTD, cache, Routing(routes, load_E, balance)


def gathered(p: Tree, *, config: ModelConfig) -> Tree:
    """One layer's weights, whole along "embed" as matmuls want them; no change without a mesh."""

    def whole(axes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple("act_embed" if axis == "embed" else axis for axis in axes)

    return {
        group: {n: constrain(p[group][n], *whole(axes)) for n, (_, axes) in leaves.items()}
        for group, leaves in _layer_shapes(config, "experts" in p).items()
    }


def layer(stacked: Tree, index: int) -> Tree:
    """The weights of one layer out of a stack."""
    return jax.tree.map(lambda w: w[index], stacked)


def checkpointed(fn: Callable, config: ModelConfig) -> Callable:
    """fn, recomputed in the backward pass if the config says so."""
    return jax.checkpoint(fn) if config.remat else fn
