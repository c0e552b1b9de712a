"""Prompts of any length to rollouts, or ids as they come, with few compiled programs."""

import os
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import jax
from jaxtyping import Array, Key

from r1jax.config import UserError
from r1jax.model.config import ModelConfig
from r1jax.sampling.config import SamplerConfig
from r1jax.sampling.program import SEGMENT, Setup
from r1jax.sampling.streams import Call, Programs, Stream
from r1jax.sharding import has_mesh
from r1jax.types import Rollout, Weights


def n_streams(n_rows: int) -> int:
    """Streams of slots side by side: one a core where there are rows for it, 1 on a mesh.

    On CPU a decoding step's attention keeps one core busy: two streams on two cores took 0.7 times
    as long as one. Each reads all weights, so more than 8 would wait for memory.
    """
    if has_mesh() or jax.default_backend() != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(cores, 8, n_rows)


class Sampler:
    """Samples continuations of prompts; a slot whose sample has ended takes the next.

    Which token a sample draws depends on the key, its prompt and its number alone, not on the
    slots, their order or what stands beside it.

    Args:
      model, config, stop_ids, pad_id, routes: of `program.Setup`.
      max_new: tokens of a completion at most.
      buckets: prompt lengths that programs are compiled for.

    Attributes:
      slot_idle: share of the last call's row-steps in which a slot had nothing to draw.
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
        routes: bool = False,
    ):
        if not buckets or min(buckets) < 1:
            raise UserError(f"sampler: need prompt buckets of at least 1 token, got {buckets}")
        if not stop_ids:
            raise UserError("sampler: no stop ids, so no row would ever end")
        self.buckets, self.max_new = tuple(sorted(buckets)), max_new
        self.programs = Programs(Setup(model, config, stop_ids, pad_id, routes))
        self.slot_idle, self._threads = 0.0, ThreadPoolExecutor()

    @property
    def n_compiled(self) -> int:
        """Programs that were compiled so far."""
        return self.programs.n_compiled

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

        Returns:
          Host arrays.

        Raises:
          UserError: on a prompt that fits no bucket, or a cap beyond max_new.
        """
        call = self._call(weights, prompts, key, group=group, cap=cap)
        # two threads in one program of exact numerics gave wrong numbers (jaxlib 0.10.2, 135M)
        streams = 1 if self.programs.setup.model.exact else n_streams(call.n_rows)
        most = -(-call.n_rows // streams)

        def part(i: int) -> None:
            rows = list(range(i, call.n_rows, streams))
            deque(Stream(call, rows, most=most).run(chunk=SEGMENT), maxlen=0)

        if streams == 1:  # on a mesh its programs are compiled where the mesh is set
            part(0)
        else:
            list(self._threads.map(part, range(streams)))
        self.slot_idle = call.idle
        return call.rollout

    def stream(
        self, weights: Weights, prompt: list[int], key: Key[Array, ""], *, cap: int, chunk: int
    ) -> Iterator[list[int]]:
        """Draws one continuation and gives out its ids as they come, `chunk` at a time.

        The ids are those of a call with the same key.

        Raises:
          UserError: on a prompt that fits no bucket, or a cap beyond max_new.
        """
        call, shown = self._call(weights, [prompt], key, group=1, cap=cap), 0
        for _ in Stream(call, [0], most=1).run(chunk=min(chunk, SEGMENT)):
            drawn = int(call.rollout.mask_BC.sum())
            yield call.rollout.completion_BC[0, shown:drawn].tolist()
            shown = drawn

    def _call(
        self,
        weights: Weights,
        prompts: list[list[int]],
        key: Key[Array, ""],
        *,
        group: int,
        cap: int,
    ) -> Call:
        """What the streams of a call share: the prefilled prompts, and a rollout to fill."""
        if not 1 <= cap <= self.max_new:
            raise UserError(f"sampler: cap {cap} is not within 1..{self.max_new}")
        sizes = {"width": self.bucket(prompts), "group": group, "cap": cap, "max_new": self.max_new}
        return Call(self.programs, weights, prompts, key, **sizes)
