"""The reward of a completion: a weighted sum of parts, each logged, and two control arms."""

import dataclasses
import hashlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from r1jax.config import Count, NonNegative, UserError
from r1jax.rewards.judge import Judge, JudgeConfig, Judged, Question
from r1jax.rewards.parts import format, language, length, repetition
from r1jax.rewards.score import Score
from r1jax.text.thought import whole

PARTS = ("accuracy", "format", "language", "length", "repetition")


@dataclasses.dataclass(frozen=True)
class LanguageConfig:
    """Which language a thought should keep to (`language.consistency`).

    Attributes:
      target: "question" for that of the question, or one that the detector knows.
      detector: "script" or "lingua", which needs r1jax[language].
    """

    target: str
    detector: str


@dataclasses.dataclass(frozen=True)
class OverlongConfig:
    """Soft overlong punishment (`length.soft_overlong`).

    Attributes:
      buffer: last tokens before the cap, over which it falls from 0 to -1.
    """

    buffer: Count


@dataclasses.dataclass(frozen=True)
class CosineConfig:
    """Cosine length reward (`length.cosine`), in reward units.

    Attributes:
      right_short, right_long: of a right answer of no tokens, and of as many as the cap.
      wrong_short, wrong_long: the same of a wrong answer.
      exceeded: of any answer that reaches the cap.
    """

    right_short: float
    right_long: float
    wrong_short: float
    wrong_long: float
    exceeded: float


@dataclasses.dataclass(frozen=True)
class RewardConfig:
    """R = sum of weight * part. R1-Zero has accuracy 1 and format 1, the others 0.

    Attributes:
      kind: "rule" pays the sum, "format_only" the format alone, "random" a coin: control arms.
      weights: in reward units, of accuracy, format, language, length, repetition, each of which is
        measured and logged though its weight be 0, and of the learned parts that a run has.
      format: which form is paid, a key of `format.FORMATS`; where the prompt opened the thought,
        its tag counts as written.
      language: what counts as consistent.
      overlong, cosine: the length part, one of them or neither.
      repetition_n: words of the n-grams whose repetition is punished.
      judge: whether answers are right.
    """

    kind: Literal["rule", "format_only", "random"]
    weights: dict[str, NonNegative]
    format: str
    language: LanguageConfig
    overlong: OverlongConfig | None
    cosine: CosineConfig | None
    repetition_n: Count
    judge: JudgeConfig

    def __post_init__(self):
        if missing := sorted(set(PARTS) - set(self.weights)):
            raise UserError(f"weights: got {sorted(self.weights)}, {missing} are missing")
        if self.format not in format.FORMATS:
            raise UserError(f"format: got {self.format!r}, wanted one of {list(format.FORMATS)}")
        if self.overlong and self.cosine:
            raise UserError("wanted overlong or cosine or neither, got both")
        if self.weights["length"] and not (self.overlong or self.cosine):
            raise UserError(
                f"weights.length {self.weights['length']}: neither overlong nor cosine says what "
                "is paid"
            )

    def check(self, *, cap: int, learned: Collection[str]) -> None:
        """Raises ValueError unless each weight's part can be told.

        Args:
          cap: length cap of the completions, in tokens.
          learned: names of the parts that models give.
        """
        self.check_weights(learned)
        if self.overlong and not 1 <= self.overlong.buffer <= cap:
            raise UserError(
                f"reward.overlong.buffer {self.overlong.buffer}: wanted 1 to the length cap {cap}"
            )

    def check_weights(self, learned: Collection[str]) -> None:
        """Raises ValueError if a weight's part is given by nobody, or a learned one has none."""
        if (known := {*PARTS, *learned}) != set(self.weights):
            raise UserError(f"weights: got {sorted(self.weights)}, wanted {sorted(known)}")


class Completion(NamedTuple):
    """What a policy said.

    Attributes:
      text: as it was sampled.
      opened: whether the prompt ended in <think>: that counts as if the policy had written it.
      question: what it was asked, with its reference.
      tokens: sampled ones, the stop token included.
      truncated: whether the length cap came first.
    """

    text: str
    opened: bool
    question: Question
    tokens: int
    truncated: bool

    @property
    def whole(self) -> str:
        """The text with its opening tag."""
        return whole(self.text, opened=self.opened)


