"""Every array of weights that a network has: its shape, its logical axes, and how it starts.

This is the one table of them. First values, layouts on a mesh, shapes and counts are maps over it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from flax.traverse_util import unflatten_dict

from r1jax.model.config import Gqa, Mla, ModelConfig
from r1jax.types import Weights

Shape = tuple[int, ...]
Axes = tuple[str, ...]


@dataclass(frozen=True)
class Parameter:
    """One array, as it is declared.

    Attributes:
      shape: sizes of its axes.
      axes: their logical names (`sharding.AXIS_RULES`).
      mean, std: of the first values, normally distributed; std 0 makes them all the mean.
      dtype: name of its dtype.
    """

    shape: Shape
    axes: Axes
    mean: float
    std: float
    dtype: str

    def stacked(self, layers: int) -> "Parameter":
        """As many of these along a leading axis."""
        return replace(self, shape=(layers, *self.shape), axes=("layers", *self.axes))


Table = dict[str, Parameter]  # by path, such as "moe_layers/attention/out"


def _matrix(c: ModelConfig, fan_in: int, shape: Shape, axes: Axes) -> Parameter:
    """A matrix whose outputs sum up `fan_in` products."""
    return Parameter(shape, axes, 0.0, c.init_std or fan_in**-0.5, c.param_dtype)


def _norm(c: ModelConfig, width: int, axis: str) -> Parameter:
    return Parameter((width,), (axis,), 1.0, 0.0, c.param_dtype)


def _gqa(c: ModelConfig, a: Gqa) -> Table:
    d, group, heads = c.d_model, a.queries_per_kv, ("heads", "none", "head_dim")
    fused = (a.n_kv_heads, group + 2, a.head_dim)  # per kv head: its queries, key, value
    back = (a.n_kv_heads, group, a.head_dim, d)
    table = {
        "qkv": _matrix(c, d, (d, *fused), ("embed", *heads)),
        "out": _matrix(c, a.n_heads * a.head_dim, back, (*heads, "embed")),
    }
    if a.qkv_bias:
        table["qkv_bias"] = Parameter(fused, heads, 0.0, 0.0, c.param_dtype)
    if a.qk_norm:
        table |= {name: _norm(c, a.head_dim, "head_dim") for name in ("q_norm", "k_norm")}
    return table


def _mla(c: ModelConfig, a: Mla) -> Table:
    d, n, r = c.d_model, a.n_heads, a.kv_lora_rank
    query, source = (a.q_lora_rank, "latent") if a.q_lora_rank else (d, "embed")
    key, heads = a.nope_dim + a.rope_dim, ("heads", "head_dim")
    table = {
        "q_up": _matrix(c, query, (query, n, key), (source, *heads)),
        "kv_down": _matrix(c, d, (d, r + a.rope_dim), ("embed", "latent")),
        "kv_norm": _norm(c, r, "latent"),
        "kv_up": _matrix(c, r, (r, n, a.nope_dim + a.v_dim), ("latent", *heads)),
        "out": _matrix(c, n * a.v_dim, (n, a.v_dim, d), (*heads, "embed")),
    }
    if a.q_lora_rank:
        table["q_down"] = _matrix(c, d, (d, a.q_lora_rank), ("embed", "latent"))
        table["q_latent_norm"] = _norm(c, a.q_lora_rank, "latent")
    return table


def _below(prefix: str, table: Table) -> Table:
    return {f"{prefix}/{path}": p for path, p in table.items()}


def layer(config: ModelConfig, *, is_moe: bool) -> Table:
    """The weights of one layer, by their paths in it."""
    c, d, a, moe = config, config.d_model, config.attention, config.moe if is_moe else None
    table = _below("attention", _mla(c, a) if isinstance(a, Mla) else _gqa(c, a))
    table |= {f"norms/{name}": _norm(c, d, "act_embed") for name in ("attention", "mlp")}
    if moe:
        n, f = moe.n_experts, moe.hidden_dim
        gate = replace(_matrix(c, d, (d, n), ("none", "none")), dtype="float32")
        table |= {
            "experts/gate": gate,
            "experts/up": _matrix(c, d, (n, d, 2, f), ("experts", "embed", "none", "mlp")),
            "experts/down": _matrix(c, f, (n, f, d), ("experts", "mlp", "embed")),
        }
    if not moe or moe.n_shared_experts:
        f = moe.n_shared_experts * moe.hidden_dim if moe else c.mlp_dim
        table["mlp/up"] = _matrix(c, d, (d, 2, f), ("embed", "none", "mlp"))
        table["mlp/down"] = _matrix(c, f, (f, d), ("mlp", "embed"))
    return table


def table(config: ModelConfig) -> Table:
    """All of `Weights.params`, by path. The order decides the random bits of first values."""
    c, d, v = config, config.d_model, config.vocab_size
    norm = _norm(c, d, "act_embed")
    fan_in = d if c.tie_embeddings else 1  # tied, it is the output matrix too
    params = {"embedding": _matrix(c, fan_in, (v, d), ("vocab", "embed")), "final_norm": norm}
    for name, count in (("dense_layers", c.n_dense_layers), ("moe_layers", c.n_moe_layers)):
        if count:
            one = _below(name, layer(c, is_moe=name == "moe_layers"))
            params |= {path: p.stacked(count) for path, p in one.items()}
    if not c.tie_embeddings:
        params["head"] = _matrix(c, d, (d, v), ("embed", "vocab"))
    if c.mtp:
        params |= _below("mtp", layer(c, is_moe=c.moe is not None))
        params |= {f"mtp/{name}_norm": norm for name in ("embedding", "hidden", "final")}
        params["mtp/project"] = _matrix(c, 2 * d, (2 * d, d), ("embed", "act_embed"))
    return params


def router_bias(config: ModelConfig) -> Parameter:
    """`Weights.router_bias_LE`, which no gradient moves."""
    n_experts = config.moe.n_experts if config.moe else 0
    return Parameter((config.n_routers, n_experts), ("layers", "none"), 0.0, 0.0, "float32")


def each(fn: Callable[[Parameter], Any], config: ModelConfig) -> Weights:
    """The weights of a network with fn(declaration) in each array's place."""
    params = {path: fn(parameter) for path, parameter in table(config).items()}
    return Weights(unflatten_dict(params, sep="/"), fn(router_bias(config)))
