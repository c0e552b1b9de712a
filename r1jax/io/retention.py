"""Which checkpoints of a run are kept."""

import dataclasses
from typing import Any

from r1jax.config import Count, Size


@dataclasses.dataclass(frozen=True)
class CheckpointConfig:
    """What is kept on disk.

    Attributes:
      every_updates: save after so many updates.
      keep_last: newest checkpoints kept.
      keep_best: best ones by validation score kept beside them.
      allow_config_change: resume although the config differs from the checkpoint's.
    """

    every_updates: Count
    keep_last: Count
    keep_best: Size
    allow_config_change: bool


class NewestAndBest:
    """Orbax preservation policy: the newest few and the few of the highest score."""

    def __init__(self, keep_last: int, keep_best: int, scores: dict[int, float | None]):
        self.keep_last, self.keep_best, self.scores = keep_last, keep_best, scores

    def should_preserve(self, checkpoints: Any, *, context: Any) -> list[bool]:
        del context
        steps = sorted(info.step for info in checkpoints)
        scored = [(score, step) for step in steps if (score := self.scores.get(step)) is not None]
        best = [step for _, step in sorted(scored, reverse=True)[: self.keep_best]]
        kept = {*steps[-self.keep_last :], *best}
        return [info.step in kept for info in checkpoints]
