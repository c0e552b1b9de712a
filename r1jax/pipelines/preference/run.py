"""Makes data for reward models: sampled replies become judged pairs, or labelled replies.

DeepSeek-R1 (arXiv:2501.12948, section 3.1) has each pair judged four times in random order, takes
the mean of the verdicts, and keeps the pairs with |mean| > 1.
"""

import dataclasses
import hashlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from r1jax import sharding
from r1jax.config import Count, Range, Seed, UserError, flatten
from r1jax.data.files.jsonl import read_jsonl
from r1jax.data.rows.candidates import Candidate, CandidatePair, pairs, read_candidates
from r1jax.data.rows.verdicts import Judgement
from r1jax.data.world import replies, requests
from r1jax.exams.asking import AskConfig, ask_config, open_asker
from r1jax.exams.job import Job, batches_of, model_fingerprint
from r1jax.io.disk import write_jsonl
from r1jax.pipelines.preference.judges import (
    AskingJudge,
    Judge,
    KnowingJudge,
    ModelJudge,
    RulesJudge,
    truths,
)
from r1jax.reports import preference
from r1jax.sharding import MeshConfig

JUDGEMENTS = "judgements.jsonl"


@dataclasses.dataclass(frozen=True)
class PreferenceConfig:
    """How sampled replies become pairs, or labelled replies.

    Attributes:
      seed: of the pairs that are judged, their order, and a judge's noise or sampling.
      input: JSON lines of sampled replies, several a question.
      task: "pairs" of two replies each, or "labels", safe or not, of single ones by the rules of
        the synthetic world.
      kinds: kinds of question whose replies are taken; other rows are counted.
      sees: what is judged: "summary" for what follows </think> alone, "all" for the whole reply.
      pairs_per_question: pairs judged, at most, of replies that differ.
      judgements: of each pair, each in random order.
      least_verdicts: judgements that must have been read for a pair to count.
      margin: a pair is kept if the verdicts' mean is further from 0, in levels
        (`data.rows.verdicts.LEVELS`).
      batch: pairs, or replies, at a time.
      rules, model: of pairs exactly one, of labels neither.
    """

    pipeline: Literal["preference"]
    seed: Seed
    input: str
    task: Literal["pairs", "labels"]
    kinds: tuple[str, ...]
    sees: Literal["summary", "all"]
    pairs_per_question: Count
    judgements: Count
    least_verdicts: Count
    margin: Annotated[float, Range(0, 2, inside="high")]
    batch: Count
    rules: RulesJudge | None
    model: ModelJudge | None

    def __post_init__(self):
        if self.least_verdicts > self.judgements:
            raise UserError(
                f"least_verdicts {self.least_verdicts}: wanted at most judgements {self.judgements}"
            )
        judges = [name for name in ("rules", "model") if getattr(self, name) is not None]
        if len(judges) != (self.task == "pairs"):
            wanted = "exactly one of rules, model" if self.task == "pairs" else "neither judge"
            raise UserError(f"task {self.task!r} wants {wanted}, got {judges}")
        if self.model is not None:
            _ = self.ask(self.model)

    def ask(self, model: ModelJudge) -> AskConfig:
        """Returns how a model is asked: a prompt for each judgement of each pair of a batch."""
        prompts = self.batch * self.judgements
        return ask_config(model, seed=self.seed, samples_at_once=1, batch=prompts)


def _judged(pair: CandidatePair, judgements: list[Judgement], *, truth: bool) -> dict[str, Any]:
    """A row of judgements.jsonl."""
    deltas = [j.delta for j in judgements if j.delta is not None]
    row = {
        "id": pair.id,
        "question_id": pair.one.id,
        "question": pair.one.question,
        "domain": pair.one.domain,
        "replies": [pair.one.text, pair.two.text],
        "tokens": [pair.one.tokens, pair.two.tokens],
        "characters": [len(pair.one.seen), len(pair.two.seen)],
        "swapped": [j.swapped for j in judgements],
        "verdicts": [j.verdict for j in judgements],
        "said": [j.said for j in judgements],
        "read": len(deltas),
        "delta": sum(deltas) / len(deltas) if deltas else None,
    }
    return {**row, "truths": list(truths(pair))} if truth else row


def kept(row: dict[str, Any], config: PreferenceConfig) -> bool:
    """Whether a judged pair is clear enough to learn from."""
    return row["read"] >= config.least_verdicts and abs(row["delta"]) > config.margin


