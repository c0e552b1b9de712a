"""The config of a reward model's fit; its values are in configs/."""

import dataclasses
from typing import Annotated, Literal

from r1jax.config import Count, Counts, NonNegative, Range, Seed, Size, UserError, Within
from r1jax.io.retention import CheckpointConfig
from r1jax.model.config import ExecutionConfig, check_trained
from r1jax.sharding import MeshConfig
from r1jax.text.templates import PromptConfig
from r1jax.train.optimizer import OptimizerConfig


@dataclasses.dataclass(frozen=True)
class RewardModelConfig:
    """How a reward model is fitted.

    Attributes:
      seed: of the order of the rows.
      base: the model that it starts from: a model directory, a GGUF file,
        or "package:NAME".
      kind: "pairs" (Bradley-Terry) or "labels" (binary cross-entropy).
      data: JSON lines; pairs have question, chosen and rejected (or, as in HH-RLHF, dialogues
        chosen and rejected alone), labels have question, response and safe.
      first: rows used, of those that are not too long, the first ones; 0 for all.
      validation: rows held out, at least; whole questions, drawn by a hash of their position.
      prompt: how questions are put; it must not open a thought.
      sees: "summary" for what follows </think> alone, "all" for the whole reply.
      balance_lengths: drop pairs of the training rows until length tells nothing
        (`data.rows.preferences.balance_lengths`).
      too_long: what becomes of rows longer than the longest bucket: "error", "drop", or "cut_left",
        which keeps their end.
      epochs: passes over the training rows; rows that fill no batch are left out of a pass, others
        in each.
      batch: questions per update, of pairs with two replies each.
      length_buckets: lengths in tokens that programs are compiled for; a batch takes rows of like
        lengths.
      micro_batches: pieces of a batch whose gradients are averaged inside the step.
      margin: logits by which the better reply should lead; 0 for plain Bradley-Terry and labels.
      centre: weight of a term that keeps scores about 0, per squared logit; 0 for labels.
      optimizer: total_updates 0 stands for those of this run.
      evaluate_every: updates between two looks at the held-out rows; also before the first and
        after the last.
      evaluate_batch: texts at a time for that.
      level: nominal coverage of the intervals.
    """

    pipeline: Literal["reward_model"]
    seed: Seed
    base: str
    kind: Literal["pairs", "labels"]
    data: str
    first: Size
    validation: Annotated[int, Range(2)]
    prompt: PromptConfig
    sees: Literal["summary", "all"]
    balance_lengths: bool
    too_long: Literal["error", "drop", "cut_left"]
    epochs: Count
    batch: Count
    length_buckets: Counts
    micro_batches: Count
    margin: NonNegative
    centre: NonNegative
    optimizer: OptimizerConfig
    evaluate_every: Count
    evaluate_batch: Count
    level: Within
    execution: ExecutionConfig
    mesh: MeshConfig
    checkpoint: CheckpointConfig

    def __post_init__(self):
        check_trained(self.execution.param_dtype, "execution")
        if min(self.length_buckets) < 2:
            raise UserError(f"length_buckets {self.length_buckets}: need at least 2 tokens each")
        rows = self.mesh.data * self.mesh.expert
        if self.batch % (self.micro_batches * rows) or self.evaluate_batch % rows:
            raise UserError(
                f"batch {self.batch} does not split into {self.micro_batches} micro_batches on "
                f"{rows} devices of mesh.data * mesh.expert, or evaluate_batch "
                f"{self.evaluate_batch} on these devices"
            )
        if self.kind == "labels" and (self.margin or self.centre or self.balance_lengths):
            raise UserError(
                f"margin {self.margin}, centre {self.centre}, balance_lengths "
                f"{self.balance_lengths}: only pairs have them"
            )
