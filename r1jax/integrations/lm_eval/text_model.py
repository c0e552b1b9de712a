"""A model that scores and continues texts, many at a time, for programs that only know texts."""

import dataclasses
from collections.abc import Hashable, Iterator, Sequence
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from r1jax import keys
from r1jax.config import UserError
from r1jax.data.tasks.selection import filled
from r1jax.exams.asking import open_sampler
from r1jax.hub.artifacts import open_model
from r1jax.io.progress import Progress
from r1jax.model import forward
from r1jax.model.config import ExecutionConfig, ModelConfig
from r1jax.rl.logprobs import token_logps
from r1jax.sampling.config import SamplerConfig
from r1jax.sampling.sampler import Sampler
from r1jax.text.hf_tokenizer import HfTokenizer
from r1jax.types import Weights


@dataclasses.dataclass(frozen=True)
class HarnessConfig:
    """How a model is held for lm-eval, on one device.

    Attributes:
      model: a model directory, a GGUF file, or "package:NAME".
      batch_size: rows at a time.
      max_new_tokens: length cap of a completion where the task names none.
      buckets: lengths in tokens that programs are compiled for, of prompts and of texts that are
        scored; the longest is the window of rolling log-likelihoods.
      think_end_token: what ends a thought, such as "</think>": an answer is what stands behind its
        last occurrence, and stop strings within the thought stop nothing. "" for no such thing.
      seed: of the draws of tasks that are not greedy.
      logit_chunk: positions whose logits live at a time while texts are scored.
      cache_segments: as in SamplerConfig.
      param_dtype, compute_dtype, dispatch: fields of ExecutionConfig.
    """

    model: str
    batch_size: int
    max_new_tokens: int
    buckets: tuple[int, ...]
    think_end_token: str
    seed: int
    logit_chunk: int
    cache_segments: int
    param_dtype: Literal["float32", "bfloat16"]
    compute_dtype: Literal["float32", "bfloat16"]
    dispatch: Literal["blocks", "ragged", "dense"]

    def __post_init__(self):
        least = min(self.batch_size, self.max_new_tokens, self.logit_chunk)
        if least < 1 or min(self.buckets, default=0) < 1:
            raise UserError(
                f"batch_size {self.batch_size}, max_new_tokens {self.max_new_tokens}, logit_chunk "
                f"{self.logit_chunk}, buckets {self.buckets}: need at least 1, and a bucket"
            )


class Request(NamedTuple):
    """How one completion is drawn: at most `cap` tokens, cut at the first of `until`."""

    sampler: SamplerConfig
    cap: int
    until: tuple[str, ...]


class Window(NamedTuple):
    """Ids that are given, at least one, and the ids behind them whose log-probability is asked."""

    given: list[int]
    scored: list[int]


def rolling_windows(ids: list[int], prefix: int, *, length: int) -> list[Window]:
    """Cuts a text so that each id is scored once and no network input is longer than `length`.

    The first id stands behind `prefix`, the first of each later window behind the id before it; the
    last window reaches back so far that its input is full.
    """
    windows = [Window([prefix], ids[:length])] if ids else []
    for start in range(length, len(ids), length):
        end = min(start + length, len(ids))
        windows.append(Window(ids[end - length - 1 : start], ids[start:end]))
    return windows


def batches(kinds: Sequence[Hashable], lengths: Sequence[int], *, size: int) -> list[list[int]]:
    """Returns row numbers in batches of at most `size`, each of one kind and of like lengths.

    Rows of a kind go by length: a batch takes the bucket of its longest row, and at most one batch
    of a kind is short.
    """
    by_kind: dict[Hashable, list[int]] = {}
    for row in sorted(range(len(kinds)), key=lambda row: lengths[row]):
        by_kind.setdefault(kinds[row], []).append(row)
    return [rows[at : at + size] for rows in by_kind.values() for at in range(0, len(rows), size)]


def cut(text: str, until: Sequence[str], *, think_end: str) -> str:
    """Returns a text up to the first of the stop strings, behind its thought if it has one."""
    if think_end:
        text = text.split(think_end)[-1].lstrip() if think_end in text else text
    return text[: min([text.find(stop) for stop in until if stop and stop in text], default=None)]


def score(
    weights: Weights,
    tokens_BT: Int[Array, "B T"],
    targets_BT: Int[Array, "B T"],
    real_BT: Bool[Array, "B T"],
    scored_BT: Bool[Array, "B T"],
    *,
    model: ModelConfig,
    chunk: int,
) -> tuple[Float[Array, " B"], Bool[Array, " B"]]:
    """log p of the scored targets of each row in nats, and whether each is the most likely id."""
    positions_BT = jnp.broadcast_to(jnp.arange(tokens_BT.shape[1])[None], tokens_BT.shape)
    hidden_BTD = forward.forward(
        weights,
        tokens_BT,
        positions_BT,
        real_BT.astype(jnp.int32),
        config=model,
        routes_LBTK=None,
        with_mtp=False,
        keep_cache=False,
        layers=None,
    ).hidden_BTD
    logp_BT, _ = token_logps(
        hidden_BTD,
        forward.head(weights, config=model),
        targets_BT,
        forward.used_tokens(model),
        temperature=1.0,
        chunk=chunk,
    )

    def best(hidden_BD: Float[Array, "B D"]) -> Int[Array, " B"]:
        return forward.logits(hidden_BD[:, None], weights, config=model)[:, 0].argmax(-1)

    best_TB = jax.lax.map(best, hidden_BTD.swapaxes(0, 1), batch_size=chunk)
    is_greedy_B = ((targets_BT == best_TB.T) | ~scored_BT).all(1)
    return jnp.where(scored_BT, logp_BT, 0.0).sum(1), is_greedy_B


