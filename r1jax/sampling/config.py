"""How tokens are drawn."""

import dataclasses
from typing import Annotated

from r1jax.config import Count, NonNegative, Positive, Range, Share, Size, check


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

    temperature: NonNegative
    top_k: Size
    top_p: Annotated[float, Range(0, 1, inside="low")]
    min_p: Share
    repetition_penalty: Positive
    cache_segments: Count
    slots: Size

    def __post_init__(self):
        check(self)
