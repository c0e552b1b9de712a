"""Non-reasoning data: of the synthetic world, or a file of instructions with their answers.

They stand for what the paper takes from DeepSeek-V3's pipeline and its SFT data: writing, factual
QA, translation (arXiv:2501.12948, section 2.3.3).
"""

import dataclasses
import random
from collections import Counter
from pathlib import Path
from typing import Any, Literal

from r1jax.config import Count, Seed, UserError
from r1jax.data.files.mapping import FileSource, load_problems
from r1jax.data.world import replies, requests
from r1jax.data.world.replies import ReplyRates
from r1jax.io.disk import write_jsonl
from r1jax.io.summary import check_writable, write_run_summary

TRIES = 50  # draws for a kind, in a row, that give no new question: there are none left


@dataclasses.dataclass(frozen=True)
class WriterConfig:
    """Requests of the synthetic world and a writer's replies.

    Attributes:
      rows: how many, each of another question.
      kinds: some of `requests.KINDS`; a kind that has too few questions gives what it has.
      replies: how the writer replies.
    """

    rows: Count
    kinds: tuple[str, ...]
    replies: ReplyRates

    def __post_init__(self):
        if not self.kinds or not set(self.kinds) <= set(requests.KINDS):
            raise UserError(f"kinds: got {self.kinds}, wanted some of {requests.KINDS}")


@dataclasses.dataclass(frozen=True)
class AssistantDataConfig:
    """What is written; exactly one of writer and file.

    Attributes:
      seed: of the requests and replies that the writer draws.
      source: of the rows, which labels their loss.
      writer: of the synthetic world.
      file: its questions are the user's turns, its answers the assistant's.
    """

    pipeline: Literal["assistant_data"]
    seed: Seed
    source: str
    writer: WriterConfig | None
    file: FileSource | None

    def __post_init__(self):
        if (self.writer is None) == (self.file is None):
            raise UserError("wanted a writer or a file, got both or neither")


def _row(name: str, source: str, question: str, reply: str, origin: dict[str, Any]) -> dict:
    turns = (("user", question), ("assistant", reply))
    messages = [{"role": role, "content": content} for role, content in turns]
    return {"id": name, "source": source, "messages": messages, "provenance": origin}


def _written(config: AssistantDataConfig, writer: WriterConfig) -> list[dict[str, Any]]:
    rng, seen, rows, stale = random.Random(f"assistant data {config.seed}"), set(), [], 0
    while len(rows) < writer.rows:
        request = requests.draw(rng, "train", rng.choice(writer.kinds))
        text = replies.written(rng, request, writer.replies)
        if request.question in seen:
            stale += 1
            if stale == TRIES * len(writer.kinds):
                raise UserError(
                    f"config.writer.rows: got {writer.rows}, there are about {len(rows)} questions"
                )
            continue
        stale = 0
        seen.add(request.question)
        name = f"assistant_data/{config.seed}:{len(rows)}"
        origin = {"writer": "data.requests", "seed": config.seed, "kind": request.kind}
        rows.append(_row(name, config.source, request.question, text, origin))
    return rows


def _read(config: AssistantDataConfig, file: FileSource) -> list[dict[str, Any]]:
    return [
        _row(p.id, config.source, p.question, p.answer, {"file": file.place.name, "kind": p.kind})
        for p in load_problems(file)
    ]


def run(config: AssistantDataConfig, workdir: Path) -> None:
    """Writes rows.jsonl, a function of the config and the file, and summary.json."""
    check_writable(workdir)
    if config.writer is not None:
        rows = _written(config, config.writer)
    else:
        assert config.file is not None
        rows = _read(config, config.file)
    path = workdir / "rows.jsonl"
    write_jsonl(path, rows)
    kinds = dict(sorted(Counter(row["provenance"]["kind"] for row in rows).items()))
    write_run_summary(workdir, config, {"counts": {"rows": len(rows), **kinds}})
    print(f"{len(rows):,} rows in {path}: {kinds}", flush=True)
