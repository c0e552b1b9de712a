"""The sampler: one jitted program from left-padded prompts to rollouts.

Each prompt is prefilled once and its cache handed to its G samples; a while_loop then draws one
token per row and step until every row has stopped. What it records is what it sampled from: the
log-probabilities belong to the distribution after temperature and filters, and the stop token is
part of the mask.
"""

import dataclasses
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key

from r1jax.keys import numbered
from r1jax.model import forward
from r1jax.model.config import ModelConfig
from r1jax.sampling.config import SamplerConfig
from r1jax.sampling.tokens import draw_bits, penalise, sample_token
from r1jax.sharding import constrain
from r1jax.types import LayerCache, Rollout, Weights


def _per_sample(x: Array, group: int, axis: int) -> Array:
    """Repeats every prompt's entry for its samples: [.., P, ..] -> [.., P * G, ..]."""
    shape = x.shape
    spread = jnp.broadcast_to(
        jnp.expand_dims(x, axis + 1), (*shape[: axis + 1], group, *shape[axis + 1 :])
    )
    return spread.reshape(*shape[:axis], shape[axis] * group, *shape[axis + 1 :])


@dataclasses.dataclass(frozen=True)
class Setup:
    """What every call of a sampler shares; static under jit.

    Attributes:
      model: the network.
      config: how tokens are drawn.
      stop_ids: a row ends with the first of these, which counts as its last token.
      pad_id: fills what comes after.
    """

    model: ModelConfig
    config: SamplerConfig
    stop_ids: tuple[int, ...]
    pad_id: int


class Drawing(NamedTuple):
    """A rollout in the making.

    Attributes:
      step: tokens drawn so far by the rows that are not done.
      key_B: of each row, whatever rows stand beside it; a step's draw folds the step in.
      token_B: the last one drawn.
      done_B: True where a stop token was drawn.
      seen_BV: ids that a row has met, prompt included; V = 0 without a repetition penalty.
      cache: of prompt and completion, one entry per layer.
      rollout: as far as it goes; `truncated_B` and the prompt's part of the routes included.
    """

    step: Int[Array, ""]
    key_B: Key[Array, " B"]
    token_B: Int[Array, " B"]
    done_B: Bool[Array, " B"]
    seen_BV: Bool[Array, "B V"]
    cache: list[LayerCache]
    rollout: Rollout


def _put(old_BC: Array, new_B: Array, step: Array) -> Array:
    """Writes the tokens' column of a step."""
    return jax.lax.dynamic_update_slice_in_dim(old_BC, new_B[:, None], step, 1)


def _draw(weights: Weights, state: Drawing, hidden_BD: Array, *, setup: Setup) -> Drawing:
    """One more token for every row that is not done, from the last hidden states."""
    config = setup.config
    logits_BV = forward.logits(hidden_BD[:, None], weights, config=setup.model)[:, 0]
    logits_BV = constrain(logits_BV, "batch", "none")
    if config.repetition_penalty != 1:
        logits_BV = penalise(logits_BV, state.seen_BV, penalty=config.repetition_penalty)
    bits_B2 = constrain(draw_bits(state.key_B, state.step), "batch", "none")
    token_B, logp_B, entropy_B = sample_token(bits_B2, logits_BV, config=config)
    live_B, step, rollout = ~state.done_B, state.step, state.rollout
    token_B = jnp.where(live_B, token_B, setup.pad_id)
    stops = jnp.asarray(setup.stop_ids, jnp.int32)
    done_B = state.done_B | (token_B[:, None] == stops[None]).any(1)
    seen_BV = state.seen_BV
    if config.repetition_penalty != 1:
        seen_BV |= token_B[:, None] == jnp.arange(seen_BV.shape[1])[None]
    rollout = rollout._replace(
        completion_BC=_put(rollout.completion_BC, token_B, step),
        mask_BC=_put(rollout.mask_BC, live_B, step),
        logp_BC=_put(rollout.logp_BC, jnp.where(live_B, logp_B, 0.0), step),
        entropy_BC=_put(rollout.entropy_BC, jnp.where(live_B, entropy_B, 0.0), step),
        truncated_B=~done_B,
    )
    return Drawing(step + 1, state.key_B, token_B, done_B, seen_BV, state.cache, rollout)


