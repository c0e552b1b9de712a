"""The sampler: one jitted program from left-padded prompts to rollouts.

Each prompt is prefilled once and its cache handed to its G samples; a while_loop then draws one
token per row and step until every row has stopped. What it records is what it sampled from: the
log-probabilities belong to the distribution after temperature and filters, and the stop token is
part of the mask.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from r1jax.config import ModelConfig, SamplerConfig
from r1jax.model import forward
from r1jax.sharding import constrain, has_mesh
from r1jax.types import LayerCache, Rollout, Weights

FILTERED = -1e30


def filter_logits(
    logits_BV: Float[Array, "B V"], *, top_k: int, top_p: float, min_p: float
) -> Float[Array, "B V"]:
    """Removes tokens by top-k, then top-p, then min-p.

    Equal logits stay or go together; the best always stays.
    """
    if top_k:
        kth_B1 = jax.lax.top_k(logits_BV, min(top_k, logits_BV.shape[1]))[0][:, -1:]
        logits_BV = jnp.where(logits_BV >= kth_B1, logits_BV, FILTERED)
    if top_p < 1:
        sorted_BV = -jnp.sort(-logits_BV, axis=1)
        probs_BV = jax.nn.softmax(sorted_BV, axis=1)
        before_BV = jnp.cumsum(probs_BV, axis=1) - probs_BV
        least_B1 = jnp.where(before_BV < top_p, sorted_BV, jnp.inf).min(1, keepdims=True)
        logits_BV = jnp.where(logits_BV >= least_B1, logits_BV, FILTERED)
    if min_p:
        best_B1 = logits_BV.max(1, keepdims=True)
        logits_BV = jnp.where(logits_BV >= best_B1 + np.log(min_p), logits_BV, FILTERED)
    return logits_BV


def sample_token(
    key: Key[Array, ""], logits_BV: Float[Array, "B V"], *, config: SamplerConfig
) -> tuple[Int[Array, " B"], Float[Array, " B"], Float[Array, " B"]]:
    """Draws one token per row.

    Returns:
      Token ids, their natural log-probabilities and the entropy (nats) of the distribution drawn
      from. Greedy (temperature 0) draws from a point mass: log-probability 0, entropy 0.
    """
    if config.temperature == 0:
        zeros_B = jnp.zeros_like(logits_BV[:, 0], dtype=jnp.float32)
        return logits_BV.argmax(1).astype(jnp.int32), zeros_B, zeros_B
    scaled_BV = logits_BV.astype(jnp.float32) / config.temperature
    scaled_BV = filter_logits(scaled_BV, top_k=config.top_k, top_p=config.top_p, min_p=config.min_p)
    logps_BV = jax.nn.log_softmax(scaled_BV, axis=1)
    probs_BV = jnp.exp(logps_BV)
    # Inverse CDF: one uniform per row instead of V Gumbels (14% of a step at V = 49152 on CPU).
    cdf_BV = jnp.cumsum(probs_BV, axis=1)
    u_B1 = jax.random.uniform(key, (logits_BV.shape[0], 1)) * cdf_BV[:, -1:]
    below_B = (cdf_BV <= u_B1).sum(1)
    ids_1V = jnp.arange(probs_BV.shape[1])[None]
    last_B = jnp.where(probs_BV > 0, ids_1V, 0).max(1)
    token_B = jnp.minimum(below_B, last_B).astype(jnp.int32)
    hit_BV = token_B[:, None] == ids_1V
    entropy_B = -(probs_BV * jnp.maximum(logps_BV, -1e9)).sum(1)
    return token_B, jnp.where(hit_BV, logps_BV, 0.0).sum(1), entropy_B


def _per_sample(x: Array, group: int, axis: int) -> Array:
    """Repeats every prompt's entry for its samples: [.., P, ..] -> [.., P * G, ..]."""
    shape = x.shape
    spread = jnp.broadcast_to(
        jnp.expand_dims(x, axis + 1), (*shape[: axis + 1], group, *shape[axis + 1 :])
    )
    return spread.reshape(*shape[:axis], shape[axis] * group, *shape[axis + 1 :])


class Drawing(NamedTuple):
    """A rollout in the making.

    Attributes:
      step: tokens drawn so far by the rows that are not done.
      token_B: the last one drawn.
      done_B: True where a stop token was drawn.
      seen_BV: ids that a row has met, prompt included; V = 0 without a repetition penalty.
      cache: of prompt and completion, one entry per layer.
      rollout: as far as it goes; `truncated_B` and the prompt's part of the routes included.
    """

    step: Int[Array, ""]
    token_B: Int[Array, " B"]
    done_B: Bool[Array, " B"]
    seen_BV: Bool[Array, "B V"]
    cache: list[LayerCache]
    rollout: Rollout


