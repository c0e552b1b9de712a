"""The sampler's jitted programs: prompts into slots, and slots on by some tokens.

Each prompt is prefilled once. A slot holds one sample in the making; it starts at its prompt's last
token, and each step runs the slot's newest token at its own position and draws the next. A slot
whose sample has ended takes another between two segments. What is recorded is what was sampled
from: the log-probabilities belong to the distribution after temperature and filters, and the stop
token is recorded too.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array, Bool, Float, Int, Key

from r1jax.model import forward
from r1jax.model.config import ModelConfig
from r1jax.sampling.config import SamplerConfig
from r1jax.sampling.tokens import draw_bits, penalise, sample_token
from r1jax.sharding import constrain, has_mesh, spec
from r1jax.types import LayerCache, Weights

SEGMENT = 64  # steps of a segment at most


@dataclasses.dataclass(frozen=True)
class Setup:
    """What every call of a sampler shares; static under jit.

    Attributes:
      model: the network.
      config: how tokens are drawn.
      stop_ids: a sample ends with the first of these, which counts as its last token.
      pad_id: fills what comes after.
      routes: whether the experts of every token are recorded.
    """

    model: ModelConfig
    config: SamplerConfig
    stop_ids: tuple[int, ...]
    pad_id: int
    routes: bool

    @property
    def route_dtype(self) -> str:
        """The smallest integer that holds an expert's number, and -1."""
        moe = self.model.moe
        return "int8" if not moe or moe.n_experts <= 128 else "int16"

    def recorded(self, routes: Int[Array, "..."]) -> Int[Array, "..."]:
        """Routes as they are recorded: in the smallest integer, or those of no layers."""
        return routes[: routes.shape[0] * self.routes].astype(self.route_dtype)


class Prompts(NamedTuple):
    """Prefilled prompts.

    Attributes:
      key_P: of each prompt; its sample g draws by the key's number g.
      last_P: the last token.
      length_P: number of tokens.
      seen_PV: ids that the prompt holds; V = 0 without a repetition penalty.
      cache: of T positions, one entry per layer; a prompt stands at 0 .. length - 1.
      routes_LPTK: experts of every token (L = 0 if they are not recorded).
    """

    key_P: Key[Array, " P"]
    last_P: Int[Array, " P"]
    length_P: Int[Array, " P"]
    seen_PV: Bool[Array, "P V"]
    cache: list[LayerCache]
    routes_LPTK: Int[Array, "L P T K"]


class Slots(NamedTuple):
    """Samples in the making.

    Attributes:
      key_S: of each sample, whatever stands beside it; a draw folds in how many came before.
      token_S: the newest one, which has not been run.
      position_S: where it stands in its sequence.
      drawn_S: tokens drawn so far.
      live_S: False where a sample has ended, or never began.
      seen_SV: ids that a sample has met, prompt included; V = 0 without a repetition penalty.
      cache: of prompt and completion, one entry per layer.
    """

    key_S: Key[Array, " S"]
    token_S: Int[Array, " S"]
    position_S: Int[Array, " S"]
    drawn_S: Int[Array, " S"]
    live_S: Bool[Array, " S"]
    seen_SV: Bool[Array, "S V"]
    cache: list[LayerCache]


class Segment(NamedTuple):
    """What a segment of at most N steps drew; only the first `steps` rows mean anything.

    Attributes:
      steps: how many ran.
      live_NS: whether a slot drew.
      token_NS: the token drawn.
      logp_NS: its natural log-probability under the distribution it was drawn from.
      entropy_NS: entropy in nats of that distribution.
      routes_NLSK: experts of the token that ran, the one drawn before.
    """

    steps: Int[Array, ""]
    live_NS: Bool[Array, "N S"]
    token_NS: Int[Array, "N S"]
    logp_NS: Float[Array, "N S"]
    entropy_NS: Float[Array, "N S"]
    routes_NLSK: Int[Array, "N L S K"]


