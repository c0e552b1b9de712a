"""The config of a reward model's fit; its values are in configs/."""

import dataclasses
from typing import Literal

from r1jax.config import UserError
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
    seed: int
    base: str
    kind: Literal["pairs", "labels"]
    data: str
    first: int
    validation: int
    prompt: PromptConfig
    sees: Literal["summary", "all"]
    balance_lengths: bool
    too_long: Literal["error", "drop", "cut_left"]
    epochs: int
    batch: int
    length_buckets: tuple[int, ...]
    micro_batches: int
    margin: float
    centre: float
    optimizer: OptimizerConfig
    evaluate_every: int
    evaluate_batch: int
    level: float
    execution: ExecutionConfig
    mesh: MeshConfig
    checkpoint: CheckpointConfig

    def __post_init__(self):
        check_trained(self.execution.param_dtype, "execution")
        if self.seed < 0:
            raise UserError(f"seed {self.seed}: wanted at least 0")
        least = min(self.epochs, self.batch, self.micro_batches, self.evaluate_every)
        if least < 1 or self.evaluate_batch < 1 or min(self.length_buckets, default=0) < 2:
            raise UserError(
                f"epochs {self.epochs}, batch {self.batch}, micro_batches {self.micro_batches}, "
                f"evaluate_every {self.evaluate_every}, evaluate_batch {self.evaluate_batch}: need "
                f"at least 1; length_buckets {self.length_buckets}: need one of at least 2"
            )
        if self.validation < 2 or self.first < 0:
            raise UserError(
                f"validation {self.validation}, first {self.first}: need at least 2 (an interval "
                "takes two questions), and 0"
            )
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
        if not 0 < self.level < 1:
            raise UserError(f"level {self.level}: wanted between 0 and 1")
