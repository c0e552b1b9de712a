"""Examines a model as the paper does: k samples a question at temperature 0.6 and top-p 0.95.

DeepSeek-R1 (arXiv:2501.12948, appendix D.1): pass@1 is the mean over the samples, cons@k the
majority's correctness. Answers are stored as they come; a killed run goes on where it stopped.
"""

import dataclasses
import hashlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from jax.sharding import Mesh
from jaxtyping import Array, Key

from r1jax import keys, sharding
from r1jax.config import flatten
from r1jax.data.files import add_to_digest
from r1jax.data.jsonl import read_jsonl
from r1jax.data.mapping import load_problems
from r1jax.data.problems import Problem, question_digest
from r1jax.data.splits import splits_of
from r1jax.io.batches import RowFile, check_request, write_request
from r1jax.io.digests import fingerprint
from r1jax.io.exam_report import write_exam_report
from r1jax.io.progress import Progress
from r1jax.io.summary import check_writable, facts, peak_memory_bytes, write_summary
from r1jax.pipelines.evaluate_config import EvaluateConfig
from r1jax.rewards.combine import Rewarder
from r1jax.sampling.sampler import Sampler
from r1jax.train import exam
from r1jax.train.artifacts import open_model, resolve
from r1jax.train.examiner import Answered, Examiner, known_to_all
from r1jax.types import Weights


def _questions(config: EvaluateConfig) -> list[Problem]:
    if config.file is not None:
        found = load_problems(config.file)
    else:
        assert config.source is not None
        splits = splits_of(config.source)
        if config.split not in splits:
            raise ValueError(f"split {config.split!r}: the source has {sorted(splits)}")
        source = splits[config.split]
        found = [source[i] for i in range(min(config.first or len(source), len(source)))]
    if len(found) < max(config.first, 1):
        raise ValueError(f"first {config.first}: only {len(found)} questions there")
    return found[: config.first or None]


def _request(config: EvaluateConfig) -> dict[str, Any]:
    """What the answers are a function of: how they are compared later changes none of them."""
    digest = hashlib.sha256()
    if config.file is not None:
        add_to_digest(digest, config.file.place, config.file.format)
    asked = dataclasses.replace(config, compare="", ks=(1,), level=0.5, draws=1)
    return {
        **flatten(asked),
        "questions_sha256": digest.hexdigest(),
        "model_fingerprint": fingerprint(resolve(config.model)),
    }


