"""A model that rewrites samples, as V3 rewrites R1-Zero's (arXiv:2501.12948v2, B.3.2)."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

from r1jax import sharding
from r1jax.data.files.jsonl import iter_jsonl
from r1jax.data.rows.filters import FilterConfig, rejections
from r1jax.data.tasks.problems import Problem
from r1jax.exams.asking import Asker, open_asker
from r1jax.exams.job import Job, batches_of
from r1jax.pipelines.cold_start.config import ColdStartConfig, ModelRewriterConfig
from r1jax.pipelines.cold_start.steps import Candidate, Dropped
from r1jax.rewards.combine import Completion, Rewarder
from r1jax.rewards.score import Score
from r1jax.text.templates import Prompt
from r1jax.types import Rollout

REWRITTEN = "rewritten.jsonl"
_PLACE = re.compile(r"\{(question|thought|answer)\}")


def requested(request: str, *, question: str, thought: str, answer: str) -> str:
    """Returns what the rewriter is asked; braces in the three texts stay as they are."""
    texts = {"question": question, "thought": thought, "answer": answer}
    return _PLACE.sub(lambda match: texts[match[1]], request)


def problem(row: dict[str, Any]) -> Problem:
    """Returns the question of a sampled row, for the judge."""
    return Problem(
        id=row["id"],
        question=row["question"],
        answer=row["gold"],
        stratum="",
        subject="",
        kind=row["kind"],
        reference=row.get("reference", {}),
    )


class _Rewriter:
    """Draws the rewrites of batch after batch, and judges them."""

    def __init__(
        self, config: ModelRewriterConfig, filters: FilterConfig, asker: Asker, rewarder: Rewarder
    ):
        self.config, self.filters = config, filters
        self.asker, self.rewarder = asker, rewarder

    def prompt(self, candidate: Candidate, thought: str) -> Prompt:
        row, request = candidate.row, self.config.request
        answer = row["answer"] or ""
        return self.asker.prompt(
            requested(request, question=row["question"], thought=thought, answer=answer)
        )

    def rows(self, batch: Sequence[tuple[Candidate, Prompt]], number: int) -> list[dict[str, Any]]:
        """Draws and judges a batch; returns what is stored of each candidate."""
        rollout = self.asker.draw([prompt.ids for _, prompt in batch], "rewrite", number)
        completions = [*self._completions(batch, rollout)]
        seed = self.asker.config.seed * 1_000_003 + number
        scores = self.rewarder(completions, first=0, seed=seed, cap=self.config.max_new_tokens)
        judged = batches_of([*zip(completions, scores, strict=True)], self.config.tries)
        return [self._row(c, tries) for (c, _), tries in zip(batch, judged, strict=True)]

    def _completions(
        self, batch: Sequence[tuple[Candidate, Prompt]], rollout: Rollout
    ) -> Iterator[Completion]:
        for b, ids in enumerate(rollout.completion_BC):
            candidate, prompt = batch[b // self.config.tries]
            mask = rollout.mask_BC[b]
            yield Completion(
                text=self.asker.tokenizer.decode(ids[mask].tolist()),
                opened=prompt.opens_thought,
                question=problem(candidate.row),
                tokens=int(mask.sum()),
                truncated=bool(rollout.truncated_B[b]),
            )

    def _row(
        self, candidate: Candidate, judged: Sequence[tuple[Completion, Score]]
    ) -> dict[str, Any]:
        """What is stored of a candidate: its tries, and the first that is fit."""
        tries, reply = [], None
        for completion, score in judged:
            row = {
                "completion": completion.text,
                "opened": completion.opened,
                "tokens": completion.tokens,
                "truncated": completion.truncated,
                "value": score.parts["accuracy"],
                "error": score.error,
                "parts": score.parts,
            }
            reasons = list(rejections(row, self.filters))
            if row["error"] or row["value"] != 1:  # whatever the filters: never another answer
                reasons = list(dict.fromkeys([*reasons, "correct"]))
            tries.append({**row, "rejected_by": reasons})
            if reply is None and not reasons:
                reply = completion.whole.strip()
        return {
            "source": candidate.source,
            "id": candidate.row["id"],
            "sample": candidate.row["sample"],
            "reply": reply,
            "tries": tries,
        }


def by_model(
    candidates: list[Candidate],
    thoughts: list[str],
    config: ModelRewriterConfig,
    job: Job[ColdStartConfig],
) -> Iterable[Candidate | Dropped]:
    """Rewrites by a model, storing its tries in rewritten.jsonl; a killed run goes on from them.

    Raises:
      UserError: if the model cannot be read, or a row's question cannot be judged.
    """
    with (
        sharding.use(**dataclasses.asdict(config.mesh)) as mesh,
        closing(Rewarder(config.reward, learned={})) as rewarder,
    ):
        for candidate in candidates:
            rewarder.check(problem(candidate.row))
        asker = open_asker(config.ask(seed=job.config.seed), mesh)
        rewriter = _Rewriter(config, job.config.filters, asker, rewarder)
        pairs = [
            (candidate, rewriter.prompt(candidate, thought))
            for candidate, thought in zip(candidates, thoughts, strict=True)
        ]
        fits = [len(prompt.ids) <= max(config.prompt_buckets) for _, prompt in pairs]
        short = [pair for pair, fit in zip(pairs, fits, strict=True) if fit]
        batches, written = batches_of(short, config.batch), 0
        with job.store(REWRITTEN, sizes=[*map(len, batches)], title="rewrite") as store:
            for number in store.left:
                rows = rewriter.rows(batches[number], number)
                written += sum(row["reply"] is not None for row in rows)
                store.write(rows, rewritten=written)
    stored = iter_jsonl(job.workdir / REWRITTEN) if short else iter(())
    for candidate, fit in zip(candidates, fits, strict=True):
        if not fit:
            yield Dropped(candidate, "too long to rewrite")
            continue
        reply = next(stored)["reply"]
        if reply is None:
            yield Dropped(candidate, "no rewrite is fit")
        else:
            yield candidate._replace(reply=reply)
