"""The sampler: one jitted program from left-padded prompts to rollouts.

Each prompt is prefilled once and its cache handed to its G samples; a while_loop then draws one
token per row and step until every row has stopped. What it records is what it sampled from: the
log-probabilities belong to the distribution after temperature and filters, and the stop token is
part of the mask.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from r1jax.config import ModelConfig, SamplerConfig
from r1jax.model import forward
from r1jax.sharding import constrain, has_mesh
from r1jax.types import Rollout, Weights

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
    prompt_PT, prompt_mask_PT = (constrain(x, "batch", "seq") for x in (prompt_PT, prompt_mask_PT))
    n_prompts, n_prompt = prompt_PT.shape
    n_rows = n_prompts * group
    positions_PT = jnp.maximum(jnp.cumsum(prompt_mask_PT, axis=1) - 1, 0)
    seen = forward.forward(
        weights, prompt_PT, positions_PT, prompt_mask_PT.astype(jnp.int32),
        config=model, routes_LBTK=None, with_mtp=False, keep_cache=True, layers=layers,
    )  # fmt: skip
    assert seen.cache is not None
    repeat = partial(_per_sample, group=group)
    hidden_BD = repeat(seen.hidden_BTD[:, -1], axis=0)
    cache = jax.tree.map(lambda x: repeat(x, axis=0), seen.cache)
    prompt_routes = repeat(seen.routes_LBTK, axis=1)
    prompt_mask_BT = repeat(prompt_mask_PT, axis=0)
    length_B = prompt_mask_BT.sum(1)
    stops_1N = jnp.asarray(stop_ids, jnp.int32)[None]

    def draw(step, hidden_BD):
        logits_BV = forward.logits(hidden_BD[:, None], weights, config=model)[:, 0]
        logits_BV = constrain(logits_BV, "batch", "none")
        return sample_token(jax.random.fold_in(key, step), logits_BV, config=config)

    def record(rollout, step, token_B, logp_B, entropy_B, done_B):
        completion, mask, logps, entropies, routes = rollout
        live_B = ~done_B
        put = lambda old, new: jax.lax.dynamic_update_slice_in_dim(old, new[:, None], step, 1)
        token_B = jnp.where(live_B, token_B, pad_id)
        done_B = done_B | (token_B[:, None] == stops_1N).any(1)
        return (
            put(completion, token_B), put(mask, live_B), put(logps, jnp.where(live_B, logp_B, 0.0)),
            put(entropies, jnp.where(live_B, entropy_B, 0.0)), routes,
        ), token_B, done_B  # fmt: skip

    # tokens that were never run (each row's last) keep route -1: the trainer routes those afresh
    n_routed, top = prompt_routes.shape[0], prompt_routes.shape[3]
    per_token = lambda fill: constrain(jnp.full((n_rows, max_new), fill), "batch", "seq")
    no_routes = jnp.full((n_routed, n_rows, max_new, top), -1, jnp.int32)
    empty = (
        per_token(jnp.int32(pad_id)), per_token(False), per_token(0.0), per_token(0.0),
        constrain(no_routes, "layers", "batch", "seq", "none"),
    )  # fmt: skip
    none_done_B = jnp.zeros_like(length_B, dtype=bool)
    rollout, token_B, done_B = record(empty, 0, *draw(0, hidden_BD), none_done_B)

    def advance(state, *, valid_BS):
        step, token_B, done_B, rollout, cache = state
        slot = n_prompt + step - 1
        mask_B1S = (valid_BS & (jnp.arange(valid_BS.shape[1]) <= slot)[None])[:, None]
        hidden_B1D, cache, routes = forward.extend(
            weights,
            layers,
            token_B[:, None],
            (length_B + step - 1)[:, None],
            mask_B1S,
            cache,
            slot,
            config=model,
        )
        kept = jax.lax.dynamic_update_slice_in_dim(rollout[4], routes, step - 1, 2)
        rollout, token_B, done_B = record(
            (*rollout[:4], kept), step, *draw(step, hidden_B1D[:, 0]), done_B
        )
        return step + 1, token_B, done_B, rollout, cache

    state = (jnp.int32(1), token_B, done_B, rollout, cache)
    segments = min(config.cache_segments, max_new)
    for i in range(segments):
        end = -(-max_new * (i + 1) // segments)
        grown = forward.grow_cache(state[4], n_prompt + end, config=model)
        valid_BS = jnp.pad(prompt_mask_BT, ((0, 0), (0, end)), constant_values=True)
        going = lambda s, end=end: (s[0] < jnp.minimum(end, cap)) & ~s[2].all()
        state = jax.lax.while_loop(going, partial(advance, valid_BS=valid_BS), (*state[:4], grown))

    completion_BC, mask_BC, logp_BC, entropy_BC, routes = state[3]
    return Rollout(
        prompt_BT=repeat(prompt_PT, axis=0),
        prompt_mask_BT=prompt_mask_BT,
        completion_BC=completion_BC,
        mask_BC=mask_BC,
        logp_BC=logp_BC,
        entropy_BC=entropy_BC,
        truncated_B=~state[2],
        routes_LBTK=jnp.concatenate([prompt_routes, routes], axis=2),
    )


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
        self.n_compiled = 0  # programs so far: one per (prompts, group, bucket)

        def program(weights, layers, prompt_PT, mask_PT, key, cap, *, group):
            self.n_compiled += 1  # Python comes here only when jit traces a new program
            return sample(
                weights, layers, prompt_PT, mask_PT, key, cap,
                model=model, config=config, group=group, max_new=max_new,
                stop_ids=stop_ids, pad_id=pad_id,
            )  # fmt: skip

        self._unstack = jax.jit(partial(forward.unstack, config=model))
        self._sample = jax.jit(program, static_argnames="group")
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
        if not 1 <= cap <= self.max_new:
            raise ValueError(f"sampler: cap {cap} is not within 1..{self.max_new}")
        if len(prompts) % self._streams:
            raise ValueError(
                f"sampler: {len(prompts)} prompts do not split into {self._streams} streams"
            )
        if self._streams > 1 and has_mesh():
            raise ValueError(f"sampler: got {self._streams} streams on a mesh, wanted 1")
        width = self.bucket(prompts)
        tokens = np.full((len(prompts), width), self.pad_id, np.int32)
        mask = np.zeros((len(prompts), width), bool)
        for row, prompt in enumerate(prompts):
            tokens[row, width - len(prompt) :] = prompt
            mask[row, width - len(prompt) :] = True
        shape = (len(prompts), group, width)
        is_new = shape not in self.shapes
        self.shapes.add(shape)
        draw = partial(self._sample, weights, self._unstack(weights), group=group)
        if self._streams == 1:
            return draw(tokens, mask, key, jnp.int32(cap))
        return self._in_streams(draw, tokens, mask, key, jnp.int32(cap), is_new)

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
