"""Asks a model: a file of prompts to a file of completions, or a conversation in the terminal."""

import dataclasses
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from jax.sharding import Mesh

from r1jax import keys, sharding
from r1jax.config import flatten
from r1jax.data.files.jsonl import iter_jsonl, numbered_jsonl
from r1jax.data.tasks.selection import filled
from r1jax.hub.artifacts import open_model, resolve
from r1jax.io.batches import RowFile, batch_sizes, check_request, write_request
from r1jax.io.digests import fingerprint
from r1jax.io.progress import Progress
from r1jax.io.summary import check_writable, facts, peak_memory_bytes, write_summary
from r1jax.model.config import ExecutionConfig
from r1jax.pipelines.generate import dialogue
from r1jax.sampling.config import SamplerConfig
from r1jax.sampling.sampler import Sampler
from r1jax.sharding import MeshConfig
from r1jax.text import templates
from r1jax.text.templates import Prompt, PromptConfig
from r1jax.text.thought import split_completion
from r1jax.text.tokenizer import Tokenizer
from r1jax.types import Rollout, Weights

WAYS = ("question", "messages", "prompt", "prompt_ids")  # in which a row may put its prompt
TURN = ("role", "content")


@dataclasses.dataclass(frozen=True)
class GenerateConfig:
    """How a model is asked.

    Attributes:
      seed: of the sampling.
      model: a directory of ours or of Hugging Face's, a GGUF file, or "package:NAME".
      prompt: how questions are put, of a file or typed.
      input: JSON lines, each with one of `question` (put as `prompt` says), `messages` (a list of
        role and content, by the model's chat template), `prompt` (text as it stands) or
        `prompt_ids`; "" asks in the terminal.
      samples: completions of each prompt.
      batch: prompts at a time; a multiple of the sampler's streams.
      max_new_tokens: length cap of a completion.
      prompt_buckets: prompt lengths that the sampler is compiled for, in tokens.
      chunk: tokens between two looks at a growing answer, in the terminal.
    """

    pipeline: Literal["generate"]
    seed: int
    model: str
    prompt: PromptConfig
    input: str
    samples: int
    batch: int
    max_new_tokens: int
    prompt_buckets: tuple[int, ...]
    chunk: int
    sampler: SamplerConfig
    execution: ExecutionConfig
    mesh: MeshConfig

    def __post_init__(self):
        if min(self.samples, self.batch, self.max_new_tokens, self.chunk) < 1:
            raise ValueError(
                f"samples {self.samples}, batch {self.batch}, max_new_tokens "
                f"{self.max_new_tokens}, chunk {self.chunk}: need at least 1"
            )
        rows = self.mesh.data * self.mesh.expert
        if rows > 1 and (not self.input or self.batch % rows):
            raise ValueError(
                f"{self.batch if self.input else 1} prompts at a time do not split over the {rows} "
                "devices of mesh.data * mesh.expert"
            )
        if self.batch % self.sampler.streams:
            raise ValueError(
                f"batch {self.batch} is no multiple of the sampler's streams {self.sampler.streams}"
            )


def _prompt(row: dict[str, Any], tokenizer: Tokenizer, style: PromptConfig) -> Prompt:
    given = [way for way in WAYS if way in row]
    if len(given) != 1:
        raise ValueError(f"wanted exactly one of {list(WAYS)}, got {given} in {sorted(row)}")
    value = row[given[0]]
    if given[0] == "question" and isinstance(value, str):
        return templates.prompt(tokenizer, style, value)
    if given[0] == "messages" and isinstance(value, list):
        turn = lambda t: isinstance(t, dict) and {type(t.get(k)) for k in TURN} == {str}
        strange = [t for t in value if not turn(t)]
        if not strange:
            return templates.conversation(tokenizer, value)
        raise ValueError(f"messages: {strange[0]!r:.60}, wanted texts for {list(TURN)}")
    if given[0] == "prompt" and isinstance(value, str):
        return templates.verbatim(tokenizer, value)
    if given[0] == "prompt_ids" and isinstance(value, list):
        strange = [i for i in value if type(i) is not int or not 0 <= i < tokenizer.size]
        if not strange:
            return Prompt(tokenizer.decode(value), value)
        raise ValueError(f"prompt_ids {strange[:3]} are no ids below {tokenizer.size}")
    raise ValueError(f"{given[0]} is {type(value).__name__}")


def read_prompts(
    path: str, tokenizer: Tokenizer, sampler: Sampler, style: PromptConfig
) -> list[tuple[dict[str, Any], Prompt]]:
    """Returns the rows of a file and their prompts.

    Raises:
      ValueError: names the line that has no prompt, several, or one that fits no bucket.
    """
    found = []
    for number, row in numbered_jsonl(Path(path)):
        try:
            prompt = _prompt(row, tokenizer, style)
            sampler.bucket([prompt.ids])
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from error
        found.append((row, prompt))
    if not found:
        raise ValueError(f"{path}: empty, wanted at least one line")
    return found