class TextModel:
    """A model behind an interface of texts: what lm-eval needs, without lm-eval."""

    def __init__(self, config: HarnessConfig):
        how = ExecutionConfig(
            param_dtype=config.param_dtype,
            compute_dtype=config.compute_dtype,
            scan_layers=False,
            remat=False,
            attention_block=64,
            numerics="fast",
            dispatch=config.dispatch,
            block_size=0,
        )
        self.config, self.key = config, keys.root(config.seed)
        self.weights, self.model, self.tokenizer = open_model(config.model, how=how, mesh=None)
        self._score = jax.jit(partial(score, model=self.model, chunk=config.logit_chunk))
        self._samplers: dict[tuple[SamplerConfig, int], Sampler] = {}

    @property
    def prefix_id(self) -> int:
        """What the first id of a text stands behind: BOS, even one that is not added, else EOS."""
        t = self.tokenizer
        bos = t.named_bos_id if isinstance(t, HfTokenizer) else t.bos_id
        return t.eos_id if bos is None else bos

    def encode(self, text: str) -> list[int]:
        """Ids behind BOS, where the tokenizer wants it and the text does not write it itself."""
        ids, bos = self.tokenizer.encode(text), self.tokenizer.bos_id
        return ids if bos is None or ids[:1] == [bos] else [bos, *ids]

    def window(self, context: str, continuation: str) -> Window:
        """Splits the ids of both texts together where those of the context alone end.

        Spaces at the end of the context are counted to the continuation.

        Raises:
          UserError: if nothing is left for the continuation.
        """
        before = context.rstrip()
        if before:
            given = self.encode(before)
            window = Window(given, self.encode(context + continuation)[len(given) :])
        else:
            ids = self.tokenizer.encode(context + continuation)
            whole = ids if ids[:1] == [self.prefix_id] else [self.prefix_id, *ids]
            window = Window(whole[:1], whole[1:])
        if not window.scored:
            raise UserError(
                f"loglikelihood: {continuation!r:.60} has no token of its own behind "
                f"{before[-60:]!r}"
            )
        return window

    def _bucket(self, row: int, length: int) -> int:
        fits = [b for b in self.config.buckets if b >= length]
        if not fits:
            raise UserError(
                f"request {row} has {length} tokens, the largest bucket "
                f"{max(self.config.buckets)}: say buckets=[...] in model_args"
            )
        return min(fits)

    def logps(self, windows: list[Window]) -> Iterator[tuple[int, float, bool]]:
        """Yields row, log-probability (nats) and whether it is greedy, batch by batch.

        Raises:
          UserError: if a window fits no bucket, before anything is run.
        """
        widths = [self._bucket(i, len(g) + len(s) - 1) for i, (g, s) in enumerate(windows)]
        todo = batches([None] * len(windows), widths, size=self.config.batch_size)
        with _progress("loglikelihood", todo) as progress:
            for number, rows in enumerate(todo, start=1):
                shape = (self.config.batch_size, widths[rows[-1]])
                tokens, targets = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
                real, scored = np.zeros(shape, bool), np.zeros(shape, bool)
                put = [windows[i] for i in filled(rows, self.config.batch_size)]
                for at, (given, continuation) in enumerate(put):
                    ids = [*given, *continuation]
                    tokens[at, : len(ids) - 1], targets[at, : len(ids) - 1] = ids[:-1], ids[1:]
                    real[at, : len(ids) - 1] = True
                    scored[at, len(given) - 1 : len(ids) - 1] = True
                out = jax.device_get(self._score(self.weights, tokens, targets, real, scored))
                progress.advance(number)
                yield from zip(rows, out[0].tolist(), out[1].tolist(), strict=False)

    def completions(self, prompts: list[str], requests: list[Request]) -> Iterator[tuple[int, str]]:
        """Yields row and completion, batch by batch; the n-th batch draws with the n-th key.

        Raises:
          UserError: if a prompt fits no bucket, before anything is run.
        """
        ids = [self.encode(prompt) or [self.prefix_id] for prompt in prompts]
        widths = [self._bucket(i, len(each)) for i, each in enumerate(ids)]
        todo = batches([(r.sampler, r.cap) for r in requests], widths, size=self.config.batch_size)
        with _progress("generate", todo) as progress:
            for number, rows in enumerate(todo):
                config, cap, _ = requests[rows[0]]
                key = keys.stream(self.key, "lm_eval", number)
                put = [ids[i] for i in filled(rows, self.config.batch_size)]
                drawn = self._sampler(config, cap)(self.weights, put, key, group=1, cap=cap)
                completion_BC, mask_BC = jax.device_get((drawn.completion_BC, drawn.mask_BC))
                progress.advance(number + 1)
                for at, row in enumerate(rows):
                    yield row, self._text(completion_BC[at][mask_BC[at]].tolist(), requests[row])

    def _sampler(self, config: SamplerConfig, cap: int) -> Sampler:
        if (config, cap) not in self._samplers:
            self._samplers[config, cap] = open_sampler(
                self.model,
                self.tokenizer,
                config,
                max_new_tokens=cap,
                prompt_buckets=self.config.buckets,
            )
        return self._samplers[config, cap]

    def _text(self, ids: list[int], request: Request) -> str:
        """The text up to a stop, be it a string or a token that has no text when it is decoded."""
        t = self.tokenizer
        stops = [s for s in map(t.encode, request.until) if len(s) == 1 and not t.decode(s)]
        end = min([ids.index(stop) for (stop,) in stops if stop in ids], default=None)
        return cut(t.decode(ids[:end]), request.until, think_end=self.config.think_end_token)


def _progress(title: str, todo: list[list[int]]) -> Progress:
    return Progress(title, start=0, total=len(todo), every=max(1, len(todo) // 20))
