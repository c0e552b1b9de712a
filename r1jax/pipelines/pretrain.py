"""Makes a base model: next-token training on the synthetic world (or any JSON lines of text)."""

import dataclasses
import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from r1jax import keys, sharding
from r1jax.config import Count, Seed, UserError
from r1jax.data.files.jsonl import read_jsonl
from r1jax.data.rows import packing
from r1jax.data.world import corpus as assistant
from r1jax.data.world import writing
from r1jax.hub.artifacts import command, save_model
from r1jax.io.digests import fingerprint
from r1jax.io.loop import Run, means
from r1jax.io.retention import CheckpointConfig
from r1jax.model import forward
from r1jax.model.config import ModelConfig, check_trained
from r1jax.reports.curves import plot_pretrain
from r1jax.sharding import MeshConfig
from r1jax.text import templates
from r1jax.text.tokenizer import SentencePieceTokenizer, train_sentencepiece
from r1jax.train.next_token import NextTokenLossConfig, loss, next_token_step
from r1jax.train.optimizer import OptimizerConfig
from r1jax.train.state import initial_state
from r1jax.types import TrainState


@dataclasses.dataclass(frozen=True)
class CorpusConfig:
    """What is read.

    Attributes:
      documents: of the synthetic world, 0 .. documents - 1, are trained on.
      held_out: documents that follow these measure the held-out loss.
      seed: of the documents.
      rates: the planted behaviours (`data.world.writing`).
      assistant: of the corpus of the whole recipe (`data.world.corpus`), what is planted beside
        these; None for the world of R1-Zero alone.
      template: prompt template that the world's questions are rendered with.
      jsonl: file with a "text" field to read instead of the world; "" for the world.
    """

    documents: Count
    held_out: Count
    seed: Seed
    rates: writing.Rates
    assistant: assistant.AssistantRates | None
    template: str
    jsonl: str


@dataclasses.dataclass(frozen=True)
class TokenizerConfig:
    """The tokenizer that is trained before the model.

    Attributes:
      vocab_size: ids, special ones included.
      documents: of the corpus that it is trained on, from the first.
    """

    vocab_size: Count
    documents: Count


@dataclasses.dataclass(frozen=True)
class PretrainConfig:
    """A pretraining run.

    Attributes:
      seed: of the initial weights and the order of the rows.
      updates: optimizer updates.
      batch: rows per update.
      length: tokens per row.
      packing_bins: rows that are filled at a time.
      evaluate_every: updates between measurements of the held-out loss.
      model: the network; its `n_tokens` becomes the size of the tokenizer.
    """

    pipeline: Literal["pretrain"]
    seed: Seed
    updates: Count
    batch: Count
    length: Count
    packing_bins: Count
    evaluate_every: Count
    corpus: CorpusConfig
    tokenizer: TokenizerConfig
    model: ModelConfig
    loss: NextTokenLossConfig
    optimizer: OptimizerConfig
    mesh: MeshConfig
    checkpoint: CheckpointConfig

    def __post_init__(self):
        check_trained(self.model.param_dtype, "model")
        shards = self.mesh.data * self.mesh.expert
        if self.batch % shards:
            raise UserError(f"batch {self.batch} does not divide by mesh data x expert {shards}")
        if self.tokenizer.vocab_size > self.model.vocab_size:
            raise UserError(
                f"tokenizer.vocab_size {self.tokenizer.vocab_size} exceeds model.vocab_size "
                f"{self.model.vocab_size}"
            )
        if self.tokenizer.documents > self.corpus.documents:
            raise UserError(
                f"tokenizer.documents {self.tokenizer.documents} exceed corpus.documents "
                f"{self.corpus.documents}"
            )


def _documents(config: CorpusConfig) -> Callable[[int], str]:
    """Returns index -> text."""
    if config.jsonl:
        rows = read_jsonl(config.jsonl)
        if len(rows) < config.documents + config.held_out:
            raise UserError(
                f"{config.jsonl}: {len(rows)} documents, wanted {config.documents} + "
                f"{config.held_out}"
            )
        for number, row in enumerate(rows, start=1):
            if not isinstance(row.get("text"), str):
                raise UserError(f"{config.jsonl}:{number}: no text in field 'text', got {row}")
        return lambda i: rows[i]["text"]

    def text(i: int) -> str:
        rates, more = config.rates, config.assistant
        if more is None:
            question, reply = writing.document(config.seed, i, rates=rates)
        else:
            question, reply = assistant.document(config.seed, i, rates=rates, more=more)
        return (templates.render(config.template, question) if question else "") + reply

    return text


def _file_sha256(config: CorpusConfig) -> str | None:
    """Of the file that is read; the synthetic world is a function of its config."""
    return fingerprint(config.jsonl) if config.jsonl else None


