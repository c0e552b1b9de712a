"""The config of supervised fine-tuning; its values are in configs/."""

import dataclasses
from typing import Literal

from r1jax.config import Count, Counts, Seed, Size, UserError
from r1jax.data.files.files import Format
from r1jax.data.rows.conversation_fields import ConversationFields
from r1jax.data.rows.packing import Reduction
from r1jax.data.tasks.tasks import TaskConfig
from r1jax.exams.evaluation import EvalConfig
from r1jax.io.retention import CheckpointConfig
from r1jax.model.config import ExecutionConfig, check_trained
from r1jax.rewards.combine import RewardConfig
from r1jax.sharding import MeshConfig
from r1jax.text.templates import PromptConfig
from r1jax.train.next_token import NextTokenLossConfig
from r1jax.train.optimizer import OptimizerConfig


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Training rows in a file, or in all those of a folder.

    Attributes:
      path: of the file or folder.
      format: of the file.
      fields: which fields of a row are what; None where the rows are ours: {"id", "source",
        "messages": [{"role", "content"}, ...]} (`text.conversations`).
      limit: the first so many rows; 0 for all.
      repeats: times that each row stands in one epoch of the run.
    """

    path: str
    format: Format
    fields: ConversationFields | None
    limit: Size
    repeats: Count


@dataclasses.dataclass(frozen=True)
class ExamConfig:
    """Questions that the model is asked while it learns.

    Attributes:
      task: of which the held-out splits are asked; "train" is not read.
      reward: what the answers are judged by.
      evaluation: how often, how many; before the first update too.
      max_new_tokens: length cap of an answer.
      prompt_buckets: prompt lengths that the sampler is compiled for, in tokens.
      reflective_words: counted in answers.
    """

    task: TaskConfig
    reward: RewardConfig
    evaluation: EvalConfig
    max_new_tokens: Count
    prompt_buckets: Counts
    reflective_words: tuple[str, ...]

    def __post_init__(self):
        self.reward.check(cap=self.max_new_tokens, learned=())


@dataclasses.dataclass(frozen=True)
class SftConfig:
    """Supervised fine-tuning on conversations.

    Attributes:
      seed: of the order of the rows and of the sampling of the exam.
      base: the model to start from: a model directory, a GGUF file, or
        "package:NAME".
      prompt: how questions are put, in training and in the exam.
      data: training rows, by name; no two rows may have one id.
      validation: rows held out to measure the loss on, at least so many: all rows of a question are
        held out together. Drawn by a hash of the question, so they are the same in every run.
      epochs: passes over the packed rows, each in an order of its own.
      batch: packed rows per update.
      length: tokens of a packed row.
      packing_bins: rows that are filled at a time.
      too_long: what becomes of a conversation that is longer than a row: "error" stops, "drop"
        leaves it out and counts it.
      reduction: "token_mean" is the mean over a batch's target tokens, "sequence_mean" that over
        its examples' means.
      micro_batches: pieces of a batch whose gradients are summed inside the step.
      optimizer: its total_updates may be 0, for the updates of this run.
      evaluate_every: updates between measurements of the held-out loss; 0 without validation.
      exam: questions asked during training, or None.
    """

    pipeline: Literal["sft"]
    seed: Seed
    base: str
    prompt: PromptConfig
    data: dict[str, DataConfig]
    validation: Size
    epochs: Count
    batch: Count
    length: Count
    packing_bins: Count
    too_long: Literal["error", "drop"]
    reduction: Reduction
    micro_batches: Count
    loss: NextTokenLossConfig
    optimizer: OptimizerConfig
    evaluate_every: Size
    exam: ExamConfig | None
    execution: ExecutionConfig
    mesh: MeshConfig
    checkpoint: CheckpointConfig

    def __post_init__(self):
        check_trained(self.execution.param_dtype, "execution")
        if not self.data:
            raise UserError("data: got none")
        shards = self.mesh.data * self.mesh.expert
        if self.batch % (self.micro_batches * shards):
            raise UserError(
                f"batch {self.batch} does not divide by micro_batches {self.micro_batches} x mesh "
                f"data x expert {shards}"
            )
        if bool(self.validation) != bool(self.evaluate_every):
            raise UserError(
                f"validation {self.validation}, evaluate_every {self.evaluate_every}: wanted both "
                "above 0, or both 0"
            )
        exams = self.exam and self.exam.evaluation
        if self.checkpoint.keep_best and not (self.evaluate_every or self.scored_by_exam):
            raise UserError(
                f"checkpoint.keep_best {self.checkpoint.keep_best}: no checkpoint would have a "
                "score, without validation or an exam of it"
            )
        if exams and exams.batch % shards:
            raise UserError(
                f"exam.evaluation.batch {exams.batch} does not divide by mesh data x expert = "
                f"{shards}"
            )

    @property
    def scored_by_exam(self) -> bool:
        """Whether the best checkpoint is that of the best exam, not of the least held-out loss."""
        e = self.exam and self.exam.evaluation
        return bool(e and e.every_updates and e.validation)