def _pair_rows(rows: list[dict[str, Any]], config: PreferenceConfig) -> Iterator[dict[str, Any]]:
    for row in rows:
        if not kept(row, config):
            continue
        order = (0, 1) if row["delta"] > 0 else (1, 0)
        sides = dict(zip(("chosen", "rejected"), order, strict=True))
        yield {
            "id": row["id"],
            "question": row["question"],
            **{side: row["replies"][i] for side, i in sides.items()},
            "delta": abs(row["delta"]),
            "verdicts_read": row["read"],
            "domain": row["domain"],
            **{f"{side}_tokens": row["tokens"][i] for side, i in sides.items()},
            **{f"{side}_characters": row["characters"][i] for side, i in sides.items()},
            **{f"{side}_truth": row["truths"][i] for side, i in sides.items() if "truths" in row},
        }


def _label_row(candidate: Candidate) -> dict[str, Any]:
    return {
        "id": f"{candidate.id}/{candidate.sample}",
        "question": candidate.question,
        "response": candidate.text,
        "safe": not replies.harmful(candidate.question, candidate.seen),
        "domain": candidate.domain,
        "tokens": candidate.tokens,
    }


def _request(config: PreferenceConfig) -> dict[str, Any]:
    """What the verdicts are a function of; which pairs are kept is decided later."""
    request = dataclasses.replace(config, margin=0.0, least_verdicts=1)
    model = "" if config.model is None else model_fingerprint(config.model.model)
    content = hashlib.sha256(Path(config.input).read_bytes()).hexdigest()
    return {**flatten(request), "input_sha256": content, "model_fingerprint": model}


def run(config: PreferenceConfig, workdir: Path) -> None:
    """Writes workdir/pairs.jsonl or labelled.jsonl, going on where a killed run stopped."""
    job = Job(config, workdir, _request)
    candidates, others = read_candidates(config.input, kinds=config.kinds, sees=config.sees)
    if config.model is None:
        _check_known(candidates, config.input)
    counts = {"replies": len(candidates), "rows_of_other_kinds": others}
    start = time.monotonic()
    if config.task == "labels":
        job.begin()
        distinct: dict[tuple[str, str], Candidate] = {}
        for candidate in candidates:
            distinct.setdefault((candidate.question, candidate.text), candidate)
        write_jsonl(workdir / "labelled.jsonl", map(_label_row, distinct.values()))
        rows = read_jsonl(workdir / "labelled.jsonl")
        counts |= {"seen_twice": len(candidates) - len(rows), "labelled": len(rows)}
        results = preference.of_labels(rows)
    else:
        distinct_pairs, twice = pairs(
            candidates, per_question=config.pairs_per_question, seed=config.seed
        )
        if not distinct_pairs:
            raise UserError(f"{config.input}: no question has two replies that differ")
        _ask(job, distinct_pairs)
        rows = read_jsonl(workdir / JUDGEMENTS)
        write_jsonl(workdir / "pairs.jsonl", _pair_rows(rows, config))
        clear = [row for row in rows if kept(row, config)]
        counts |= {"seen_twice": twice, "pairs_judged": len(rows), "pairs_kept": len(clear)}
        results = preference.of_pairs(rows, clear)
    report = preference.write(workdir, task=config.task, counts=counts, results=results)
    seconds = {"judge": time.monotonic() - start}
    job.summarize({"counts": counts, "results": results, "seconds": seconds})
    print(", ".join(f"{name} {n:,}" for name, n in counts.items()), flush=True)
    print(f"report in {report}", flush=True)


def _check_known(candidates: Sequence[Candidate], path: str) -> None:
    """Checks that the rules can judge all replies; UserError names the first that they cannot."""
    for candidate in candidates:
        try:
            requests.request_of(candidate.question)
        except ValueError as error:
            raise UserError(
                f"{path}: {candidate.id}: {error}, and only of those the rules know the truth; "
                "of pairs a model can be asked (config.model)"
            ) from error


def _ask(job: Job[PreferenceConfig], candidates: list[CandidatePair]) -> None:
    """Stores the judgements that are missing, batch by batch."""
    config = job.config
    mesh_config = MeshConfig(1, 1, 1) if config.model is None else config.model.mesh
    with sharding.use(**dataclasses.asdict(mesh_config)) as mesh:
        judge: Judge
        if config.model is not None:
            asker = open_asker(config.ask(config.model), mesh)
            judge = AskingJudge(asker, judgements=config.judgements)
            judge.check(candidates)
        else:
            assert config.rules is not None
            judge = KnowingJudge(config.rules, judgements=config.judgements, seed=config.seed)
        job.begin()
        batches, judged, clear = batches_of(candidates, config.batch), 0, 0
        with job.store(JUDGEMENTS, sizes=[*map(len, batches)], title="preference") as store:
            for number in store.left:
                batch = batches[number]
                rows = [
                    _judged(pair, judgements, truth=config.rules is not None)
                    for pair, judgements in zip(batch, judge(batch, number), strict=True)
                ]
                judged += len(rows)
                clear += sum(kept(row, config) for row in rows)
                store.write(rows, kept=clear / judged)
