"""The rows, the batches, the programs and the held-out results of a reward model's run."""

import dataclasses
import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from r1jax.config import UserError
from r1jax.data.rows import preferences
from r1jax.data.rows.preferences import Encoded
from r1jax.exams import calibration
from r1jax.exams.reward_scorer import IdScorer, padded
from r1jax.hub.artifacts import open_model
from r1jax.pipelines.reward_model.config import RewardModelConfig
from r1jax.text.tokenizer import Tokenizer
from r1jax.train.reward import RewardBatch, logical_axes, reward_step, with_head
from r1jax.train.rollouts import bucket
from r1jax.train.state import initial_state
from r1jax.types import Weights

SPLIT = "validation"
SILENCE = 30.0  # seconds, after which a long look at the held-out rows says how far it is


def read_data(
    config: RewardModelConfig, tokenizer: Tokenizer
) -> tuple[list[Encoded], list[Encoded], dict[str, int]]:
    """Training rows, held-out rows, and how many were read, left out, cut and are left.

    Raises:
      UserError: names the row that is none or too long; if too few are left.
    """
    read = preferences.read_preferences(config.data, config.kind)
    rows, left_out = preferences.encode(
        read,
        tokenizer,
        style=config.prompt,
        sees=config.sees,
        longest=max(config.length_buckets),
        too_long=config.too_long,
    )
    if len(rows) < max(config.first, 1):
        raise UserError(f"{config.data}: first {config.first}: only {len(rows)} rows are left")
    beyond = len(rows) - config.first if config.first else 0
    rows = rows[: config.first or None]
    train, held_out = preferences.hold_out(rows, config.validation)
    before = len(train)
    train = preferences.balance_lengths(train) if config.balance_lengths else train
    if len(train) < config.batch:
        raise UserError(
            f"{config.data}: {len(train)} training rows of {len(read)} are left, a batch has "
            f"{config.batch}"
        )
    counts = {
        "read": len(read),
        "dropped_too_long": left_out["dropped"],
        "cut": left_out["cut"],
        "dropped_same": left_out["same"],
        "beyond_first": beyond,
        "dropped_to_balance": before - len(train),
        "train": len(train),
        "held_out": len(held_out),
    }
    return train, held_out, counts


@lru_cache(maxsize=2)
def batches(widths: tuple[int, ...], *, batch: int, seed: int, epoch: int) -> np.ndarray:
    """Row numbers of each batch of a pass: rows of like widths together, batches in any order."""
    rng = np.random.default_rng([seed, epoch])
    n = len(widths) // batch
    drawn = rng.permutation(len(widths))[: n * batch]
    by_width = drawn[np.argsort(np.array(widths)[drawn], kind="stable")]
    return rng.permutation(by_width.reshape(n, batch))


def make_batch(rows: list[Encoded], buckets: tuple[int, ...], pad_id: int) -> RewardBatch:
    """Rows in the smallest bucket that holds them all."""
    width = bucket(max(row.longest for row in rows), buckets)
    parts = [padded(row.ids, width, pad_id) for row in rows]
    tokens, lengths = (np.stack(part) for part in zip(*parts, strict=True))
    return RewardBatch(tokens, lengths, np.array([row.row.label for row in rows], np.float32))  # type: ignore[arg-type]  # of the host


class Trainer:
    """The rows, the programs and the model of a run."""

    def __init__(self, config: RewardModelConfig, mesh: Mesh | None):
        c = self.config = config
        self.mesh = mesh
        weights, self.model, self.tokenizer = open_model(c.base, how=c.execution, mesh=mesh)
        self.train, self.held_out, self.counts = read_data(c, self.tokenizer)
        self.widths = tuple(bucket(row.longest, c.length_buckets) for row in self.train)
        self.per_epoch = len(self.train) // c.batch
        self.total = c.epochs * self.per_epoch
        total = c.optimizer.total_updates or self.total
        opt = dataclasses.replace(c.optimizer, total_updates=total)
        knobs = {"kind": c.kind, "margin": c.margin, "centre": c.centre}
        self.step = jax.jit(
            partial(reward_step, model=self.model, opt=opt, micro_batches=c.micro_batches, **knobs),
            donate_argnums=0,
        )
        self.scorer = IdScorer(
            model=self.model,
            buckets=c.length_buckets,
            batch=c.evaluate_batch,
            pad_id=self.tokenizer.pad_id,
            mesh=mesh,
        )
        self.fresh = initial_state(
            with_head(weights), opt=opt, reference=False, mesh=mesh, axes=logical_axes(self.model)
        )

    def batch(self, update: int) -> RewardBatch:
        """The rows of an update: a function of config, data and the update's number."""
        epoch, number = divmod(update, self.per_epoch)
        c = self.config
        order = batches(self.widths, batch=c.batch, seed=c.seed, epoch=epoch)
        rows = [self.train[i] for i in order[number]]
        return make_batch(rows, c.length_buckets, self.tokenizer.pad_id)

    def scores(self, weights: Weights, say: Callable[[str], None]) -> list[list[float]]:
        """The score of each held-out reply; says how far it is where that takes long."""
        texts, said = [ids for row in self.held_out for ids in row.ids], time.monotonic()

        def tell(scored: int) -> None:
            nonlocal said
            if time.monotonic() - said > SILENCE:
                said = time.monotonic()
                say(f"held out: {scored:,} of {len(texts):,} replies scored")

        flat = iter(self.scorer(weights, texts, tell=tell))
        return [[next(flat) for _ in row.ids] for row in self.held_out]

    def results_row(self, scores: list[list[float]]) -> dict[str, Any]:
        """The results of the held-out rows, as a row of eval.jsonl."""
        c = self.config
        results = calibration.results(self.held_out, scores, kind=c.kind, level=c.level)
        accuracy = results["accuracy"]
        ends = {f"accuracy_{end}": accuracy[end] for end in ("low", "high")}
        flat = {"loss": results["loss"], "accuracy": accuracy["mean"], **ends}
        return {"split": SPLIT, **flat, "results": results}
