"""Makes a base model: next-token training on the synthetic world (or any JSON lines of text)."""

import dataclasses
import sys
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from r1jax import keys, sharding
from r1jax.config import CheckpointConfig, MeshConfig, ModelConfig, OptimizerConfig, SamplerConfig
from r1jax.data import packing, templates, world
from r1jax.data.jsonl import read_jsonl
from r1jax.data.tokenizer import SentencePieceTokenizer, train_sentencepiece
from r1jax.io.report import plot_pretrain
from r1jax.model import forward
from r1jax.train import optimizer
from r1jax.train.artifacts import save_model
from r1jax.train.loop import Run, means
from r1jax.train.pretrain_step import PretrainLossConfig, loss, pretrain_step
from r1jax.types import PackedBatch, TrainState


@dataclasses.dataclass(frozen=True)
class CorpusConfig:
    """What is read.

    Attributes:
      documents: of the synthetic world, 0 .. documents - 1; the next `held_out` ones measure the held-out loss.
      seed: of the documents.
      rates: the planted behaviours (`data.world`).
      template: prompt template that the world's questions are rendered with.
      jsonl: file with a "text" field to read instead of the world; "" for the world.
    """

    documents: int
    held_out: int
    seed: int
    rates: world.Rates
    template: str
    jsonl: str


@dataclasses.dataclass(frozen=True)
class TokenizerConfig:
    """The tokenizer trained before the model, on the first `documents` of the corpus."""

    vocab_size: int
    documents: int


@dataclasses.dataclass(frozen=True)
class PretrainConfig:
    """A pretraining run.

    Attributes:
      updates: optimizer updates.
      batch: rows per update.
      length: tokens per row.
      packing_bins: rows that are filled at a time.
      evaluate_every: updates between measurements of the held-out loss.
    """

    pipeline: Literal["pretrain"]
    seed: int
    updates: int
    batch: int
    length: int
    packing_bins: int
    evaluate_every: int
    corpus: CorpusConfig
    tokenizer: TokenizerConfig
    model: ModelConfig
    loss: PretrainLossConfig
    optimizer: OptimizerConfig
    mesh: MeshConfig
    checkpoint: CheckpointConfig

    def __post_init__(self):
        if self.batch % (self.mesh.data * self.mesh.expert):
            raise ValueError(
                f"batch {self.batch} does not divide by mesh data x expert {self.mesh.data * self.mesh.expert}"
            )
        if self.tokenizer.vocab_size > self.model.vocab_size:
            raise ValueError(
                f"tokenizer.vocab_size {self.tokenizer.vocab_size} exceeds model.vocab_size {self.model.vocab_size}"
            )


def _documents(config: CorpusConfig) -> Any:
    """Returns index -> text."""
    if config.jsonl:
        rows = read_jsonl(config.jsonl)
        if len(rows) < config.documents + config.held_out:
            raise ValueError(
                f"{config.jsonl}: {len(rows)} documents, wanted {config.documents} + {config.held_out}"
            )
        return lambda i: rows[i]["text"]

    def text(i: int) -> str:
        question, reply = world.document(config.seed, i, rates=config.rates)
        return (templates.render(config.template, question) if question else "") + reply

    return text