def _rows(
    batch: list[tuple[dict[str, Any], Prompt]], rollout: Rollout, tokenizer: Tokenizer, samples: int
) -> Iterator[dict[str, Any]]:
    for b in range(len(batch) * samples):
        row, prompt = batch[b // samples]
        mask = rollout.mask_BC[b]
        ids = rollout.completion_BC[b][mask].tolist()
        text = tokenizer.decode(ids)
        split = split_completion(text, opened=prompt.opens_thought)
        yield {
            **row,
            "sample": b % samples,
            "prompt_ids": prompt.ids,
            "completion_ids": ids,
            "logps": np.asarray(rollout.logp_BC[b][mask], float).tolist(),
            "text": text,
            "reasoning": split.reasoning,
            "answer": split.answer,
            "truncated": bool(rollout.truncated_B[b]),
        }


def _request(config: GenerateConfig) -> dict[str, Any]:
    """What completions are a function of."""
    content = hashlib.sha256(Path(config.input).read_bytes()).hexdigest()
    model = fingerprint(resolve(config.model))
    return {**flatten(config), "input_sha256": content, "model_fingerprint": model}


class _Batches:
    """Draws the completions of batch after batch and appends them to a file."""

    def __init__(self, config: GenerateConfig, weights: Weights, sampler: Sampler):
        self.config, self.weights, self.sampler = config, weights, sampler
        self.root, self.tokens, self.seconds = keys.root(config.seed), 0, 0.0

    def draw(self, prompts: list[list[int]], number: int) -> Rollout:
        c = self.config
        start = time.monotonic()
        rollout = jax.device_get(
            self.sampler(
                self.weights, filled(prompts, c.batch), keys.stream(self.root, "generate", number),
                group=c.samples, cap=c.max_new_tokens,
            )
        )  # fmt: skip
        self.seconds += time.monotonic() - start
        self.tokens += int(rollout.mask_BC[: len(prompts) * c.samples].sum())
        return rollout


def _answer_file(config: GenerateConfig, workdir: Path, mesh: Mesh | None) -> None:
    asked = _request(config)
    check_request(workdir, asked)
    weights, sampler, tokenizer = _opened(config, mesh)
    rows = read_prompts(config.input, tokenizer, sampler, config.prompt)
    write_request(workdir, asked)
    path = workdir / "completions.jsonl"
    sizes = batch_sizes(len(rows) * config.samples, config.batch * config.samples)
    total = len(sizes)
    batches = _Batches(config, weights, sampler)
    with (
        RowFile(path, sizes=sizes) as file,
        Progress(
            "generate", start=file.batches, total=total, every=max(1, total // 20)
        ) as progress,
    ):
        for number in range(file.batches, total):
            batch = rows[number * config.batch : (number + 1) * config.batch]
            rollout = batches.draw([prompt.ids for _, prompt in batch], number)
            file.write(_rows(batch, rollout, tokenizer, config.samples))
            progress.advance(number + 1, tokens_per_s=batches.tokens / batches.seconds)
    sampled = sum(len(row["completion_ids"]) for row in iter_jsonl(path))
    write_summary(
        workdir,
        {
            "pipeline": config.pipeline, "config": flatten(config), "seed": config.seed, **facts(),
            "prompts": len(rows), "completions": len(rows) * config.samples,
            "seconds": {"sample": batches.seconds}, "tokens": {"sampled": sampled},
            "peak_memory_bytes": peak_memory_bytes(),
        },
    )  # fmt: skip
    print(f"{len(rows) * config.samples:,} completions in {path}", flush=True)


def _opened(config: GenerateConfig, mesh: Mesh | None) -> tuple[Weights, Sampler, Tokenizer]:
    weights, model, tokenizer = open_model(config.model, how=config.execution, mesh=mesh)
    sampler = Sampler(
        model=model, config=config.sampler, max_new=config.max_new_tokens,
        stop_ids=tokenizer.stop_ids, pad_id=tokenizer.pad_id, buckets=config.prompt_buckets,
    )  # fmt: skip
    return weights, sampler, tokenizer


def run(config: GenerateConfig, workdir: Path) -> None:
    """Writes workdir/completions.jsonl, going on where a killed run stopped; or talks."""
    check_writable(workdir)
    with sharding.use(**dataclasses.asdict(config.mesh)) as mesh:
        if config.input:
            _answer_file(config, workdir, mesh)
            return
        weights, sampler, tokenizer = _opened(config, mesh)
        speaker = dialogue.Speaker(
            weights=weights, sampler=sampler, tokenizer=tokenizer, style=config.prompt,
            cap=config.max_new_tokens, chunk=config.chunk, key=keys.root(config.seed),
        )  # fmt: skip
        dialogue.talk(speaker, workdir / "dialogue.jsonl")
