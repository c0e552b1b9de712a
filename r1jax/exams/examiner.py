"""Asks a policy questions and judges its answers."""

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Key

from r1jax.config import UserError
from r1jax.data.tasks.problems import Problem, ProblemSource
from r1jax.exams.statistics import mean
from r1jax.io.processes import all_rows, own_rows, to_host
from r1jax.rewards.combine import Completion, Rewarder
from r1jax.rewards.judge import OPEN
from r1jax.rewards.score import Score
from r1jax.sampling.sampler import Sampler
from r1jax.text import templates
from r1jax.text.templates import Prompt, PromptConfig
from r1jax.text.tokenizer import Tokenizer
from r1jax.text.words import says_any
from r1jax.types import Rollout, Weights


class Answered(NamedTuple):
    """One rollout in text: row b answers problems[b]; `seconds` is how long this process judged.

    Among several processes `Examiner.read` gives the scores of its own rows alone; `known_to_all`
    adds the others.
    """

    problems: list[Problem]
    prompts: list[str]
    completions: list[str]
    scores: list[Score]
    lengths: np.ndarray
    truncated: np.ndarray
    seconds: float


class Examiner:
    """Asks a policy questions and judges its answers.

    Args:
      sampler: draws the completions.
      tokenizer: of the policy.
      style: how a question becomes a prompt.
      rewarder: judges the completions.
      seed: of rewards that are random.
    """

    def __init__(
        self,
        *,
        sampler: Sampler,
        tokenizer: Tokenizer,
        style: PromptConfig,
        rewarder: Rewarder,
        seed: int,
    ):
        self.sampler, self.tokenizer, self.style = sampler, tokenizer, style
        self.rewarder, self.seed = rewarder, seed

    def prompt(self, problem: Problem) -> Prompt:
        """Returns the prompt of a problem."""
        return templates.prompt(self.tokenizer, self.style, problem.question)

    def check(self, source: ProblemSource, indices: Iterable[int], split: str) -> None:
        """Checks that each prompt fits a bucket and each answer can be judged.

        Raises:
          UserError: names the split and the problem.
        """
        for i in indices:
            problem = source[i]
            try:
                self.sampler.bucket([self.prompt(problem).ids])
                self.rewarder.check(problem)
            except ValueError as error:
                raise UserError(f"{split}: problem {problem.id}: {error}") from error

    def vote(self, rows: Iterable[dict[str, Any]], questions: Iterable[Problem]) -> None:
        """Adds to each row of `answer_rows` the key by which its answer votes."""
        rows_of: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            rows_of.setdefault(row["id"], []).append(row)
        for question in questions:
            answers = [row["answer"] for row in rows_of[question.id]]
            votes = self.rewarder.votes(answers, question)
            for row, vote in zip(rows_of[question.id], votes, strict=True):
                row["vote"] = vote

    def draw(
        self,
        weights: Weights,
        problems: list[Problem],
        key: Key[Array, ""],
        *,
        group: int,
        cap: int,
    ) -> Rollout:
        """Samples `group` completions of every problem; returns host arrays."""
        prompts = [self.prompt(p).ids for p in problems]
        return to_host(self.sampler(weights, prompts, key, group=group, cap=cap))

    def read(
        self, rollout: Rollout, problems: list[Problem], *, group: int, step: int, cap: int
    ) -> Answered:
        """Turns a rollout into text and judges it; touches no device, so a thread may do it.

        Among several processes each judges the rows of its own; `known_to_all` then fetches the
        other scores.

        Args:
          rollout: host arrays, of `draw`.
          problems: whose G completions each it holds.
          group: G.
          step: makes random rewards fresh ones.
          cap: length cap that it was drawn with, in tokens.
        """
        start = time.monotonic()
        rows = [p for p in problems for _ in range(group)]
        texts = [
            self.tokenizer.decode(ids[mask].tolist())
            for ids, mask in zip(rollout.completion_BC, rollout.mask_BC, strict=True)
        ]
        prompts = [prompt for p in problems for prompt in [self.prompt(p)] * group]
        lengths, truncated = np.asarray(rollout.mask_BC).sum(1), np.asarray(rollout.truncated_B)
        completions = [
            Completion(text, prompt.opens_thought, problem, int(n), bool(cut))
            for text, prompt, problem, n, cut in zip(
                texts, prompts, rows, lengths, truncated, strict=True
            )
        ]
        own = own_rows(len(completions))
        scores = self.rewarder(
            [completions[b] for b in own],
            first=own.start,
            seed=self.seed * 1_000_003 + step,
            cap=cap,
        )
        seconds = time.monotonic() - start
        texts_of_prompts = [prompt.text for prompt in prompts]
        return Answered(rows, texts_of_prompts, texts, scores, lengths, truncated, seconds)


def known_to_all(answered: Answered) -> Answered:
    """The rollout with the scores of all its rows; a collective among several processes."""
    return answered._replace(scores=[Score(*score) for score in all_rows(answered.scores)])


def answer_rows(answered: Answered, *, samples: int, first: int) -> list[dict[str, Any]]:
    """Returns a row for each answer of a rollout: the fields of `exams.results` but for the vote.

    Args:
      answered: with all its scores.
      samples: answers to each question.
      first: number of the first of them.
    """
    return [
        {
            "id": problem.id,
            "sample": first + b % samples,
            "stratum": problem.stratum,
            "subject": problem.subject,
            "kind": problem.kind,
            "gold": problem.answer,
            "completion": answered.completions[b],
            "answer": score.answer,
            "value": score.parts["accuracy"],
            "error": score.error,
            "format": score.parts["format"],
            "parts": score.parts,
            "reason": score.reason,
            "tokens": int(answered.lengths[b]),
            "truncated": bool(answered.truncated[b]),
        }
        for b, (problem, score) in enumerate(zip(answered.problems, answered.scores, strict=True))
    ]


def mean_parts(answered: Answered) -> dict[str, float | None]:
    """Mean of each part of the reward, over the samples that it judges and could be judged.

    Where reward models judge, there is no accuracy.
    """
    values: dict[str, list[float]] = {}
    for problem, score in zip(answered.problems, answered.scores, strict=True):
        for name, value in score.parts.items():
            judged = values.setdefault(name, [])
            if not score.error and not (name == "accuracy" and problem.kind in OPEN):
                judged.append(value)
    return {name: mean(part) for name, part in values.items()}


def reflective_share(completions: Iterable[str], words: tuple[str, ...]) -> float | None:
    """Returns the share of completions that hold one of the words; None without completions."""
    return mean(says_any(text, words) for text in completions)


def rollout_metrics(answered: Answered, reflective: tuple[str, ...]) -> dict[str, float | None]:
    """Returns a rollout's values for metrics.jsonl: mean lengths in tokens, shares of answers.

    Answers that were not judged, or only by a reward model, are neither right nor wrong.
    """
    errors = np.array([s.error for s in answered.scores])
    errors |= np.array([p.kind in OPEN for p in answered.problems])
    correct = ~errors & (np.array([s.parts["accuracy"] for s in answered.scores]) == 1)
    return {
        "length": mean(answered.lengths),
        "length_correct": mean(answered.lengths[correct]),
        "length_wrong": mean(answered.lengths[~correct & ~errors]),
        "reflective_rate": reflective_share(answered.completions, reflective),
        "truncation": mean(answered.truncated),
        "judge_errors": mean(s.error for s in answered.scores),
    }
