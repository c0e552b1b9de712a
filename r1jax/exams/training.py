"""Exams of a model before, during and after its training."""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from jax.sharding import Mesh

from r1jax import keys, sharding
from r1jax.config import UserError
from r1jax.data.tasks.problems import ProblemSource
from r1jax.data.tasks.tasks import TaskData
from r1jax.exams.asking import beyond, open_sampler
from r1jax.exams.evaluation import EvalConfig, evaluate
from r1jax.exams.examiner import Examiner
from r1jax.exams.job import tell_task
from r1jax.hub.artifacts import command, save_model
from r1jax.io.loop import Run
from r1jax.io.metrics import read_jsonl
from r1jax.io.summary import check_writable
from r1jax.model.config import ModelConfig
from r1jax.rewards.combine import Rewarder
from r1jax.rewards.judge import OPEN
from r1jax.sampling.config import SamplerConfig
from r1jax.sharding import MeshConfig
from r1jax.text.templates import PromptConfig
from r1jax.text.tokenizer import Tokenizer
from r1jax.types import Weights

Sample = dict[str, Any]
When = Literal["before", "after"]


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
        """Checks, before any work, that the splits are large enough and all questions fit.

        Raises:
          UserError: says which split and problem.
        """
        e = self.config
        for split, wanted in (("validation", e.validation), ("test", e.test), ("ood", e.ood)):
            size = len(self.splits.get(split, []))
            if wanted > size:
                raise UserError(f"{self.where}.{split}: {wanted} problems wanted, {size} there")
            if wanted:
                questions = self.splits[split]
                self.examiner.check(questions, range(wanted), split)
                answered = sum(questions[i].kind not in OPEN for i in range(wanted))
                if answered < 2:
                    raise UserError(
                        f"{self.where}.{split}: {answered} of {wanted} questions have an answer to "
                        "be right about: wanted 2 for an interval, or 0 questions for no exam"
                    )

    def ask(
        self, weights: Weights, run: Run, split: str, count: int, *, cap: int
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Examines the model as it is on the first `count` problems of a split.

        Returns:
          The row that the run notes, and samples to be read.
        """
        with run.phase("evaluate"):
            row, shown = evaluate(
                self.examiner,
                weights,
                self.splits[split],
                keys.stream(self.root, "evaluate", run.updates),
                split=split,
                count=count,
                config=self.config,
                reflective=self.reflective,
                cap=cap,
            )
        run.evaluated(row)
        return row, shown

    def score_if_due(self, weights: Weights, run: Run, *, cap: int) -> float | None:
        """pass@1 on the validation split every so many updates and after the last, else None."""
        e = self.config
        due = e.every_updates and (run.updates % e.every_updates == 0 or run.updates == run.total)
        if not (due and e.validation):
            return None
        run.flush()
        row, _ = self.ask(weights, run, "validation", e.validation, cap=cap)
        return row["pass_at_1"]["mean"]

    def ask_all(self, weights: Weights, run: Run, when: When, *, cap: int) -> None:
        """Examines on the test and ood splits; keeps samples that `read_samples` finds."""
        e, shown = self.config, []
        for split, count in (("test", e.test), ("ood", e.ood)):
            if count:
                shown += self.ask(weights, run, split, count, cap=cap)[1]
        path = run.workdir / f"samples_{when}.json"
        path.write_text(json.dumps(shown, ensure_ascii=False, indent=1), encoding="utf-8")


def read_samples(workdir: Path) -> tuple[list[Sample], list[Sample]]:
    """Returns the samples that were kept before and after a run's training; none without exam."""
    paths = [workdir / f"samples_{when}.json" for when in ("before", "after")]
    before, after = [
        json.loads(path.read_text(encoding="utf-8")) if path.exists() else [] for path in paths
    ]
    return before, after


class Examiners:
    """Examiners of one model, one for each sampler: an equal one is shared, with its programs.

    Args:
      model, tokenizer: of the policy.
      rewarder: judges what it answers.
      prompt: how questions are put.
      seed: of rewards that are random.
      max_new_tokens: the longest completion that any of them samples.
      prompt_buckets: prompt lengths that the samplers are compiled for, in tokens.
      routes: whether the samplers record the experts of every token.
    """

    def __init__(
        self,
        model: ModelConfig,
        tokenizer: Tokenizer,
        rewarder: Rewarder,
        *,
        prompt: PromptConfig,
        seed: int,
        max_new_tokens: int,
        prompt_buckets: tuple[int, ...],
        routes: bool,
    ):
        self.model, self.tokenizer, self.rewarder = model, tokenizer, rewarder
        self.prompt, self.seed = prompt, seed
        self.max_new_tokens, self.prompt_buckets = max_new_tokens, prompt_buckets
        self.routes = routes
        self._made: dict[SamplerConfig, Examiner] = {}

    def of(self, sampler: SamplerConfig) -> Examiner:
        """Returns the examiner with that sampler."""
        if sampler not in self._made:
            self._made[sampler] = Examiner(
                sampler=open_sampler(
                    self.model,
                    self.tokenizer,
                    sampler,
                    max_new_tokens=self.max_new_tokens,
                    prompt_buckets=self.prompt_buckets,
                    routes=self.routes,
                ),
                tokenizer=self.tokenizer,
                style=self.prompt,
                rewarder=self.rewarder,
                seed=self.seed,
            )
        return self._made[sampler]


def open_examiners(
    config: Any,
    model: ModelConfig,
    tokenizer: Tokenizer,
    rewarder: Rewarder,
    splits: Mapping[str, ProblemSource],
    *,
    routes: bool,
) -> tuple[dict[float, Examiner], TrainingExam]:
    """Returns the examiners that sample for training, by temperature, and the exam of a run.

    Args:
      config: of a run that samples its policy: it has stages with max_new_tokens and temperature,
        prompt, prompt_buckets, cache_segments, slots, seed, evaluation and reflective_words.
      model, tokenizer: of the policy.
      rewarder: judges what it answers.
      splits: the task's, by name.
      routes: whether the samplers record the experts of every token.
    """
    examiners = Examiners(
        model,
        tokenizer,
        rewarder,
        prompt=config.prompt,
        seed=config.seed,
        max_new_tokens=max(stage.max_new_tokens for stage in config.stages),
        prompt_buckets=config.prompt_buckets,
        routes=routes,
    )
    # rollouts are never filtered: log-probabilities are compared over the whole distribution
    whole = SamplerConfig(1.0, 0, 1.0, 0.0, 1.0, config.cache_segments, config.slots)
    players = {
        t: examiners.of(dataclasses.replace(whole, temperature=t))
        for t in {stage.temperature for stage in config.stages}
    }
    exam = TrainingExam(
        examiners.of(config.evaluation.sampler),
        splits,
        config=config.evaluation,
        reflective=config.reflective_words,
        seed=config.seed,
        where="config.evaluation",
    )
    return players, exam


@runtime_checkable
class Trainer(Protocol):
    """The parts of a training run."""

    config: Any
    data: TaskData
    model: ModelConfig
    tokenizer: Tokenizer

    def check(self) -> None: ...

    def close(self) -> None: ...


C = TypeVar("C")
T = TypeVar("T", bound=Trainer)


@contextlib.contextmanager
def open_trainer(
    make: Callable[[C, Mesh | None], T], config: C, mesh: MeshConfig, workdir: Path
) -> Iterator[T]:
    """Enters the mesh, makes a trainer, checks its input; closes it at the end.

    Raises:
      UserError: if nothing can be written to the workdir, or the input is bad.
    """
    check_writable(workdir)
    with sharding.use(**dataclasses.asdict(mesh)) as placed, closing(make(config, placed)) as made:
        made.check()
        if text := beyond(config):
            print(text, flush=True)
        tell_task(made.data, workdir)
        yield made


def leave_model(
    trainer: Trainer, weights: Weights, run: Run, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Writes workdir/model and summary.json.

    Args:
      trainer: of the run.
      weights: that it leaves.
      run: examined on the test split, or not.
      facts: what the summary says beside.

    Returns:
      The summary; `before` and `after` are the first and last row of the test split, or None.
    """
    save_model(
        run.workdir / "model",
        weights,
        model=trainer.model,
        tokenizer=trainer.tokenizer,
        made_by={"command": command(), "config": dataclasses.asdict(trainer.config)},
    )
    rows = [row for row in read_jsonl(run.workdir / "eval.jsonl") if row["split"] == "test"]
    before, after = (rows[0], rows[-1]) if rows else (None, None)
    return run.summarize(weights, {"before": before, "after": after, **facts})