def build_corpus(
    config: PretrainConfig, workdir: Path
) -> tuple[SentencePieceTokenizer, packing.Rows, packing.Rows]:
    """Tokenizer, training rows and held-out rows; kept in workdir/corpus, so that a resumed run starts at once."""
    folder = workdir / "corpus"
    names = [folder / n for n in ("tokenizer.model", "train.npz", "held_out.npz")]
    if all(n.exists() for n in names):
        rows = [packing.Rows(dict(np.load(n))) for n in names[1:]]
        return SentencePieceTokenizer.load(names[0]), rows[0], rows[1]
    folder.mkdir(parents=True, exist_ok=True)
    text, c = _documents(config.corpus), config.corpus
    print(f"tokenizer from {config.tokenizer.documents:,} documents", flush=True)
    tokenizer = train_sentencepiece(
        (text(i) for i in range(config.tokenizer.documents)), vocab_size=config.tokenizer.vocab_size
    )

    def ids(i: int) -> tuple[list[int], int]:
        return [tokenizer.bos_id, *tokenizer.encode(text(i)), tokenizer.eos_id], 0

    print(f"packing {c.documents + c.held_out:,} documents", flush=True)
    pack = partial(packing.pack, length=config.length, bins=config.packing_bins)
    train, held_out = pack(ids, c.documents), pack(lambda i: ids(c.documents + i), c.held_out)
    for name, rows in zip(names[1:], (train, held_out), strict=True):
        partial_file = name.with_suffix(".partial.npz")
        np.savez(partial_file, **rows.arrays)
        partial_file.replace(name)
    names[0].write_bytes(tokenizer.model)
    return tokenizer, train, held_out


def run(config: PretrainConfig, workdir: Path) -> None:
    """Trains from scratch (or from where a killed run stopped) and writes workdir/model."""
    with Run(
        "pretrain", workdir=workdir, config=config, checkpoint=config.checkpoint, total=config.updates, seed=config.seed,
        shown=("loss", "mtp_loss", "load_max_violation"), max_skipped=config.optimizer.max_skipped_in_a_row,
    ) as here:  # fmt: skip
        tokenizer, rows, held_out = build_corpus(config, workdir)
        model = dataclasses.replace(config.model, n_tokens=tokenizer.size)
        root = keys.root(config.seed)
        weights = forward.init(keys.stream(root, "init"), config=model)
        zero = lambda: jnp.zeros((), jnp.int32)
        state = TrainState(
            weights,
            None,
            optimizer.make(config.optimizer).init(weights.params),
            zero(),
            zero(),
            zero(),
        )
        knobs = {"model": model, "config": config.loss}
        step = jax.jit(partial(pretrain_step, opt=config.optimizer, **knobs), donate_argnums=0)
        measure = jax.jit(lambda w, b: loss(w.params, w, b, **knobs)[1][0])
        restored = here.resume(state)
        state = restored.state if restored else state
        real = lambda b: int((b.segments_BT > 0).sum())
        while here.updates < config.updates:
            with here.phase("data"):
                batch = packing.batch(rows, seed=config.seed, step=here.updates, size=config.batch)
            with here.phase("update"):
                state, metrics = step(state, batch)
                here.flush()
            here.count("trained", real(batch))
            here.updated(metrics, {})
            if here.updates % config.evaluate_every == 0 or here.updates == config.updates:
                here.flush()
                here.evaluated(_held_out(measure, state, held_out, config.batch))
            here.after_update(state, extra={}, meta={}, score=None)
        here.flush()
        made_by = {"command": " ".join(sys.argv), "config": dataclasses.asdict(config)}
        save_model(
            workdir / "model", state.weights, model=model, tokenizer=tokenizer, made_by=made_by
        )
        plot_pretrain(workdir, workdir / "report.png")
        final = _held_out(measure, state, held_out, config.batch)
        here.summarize(
            state.weights, {"held_out": final, "parameters": forward.count_params(model)}
        )
        print(f"base model in {workdir / 'model'}, held-out loss {final['loss']:.4f}", flush=True)


def _held_out(measure, state: TrainState, rows: packing.Rows, size: int) -> dict[str, Any]:
    """Losses over all whole batches of held-out rows."""
    totals: dict[str, Any] = {}
    for start in range(0, len(rows) - size + 1, size):
        batch: PackedBatch = packing.to_batch(
            {k: a[start : start + size] for k, a in rows.arrays.items()}
        )
        seen = measure(state.weights, batch)
        totals = seen if not totals else jax.tree.map(jnp.add, totals, seen)
    values = means(totals)
    return {
        "split": "validation",
        "loss": values["loss"],
        "perplexity": float(np.exp(values["loss"])),
        **{k: v for k, v in values.items() if k != "loss"},
    }
