"""The only door to the network: init, forward over whole sequences, extend by new tokens."""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from r1jax.model import parameters, rotary, transformer
from r1jax.model.config import ModelConfig
from r1jax.model.layers import embed, project, rms_norm
from r1jax.sharding import constrain, out
from r1jax.types import ForwardOut, LayerCache, Tree, Weights

UNUSED_LOGIT = -1e30
Layers = list[tuple[Tree, Array | None]]  # weights and router bias of each, in order


def init(key: Key[Array, ""], *, config: ModelConfig) -> Weights:
    """Fresh weights: normal(init_std) matrices, unit norms, zero biases."""
    network, bias = transformer.Network(config), parameters.router_bias(config)
    params = jax.jit(lambda k: network.init_with_output(k)[0])(key)
    return Weights(params, jnp.zeros(bias.shape, bias.dtype))


def shapes(config: ModelConfig) -> Weights:
    """The weights of a network as shapes and dtypes."""
    return parameters.each(lambda p: jax.ShapeDtypeStruct(p.shape, jnp.dtype(p.dtype)), config)


def logical_axes(config: ModelConfig) -> Weights:
    """The logical axis names that `sharding.place` wants, in the structure of the weights."""
    return parameters.each(lambda p: p.axes, config)


def count_params(config: ModelConfig) -> int:
    """Number of parameters, router biases and the MTP module included."""
    return sum(jax.tree.leaves(parameters.each(lambda p: math.prod(p.shape), config)))


def head(weights: Weights, *, config: ModelConfig) -> Float[Array, "D V"]:
    """The output matrix: its own, or the transposed embedding."""
    params = weights.params
    head_DV = params["embedding"].T if config.tie_embeddings else params["head"]
    return constrain(head_DV, "act_embed", "vocab")


def used_tokens(config: ModelConfig) -> Bool[Array, " V"]:
    """True for the ids that the tokenizer really has."""
    return jnp.arange(config.vocab_size) < config.n_tokens


def logits(
    hidden_BTD: Float[Array, "B T D"], weights: Weights, *, config: ModelConfig
) -> Float[Array, "B T V"]:
    """Float32 logits; ids that no tokenizer produces get a very low one.

    For decoding only: training never holds an array of these axes.
    """
    head_DV = head(weights, config=config)
    axes = ("batch", "seq", "vocab")
    logits_BTV = project(hidden_BTD, head_DV, 1, *axes, exact=config.exact, to=jnp.float32)
    if config.n_tokens == config.vocab_size:
        return logits_BTV
    return jnp.where(used_tokens(config)[None, None], logits_BTV, UNUSED_LOGIT)


def _run_layers(
    weights: Weights, layers, x, rope, segments, routes, *, config: ModelConfig, keep_cache: bool
):
    """All layers over whole sequences, scanned or unrolled; unrolled if they come unstacked."""
    c, params = config, weights.params
    run = transformer.checkpointed(partial(transformer.block, config=c), c)
    caches, routings = [], []
    for name, count in (("dense_layers", c.n_dense_layers), ("moe_layers", c.n_moe_layers)):
        if not count:
            continue
        is_moe = name == "moe_layers"
        bias = weights.router_bias_LE[:count] if is_moe else None
        wanted = routes[:count] if is_moe and routes is not None else None
        if c.scan_layers and layers is None:

            def body(x, per_layer):
                p, b, r = per_layer
                x, cache, routing = run(p, b, x, rope, segments, None, r)
                return x, (cache if keep_cache else None, routing)

            x, (stacked, routing) = jax.lax.scan(body, x, (params[name], bias, wanted))
            caches += [transformer.layer(stacked, i) for i in range(count)] if keep_cache else []
            routings += [transformer.layer(routing, i) for i in range(count)] if is_moe else []
            continue
        for i in range(count):
            b, r = (None if a is None else a[i] for a in (bias, wanted))
            p = layers[len(caches)][0] if layers else transformer.layer(params[name], i)
            x, cache, routing = run(p, b, x, rope, segments, None, r)
            caches.append(cache)
            routings += [routing] if is_moe else []
    return x, caches, routings


def forward(
    weights: Weights,
    tokens_BT: Int[Array, "B T"],
    positions_BT: Int[Array, "B T"],
    segments_BT: Int[Array, "B T"],
    *,
    config: ModelConfig,
    routes_LBTK: Int[Array, "L B T K"] | None,
    with_mtp: bool,
    keep_cache: bool,
    layers: Layers | None,
) -> ForwardOut:
    """Runs whole sequences through the network.

    Args:
      weights: parameters and router biases.
      tokens_BT: token ids; padding may hold any id.
      positions_BT: position of each token within its segment, from 0.
      segments_BT: 0 on padding; tokens see earlier tokens of their own segment only.
      config: the network.
      routes_LBTK: experts to repeat (as a sampler recorded them), one row per MoE layer of the main
        model, or None to route afresh.
      with_mtp: also run the multi-token-prediction module (DeepSeek-V3, equations 21-23).
      keep_cache: return keys and values for decoding.
      layers: `unstack(weights)` where it is at hand, to slice no weights here.

    Returns:
      ForwardOut. Without `with_mtp` the MTP module's row of `load_LE` is missing.
    """
    c = config
    rope = rotary.tables(c.rope, c.attention.rotary_dim, positions_BT)
    x_BTD = embed(tokens_BT, weights.params["embedding"], segments_BT > 0, c.compute_dtype)
    x_BTD, caches, routings = _run_layers(
        weights, layers, x_BTD, rope, segments_BT, routes_LBTK, config=c, keep_cache=keep_cache
    )
    hidden_BTD = rms_norm(x_BTD, weights.params["final_norm"], eps=c.norm_eps)
    mtp_BTD = None
    routes = [r.routes_BTK for r in routings]
    if with_mtp:
        mtp_BTD, routing = _mtp(weights, hidden_BTD, tokens_BT, rope, segments_BT, config=c)
        routings += [routing] if routing is not None else []
    n_experts = c.moe.n_experts if c.moe else 0
    return ForwardOut(
        hidden_BTD=hidden_BTD,
        mtp_hidden_BTD=mtp_BTD,
        load_LE=jnp.stack([r.load_E for r in routings]) if routings else jnp.zeros((0, n_experts)),
        balance=sum((r.balance for r in routings), start=jnp.zeros(())),
        routes_LBTK=_stacked(routes, tokens_BT, config=c),
        cache=caches if keep_cache else None,
    )


