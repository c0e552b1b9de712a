"""The reward of R1-Zero, R = R_accuracy + R_format, and two control arms."""

import hashlib

from r1jax.rewards import format, maths
from r1jax.rewards.score import Score

KINDS = ("rule", "format_only", "random")
PARTS = ("accuracy", "format")


def rule_reward(
    text: str, gold: str, *, weights: dict[str, float], places: tuple[str, ...]
) -> Score:
    """Returns the weighted sum of accuracy and format (arXiv:2501.12948, section 2.2.2).

    Args:
      text: a completion.
      gold: the reference answer.
      weights: of "accuracy" and "format", in reward units; R1-Zero has 1 and 1.
      places: where the answer may stand, as for `maths.extract_answer`.

    Raises:
      ValueError: if weights name anything but accuracy and format, or gold or places are unusable.
    """
    if set(weights) != set(PARTS):
        raise ValueError(f"reward weights: got {sorted(weights)}, wanted {list(PARTS)}")
    accuracy, why_accuracy = maths.accuracy(text, gold, places)
    shape, why_shape = format.think_answer(text)
    return Score(
        total=weights["accuracy"] * accuracy + weights["format"] * shape,
        parts={"accuracy": accuracy, "format": shape},
        reason=f"accuracy {accuracy:g}: {why_accuracy}; format {shape:g}: {why_shape}",
    )


def random_reward(key_seed: int, problem_id: str, sample: int) -> Score:
    """Returns 0 or 1 with equal chance, a pure function that never sees the text: a control arm."""
    digest = hashlib.blake2b(f"{key_seed}:{sample}:{problem_id}".encode()).digest()
    total = float(digest[0] & 1)
    return Score(total, {"random": total}, f"random {total:g}")


def score_all(
    texts: list[str],
    golds: list[str],
    *,
    kind: str,
    weights: dict[str, float],
    places: tuple[str, ...],
    seed: int,
    problem_ids: list[str],
    samples: list[int],
) -> list[Score]:
    """Returns one score per completion; parts always hold accuracy and format.

    Args:
      texts: completions.
      golds: reference answer of each.
      kind: "rule" pays the weighted sum, "format_only" the weighted format, "random" 0 or 1.
      weights: of "accuracy" and "format", in reward units.
      places: where the answer may stand.
      seed: of the random kind; change it with the step, or a completion's luck never changes.
      problem_ids: problem of each completion.
      samples: index of each completion among those of its problem.

    Raises:
      ValueError: if kind or a weight is unknown, or the lists differ in length.
    """
    if kind not in KINDS:
        raise ValueError(f"reward kind: got {kind!r}, wanted one of {KINDS}")
    lengths = [len(texts), len(golds), len(problem_ids), len(samples)]
    if len(set(lengths)) > 1:
        raise ValueError(f"texts, golds, problem_ids, samples: got lengths {lengths}, wanted equal")
    scores = []
    for text, gold, problem_id, sample in zip(texts, golds, problem_ids, samples, strict=True):
        score = rule_reward(text, gold, weights=weights, places=places)
        if kind == "format_only":
            score = score._replace(total=weights["format"] * score.parts["format"])
        elif kind == "random":
            luck = random_reward(seed, problem_id, sample)
            score = Score(luck.total, score.parts | luck.parts, f"{luck.reason}; {score.reason}")
        scores.append(score)
    return scores