def build_corpus(
    config: PretrainConfig, workdir: Path
) -> tuple[SentencePieceTokenizer, packing.Rows, packing.Rows]:
    """Tokenizer, training rows and held-out rows; workdir/corpus keeps them for a resumed run.

    Raises:
      UserError: if a document is longer than a row, or the rows do not fill a batch.
    """
    folder, c = workdir / "corpus", config.corpus
    names = [folder / n for n in ("tokenizer.model", "train.npz", "held_out.npz")]
    made_for = [dataclasses.asdict(part) for part in (c, config.tokenizer)]
    recipe = json.dumps([*made_for, config.length, config.packing_bins, _file_sha256(c)])
    # written last: a corpus without it is half made, one with another was made for another run
    whole = folder / "recipe.json"
    if whole.exists() and whole.read_text() == recipe:
        rows = [packing.Rows(dict(np.load(n))) for n in names[1:]]
        return SentencePieceTokenizer.load(names[0]), rows[0], rows[1]
    folder.mkdir(parents=True, exist_ok=True)
    whole.unlink(missing_ok=True)
    text = _documents(c)
    print(f"tokenizer from {config.tokenizer.documents:,} documents", flush=True)
    tokenizer = train_sentencepiece(
        (text(i) for i in range(config.tokenizer.documents)), vocab_size=config.tokenizer.vocab_size
    )

    def document(i: int) -> packing.Document:
        ids = [tokenizer.bos_id, *tokenizer.encode(text(i)), tokenizer.eos_id]
        return packing.Document(ids, targets=[True] * len(ids), label=0)

    print(f"packing {c.documents + c.held_out:,} documents", flush=True)
    pack = partial(packing.pack, length=config.length, bins=config.packing_bins)
    train = pack(document, range(c.documents))
    held_out = pack(document, range(c.documents, c.documents + c.held_out))
    for what, rows in (("corpus.documents", train), ("corpus.held_out", held_out)):
        if len(rows) < config.batch:
            raise UserError(f"{what} fill {len(rows)} rows, a batch has {config.batch}")
    names[0].write_bytes(tokenizer.model)
    for name, rows in zip(names[1:], (train, held_out), strict=True):
        np.savez(name, **cast(dict[str, Any], rows.arrays))
    partial_file = whole.with_suffix(".partial")
    partial_file.write_text(recipe)
    partial_file.replace(whole)
    return tokenizer, train, held_out


@cache
def _programs(
    model: ModelConfig, config: NextTokenLossConfig, opt: OptimizerConfig
) -> tuple[Callable, Callable]:
    """The jitted update, which donates its state, and the jitted measurement of the losses."""
    knobs = {"model": model, "config": config, "labels_BT": None, "sources": ()}
    step = jax.jit(partial(next_token_step, opt=opt, micro_batches=1, **knobs), donate_argnums=0)
    return step, jax.jit(lambda w, batch: loss(w.params, w, batch, **knobs)[1][0])


def run(config: PretrainConfig, workdir: Path) -> None:
    """Trains from scratch (or from where a killed run stopped) and writes workdir/model."""
    with sharding.use(**dataclasses.asdict(config.mesh)) as mesh:
        _train(config, workdir, mesh)


def _train(config: PretrainConfig, workdir: Path, mesh: Mesh | None) -> None:
    with Run(
        "pretrain",
        workdir=workdir,
        config=config,
        total=config.updates,
        shown=("loss", "mtp_loss", "load_max_violation"),
    ) as training:
        tokenizer, rows, held_out = build_corpus(config, workdir)
        model = dataclasses.replace(config.model, n_tokens=tokenizer.size)
        root = keys.root(config.seed)
        weights = forward.init(keys.stream(root, "init"), config=model)
        state = initial_state(
            weights,
            opt=config.optimizer,
            reference=False,
            mesh=mesh,
            axes=forward.logical_axes(model),
        )
        step, measure = _programs(model, config.loss, config.optimizer)
        fixed = {"corpus_sha256": _file_sha256(config.corpus)}
        restored = training.resume(state, fixed=fixed)
        state = restored.state if restored else state
        while training.updates < config.updates:
            with training.phase("data"):
                batch = packing.batch(
                    rows, seed=config.seed, step=training.updates, size=config.batch
                )
            with training.phase("update"):
                state, metrics = step(state, sharding.spread_batch(batch, mesh))
                training.flush()
            training.count("trained", int((batch.segments_BT > 0).sum()))
            training.updated(metrics, {})
            score = None  # of these weights: a lower loss is a higher score
            if training.updates % config.evaluate_every == 0 or training.updates == config.updates:
                training.flush()
                row = _held_out(measure, state, held_out, config.batch, mesh)
                training.evaluated(row)
                score = -row["loss"]
            training.after_update(state, extra={}, score=score)
        training.flush()
        made_by = {"command": command(), "config": dataclasses.asdict(config)}
        parts = {"model": model, "tokenizer": tokenizer, "made_by": made_by}
        save_model(workdir / "model", state.weights, **parts)
        plot_pretrain(workdir, workdir / "report.png")
        final = _held_out(measure, state, held_out, config.batch, mesh)
        values = {"held_out": final, "parameters": forward.count_params(model)}
        training.summarize(state.weights, values)
        print(f"base model in {workdir / 'model'}, held-out loss {final['loss']:.4f}", flush=True)


def _held_out(
    measure: Callable, state: TrainState, rows: packing.Rows, size: int, mesh: Mesh | None
) -> dict[str, Any]:
    """Losses over all whole batches of held-out rows."""
    totals: dict[str, Any] = {}
    for start in range(0, len(rows) - size + 1, size):
        some = {k: a[start : start + size] for k, a in rows.arrays.items()}
        batch = packing.to_batch(some, reduction="token_mean")
        seen = measure(state.weights, sharding.spread_batch(batch, mesh))
        totals = seen if not totals else jax.tree.map(jnp.add, totals, seen)
    values = means(totals)
    return {"split": "validation", **values, "perplexity": float(np.exp(values["loss"]))}
