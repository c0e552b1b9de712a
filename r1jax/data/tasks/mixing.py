"""Several sources as one: side by side or in turn, mixed by weights in the order of training."""

import bisect
import itertools
from collections.abc import Sequence
from typing import cast

import grain

from r1jax.config import UserError
from r1jax.data.tasks.problems import Problem, ProblemSource, batch_indices


class Concatenation:
    """Sources one after the other; see `ProblemSource`."""

    def __init__(self, parts: Sequence[ProblemSource]):
        self.parts = parts
        self.ends = list(itertools.accumulate(len(part) for part in parts))

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, index: int) -> Problem:
        if not 0 <= index < len(self):
            raise IndexError(f"got index {index}, wanted 0 to {len(self) - 1}")
        part = bisect.bisect_right(self.ends, index)
        return self.parts[part][index - (self.ends[part - 1] if part else 0)]


class Interleaving:
    """Sources in turn, each as often as its size asks, so that a first part is a fair exam.

    Problem j of n stands at (j + 1/2) / n of the whole: any stretch from the start has the shares
    of all sources to within about one problem of each, and none runs out before the others.
    """

    def __init__(self, parts: Sequence[ProblemSource]):
        self.parts = parts
        places = ((i, j, len(part)) for i, part in enumerate(parts) for j in range(len(part)))
        self.order = [
            (i, j) for i, j, n in sorted(places, key=lambda at: ((2 * at[1] + 1) / at[2], at[0]))
        ]

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> Problem:
        if not 0 <= index < len(self):
            raise IndexError(f"got index {index}, wanted 0 to {len(self) - 1}")
        part, position = self.order[index]
        return self.parts[part][position]


def mixed_indices(
    sizes: Sequence[int], weights: Sequence[float], *, seed: int, step: int, batch: int
) -> list[int]:
    """Returns which problems of concatenated sources a step sees, a pure function of its arguments.

    Each source gives its problems in epochs of its own, each a new permutation of all of them; the
    sources alternate as evenly as their weights allow, so that any stretch of the order has its
    shares to within one problem for each source. One alone comes as `batch_indices` orders it.

    Args:
      sizes: problems of each source.
      weights: shares of the sources, relative to each other; grain keeps them to within 1%.
      seed: 0 to 2**32 - 1; source i is shuffled with seed + i.
      step: from 0.
      batch: problems per step.

    Raises:
      UserError: if a count is below 1, a weight not above 0, or step or seed out of range.
    """
    if len(sizes) != len(weights) or not sizes:
        raise UserError(f"got sizes {sizes}, weights {weights}, wanted one weight per source")
    if min(weights) <= 0 or min(sizes) < 1 or batch < 1 or step < 0:
        raise UserError(
            f"got sizes {sizes}, weights {weights}, batch {batch}, step {step}, wanted sizes, "
            "batch >= 1, weights > 0, step >= 0"
        )
    if len(sizes) == 1:
        return batch_indices(sizes[0], seed=seed, step=step, batch=batch)
    starts = [0, *itertools.accumulate(sizes)]
    orders = [
        grain.MapDataset.range(start, start + size).shuffle(seed=(seed + i) % 2**32).repeat()
        for i, (start, size) in enumerate(zip(starts, sizes, strict=False))
    ]
    mixed = grain.MapDataset.mix(orders, weights)
    return [cast(int, mixed[position]) for position in range(step * batch, (step + 1) * batch)]