def prefill(
    weights: Weights,
    layers: forward.Layers,
    prompt_PT: Int[Array, "P T"],
    length_P: Int[Array, " P"],
    key_P: Key[Array, " P"],
    *,
    setup: Setup,
) -> Prompts:
    """Runs prompts that begin at position 0, with padding behind them.

    Args:
      weights: of the policy.
      layers: `forward.unstack(weights)`.
      prompt_PT: ids.
      length_P: tokens of each prompt, at least 1.
      key_P: of each prompt, fresh ones each time.
      setup: of the sampler.
    """
    prompt_PT = constrain(prompt_PT, "batch", "seq")
    at_T = jnp.arange(prompt_PT.shape[1])
    real_PT = constrain(at_T[None] < length_P[:, None], "batch", "seq")
    out = forward.forward(
        weights,
        prompt_PT,
        constrain(jnp.broadcast_to(at_T, prompt_PT.shape), "batch", "seq"),
        real_PT.astype(jnp.int32),
        config=setup.model,
        routes_LBTK=None,
        with_mtp=False,
        keep_cache=True,
        layers=layers,
    )
    assert out.cache is not None
    met = setup.config.repetition_penalty != 1
    ids_11V = jnp.arange(setup.model.vocab_size if met else 0)[None, None]
    seen_PV = ((prompt_PT[:, :, None] == ids_11V) & real_PT[:, :, None]).any(1)
    last_P = jnp.where(at_T[None] == length_P[:, None] - 1, prompt_PT, 0).sum(1)
    return Prompts(key_P, last_P, length_P, seen_PV, out.cache, setup.recorded(out.routes_LBTK))


def _take(x: Array, index_S: Int[Array, " S"]) -> Array:
    """x[index_S], laid out along the batch; on a mesh every device needs all of x for that."""
    if not has_mesh():
        return x[index_S]
    inner = jax.typeof(x).sharding.spec[1:]
    x = jax.sharding.reshard(x, PartitionSpec(None, *inner))
    index_S = constrain(index_S, "batch")
    return x.at[index_S].get(out_sharding=PartitionSpec(*spec("batch"), *inner))


def begin(
    prompts: Prompts,
    prompt_S: Int[Array, " S"],
    sample_S: Int[Array, " S"],
    live_S: Bool[Array, " S"],
) -> Slots:
    """Slots in front of their first tokens; their cache holds the prompts alone.

    Args:
      prompts: to choose from.
      prompt_S: which prompt each slot takes.
      sample_S: the number of its sample.
      live_S: False where a slot takes none.
    """
    key_P, last_P, length_P, seen_PV, cache, _ = prompts
    key_S = jax.vmap(jax.random.fold_in)(_take(key_P, prompt_S), constrain(sample_S, "batch"))
    position_S = _take(length_P, prompt_S) - 1
    return Slots(
        key_S,
        _take(last_P, prompt_S),
        position_S,
        jnp.zeros_like(position_S),
        constrain(live_S, "batch"),
        _take(seen_PV, prompt_S),
        jax.tree.map(lambda x: _take(x, prompt_S), cache),
    )


def refill(
    slots: Slots,
    prompts: Prompts,
    prompt_S: Int[Array, " S"],
    sample_S: Int[Array, " S"],
    fresh_S: Bool[Array, " S"],
) -> Slots:
    """Gives the fresh slots another sample each, as `begin` does; the others stay."""
    new, fresh_S = begin(prompts, prompt_S, sample_S, fresh_S), constrain(fresh_S, "batch")

    def swap(old: Array, new: Array) -> Array:
        return jnp.where(fresh_S.reshape(-1, *[1] * (old.ndim - 1)), new, old)

    def swap_front(old: Array, new: Array) -> Array:
        """Of the cache only as many positions as prompts have."""
        front = jax.lax.slice_in_dim(old, 0, new.shape[-2], axis=old.ndim - 2)
        return jax.lax.dynamic_update_slice_in_dim(old, swap(front, new), 0, old.ndim - 2)

    cache = jax.tree.map(swap_front, slots.cache, new.cache)
    others = (x._replace(cache=[]) for x in (slots, new))
    return jax.tree.map(swap, *others)._replace(cache=cache)