# a part that a model gives: completions -> a value each, None for those that are not its own to
# judge, NaN for one that it could not
Learned = Callable[[Sequence[Completion]], Sequence[float | None]]


def random_reward(key_seed: int, problem_id: str, sample: int) -> float:
    """Returns 0 or 1 with equal chance, a pure function that never sees the text: a control arm."""
    digest = hashlib.blake2b(f"{key_seed}:{sample}:{problem_id}".encode()).digest()
    return float(digest[0] & 1)


class Rewarder:
    """Rewards completions; holds the workers that judge them, and ends them when closed.

    Args:
      config: what is paid.
      learned: parts that models give, by name, such as a helpfulness reward model; each needs a
        weight.

    Raises:
      UserError: if a weight names a part that nobody gives, or a learned part has no weight.
    """

    def __init__(self, config: RewardConfig, learned: Mapping[str, Learned]):
        config.check_weights(learned)
        # a wrong name or a missing package is told now, not after the first rollout
        language.consistency("a probe", question="", **dataclasses.asdict(config.language))
        self.config, self.learned = config, learned
        self.judge = Judge(config.judge)

    def check(self, question: Question) -> None:
        """Raises ValueError if this question could never be judged, or would pay for nothing."""
        self.judge.check(question)
        self.judge.check_pay(question)

    def votes(self, answers: Sequence[str | None], question: Question) -> list[str | None]:
        """A key for each answer to one question; equal keys vote together, None does not."""
        return self.judge.votes(answers, question)

    def __call__(
        self, completions: Sequence[Completion], *, first: int, seed: int, cap: int
    ) -> list[Score]:
        """Returns the reward of each completion.

        Args:
          completions: those of one question lie together.
          first: row of the first one in its rollout, of the random kind.
          seed: of the random kind; change it with the step, or a completion's luck never changes.
          cap: length cap that they were sampled with, in tokens.
        """
        judged = self.judge([c.whole for c in completions], [c.question for c in completions])
        learned = {name: scorer(completions) for name, scorer in self.learned.items()}
        scores = []
        for i, (completion, its) in enumerate(zip(completions, judged, strict=True)):
            parts, why = self._parts(completion, its, cap)
            asked = {n: v for n, values in learned.items() if (v := values[i]) is not None}
            unjudged = [name for name, value in asked.items() if math.isnan(value)]
            parts |= {name: float(v) for name, v in asked.items() if name not in unjudged}
            total = sum(self.config.weights[name] * value for name, value in parts.items())
            reason = "; ".join(f"{name} {parts[name]:.3g}: {told}" for name, told in why.items())
            if self.config.kind == "format_only":
                total = self.config.weights["format"] * parts["format"]
            elif self.config.kind == "random":
                total = random_reward(seed, completion.question.id, first + i)
                parts["random"], reason = total, f"random {total:g}; {reason}"
            if unjudged:
                reason = f"NOT JUDGED by {unjudged}; {reason}"
            failed = its.verdict.error or bool(unjudged)
            scores.append(Score(total, parts, reason, failed, its.answer))
        return scores

    def _parts(
        self, completion: Completion, judged: Judged, cap: int
    ) -> tuple[dict[str, float], dict[str, str]]:
        """The value of each part, and why."""
        c, text, right = self.config, completion.whole, judged.verdict.value == 1
        told = {
            "accuracy": (judged.verdict.value, judged.verdict.reason),
            "format": format.FORMATS[c.format](text),
            "language": language.consistency(
                text, question=completion.question.question, **dataclasses.asdict(c.language)
            ),
            "repetition": repetition.penalty(text, n=c.repetition_n),
        }
        if c.overlong:
            told["length"] = length.soft_overlong(
                completion.tokens, cap=cap, buffer=c.overlong.buffer
            )
        elif c.cosine:
            told["length"] = length.cosine(
                completion.tokens, right, cap=cap, **dataclasses.asdict(c.cosine)
            )
        else:
            told["length"] = (0.0, "not paid")
        if judged.verdict.error:
            told["accuracy"] = (0.0, f"NOT JUDGED, {judged.verdict.reason}")
        parts = {name: float(told[name][0]) for name in PARTS}
        return parts, {name: told[name][1] for name in PARTS}

    def close(self) -> None:
        """Ends the workers."""
        self.judge.close()
