"""A model that rewrites samples, as V3 rewrites R1-Zero's (arXiv:2501.12948v2, B.3.2)."""

import dataclasses
import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from r1jax import keys, sharding
from r1jax.data.files.jsonl import iter_jsonl
from r1jax.data.rows.filters import FilterConfig, rejections
from r1jax.data.tasks.problems import Problem
from r1jax.data.tasks.selection import filled
from r1jax.hub.artifacts import open_model
from r1jax.io.batches import RowFile, batch_sizes
from r1jax.io.progress import Progress
from r1jax.pipelines.cold_start.config import ModelRewriterConfig
from r1jax.pipelines.cold_start.steps import Candidate, Dropped
from r1jax.rewards.combine import Completion, Rewarder
from r1jax.sampling.sampler import Sampler
from r1jax.text import templates
from r1jax.text.templates import Prompt
from r1jax.text.tokenizer import Tokenizer
from r1jax.train.processes import to_host
from r1jax.types import Rollout

_PLACE = re.compile(r"\{(question|thought|answer)\}")


def requested(request: str, *, question: str, thought: str, answer: str) -> str:
    """Returns what the rewriter is asked; braces in the three texts stay as they are."""
    given = {"question": question, "thought": thought, "answer": answer}
    return _PLACE.sub(lambda match: given[match[1]], request)


def problem(row: dict[str, Any]) -> Problem:
    """Returns the question of a sampled row, for the judge."""
    return Problem(
        id=row["id"], question=row["question"], answer=row["gold"], stratum="", subject="",
        kind=row["kind"], reference=row.get("reference", {}),
    )  # fmt: skip


class _Rewriter:
    """Draws the rewrites of batch after batch, and judges them."""

    def __init__(
        self, config: ModelRewriterConfig, filters: FilterConfig, seed: int, rewarder: Rewarder,
        sampler: Sampler, tokenizer: Tokenizer,
    ):  # fmt: skip
        self.config, self.filters, self.seed = config, filters, seed
        self.rewarder, self.sampler, self.tokenizer = rewarder, sampler, tokenizer

    def prompt(self, candidate: Candidate, thought: str) -> Prompt:
        row = candidate.row
        text = requested(
            self.config.request, question=row["question"], thought=thought,
            answer=row["answer"] or "",
        )  # fmt: skip
        return templates.prompt(self.tokenizer, self.config.prompt, text)

    def rows(
        self, batch: list[Candidate], prompts: list[Prompt], rollout: Rollout, number: int
    ) -> Iterator[dict[str, Any]]:
        """What is stored of a batch: the tries of each, and the first that is fit."""
        c, completions = self.config, list[Completion]()
        for b, candidate in enumerate(batch):
            asked = problem(candidate.row)
            for t in range(b * c.tries, (b + 1) * c.tries):
                mask = rollout.mask_BC[t]
                completions.append(
                    Completion(
                        text=self.tokenizer.decode(rollout.completion_BC[t][mask].tolist()),
                        opened=prompts[b].opens_thought, question=asked, tokens=int(mask.sum()),
                        truncated=bool(rollout.truncated_B[t]),
                    )
                )  # fmt: skip
        scores = self.rewarder(
            completions, first=0, seed=self.seed * 1_000_003 + number, cap=c.max_new_tokens
        )
        for b, candidate in enumerate(batch):
            tries, reply = [], None
            for t in range(b * c.tries, (b + 1) * c.tries):
                said, score = completions[t], scores[t]
                row = {
                    "completion": said.text, "opened": said.opened, "tokens": said.tokens,
                    "truncated": said.truncated, "value": score.parts["accuracy"],
                    "error": score.error, "parts": score.parts,
                }  # fmt: skip
                out = list(rejections(row, self.filters))
                if row["error"] or row["value"] != 1:  # whatever the filters: never another answer
                    out = list(dict.fromkeys([*out, "correct"]))
                tries.append({**row, "rejected_by": out})
                if reply is None and not out:
                    reply = said.whole.strip()
            yield {
                "source": candidate.source, "id": candidate.row["id"],
                "sample": candidate.row["sample"], "reply": reply, "tries": tries,
            }  # fmt: skip


def by_model(
    candidates: list[Candidate],
    thoughts: list[str],
    config: ModelRewriterConfig,
    filters: FilterConfig,
    *,
    seed: int,
    path: Path,
) -> Iterable[Candidate | Dropped]:
    """Rewrites by a model, storing its tries as JSON lines; a killed run goes on from them.

    Raises:
      ValueError: if the model cannot be read, or a row's question cannot be judged.
    """
    with (
        sharding.use(**dataclasses.asdict(config.mesh)) as mesh,
        closing(Rewarder(config.reward, learned={})) as rewarder,
    ):
        for candidate in candidates:
            rewarder.check(problem(candidate.row))
        weights, model, tokenizer = open_model(config.model, how=config.execution, mesh=mesh)
        sampler = Sampler(
            model=model, config=config.sampler, max_new=config.max_new_tokens,
            stop_ids=tokenizer.stop_ids, pad_id=tokenizer.pad_id, buckets=config.prompt_buckets,
        )  # fmt: skip
        rewriter = _Rewriter(config, filters, seed, rewarder, sampler, tokenizer)
        asked = [
            (candidate, rewriter.prompt(candidate, thought))
            for candidate, thought in zip(candidates, thoughts, strict=True)
        ]
        fits = [len(prompt.ids) <= max(config.prompt_buckets) for _, prompt in asked]
        short = [pair for pair, fit in zip(asked, fits, strict=True) if fit]
        sizes, root = batch_sizes(len(short), config.batch), keys.root(seed)
        total, written = len(sizes), 0
        with (
            RowFile(path, sizes=sizes) as file,
            Progress(
                "rewrite", start=file.batches, total=total, every=max(1, total // 20)
            ) as progress,
        ):
            for number in range(file.batches, total):
                batch = short[number * config.batch : (number + 1) * config.batch]
                put = [prompt.ids for _, prompt in filled(batch, config.batch)]
                rollout = to_host(
                    sampler(
                        weights, put, keys.stream(root, "rewrite", number),
                        group=config.tries, cap=config.max_new_tokens,
                    )
                )  # fmt: skip
                ours, prompts = (list(part) for part in zip(*batch, strict=True))
                rows = list(rewriter.rows(ours, prompts, rollout, number))
                file.write(rows)
                written += sum(row["reply"] is not None for row in rows)
                progress.advance(number + 1, rewritten=written)
    stored = iter_jsonl(path) if short else iter(())
    for candidate, fit in zip(candidates, fits, strict=True):
        if not fit:
            yield Dropped(candidate, "too long to rewrite")
            continue
        reply = next(stored)["reply"]
        if reply is None:
            yield Dropped(candidate, "no rewrite is fit")
        else:
            yield candidate._replace(reply=reply)
