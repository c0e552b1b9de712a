"""Asks a model: a file of prompts to a file of completions, or a conversation in the terminal."""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jax.sharding import Mesh

from r1jax import sharding
from r1jax.config import Count, Counts, Seed, UserError, flatten
from r1jax.data.files.jsonl import iter_jsonl, numbered_jsonl
from r1jax.exams.asking import AskConfig, Asker, ask_config, open_asker
from r1jax.exams.job import Job, batches_of, model_fingerprint
from r1jax.io.summary import check_writable
from r1jax.model.config import ExecutionConfig
from r1jax.pipelines.generate import dialogue
from r1jax.sampling.config import SamplerConfig
from r1jax.sharding import MeshConfig
from r1jax.text import templates
from r1jax.text.templates import Prompt, PromptConfig
from r1jax.text.thought import split_completion
from r1jax.text.tokenizer import Tokenizer
from r1jax.types import Rollout

WAYS = ("question", "messages", "prompt", "prompt_ids")  # that a row may give its prompt in
TURN = ("role", "content")
COMPLETIONS = "completions.jsonl"


@dataclasses.dataclass(frozen=True)
class GenerateConfig:
    """How a model is asked.

    Attributes:
      seed: of the sampling.
      model: a model directory, a GGUF file, or "package:NAME".
      prompt: how a question becomes a prompt, in a file or typed.
      input: JSON lines, each with one of `question` (put as `prompt` says), `messages` (a list of
        role and content, by the model's chat template), `prompt` (text as it stands) or
        `prompt_ids`; "" asks in the terminal.
      samples: completions of each prompt.
      batch: prompts at a time; a multiple of mesh.data * mesh.expert.
      max_new_tokens: length cap of a completion.
      prompt_buckets: prompt lengths that the sampler is compiled for, in tokens.
      chunk: tokens between two looks at a growing answer, in the terminal.
    """

    pipeline: Literal["generate"]
    seed: Seed
    model: str
    prompt: PromptConfig
    input: str
    samples: Count
    batch: Count
    max_new_tokens: Count
    prompt_buckets: Counts
    chunk: Count
    sampler: SamplerConfig
    execution: ExecutionConfig
    mesh: MeshConfig

    def __post_init__(self):
        rows = self.mesh.data * self.mesh.expert
        if rows > 1 and not self.input:
            raise UserError(
                f"input: got '', and the 1 prompt of a conversation does not split over the {rows} "
                "devices of mesh.data * mesh.expert"
            )
        _ = self.ask

    @property
    def ask(self) -> AskConfig:
        """How the model is asked."""
        return ask_config(self, samples_at_once=self.samples)


def _is_turn(turn: Any) -> bool:
    return isinstance(turn, dict) and {type(turn.get(name)) for name in TURN} == {str}


def _prompt(row: dict[str, Any], tokenizer: Tokenizer, style: PromptConfig) -> Prompt:
    ways = [way for way in WAYS if way in row]
    if len(ways) != 1:
        raise UserError(f"wanted exactly one of {list(WAYS)}, got {ways} in {sorted(row)}")
    value = row[ways[0]]
    if ways[0] == "question" and isinstance(value, str):
        return templates.prompt(tokenizer, style, value)
    if ways[0] == "messages" and isinstance(value, list):
        strange = [turn for turn in value if not _is_turn(turn)]
        if not strange:
            return templates.conversation(tokenizer, value)
        raise UserError(f"messages: {strange[0]!r:.60}, wanted texts for {list(TURN)}")
    if ways[0] == "prompt" and isinstance(value, str):
        return templates.verbatim(tokenizer, value)
    if ways[0] == "prompt_ids" and isinstance(value, list):
        strange = [i for i in value if type(i) is not int or not 0 <= i < tokenizer.size]
        if not strange:
            return Prompt(tokenizer.decode(value), value)
        raise UserError(f"prompt_ids {strange[:3]} are no ids below {tokenizer.size}")
    raise UserError(f"{ways[0]} is {type(value).__name__}")


def read_prompts(path: str, asker: Asker) -> list[tuple[dict[str, Any], Prompt]]:
    """Returns the rows of a file and their prompts.

    Raises:
      UserError: names the line that has no prompt, several, or one that fits no bucket.
    """
    prompts = []
    for number, row in numbered_jsonl(Path(path)):
        try:
            prompt = _prompt(row, asker.tokenizer, asker.config.prompt)
            asker.sampler.bucket([prompt.ids])
        except ValueError as error:
            raise UserError(f"{path}:{number}: {error}") from error
        prompts.append((row, prompt))
    if not prompts:
        raise UserError(f"{path}: empty, wanted at least one line")
    return prompts


def _rows(
    batch: Sequence[tuple[dict[str, Any], Prompt]], rollout: Rollout, asker: Asker
) -> Iterator[dict[str, Any]]:
    samples = asker.config.samples_at_once
    for b in range(len(batch) * samples):
        row, prompt = batch[b // samples]
        mask = rollout.mask_BC[b]
        ids = rollout.completion_BC[b][mask].tolist()
        text = asker.tokenizer.decode(ids)
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
    return {
        **flatten(config),
        "input_sha256": content,
        "model_fingerprint": model_fingerprint(config.model),
    }


def _answer_file(config: GenerateConfig, workdir: Path, mesh: Mesh | None) -> None:
    job = Job(config, workdir, _request)
    asker = open_asker(config.ask, mesh)
    rows = read_prompts(config.input, asker)
    job.begin()
    batches = batches_of(rows, config.batch)
    sizes = [len(batch) * config.samples for batch in batches]
    with job.store(COMPLETIONS, sizes=sizes, title="generate") as store:
        for number in store.left:
            rollout = asker.draw([prompt.ids for _, prompt in batches[number]], "generate", number)
            speed = asker.tokens / asker.seconds
            store.write(_rows(batches[number], rollout, asker), tokens_per_s=speed)
    path = workdir / COMPLETIONS
    job.summarize(
        {
            "prompts": len(rows),
            "completions": sum(sizes),
            "seconds": {"sample": asker.seconds},
            "tokens": {"sampled": sum(len(row["completion_ids"]) for row in iter_jsonl(path))},
        }
    )
    print(f"{sum(sizes):,} completions in {path}", flush=True)


def run(config: GenerateConfig, workdir: Path) -> None:
    """Writes workdir/completions.jsonl, going on where a killed run stopped; or talks."""
    check_writable(workdir)
    with sharding.use(**dataclasses.asdict(config.mesh)) as mesh:
        if config.input:
            _answer_file(config, workdir, mesh)
        else:
            speaker = dialogue.Speaker(open_asker(config.ask, mesh), chunk=config.chunk)
            dialogue.talk(speaker, workdir / "dialogue.jsonl")
