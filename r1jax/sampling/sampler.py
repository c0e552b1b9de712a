"""Prompts of any length to rollouts, or ids as they come, with few compiled programs."""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Key

from r1jax.config import UserError
from r1jax.keys import numbered
from r1jax.model import forward
from r1jax.model.config import ModelConfig
from r1jax.sampling.config import SamplerConfig
from r1jax.sampling.program import Setup, begin, go_on, sample, segment_ends
from r1jax.sharding import has_mesh
from r1jax.types import Rollout, Weights


def n_streams(n_prompts: int) -> int:
    """Programs that share the prompts side by side: the most cores that divide them, 1 on a mesh.

    On CPU a decoding step's attention keeps one core busy: two streams on two cores took 0.7 times
    as long as one. Each reads all weights, so more than 8 would wait for memory.
    """
    if has_mesh() or jax.default_backend() != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(n for n in range(1, min(cores, 8) + 1) if n_prompts % n == 0)


class Sampler:
    """`sample` for prompts of any length, padded into buckets so that few programs are compiled.

    Args:
      model, config, stop_ids, pad_id: of `program.Setup`.
      max_new: tokens of a completion at most.
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
            raise UserError(f"sampler: need prompt buckets of at least 1 token, got {buckets}")
        if not stop_ids:
            raise UserError("sampler: no stop ids, so no row would ever end")
        self.buckets, self.pad_id, self.max_new = tuple(sorted(buckets)), pad_id, max_new
        self.shapes: set[tuple[int, int, int]] = set()
        # programs so far: one per (prompts, group, bucket); streaming takes one per bucket to
        # begin, and one per bucket and segment of the cache
        self.n_compiled = 0
        setup = Setup(model, config, stop_ids, pad_id)

        def counted(of):
            def program(*arrays, **static):
                self.n_compiled += 1  # Python comes here only when jit traces a new program
                return of(*arrays, setup=setup, **static)

            return program

        self._unstack = jax.jit(partial(forward.unstack, config=model))
        self._sample = jax.jit(counted(partial(sample, max_new=max_new)), static_argnames="group")
        begins = counted(partial(begin, group=1, max_new=max_new))
        self._begin, self._go_on = jax.jit(begins), jax.jit(counted(go_on), static_argnames="room")
        self._ends = segment_ends(max_new, config.cache_segments)
        self._threads = ThreadPoolExecutor()

    def bucket(self, prompts: list[list[int]]) -> int:
        """Smallest bucket that holds every prompt.

        Raises:
          UserError: if a prompt is empty or longer than the largest bucket; says which.
        """
        lengths = [len(p) for p in prompts]
        if not lengths or min(lengths) == 0:
            raise UserError(f"sampler: prompt {lengths.index(0) if lengths else 0} is empty")
        longest = max(lengths)
        if longest > self.buckets[-1]:
            raise UserError(
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
          UserError: on a prompt that fits no bucket, or a cap beyond max_new.
        """
        self._check_cap(cap)
        tokens, mask = self._padded(prompts)
        key_P, streams = numbered(key, len(prompts)), n_streams(len(prompts))
        shape = (len(prompts), group, tokens.shape[1])
        is_new = shape not in self.shapes
        self.shapes.add(shape)
        layers = self._unstack(weights)
        draw = partial(self._sample, weights, layers, cap=jnp.int32(cap), group=group)
        if streams == 1:
            return draw(tokens, mask, key_P)

        def part(i: int) -> Rollout:
            rows = slice(i * len(prompts) // streams, (i + 1) * len(prompts) // streams)
            return jax.block_until_ready(draw(tokens[rows], mask[rows], key_P[rows]))

        first = [part(0)] if is_new else []  # compiles: two threads at once would do it twice
        parts = first + list(self._threads.map(part, range(len(first), streams)))
        *by_row, routes = zip(*parts, strict=True)
        return Rollout._make([*map(jnp.concatenate, by_row), jnp.concatenate(routes, axis=1)])

    def stream(
        self, weights: Weights, prompt: list[int], key: Key[Array, ""], *, cap: int, chunk: int
    ) -> Iterator[list[int]]:
        """Draws one continuation and gives out its ids as they come, `chunk` at a time.

        The ids are those of a call with the same key.

        Raises:
          UserError: on a prompt that fits no bucket, or a cap beyond max_new.
        """
        self._check_cap(cap)
        layers = self._unstack(weights)
        state, shown = self._begin(weights, layers, *self._padded([prompt]), numbered(key, 1)), 0
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
                state = self._go_on(weights, layers, state, until, room=end)

    def _check_cap(self, cap: int) -> None:
        if not 1 <= cap <= self.max_new:
            raise UserError(f"sampler: cap {cap} is not within 1..{self.max_new}")

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
