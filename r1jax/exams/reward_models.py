"""Reward models as parts of a reward: each judges the prompts of its own set and no others.

A general prompt belongs to the helpfulness or to the safety set, and its completions get that set's
reward (DeepSeek-R1, arXiv:2501.12948, sections 2.3.4 and 3.1). How the papers scale the scores
beside the 0 and 1 of rules is not published.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import jax
from jax.sharding import Mesh

from r1jax.config import Count, Counts, UserError
from r1jax.exams.reward_scorer import RewardScorer
from r1jax.model.config import ExecutionConfig
from r1jax.rewards.combine import Completion


@dataclasses.dataclass(frozen=True)
class PreferenceConfig:
    """A reward model that judges completions.

    Attributes:
      model: its directory: the folder `model` of a run of the pipeline reward_model.
      judges: the kind of problems whose completions it scores.
      scale: "sigmoid" squeezes the scores into 0 to 1, beside rules worth 0 or 1; "raw" leaves
        them.
      buckets: lengths of question and reply that its program is compiled for, in tokens.
      batch: texts at a time.
    """

    model: str
    judges: Literal["helpful", "harmless"]
    scale: Literal["sigmoid", "raw"]
    buckets: Counts
    batch: Count


class Preference:
    """A part of the reward that a reward model gives (`rewards.combine.Learned`).

    A completion that fits no bucket gets NaN: not judged. The model's own directory says whether it
    sees the reply alone or the thought too.

    Raises:
      UserError: among several processes, which would each run programs of their own.
    """

    def __init__(self, config: PreferenceConfig, *, how: ExecutionConfig, mesh: Mesh | None):
        if jax.process_count() > 1:
            raise UserError(
                f"preferences: got {jax.process_count()} processes, wanted one: each judges rows "
                "of its own"
            )
        self.config = config
        self.score = RewardScorer(
            config.model, how=how, mesh=mesh, buckets=config.buckets, batch=config.batch
        )

    def __call__(self, completions: Sequence[Completion]) -> list[float | None]:
        own = [i for i, c in enumerate(completions) if c.question.kind == self.config.judges]
        values: list[float | None] = [None] * len(completions)
        if not own:
            return values
        texts = self.score.encoded(
            [completions[i].question.question for i in own],
            [completions[i].text for i in own],
            [completions[i].opened for i in own],
        )
        # bytes that are no text are longer when read back: such a reply cannot be judged
        longest = max(self.config.buckets)
        fits = [i for i, ids in zip(own, texts, strict=True) if len(ids) <= longest]
        for i in own:
            values[i] = math.nan
        short = [ids for ids in texts if len(ids) <= longest]
        scores = self.score.ids(self.score.weights, short, tell=lambda _: None)
        for i, score in zip(fits, scores, strict=True):
            raw = self.config.scale == "raw"
            values[i] = score if raw else 0.5 * (1 + math.tanh(score / 2))  # the sigmoid, stable
        return values