def narrow(slots: Slots, index_S: Int[Array, " S"]) -> Slots:
    """Some of the slots, in this order."""
    return jax.tree.map(lambda x: _take(x, index_S), slots)


def resize(slots: Slots, *, room: int) -> Slots:
    """The slots with `room` positions of cache."""
    return slots._replace(cache=forward.resize_cache(slots.cache, room))


def advance(
    weights: Weights,
    layers: forward.Layers,
    slots: Slots,
    steps: Int[Array, ""],
    enough: Int[Array, ""],
    cap: Int[Array, ""],
    *,
    setup: Setup,
) -> tuple[Slots, Segment]:
    """Draws a token for every live slot and step, until few slots are left.

    Args:
      weights: of the policy.
      layers: `forward.unstack(weights)`.
      slots: every live one has `steps` positions of room.
      steps: at most SEGMENT.
      enough: ends the segment as soon as no more slots than so many are live.
      cap: tokens of a sample at most; decided at run time, so that another needs no new program.
      setup: of the sampler.
    """
    config, stops = setup.config, jnp.asarray(setup.stop_ids, jnp.int32)

    def step(state: tuple[Slots, Segment]) -> tuple[Slots, Segment]:
        s, segment = state
        at = (s.token_S[:, None], s.position_S[:, None])
        hidden, cache, routes = forward.extend(weights, layers, *at, s.cache, config=setup.model)
        logits_SV = forward.logits(hidden, weights, config=setup.model)[:, 0]
        logits_SV = constrain(logits_SV, "batch", "none")
        if config.repetition_penalty != 1:
            logits_SV = penalise(logits_SV, s.seen_SV, penalty=config.repetition_penalty)
        bits_S2 = constrain(draw_bits(s.key_S, s.drawn_S), "batch", "none")
        token_S, logp_S, entropy_S = sample_token(bits_S2, logits_SV, config=config)
        token_S = jnp.where(s.live_S, token_S, setup.pad_id)
        new = (s.live_S, token_S, logp_S, entropy_S, setup.recorded(routes[:, :, 0]))
        records = (
            jax.lax.dynamic_update_index_in_dim(old, x.astype(old.dtype), segment.steps, 0)
            for old, x in zip(segment[1:], new, strict=True)
        )
        drawn_S = s.drawn_S + s.live_S
        ends_S = (token_S[:, None] == stops[None]).any(1) | (drawn_S >= cap)
        is_met_SV = token_S[:, None] == jnp.arange(s.seen_SV.shape[1])[None]
        s = Slots(
            s.key_S,
            jnp.where(s.live_S, token_S, s.token_S),
            s.position_S + s.live_S,
            drawn_S,
            s.live_S & ~ends_S,
            s.seen_SV | is_met_SV,
            cache,
        )
        return s, Segment(segment.steps + 1, *records)

    def is_going(state: tuple[Slots, Segment]) -> Array:
        return (state[1].steps < steps) & (state[0].live_S.sum() > enough)

    return jax.lax.while_loop(is_going, step, (slots, _blank(slots, setup)))


def _blank(slots: Slots, setup: Setup) -> Segment:
    """A segment in which nothing has run."""
    shape, model = (SEGMENT, slots.token_S.size), setup.model
    top = model.moe.experts_per_token if model.moe else 0
    routes = (SEGMENT, model.n_moe_layers * setup.routes, shape[1], top)
    live, token, logp, entropy = (
        constrain(jnp.zeros(shape, kind), "none", "batch")
        for kind in ("bool", "int32", "float32", "float32")
    )
    blank = constrain(jnp.zeros(routes, setup.route_dtype), "none", "layers", "batch", "none")
    return Segment(jnp.int32(0), live, token, logp, entropy, blank)