def penalise(
    logits_BV: Float[Array, "B V"], seen_BV: Bool[Array, "B V"], *, penalty: float
) -> Float[Array, "B V"]:
    """Makes ids that a row has met less likely (CTRL, arXiv:1909.05858, section 4.1).

    Positive logits are divided by the penalty, negative ones multiplied.
    """
    lower_BV = jnp.where(logits_BV > 0, logits_BV / penalty, logits_BV * penalty)
    return jnp.where(seen_BV, lower_BV, logits_BV)


def _draw(
    weights: Weights, state: Drawing, hidden_BD, key: Key[Array, ""], *, model: ModelConfig,
    config: SamplerConfig, stop_ids: tuple[int, ...], pad_id: int,
) -> Drawing:  # fmt: skip
    """One more token for every row that is not done, from the last hidden states."""
    logits_BV = forward.logits(hidden_BD[:, None], weights, config=model)[:, 0]
    logits_BV = constrain(logits_BV, "batch", "none")
    if config.repetition_penalty != 1:
        logits_BV = penalise(logits_BV, state.seen_BV, penalty=config.repetition_penalty)
    token_B, logp_B, entropy_B = sample_token(
        jax.random.fold_in(key, state.step), logits_BV, config=config
    )
    live_B, step, rollout = ~state.done_B, state.step, state.rollout
    put = lambda old, new: jax.lax.dynamic_update_slice_in_dim(old, new[:, None], step, 1)
    token_B = jnp.where(live_B, token_B, pad_id)
    done_B = state.done_B | (token_B[:, None] == jnp.asarray(stop_ids, jnp.int32)[None]).any(1)
    seen_BV = state.seen_BV
    if config.repetition_penalty != 1:
        seen_BV |= token_B[:, None] == jnp.arange(seen_BV.shape[1])[None]
    rollout = rollout._replace(
        completion_BC=put(rollout.completion_BC, token_B),
        mask_BC=put(rollout.mask_BC, live_B),
        logp_BC=put(rollout.logp_BC, jnp.where(live_B, logp_B, 0.0)),
        entropy_BC=put(rollout.entropy_BC, jnp.where(live_B, entropy_B, 0.0)),
        truncated_B=~done_B,
    )
    return Drawing(step + 1, token_B, done_B, seen_BV, state.cache, rollout)


def begin(
    weights: Weights,
    layers: forward.Layers,
    prompt_PT: Int[Array, "P T"],
    prompt_mask_PT: Bool[Array, "P T"],
    key: Key[Array, ""],
    *,
    model: ModelConfig,
    config: SamplerConfig,
    group: int,
    max_new: int,
    stop_ids: tuple[int, ...],
    pad_id: int,
) -> Drawing:
    """Prefills every prompt once and draws its samples' first tokens; arguments as `sample`."""
    prompt_PT, prompt_mask_PT = (constrain(x, "batch", "seq") for x in (prompt_PT, prompt_mask_PT))
    n_rows = prompt_PT.shape[0] * group
    positions_PT = jnp.maximum(jnp.cumsum(prompt_mask_PT, axis=1) - 1, 0)
    out = forward.forward(
        weights, prompt_PT, positions_PT, prompt_mask_PT.astype(jnp.int32),
        config=model, routes_LBTK=None, with_mtp=False, keep_cache=True, layers=layers,
    )  # fmt: skip
    assert out.cache is not None
    repeat = partial(_per_sample, group=group)
    prompt_BT, prompt_mask_BT = repeat(prompt_PT, axis=0), repeat(prompt_mask_PT, axis=0)
    per_token = lambda fill: constrain(jnp.full((n_rows, max_new), fill), "batch", "seq")
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
        prompt_BT, prompt_mask_BT, per_token(jnp.int32(pad_id)), per_token(False), per_token(0.0),
        per_token(0.0), ~not_done_B, jnp.concatenate([routed, unrouted], axis=2),
    )  # fmt: skip
    start = Drawing(
        jnp.int32(0), jnp.zeros(n_rows, jnp.int32), not_done_B, seen_BV,
        jax.tree.map(lambda x: repeat(x, axis=0), out.cache), rollout,
    )  # fmt: skip
    return _draw(
        weights, start, repeat(out.hidden_BTD[:, -1], axis=0), key, model=model, config=config,
        stop_ids=stop_ids, pad_id=pad_id,
    )  # fmt: skip


