"""Streams of slots: which sample stands where, and when the next program runs.

All that decides is on the host and known between two segments; the programs are jitted.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Int, Key

from r1jax.keys import numbered
from r1jax.model import forward
from r1jax.sampling import program
from r1jax.sampling.program import Prompts, Segment, Setup, Slots
from r1jax.sharding import batch_shards, has_mesh
from r1jax.types import Rollout, Weights

SLOTS_ON_CPU, SLOTS = 32, 256  # of a stream, where the config leaves it open
FEWEST = 4  # slots that a stream is narrowed to at the end
HostInts = Int[np.ndarray, " S"]
LEAST = 16  # steps that a segment has room for, unless the cap comes before


class Programs:
    """The jitted programs of a sampler.

    Attributes:
      n_compiled: programs so far; `advance`, the largest, is one for each number of slots and
        length of the cache that is met.
    """

    def __init__(self, setup: Setup):
        self.setup, self.n_compiled = setup, 0
        self.lock = threading.Lock()
        self._met: set[tuple[Any, ...]] = set()

        def jitted(of: Callable, **options: Any) -> Callable:
            def traced(*arrays, **static):
                self.n_compiled += 1  # Python comes here only when jit traces a new program
                return of(*arrays, **static)

            return jax.jit(traced, **options)

        self.unstack = jax.jit(partial(forward.unstack, config=setup.model))
        self.prefill = jitted(partial(program.prefill, setup=setup))
        self.begin, self.narrow = jitted(program.begin), jitted(program.narrow)
        self.refill = jitted(program.refill, donate_argnums=0)
        self.resize = jitted(program.resize, static_argnames="room")
        self.advance = jitted(partial(program.advance, setup=setup), donate_argnums=2)

    @contextlib.contextmanager
    def compiling(self, *shape: Any) -> Iterator[None]:
        """Lets one thread at a time call a program that is new: two would compile it twice."""
        if shape in self._met:
            yield
            return
        with self.lock:
            yield
            self._met.add(shape)


def rooms(width: int, *, max_new: int, segments: int) -> list[int]:
    """Lengths of the cache that programs are compiled for, behind prompts of `width` tokens."""
    n = min(segments, max_new)
    return [width - (-max_new * (i + 1) // n) for i in range(n)]


def widths(n_rows: int, *, slots: int) -> list[int]:
    """Numbers of slots of a stream of so many samples, as it is narrowed at its end.

    Args:
      n_rows: samples of the stream.
      slots: of the config; 0 to choose.
    """
    auto = SLOTS_ON_CPU if jax.default_backend() == "cpu" else SLOTS
    made = [min(slots or auto, n_rows)]
    if has_mesh():  # narrowing would move whole caches between devices
        return [max(made[0] // batch_shards(), 1) * batch_shards()]
    while made[-1] * 5 // 8 >= FEWEST:
        made.append(made[-1] * 5 // 8)
    return made


class Call:
    """One call of a sampler: what is drawn, and what its streams share.

    Attributes:
      n_rows: samples in all.
      rollout: host arrays, filled as samples come.
    """

    def __init__(
        self,
        programs: Programs,
        weights: Weights,
        prompts: list[list[int]],
        key: Key[Array, ""],
        *,
        width: int,
        group: int,
        cap: int,
        max_new: int,
    ):
        self.programs, self.group, self.cap = programs, group, cap
        self.lengths_P = np.array([len(p) for p in prompts], np.int32)
        self.n_rows, self.max_new = len(prompts) * group, max_new
        tokens_PT = np.full((len(prompts), width), programs.setup.pad_id, np.int32)
        for row, prompt in enumerate(prompts):
            tokens_PT[row, : len(prompt)] = prompt
        self.weights, self.layers = weights, programs.unstack(weights)
        key_P = numbered(key, len(prompts))
        ids = (tokens_PT, self.lengths_P, key_P)
        self.prompts: Prompts = programs.prefill(weights, self.layers, *ids)
        self.rollout, self.row_steps = self._empty(tokens_PT), [0, 0]

    def _empty(self, tokens_PT: Int[np.ndarray, "P T"]) -> Rollout:
        """No completions yet; the prompts at the right of their bucket, with their routes."""
        width, shape = tokens_PT.shape[1], (self.n_rows, self.max_new)
        source_PT = (np.arange(width) - (width - self.lengths_P)[:, None]) % width
        mask_PT = np.arange(width) >= (width - self.lengths_P)[:, None]
        routes_LPTK = np.asarray(self.prompts.routes_LPTK)
        routes_LPTK = np.take_along_axis(routes_LPTK, source_PT[None, :, :, None], 2)
        layers, _, _, top = routes_LPTK.shape
        # tokens that never run (each sample's last) keep route -1: the trainer routes those afresh
        unrouted = np.full((layers, *shape, top), -1, routes_LPTK.dtype)
        routes_LBTK = np.repeat(routes_LPTK, self.group, axis=1)
        arrays: tuple[Any, ...] = (
            np.repeat(np.take_along_axis(tokens_PT, source_PT, 1), self.group, axis=0),
            np.repeat(mask_PT, self.group, axis=0),
            np.full(shape, self.programs.setup.pad_id, np.int32),
            np.zeros(shape, bool),
            np.zeros(shape, np.float32),
            np.zeros(shape, np.float32),
            np.ones(self.n_rows, bool),
            np.concatenate([routes_LBTK, unrouted], axis=2),
        )
        return Rollout(*arrays)

    @property
    def idle(self) -> float:
        """Share of the row-steps in which a slot had nothing to draw."""
        steps, drew = self.row_steps
        return 1 - drew / steps

    def record(
        self, segment: Segment, row_S: HostInts, drawn_S: HostInts, position_S: HostInts
    ) -> None:
        """Writes what a segment drew; the arguments are of the slots before it."""
        at, slot = np.nonzero(segment.live_NS[: segment.steps])
        row, column = row_S[slot], drawn_S[slot] + at
        token = segment.token_NS[at, slot]
        self.rollout.completion_BC[row, column] = token
        self.rollout.mask_BC[row, column] = True
        self.rollout.logp_BC[row, column] = segment.logp_NS[at, slot]
        self.rollout.entropy_BC[row, column] = segment.entropy_NS[at, slot]
        self.rollout.truncated_B[row[np.isin(token, self.programs.setup.stop_ids)]] = False
        width = self.rollout.prompt_BT.shape[1]
        ran = position_S[slot] + at + width - self.lengths_P[row // self.group]
        routes_LBTK = self.rollout.routes_LBTK
        routes_LBTK[:, row, ran] = segment.routes_NLSK[at, :, slot].swapaxes(0, 1)
        with self.programs.lock:
            self.row_steps[0] += int(segment.steps) * row_S.size
            self.row_steps[1] += at.size


class Stream:
    """Slots that draw some of a call's samples, and what the host knows of them.

    Args:
      call: whose samples.
      rows: their numbers.
      most: samples of the call's largest stream, so that all have the same shapes.
    """

    def __init__(self, call: Call, rows: list[int], *, most: int):
        self.call, self.waiting, config = call, deque(rows), call.programs.setup.config
        self.widths = widths(most, slots=config.slots)
        self.row_S, self.position_S, self.drawn_S = np.zeros((3, self.widths[0]), np.int32)
        self.live_S = np.zeros(self.widths[0], bool)
        self.slots: Slots | None = None
        self.room = call.prompts.cache[0].first.shape[-2]
        self.rooms = rooms(self.room, max_new=call.max_new, segments=config.cache_segments)
        self.shape = (len(call.lengths_P), self.room)

    def run(self, *, chunk: int) -> Iterator[None]:
        """Draws all samples; yields after each segment, which has at most `chunk` steps."""
        while self.waiting or self.live_S.any():
            if self.waiting:
                self._refill()
            else:
                self._narrow()
            self._advance(chunk)
            yield

    def _call(self, name: str, *args: Any, **static: Any) -> Any:
        """Runs a program; the first time under the sampler's lock."""
        programs, shape = self.call.programs, (self.row_S.size, self.room, *self.shape)
        with programs.compiling(name, *shape, *static.values()):
            return getattr(programs, name)(*args, **static)

    def _refill(self) -> None:
        """The next samples go to the slots that are free."""
        fresh = np.flatnonzero(~self.live_S)[: len(self.waiting)]
        self.row_S[fresh] = [self.waiting.popleft() for _ in fresh]
        fresh_S = np.isin(np.arange(self.row_S.size), fresh)
        prompt_S, sample_S = np.divmod(self.row_S, self.call.group)
        self.position_S[fresh] = self.call.lengths_P[prompt_S[fresh]] - 1
        self.drawn_S[fresh], self.live_S[fresh] = 0, True
        chosen = (self.call.prompts, prompt_S, sample_S, fresh_S)
        if self.slots is None:
            self.slots = self._call("begin", *chosen)
        else:
            self.slots = self._call("refill", self.slots, *chosen)

    def _narrow(self) -> None:
        """Leaves out slots that nothing waits for."""
        width = min(w for w in self.widths if w >= self.live_S.sum())
        if width < self.row_S.size:
            kept = np.sort(np.argsort(~self.live_S, kind="stable")[:width]).astype(np.int32)
            self.slots = self._call("narrow", self.slots, kept)
            of_slots = (self.row_S, self.position_S, self.drawn_S, self.live_S)
            self.row_S, self.position_S, self.drawn_S, self.live_S = (x[kept] for x in of_slots)

    def _advance(self, chunk: int) -> None:
        """One segment: until the cache is full, or enough slots are free to be worth a stop."""
        call, n_live = self.call, int(self.live_S.sum())
        longest = int(self.position_S[self.live_S].max())
        room = next(r for r in self.rooms if r >= min(longest + LEAST, self.rooms[-1]))
        if room != self.room:
            self.slots, self.room = self._call("resize", self.slots, room=room), room
        if self.waiting:
            few = self.row_S.size - max(self.row_S.size // 8, 1)
        else:
            few = max((w for w in self.widths if w < self.row_S.size), default=0)
        limits = map(np.int32, (min(chunk, room - longest), min(few, n_live - 1), call.cap))
        new = self._call("advance", call.weights, call.layers, self.slots, *limits)
        self.slots, segment = new[0], jax.device_get(new[1])
        self.live_S = np.array(new[0].live_S)  # a copy: the next segment takes the buffer over
        call.record(segment, self.row_S, self.drawn_S, self.position_S)
        drawn_S = segment.live_NS[: segment.steps].sum(0, dtype=np.int32)
        self.position_S, self.drawn_S = self.position_S + drawn_S, self.drawn_S + drawn_S