class _Exam:
    """The questions in units: a batch of questions, and some of their samples."""

    def __init__(
        self,
        config: EvaluateConfig,
        mesh: Mesh | None,
        rewarder: Rewarder,
        questions: list[Problem],
    ):
        self.config, self.questions = config, questions
        for question in self.questions:
            rewarder.check(question)  # before a big model is read
        self.weights: Weights
        self.weights, model, tokenizer = open_model(config.model, how=config.execution, mesh=mesh)
        sampler = Sampler(
            model=model, config=config.sampler, max_new=config.max_new_tokens,
            stop_ids=tokenizer.stop_ids, pad_id=tokenizer.pad_id, buckets=config.prompt_buckets,
        )  # fmt: skip
        self.examiner = Examiner(
            sampler=sampler, tokenizer=tokenizer, style=config.prompt, rewarder=rewarder,
            seed=config.seed,
        )  # fmt: skip
        self.examiner.check(self.questions, range(len(self.questions)), config.name)
        self.blocks = config.samples // config.samples_at_once
        self.root: Key[Array, ""] = keys.root(config.seed)
        self.phases = {"sample": 0.0, "judge": 0.0, "judge_waited_for": 0.0}
        self.tokens = 0

    def asked(self, unit: int) -> list[Problem]:
        start = unit // self.blocks * self.config.batch
        return self.questions[start : start + self.config.batch]

    def sizes(self) -> list[int]:
        """Rows of each unit."""
        batches = -(-len(self.questions) // self.config.batch)
        at_once = self.config.samples_at_once
        return [len(self.asked(unit)) * at_once for unit in range(batches * self.blocks)]

    def draw(self, unit: int, beside: ThreadPoolExecutor) -> Future[Answered]:
        """Samples a unit and leaves its judging to a thread."""
        c, asked = self.config, self.asked(unit)
        # a short last batch is filled up, so that it needs no program of its own
        filled = [asked[i % len(asked)] for i in range(c.batch)]
        start = time.monotonic()
        rollout = self.examiner.draw(
            self.weights, filled, keys.stream(self.root, "evaluate", unit),
            group=c.samples_at_once, cap=c.max_new_tokens,
        )  # fmt: skip
        self.phases["sample"] += time.monotonic() - start
        n = len(asked) * c.samples_at_once
        kept = rollout._replace(
            completion_BC=rollout.completion_BC[:n], mask_BC=rollout.mask_BC[:n],
            truncated_B=rollout.truncated_B[:n],
        )  # fmt: skip
        self.tokens += int(kept.mask_BC.sum())
        return beside.submit(
            self.examiner.read, kept, asked, group=c.samples_at_once, step=unit,
            cap=c.max_new_tokens,
        )  # fmt: skip

    def rows(self, unit: int, judging: Future[Answered]) -> list[dict[str, Any]]:
        """Waits for the judge; what is stored of a unit."""
        start = time.monotonic()
        answered = known_to_all(judging.result())
        self.phases["judge_waited_for"] += time.monotonic() - start
        self.phases["judge"] += answered.seconds
        return [*self._rows(unit, answered)]

    def _rows(self, unit: int, answered: Answered) -> Iterator[dict[str, Any]]:
        at_once = self.config.samples_at_once
        for b, (problem, score) in enumerate(zip(answered.problems, answered.scores, strict=True)):
            yield {
                "id": problem.id,
                "sample": unit % self.blocks * at_once + b % at_once,
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

    def write_questions(self, path: Path) -> None:
        """What was asked, for readers and for judging again."""
        with path.open("w", encoding="utf-8") as file:
            for q in self.questions:
                prompt = self.examiner.prompt(q)
                row = {
                    "id": q.id, "kind": q.kind, "question": q.question, "prompt": prompt.text,
                    "opened": prompt.opens_thought, "gold": q.answer,
                    "reference": dict(q.reference), "stratum": q.stratum, "subject": q.subject,
                }  # fmt: skip
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def votes(self, rows: list[dict[str, Any]]) -> None:
        """Adds to each row the key by which its answer votes."""
        of: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            of.setdefault(row["id"], []).append(row)
        for question in self.questions:
            mine = of[question.id]
            keys_ = self.examiner.rewarder.votes([row["answer"] for row in mine], question)
            for row, key in zip(mine, keys_, strict=True):
                row["vote"] = key


def _ask(here: _Exam, workdir: Path) -> None:
    """Stores the answers that are missing, each unit judged while the next is sampled."""
    sizes = here.sizes()
    with (
        RowFile(workdir / "answers.jsonl", sizes=sizes) as file,
        Progress(
            here.config.name, start=file.batches, total=len(sizes), every=max(1, len(sizes) // 20)
        ) as progress,
        ThreadPoolExecutor(1) as beside,
    ):
        if file.batches:
            progress.say(f"{sum(sizes[: file.batches]):,} answers are there; going on from them")
        right, seen, waiting = 0.0, 0, None
        for unit in [*range(file.batches, len(sizes)), None]:
            drawn = None if unit is None else (unit, here.draw(unit, beside))
            if waiting is not None:
                rows = here.rows(*waiting)
                file.write(rows)
                right += sum(row["value"] >= 1 for row in rows)
                seen += len(rows)
                progress.advance(
                    file.batches, right=right / seen,
                    tokens_per_s=here.tokens / here.phases["sample"],
                )  # fmt: skip
            waiting = drawn


def _theirs(config: EvaluateConfig, asked: dict[str, str]) -> dict[str, Any] | None:
    """The other model's results, which must be on the same questions."""
    if not config.compare:
        return None
    path = Path(config.compare) / "results.json"
    try:
        theirs = json.loads(path.read_text())
        there = theirs["question_sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"compare: {path} holds no results of an exam: {error!r}") from error
    other = sorted(name for name in there.keys() | asked if there.get(name) != asked.get(name))
    if other:
        raise ValueError(
            f"compare: {path}: {len(other)} questions are not those of this exam, first {other[0]}"
        )
    return theirs


def run(config: EvaluateConfig, workdir: Path) -> None:
    """Writes answers.jsonl, results.json, pass_rates.jsonl, report.md and report.png."""
    check_writable(workdir)
    asked = _request(config)
    check_request(workdir, asked)
    with (
        sharding.use(**dataclasses.asdict(config.mesh)) as mesh,
        closing(Rewarder(config.reward, learned={})) as rewarder,
    ):
        questions = _questions(config)
        digests = {q.id: question_digest(q.question) for q in questions}
        theirs = _theirs(config, digests)
        here = _Exam(config, mesh, rewarder, questions)
        write_request(workdir, asked)
        here.write_questions(workdir / "questions.jsonl")
        _ask(here, workdir)
        rows = read_jsonl(workdir / "answers.jsonl")
        here.votes(rows)
    results = exam.results(rows, ks=config.ks, level=config.level)
    results["question_sha256"] = digests
    (workdir / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    _write_pass_rates(workdir / "pass_rates.jsonl", results["accuracies"], digests)
    comparison = _compared(config, results, theirs)
    prompts = {q.id: here.examiner.prompt(q).text for q in here.questions}
    examples = {
        name: row and {**row, "prompt": prompts[row["id"]]}
        for name, row in exam.examples(rows).items()
    }
    known = facts()
    summary = {
        "pipeline": config.pipeline, "config": flatten(config), "seed": config.seed, **known,
        "seconds": here.phases, "tokens": {"sampled": here.tokens},
        "peak_memory_bytes": peak_memory_bytes(), "results": results, "comparison": comparison,
    }  # fmt: skip
    write_summary(workdir, summary)
    report = write_exam_report(
        workdir, title=f"{config.name}: {config.model}", results=results, comparison=comparison,
        examples=examples, facts=_told(config, here, known),
    )  # fmt: skip
    _say(config, results, comparison)
    print(f"report in {report}", flush=True)


def _compared(
    config: EvaluateConfig, ours: dict[str, Any], theirs: dict[str, Any] | None
) -> dict[str, Any] | None:
    if theirs is None:
        return None
    both = ours["accuracies"].keys() & theirs["accuracies"]
    if len(both) < 2:
        print(
            f"compare: only {len(both)} questions were judged in both exams, wanted 2", flush=True
        )
        return None
    return exam.compare(
        ours, theirs, against=config.compare, level=config.level, draws=config.draws,
        seed=config.seed,
    )  # fmt: skip


def _told(config: EvaluateConfig, here: _Exam, known: dict[str, Any]) -> dict[str, Any]:
    s, c = config.sampler, config
    return {
        "model": c.model, "samples per question": c.samples, "temperature": s.temperature,
        "top-p": s.top_p, "max new tokens": c.max_new_tokens, "template": c.prompt.template,
        "seed": c.seed, "device": known["device_kind"],
        "seconds in this process": {k: round(v, 1) for k, v in here.phases.items()},
        "tokens sampled in this process": here.tokens,
    }  # fmt: skip


def _write_pass_rates(path: Path, accuracies: dict[str, float], digests: dict[str, str]) -> None:
    rows = [
        {"id": name, "pass_rate": rate, "question_sha256": digests[name]}
        for name, rate in accuracies.items()
    ]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _say(config: EvaluateConfig, results: dict[str, Any], comparison: Any) -> None:
    one, rates = results["pass_at_1"], results["rates"]
    ends = "" if one["low"] is None else f" [{one['low']:.3f}, {one['high']:.3f}]"
    more = "".join(
        f", {name}@{k} {row['mean']:.3f}"
        for name, table in (("pass", results["pass_at"]), ("cons", results["cons_at"]))
        for k, row in table.items()
        if k != "1" and row["mean"] is not None
    )
    told = ", ".join(f"{name} {value:.3f}" for name, value in rates.items())
    mean = "unknown" if one["mean"] is None else f"{one['mean']:.3f}"
    print(f"{config.name}, {results['questions']} questions: pass@1 {mean}{ends}{more}; {told}")
    if comparison:
        print(f"against {comparison['against']}: {comparison['difference']:+.3f}", flush=True)
