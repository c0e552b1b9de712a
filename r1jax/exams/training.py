"""What a model is asked before, while and after it is trained, and who asks."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r1jax import keys
from r1jax.data.tasks.problems import ProblemSource
from r1jax.exams.evaluation import EvalConfig, evaluate
from r1jax.exams.examiner import Examiner
from r1jax.model.config import ModelConfig
from r1jax.pipelines.distill.config import DistillConfig
from r1jax.pipelines.r1_zero.config import R1ZeroConfig
from r1jax.rewards.combine import Rewarder
from r1jax.rewards.judge import OPEN
from r1jax.sampling.config import SamplerConfig
from r1jax.sampling.sampler import Sampler
from r1jax.text.tokenizer import Tokenizer
from r1jax.train.loop import Run
from r1jax.types import Weights


class TrainingExam:
    """Asks the held-out splits of a task.

    Args:
      examiner: puts the questions and judges.
      splits: the task's, by name.
      config: how many questions of each, and how.
      reflective: words that count as reflection.
      seed: of the run.
      where: the config's key, for errors.
    """

    def __init__(
        self,
        examiner: Examiner,
        splits: Mapping[str, ProblemSource],
        *,
        config: EvalConfig,
        reflective: tuple[str, ...],
        seed: int,
        where: str,
    ):
        self.examiner, self.splits, self.config = examiner, splits, config
        self.reflective, self.root, self.where = reflective, keys.root(seed), where

    def check(self) -> None:
        """Meets bad input before any work: the splits are large enough, all questions fit.

        Raises:
          ValueError: says which split and problem.
        """
        e = self.config
        for split, wanted in (("validation", e.validation), ("test", e.test), ("ood", e.ood)):
            there = len(self.splits.get(split, []))
            if wanted > there:
                raise ValueError(f"{self.where}.{split}: {wanted} problems wanted, {there} there")
            if wanted:
                asked = self.splits[split]
                self.examiner.check(asked, range(wanted), split)
                answered = sum(asked[i].kind not in OPEN for i in range(wanted))
                if answered < 2:
                    raise ValueError(
                        f"{self.where}.{split}: {answered} of {wanted} questions have an answer to "
                        "be right about: wanted 2 for an interval, or 0 questions for no exam"
                    )

    def ask(
        self, weights: Weights, here: Run, split: str, count: int, *, cap: int
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Examines the model as it is on the first `count` problems of a split.

        Returns:
          The row that the run notes, and samples to be read.
        """
        with here.phase("evaluate"):
            row, shown = evaluate(
                self.examiner, weights, self.splits[split],
                keys.stream(self.root, "evaluate", here.updates), split=split, count=count,
                config=self.config, reflective=self.reflective, cap=cap,
            )  # fmt: skip
        here.evaluated(row)
        return row, shown

    def ask_all(self, weights: Weights, here: Run, path: Path, *, cap: int) -> None:
        """Examines on the test and ood splits, and keeps samples for the report in `path`."""
        e, shown = self.config, []
        for split, count in (("test", e.test), ("ood", e.ood)):
            if count:
                shown += self.ask(weights, here, split, count, cap=cap)[1]
        path.write_text(json.dumps(shown, ensure_ascii=False, indent=1))


def examiners(
    config: R1ZeroConfig | DistillConfig,
    *,
    model: ModelConfig,
    tokenizer: Tokenizer,
    rewarder: Rewarder,
) -> tuple[dict[float, Examiner], Examiner]:
    """Who samples for training, by temperature, and who examines.

    An equal sampler is shared, and with it its compiled programs.
    """
    longest = max(s.max_new_tokens for s in config.stages)
    make = lambda sampler: Examiner(
        sampler=Sampler(
            model=model, config=sampler, max_new=longest, stop_ids=tokenizer.stop_ids,
            pad_id=tokenizer.pad_id, buckets=config.prompt_buckets,
        ),
        tokenizer=tokenizer, style=config.prompt, rewarder=rewarder, seed=config.seed,
    )  # fmt: skip
    rollout = SamplerConfig(1.0, 0, 1.0, 0.0, 1.0, config.cache_segments, config.streams)
    temperatures = {s.temperature for s in config.stages}
    players = {t: make(dataclasses.replace(rollout, temperature=t)) for t in temperatures}
    exam = config.evaluation.sampler
    alike = exam == dataclasses.replace(rollout, temperature=exam.temperature)
    player = players.get(exam.temperature) if alike else None
    return players, player or make(exam)