def _stacked(routes: list[Array], tokens_BT: Array, *, config: ModelConfig) -> Array:
    """Routes by layer; those of no layers have their axes and layout too."""
    if routes:
        return jnp.stack(routes)
    top = config.moe.experts_per_token if config.moe else 0
    none_LBTK = jnp.zeros((0, *tokens_BT.shape, top), jnp.int32)
    return constrain(none_LBTK, "layers", "batch", "seq", "none")


def _next(x_BT: Int[Array, "B T"]) -> Int[Array, "B T"]:
    """What stands one position later; 0 at the last."""
    return jnp.pad(x_BT[:, 1:], ((0, 0), (0, 1)))


def _mtp(weights: Weights, hidden_BTD, tokens_BT, rope, segments_BT, *, config: ModelConfig):
    """The MTP module: at t it sees h_t and the embedding of token t+1, and predicts token t+2.

    At the last token of a segment there is no next one, and nothing to predict: it sees zeros.
    It projects [norm(embedding); norm(hidden)], the order of the released weights (the paper prints
    the other).
    """
    c, p = config, weights.params["mtp"]
    follows_BT = (_next(segments_BT) == segments_BT) & (segments_BT > 0)
    e_BTD = embed(_next(tokens_BT), weights.params["embedding"], follows_BT, c.compute_dtype)
    e_BTD = rms_norm(e_BTD, p["embedding_norm"], eps=c.norm_eps)
    h_BTD = rms_norm(hidden_BTD, p["hidden_norm"], eps=c.norm_eps)
    both = jnp.concatenate([e_BTD, h_BTD], axis=-1)
    x_BTD = jnp.einsum(
        "btd,de->bte",
        both,
        constrain(p["project"], "act_embed", "act_embed").astype(both.dtype),
        out_sharding=out("batch", "seq", "act_embed"),
    )
    bias = weights.router_bias_LE[-1] if c.moe else None
    x_BTD, _, routing = transformer.checkpointed(partial(transformer.block, config=c), c)(
        p, bias, x_BTD, rope, segments_BT, None, None
    )
    return rms_norm(x_BTD, p["final_norm"], eps=c.norm_eps), routing


def unstack(weights: Weights, *, config: ModelConfig) -> Layers:
    """Weights and router bias of every layer in order; done once, outside of a decoding loop."""
    c, layers = config, []
    for name, count in (("dense_layers", c.n_dense_layers), ("moe_layers", c.n_moe_layers)):
        for i in range(count):
            bias = weights.router_bias_LE[i] if name == "moe_layers" else None
            p = transformer.layer(weights.params[name], i)
            layers.append((transformer.gathered(p, config=c), bias))
    return layers


def extend(
    weights: Weights,
    layers: Layers,
    tokens_BT: Int[Array, "B T"],
    positions_BT: Int[Array, "B T"],
    cache: list[LayerCache],
    *,
    config: ModelConfig,
) -> tuple[Float[Array, "B T D"], list[LayerCache], Int[Array, "L B T K"]]:
    """Runs T new tokens per row, each row's at its own positions of a cache (decoding: T = 1).

    Args:
      weights: for the embedding and the final norm.
      layers: `unstack(weights)`.
      tokens_BT: the new tokens.
      positions_BT: their positions within the sequence, one after the other; their keys and values
        are written there, and each token sees the cache up to itself.
      cache: one entry per layer, S positions long; a row's position s stands at s.
      config: the network.

    Returns:
      Hidden states after the final norm, the cache, and the experts used.
    """
    c = config
    rope = rotary.tables(c.rope, c.attention.rotary_dim, positions_BT)
    segments_BT = jnp.ones_like(tokens_BT)
    x_BTD = embed(tokens_BT, weights.params["embedding"], segments_BT > 0, c.compute_dtype)
    caches, routes = [], []
    for (p, bias), past in zip(layers, cache, strict=True):
        x_BTD, new, routing = transformer.block(
            p,
            bias,
            x_BTD,
            rope,
            segments_BT,
            transformer.Past(past, positions_BT),
            None,
            config=c,
        )
        caches.append(new)
        routes += [routing.routes_BTK] if routing is not None else []
    hidden_BTD = rms_norm(x_BTD, weights.params["final_norm"], eps=c.norm_eps)
    return hidden_BTD, caches, _stacked(routes, tokens_BT, config=c)


def resize_cache(cache: list[LayerCache], length: int) -> list[LayerCache]:
    """Pads the cache with zeros, or cuts it, to `length` positions: its last axis but one."""

    def resize(x: Array) -> Array:
        more = length - x.shape[-2]
        if more <= 0:
            return jax.lax.slice_in_dim(x, 0, length, axis=x.ndim - 2)
        return jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(0, more), (0, 0)])

    return jax.tree.map(resize, cache)
