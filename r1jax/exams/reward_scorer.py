"""A reward model on disk, and texts scored by it."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from r1jax import config as configs
from r1jax import sharding
from r1jax.config import UserError
from r1jax.data.rows import preferences
from r1jax.data.tasks.selection import filled
from r1jax.hub import safetensors
from r1jax.hub.artifacts import open_model, resolve, save_model
from r1jax.io.disk import write_json
from r1jax.io.processes import to_host
from r1jax.model.config import ExecutionConfig, ModelConfig
from r1jax.text.templates import PromptConfig
from r1jax.text.thought import whole
from r1jax.text.tokenizer import Tokenizer
from r1jax.train import reward
from r1jax.train.rollouts import bucket
from r1jax.types import Weights

HEAD, ABOUT = "score_head.safetensors", "reward.json"


def padded(texts: Sequence[list[int]], width: int, pad_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids of each text from position 0, padded to `width`, and their lengths."""
    tokens = np.full((len(texts), width), pad_id, np.int32)
    for row, ids in zip(tokens, texts, strict=True):
        row[: len(ids)] = ids
    return tokens, np.array([len(ids) for ids in texts], np.int32)


class IdScorer:
    """Scores token ids; one program a bucket.

    Args:
      model: the network.
      buckets: lengths in tokens that programs are compiled for.
      batch: texts at a time; a short last batch is filled up.
      pad_id: any id.
      mesh: where the weights lie.
    """

    def __init__(
        self,
        *,
        model: ModelConfig,
        buckets: tuple[int, ...],
        batch: int,
        pad_id: int,
        mesh: Mesh | None,
    ):
        self.buckets, self.batch, self.pad_id, self.mesh = buckets, batch, pad_id, mesh
        self._score = jax.jit(partial(reward.score, model=model))

    def __call__(
        self,
        weights: Weights,
        texts: Sequence[list[int]],
        *,
        tell: Callable[[int], None],
    ) -> list[float]:
        """Returns the score of each text, a logit, whatever the others are.

        Args:
          tell: called after each batch with the number of texts scored so far.

        Raises:
          UserError: if a text fits no bucket; says which.
        """
        widths = []
        for number, ids in enumerate(texts):
            try:
                widths.append(bucket(len(ids), self.buckets))
            except ValueError as error:
                raise UserError(f"text {number}: {error}") from error
        scores, scored = [0.0] * len(texts), 0
        # a text is always scored in its own bucket: its score is then a function of it alone
        for width in sorted(set(widths)):
            alike = [i for i, w in enumerate(widths) if w == width]
            for start in range(0, len(alike), self.batch):
                rows = alike[start : start + self.batch]
                batch = [texts[i] for i in filled(rows, self.batch)]
                tokens, lengths = padded(batch, width, self.pad_id)
                put = partial(sharding.put, mesh=self.mesh, what="reward batch")
                score_B = to_host(
                    self._score(
                        weights,
                        put(tokens, names=("batch", "seq")),
                        put(lengths, names=("batch",)),
                    )
                )
                for i, value in zip(rows, score_B, strict=False):
                    scores[i] = float(value)
                tell(scored := scored + len(rows))
        return scores


def save_reward_model(
    directory: str | Path,
    weights: Weights,
    *,
    model: ModelConfig,
    tokenizer: Tokenizer,
    about: Mapping[str, Any],
    made_by: Mapping[str, Any],
) -> None:
    """Writes a model directory with its head and reward.json beside it.

    Args:
      directory, model, tokenizer, made_by: as for `hub.artifacts.save_model`.
      weights: of `train.reward.with_head`.
      about: what reward.json says: kind, prompt, sees, and whatever else is worth telling.
    """
    directory = Path(directory)
    network = weights._replace(params=weights.params["network"])
    save_model(directory, network, model=model, tokenizer=tokenizer, made_by=made_by)
    head_D = to_host(weights.params["head_D"])
    kinds = {"head_D": (head_D.dtype, head_D.shape)}
    safetensors.write_file(directory / HEAD, kinds, lambda _: head_D, metadata={})
    write_json(directory / ABOUT, about, indent=1)


def _about(path: Path) -> tuple[dict[str, Any], PromptConfig]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        prompt, sees = about["prompt"], about["sees"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: not what a reward model has there: {error!r}") from error
    if sees not in ("summary", "all"):
        raise UserError(f"{path}: sees: got {sees!r}, wanted 'summary' or 'all'")
    return about, configs.build(PromptConfig, prompt, f"{path}: prompt")


def open_reward_model(
    directory: str, *, how: ExecutionConfig, mesh: Mesh | None
) -> tuple[Weights, ModelConfig, Tokenizer]:
    """Reads the weights of a reward model, laid out on the mesh.

    Raises:
      UserError: names the file that is missing or damaged.
    """
    weights, model, tokenizer = open_model(directory, how=how, mesh=mesh)
    path = resolve(directory) / HEAD
    if not path.is_file():
        raise UserError(f"reward model {directory}: lacks {[HEAD]}")
    tensors, _ = safetensors.read_header(path)
    if "head_D" not in tensors or tensors["head_D"].shape != (model.d_model,):
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        raise UserError(f"{path}: got {shapes}, wanted head_D {(model.d_model,)}")
    head = safetensors.read(tensors["head_D"]).astype(np.float32, copy=False)
    head_D = sharding.put(head, mesh, ("act_embed",), "head_D")
    params = {"network": weights.params, "head_D": jnp.asarray(head_D)}
    return weights._replace(params=params), model, tokenizer


class RewardScorer:
    """A reward model on disk, opened to score replies.

    Args:
      directory: of `save_reward_model`.
      how: how the network is held and run.
      mesh: where the weights go.
      buckets: lengths in tokens, of prompt, reply and EOS, that programs are compiled for.
      batch: texts at a time.

    Raises:
      UserError: names the file that is missing or damaged.
    """

    def __init__(
        self,
        directory: str,
        how: ExecutionConfig,
        mesh: Mesh | None,
        buckets: tuple[int, ...],
        batch: int,
    ):
        self.about, self.prompt = _about(resolve(directory) / ABOUT)
        self.weights, model, self.tokenizer = open_reward_model(directory, how=how, mesh=mesh)
        self.ids = IdScorer(
            model=model, buckets=buckets, batch=batch, pad_id=self.tokenizer.pad_id, mesh=mesh
        )

    def encoded(
        self, questions: Sequence[str], replies: Sequence[str], opened: Sequence[bool]
    ) -> list[list[int]]:
        """Returns the ids to score of each reply to its question.

        Args:
          questions: without template.
          replies: as they were sampled, thoughts included.
          opened: whether the prompt ended in <think>, which then counts as written.
        """
        texts = []
        for question, reply, is_open in zip(questions, replies, opened, strict=True):
            text = preferences.seen(whole(reply, opened=is_open), self.about["sees"])
            texts.append(preferences.ids_of(self.tokenizer, self.prompt, question, text))
        return texts