def begin(
    weights: Weights,
    layers: forward.Layers,
    prompt_PT: Int[Array, "P T"],
    prompt_mask_PT: Bool[Array, "P T"],
    key_P: Key[Array, " P"],
    *,
    setup: Setup,
    group: int,
    max_new: int,
) -> Drawing:
    """Prefills every prompt once and draws its samples' first tokens; arguments as `sample`."""
    model, config = setup.model, setup.config
    prompt_PT, prompt_mask_PT = (constrain(x, "batch", "seq") for x in (prompt_PT, prompt_mask_PT))
    n_rows = prompt_PT.shape[0] * group
    positions_PT = jnp.maximum(jnp.cumsum(prompt_mask_PT, axis=1) - 1, 0)
    out = forward.forward(
        weights,
        prompt_PT,
        positions_PT,
        prompt_mask_PT.astype(jnp.int32),
        config=model,
        routes_LBTK=None,
        with_mtp=False,
        keep_cache=True,
        layers=layers,
    )
    assert out.cache is not None
    repeat = partial(_per_sample, group=group)
    prompt_BT, prompt_mask_BT = repeat(prompt_PT, axis=0), repeat(prompt_mask_PT, axis=0)

    def per_token(fill: Array | bool | float) -> Array:
        return constrain(jnp.full((n_rows, max_new), fill), "batch", "seq")

    # tokens that were never run (each row's last) keep route -1: the trainer routes those afresh
    routed = repeat(out.routes_LBTK, axis=1)
    unrouted = jnp.full((routed.shape[0], n_rows, max_new, routed.shape[3]), -1, jnp.int32)
    unrouted = constrain(unrouted, "layers", "batch", "seq", "none")
    not_done_B = jnp.zeros_like(prompt_mask_BT[:, 0])
    seen_BV = jnp.zeros((n_rows, 0), bool)
    if config.repetition_penalty != 1:
        ids_11V = jnp.arange(model.vocab_size)[None, None]
        met_BTV = (prompt_BT[:, :, None] == ids_11V) & prompt_mask_BT[:, :, None]
        seen_BV = met_BTV.any(1)
    rollout = Rollout(
        prompt_BT,
        prompt_mask_BT,
        per_token(jnp.int32(setup.pad_id)),
        per_token(False),
        per_token(0.0),
        per_token(0.0),
        ~not_done_B,
        jnp.concatenate([routed, unrouted], axis=2),
    )
    start = Drawing(
        jnp.int32(0),
        jax.vmap(partial(numbered, count=group))(key_P).reshape(n_rows),
        jnp.zeros(n_rows, jnp.int32),
        not_done_B,
        seen_BV,
        jax.tree.map(lambda x: repeat(x, axis=0), out.cache),
        rollout,
    )
    return _draw(weights, start, repeat(out.hidden_BTD[:, -1], axis=0), setup=setup)


def go_on(
    weights: Weights,
    layers: forward.Layers,
    state: Drawing,
    until: Int[Array, ""],
    *,
    setup: Setup,
    room: int,
) -> Drawing:
    """Draws until each row has `until` tokens or is done; the cache grows to `room` tokens more.

    Args:
      weights, layers, setup: as `sample` takes them.
      state: of `begin`, or of this function.
      until: tokens of a completion, <= room.
      room: positions of the cache behind the prompt's.
    """
    n_prompt = state.rollout.prompt_BT.shape[1]
    length_B = state.rollout.prompt_mask_BT.sum(1)
    valid_BS = jnp.pad(state.rollout.prompt_mask_BT, ((0, 0), (0, room)), constant_values=True)

    def advance(state: Drawing) -> Drawing:
        slot = n_prompt + state.step - 1
        mask_B1S = (valid_BS & (jnp.arange(valid_BS.shape[1]) <= slot)[None])[:, None]
        hidden_B1D, cache, routes = forward.extend(
            weights,
            layers,
            state.token_B[:, None],
            (length_B + state.step - 1)[:, None],
            mask_B1S,
            state.cache,
            slot,
            config=setup.model,
        )
        kept = jax.lax.dynamic_update_slice_in_dim(state.rollout.routes_LBTK, routes, slot, 2)
        state = state._replace(cache=cache, rollout=state.rollout._replace(routes_LBTK=kept))
        return _draw(weights, state, hidden_B1D[:, 0], setup=setup)

    def is_going(state: Drawing) -> Array:
        return (state.step < until) & ~state.done_B.all()

    grown = forward.grow_cache(state.cache, n_prompt + room)
    return jax.lax.while_loop(is_going, advance, state._replace(cache=grown))


def segment_ends(max_new: int, segments: int) -> list[int]:
    """Lengths of a completion at which the cache has to grow; the last is max_new."""
    n = min(segments, max_new)
    return [-(-max_new * (i + 1) // n) for i in range(n)]


def sample(
    weights: Weights,
    layers: forward.Layers,
    prompt_PT: Int[Array, "P T"],
    prompt_mask_PT: Bool[Array, "P T"],
    key_P: Key[Array, " P"],
    cap: Int[Array, ""],
    *,
    setup: Setup,
    group: int,
    max_new: int,
) -> Rollout:
    """Draws `group` continuations of every prompt. Jit it with the keyword arguments static.

    Args:
      weights: of the policy.
      layers: `forward.unstack(weights)`.
      prompt_PT: left-padded prompts.
      prompt_mask_PT: True on real tokens.
      key_P: of each prompt, fresh ones each time. Sample g draws by its prompt's key and g alone.
      cap: tokens at most, <= max_new, decided at run time (a length cap that rises needs no new
        program).
      setup: of the sampler.
      group: samples per prompt, G.
      max_new: tokens that fit.

    Returns:
      The rollout of P * G rows.
    """
    state = begin(
        weights, layers, prompt_PT, prompt_mask_PT, key_P, setup=setup, group=group, max_new=max_new
    )
    for end in segment_ends(max_new, setup.config.cache_segments):
        state = go_on(weights, layers, state, jnp.minimum(end, cap), setup=setup, room=end)
    return state.rollout
