"""How tokens are drawn."""

import dataclasses

from r1jax.config import UserError


@dataclasses.dataclass(frozen=True)
class SamplerConfig:
    """How tokens are drawn.

    Attributes:
      temperature: 0 is greedy.
      top_k: keep the k most likely; 0 keeps all.
      top_p: keep the smallest set of tokens with at least this mass; 1 keeps all.
      min_p: keep tokens with at least this share of the best one's probability; 0 keeps all.
      repetition_penalty: above 1 makes ids that the prompt or the completion holds less likely,
        before the temperature; 1 leaves them.
      cache_segments: the cache grows in so many steps, so that early tokens attend over less.
      slots: samples that are drawn at a time, of each stream (a core's on CPU); one that has ended
        gives its slot to the next. 0 takes 32 on CPU, else 256. It changes no draw.
    """

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repetition_penalty: float
    cache_segments: int
    slots: int

    def __post_init__(self):
        if self.repetition_penalty <= 0:
            raise UserError(f"repetition_penalty {self.repetition_penalty}: wanted more than 0")
        if self.cache_segments < 1:
            raise UserError(f"cache_segments {self.cache_segments}: need at least 1")
        if self.slots < 0:
            raise UserError(f"slots {self.slots}: need at least 1, or 0 to choose")
        if self.temperature < 0:
            raise UserError(f"temperature {self.temperature} is negative")
        if not 0 < self.top_p <= 1 or not 0 <= self.min_p <= 1 or self.top_k < 0:
            raise UserError(
                f"top_p {self.top_p}, min_p {self.min_p}, top_k {self.top_k} are out of range"
            )