def go_on(
    weights: Weights,
    layers: forward.Layers,
    state: Drawing,
    key: Key[Array, ""],
    until: Int[Array, ""],
    *,
    room: int,
    model: ModelConfig,
    config: SamplerConfig,
    stop_ids: tuple[int, ...],
    pad_id: int,
) -> Drawing:
    """Draws until each row has `until` tokens or is done; the cache grows to `room` tokens more.

    Args:
      weights, layers, key, model, config, stop_ids, pad_id: as of `sample`.
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
            weights, layers, state.token_B[:, None], (length_B + state.step - 1)[:, None],
            mask_B1S, state.cache, slot, config=model,
        )  # fmt: skip
        kept = jax.lax.dynamic_update_slice_in_dim(state.rollout.routes_LBTK, routes, slot, 2)
        state = state._replace(cache=cache, rollout=state.rollout._replace(routes_LBTK=kept))
        return _draw(
            weights, state, hidden_B1D[:, 0], key, model=model, config=config, stop_ids=stop_ids,
            pad_id=pad_id,
        )  # fmt: skip

    grown = forward.grow_cache(state.cache, n_prompt + room, config=model)
    going = lambda s: (s.step < until) & ~s.done_B.all()
    return jax.lax.while_loop(going, advance, state._replace(cache=grown))


def segment_ends(max_new: int, segments: int) -> list[int]:
    """Lengths of a completion at which the cache has to grow; the last is max_new."""
    n = min(segments, max_new)
    return [-(-max_new * (i + 1) // n) for i in range(n)]


def sample(
    weights: Weights,
    layers: forward.Layers,
    prompt_PT: Int[Array, "P T"],
    prompt_mask_PT: Bool[Array, "P T"],
    key: Key[Array, ""],
    cap: Int[Array, ""],
    *,
    model: ModelConfig,
    config: SamplerConfig,
    group: int,
    max_new: int,
    stop_ids: tuple[int, ...],
    pad_id: int,
) -> Rollout:
    """Draws `group` continuations of every prompt. Jit it with the keyword arguments static.

    Args:
      weights: of the policy.
      layers: `forward.unstack(weights)`.
      prompt_PT: left-padded prompts.
      prompt_mask_PT: True on real tokens.
      key: of this call; a fresh one each time.
      cap: tokens at most, <= max_new, decided at run time (a length cap that rises needs no new
        program).
      model: the network.
      config: how tokens are drawn.
      group: samples per prompt, G.
      max_new: tokens that fit.
      stop_ids: a row ends with the first of these, which counts as its last token.
      pad_id: fills what comes after.

    Returns:
      The rollout of P * G rows.
    """
    how = {"model": model, "config": config, "stop_ids": stop_ids, "pad_id": pad_id}
    state = begin(
        weights, layers, prompt_PT, prompt_mask_PT, key, group=group, max_new=max_new, **how
    )
    for end in segment_ends(max_new, config.cache_segments):
        state = go_on(weights, layers, state, key, jnp.minimum(end, cap), room=end, **how)
    return state.rollout


class Sampler:
    """`sample` for prompts of any length, padded into buckets so that few programs are compiled.

    Args:
      model, config, max_new, stop_ids, pad_id: as of `sample`.
      buckets: prompt lengths that programs are compiled for.
    """

    def __init__(
        self,
        *,
        model: ModelConfig,
        config: SamplerConfig,
        max_new: int,
        stop_ids: tuple[int, ...],
        pad_id: int,
        buckets: tuple[int, ...],
    ):
        if not buckets or min(buckets) < 1:
            raise ValueError(f"sampler: need prompt buckets of at least 1 token, got {buckets}")
        if not stop_ids:
            raise ValueError("sampler: no stop ids, so no row would ever end")
        self.buckets, self.pad_id, self.max_new = tuple(sorted(buckets)), pad_id, max_new
        self.shapes: set[tuple[int, int, int]] = set()
        # programs so far: one per (prompts, group, bucket); streaming takes one per bucket to
        # begin, and one per bucket and segment of the cache
        self.n_compiled = 0
        how = {"model": model, "config": config, "stop_ids": stop_ids, "pad_id": pad_id}

        def counted(of):
            def program(*arrays, **static):
                self.n_compiled += 1  # Python comes here only when jit traces a new program
                return of(*arrays, **how, **static)

            return program

        self._unstack = jax.jit(partial(forward.unstack, config=model))
        self._sample = jax.jit(counted(partial(sample, max_new=max_new)), static_argnames="group")
        begins = counted(partial(begin, group=1, max_new=max_new))
        self._begin, self._go_on = jax.jit(begins), jax.jit(counted(go_on), static_argnames="room")
        self._ends = segment_ends(max_new, config.cache_segments)
        self._streams = config.streams
        self._threads = ThreadPoolExecutor(config.streams)

    def bucket(self, prompts: list[list[int]]) -> int:
        """Smallest bucket that holds every prompt.

        Raises:
          ValueError: if a prompt is empty or longer than the largest bucket; says which.
        """
        lengths = [len(p) for p in prompts]
        if not lengths or min(lengths) == 0:
            raise ValueError(f"sampler: prompt {lengths.index(0) if lengths else 0} is empty")
        longest = max(lengths)
        if longest > self.buckets[-1]:
            raise ValueError(
                f"sampler: prompt {lengths.index(longest)} has {longest} tokens, "
                f"the largest bucket {self.buckets[-1]}"
            )
        return next(b for b in self.buckets if b >= longest)

    def __call__(
        self,
        weights: Weights,
        prompts: list[list[int]],
        key: Key[Array, ""],
        *,
        group: int,
        cap: int,
    ) -> Rollout:
        """Samples `group` continuations of each prompt, of at most `cap` tokens.

        Raises:
          ValueError: on a prompt that fits no bucket, a cap beyond max_new, or prompts that do not
            split into the streams.
        """
        self._check_cap(cap)
        if len(prompts) % self._streams:
            raise ValueError(
                f"sampler: {len(prompts)} prompts do not split into {self._streams} streams"
            )
        if self._streams > 1 and has_mesh():
            raise ValueError(f"sampler: got {self._streams} streams on a mesh, wanted 1")
        tokens, mask = self._padded(prompts)
        shape = (len(prompts), group, tokens.shape[1])
        is_new = shape not in self.shapes
        self.shapes.add(shape)
        draw = partial(self._sample, weights, self._unstack(weights), group=group)
        if self._streams == 1:
            return draw(tokens, mask, key, jnp.int32(cap))
        return self._in_streams(draw, tokens, mask, key, jnp.int32(cap), is_new)

    def stream(
        self, weights: Weights, prompt: list[int], key: Key[Array, ""], *, cap: int, chunk: int
    ) -> Iterator[list[int]]:
        """Draws one continuation and gives out its ids as they come, `chunk` at a time.

        The ids are those of a call with the same key, in one stream.

        Raises:
          ValueError: on a prompt that fits no bucket, or a cap beyond max_new.
        """
        self._check_cap(cap)
        tokens, mask = self._padded([prompt])
        layers = self._unstack(weights)
        state, shown = self._begin(weights, layers, tokens, mask, key), 0
        for end in self._ends:
            while True:
                drawn = int(state.step)
                now = state.rollout.completion_BC[0, shown:drawn]
                yield np.asarray(now).tolist()
                shown = drawn
                if bool(state.done_B[0]) or drawn >= cap:
                    return
                if drawn == end:
                    break
                until = jnp.int32(min(end, cap, drawn + chunk))
                state = self._go_on(weights, layers, state, key, until, room=end)

    def _check_cap(self, cap: int) -> None:
        if not 1 <= cap <= self.max_new:
            raise ValueError(f"sampler: cap {cap} is not within 1..{self.max_new}")

    def _padded(
        self, prompts: list[list[int]]
    ) -> tuple[Int[np.ndarray, "P T"], Bool[np.ndarray, "P T"]]:
        """Prompts at the right of their bucket, and where they are."""
        width = self.bucket(prompts)
        tokens = np.full((len(prompts), width), self.pad_id, np.int32)
        mask = np.zeros((len(prompts), width), bool)
        for row, prompt in enumerate(prompts):
            tokens[row, width - len(prompt) :] = prompt
            mask[row, width - len(prompt) :] = True
        return tokens, mask

    def _in_streams(self, draw, tokens, mask, key, cap, is_new: bool) -> Rollout:
        """The prompts' parts from a thread each, one after the other again."""
        each = len(tokens) // self._streams

        def part(i: int) -> Rollout:
            rows, own = slice(i * each, (i + 1) * each), jax.random.fold_in(key, i)
            return jax.block_until_ready(draw(tokens[rows], mask[rows], own, cap))

        first = [part(0)] if is_new else []  # compiles: two threads at once would do it twice
        parts = first + list(self._threads.map(part, range(len(first), self._streams)))
        *by_row, routes = zip(*parts, strict=True)
        return Rollout._make([*map(jnp.concatenate, by_row), jnp.concatenate(routes, axis=1)])
