"""How well scores tell better replies from worse: accuracy, calibration, and what length explains.

Rows of one question resemble each other, so intervals are over questions (`exams.statistics`).
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy import special, stats

from r1jax.data.rows.preferences import Encoded, Kind, turns_of_user
from r1jax.exams.statistics import mean, mean_and_ends

BINS = 10


def reliability(
    predicted_B: Float[np.ndarray, " B"],
    happened_B: Float[np.ndarray, " B"],
    *,
    low: float,
    bins: int,
) -> tuple[float, list[dict[str, float]]]:
    """Returns the expected calibration error and the table it is made of.

    ECE = sum over bins of share * |mean happened - mean predicted| (Guo et al., arXiv:1706.04599,
    equation 3), bins of equal width from `low` to 1; empty ones are left out of the table.

    Args:
      predicted_B: probability that was predicted, low to 1.
      happened_B: 1 where it came true, 0 where not, 0.5 for a tie.
    """
    width = (1 - low) / bins
    bin_B = np.clip(((predicted_B - low) / width).astype(int), 0, bins - 1)
    error, table = 0.0, []
    for b in sorted(set(bin_B.tolist())):
        here_B = bin_B == b
        predicted, happened = float(predicted_B[here_B].mean()), float(happened_B[here_B].mean())
        error += float(here_B.mean()) * abs(happened - predicted)
        ends = {"low": low + b * width, "high": low + (b + 1) * width}
        table.append(
            {**ends, "rows": int(here_B.sum()), "predicted": predicted, "happened": happened}
        )
    return error, table


def over_questions(
    values_B: Float[np.ndarray, " B"], questions: Sequence[str], *, level: float
) -> dict[str, Any]:
    """Returns rows, the mean over questions of their means, and its interval, None if unknown."""
    by_question: dict[str, list[float]] = defaultdict(list)
    for value, question in zip(values_B.tolist(), questions, strict=True):
        by_question[question].append(value)
    means = [float(np.mean(values)) for values in by_question.values()]
    score = mean_and_ends(means, level=level)
    return {"rows": len(values_B), "questions": len(means), **score}


def correlation(x_B: Float[np.ndarray, " B"], y_B: Float[np.ndarray, " B"]) -> float | None:
    """Returns Pearson's r; None where one of them does not vary, so that there is none."""
    if len(x_B) < 2 or np.ptp(x_B) == 0 or np.ptp(y_B) == 0:
        return None
    return float(np.corrcoef(x_B, y_B)[0, 1])


def area(scores_B: Float[np.ndarray, " B"], is_one_B: Bool[np.ndarray, " B"]) -> float | None:
    """Returns the chance that a one scores above a zero, a tie half: the area under the ROC."""
    ones, zeros = int(is_one_B.sum()), int((~is_one_B).sum())
    if not ones or not zeros:
        return None
    ranks_B = stats.rankdata(scores_B)
    return float((ranks_B[is_one_B].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def _won(difference_B: Float[np.ndarray, " B"]) -> Float[np.ndarray, " B"]:
    return (np.sign(difference_B) + 1) / 2


def _of_pairs(
    scores_B2: Float[np.ndarray, "B 2"],
    lengths_B2: Float[np.ndarray, "B 2"],
    questions: Sequence[str],
    level: float,
) -> dict[str, Any]:
    ahead_B, longer_B = (x[:, 0] - x[:, 1] for x in (scores_B2, lengths_B2))
    won_B = _won(ahead_B)
    # which reply is the chosen one is known: what is predicted is that the better scored one is
    sure_B = special.expit(np.abs(ahead_B))
    error, table = reliability(sure_B, won_B, low=0.5, bins=BINS)
    sides = {"longer": longer_B > 0, "shorter": longer_B < 0, "equal": longer_B == 0}
    by_length = {
        side: over_questions(
            won_B[here_B],
            [q for q, is_here in zip(questions, here_B, strict=True) if is_here],
            level=level,
        )
        for side, here_B in sides.items()
    }
    return {
        "loss": float(np.logaddexp(0, -ahead_B).mean()),
        "accuracy": over_questions(won_B, questions, level=level),
        "ties": float((ahead_B == 0).mean()),
        "calibration_error": error,
        "reliability": table,
        "mean_lengths": {
            "chosen": float(lengths_B2[:, 0].mean()),
            "rejected": float(lengths_B2[:, 1].mean()),
        },
        "accuracy_where_chosen_is": by_length,
        "longer_wins": over_questions(_won(longer_B), questions, level=level),
        "score_length_correlation": correlation(scores_B2.ravel(), lengths_B2.ravel()),
        "difference_correlation": correlation(ahead_B, longer_B),
    }


def _of_labels(
    scores_B: Float[np.ndarray, " B"],
    lengths_B: Float[np.ndarray, " B"],
    safe_B: Bool[np.ndarray, " B"],
    questions: Sequence[str],
    level: float,
) -> dict[str, Any]:
    towards_B = np.where(safe_B, scores_B, -scores_B)
    error, table = reliability(special.expit(scores_B), safe_B.astype(float), low=0.0, bins=BINS)
    return {
        "loss": float(np.logaddexp(0, -towards_B).mean()),
        "accuracy": over_questions(_won(towards_B), questions, level=level),
        "ties": float((scores_B == 0).mean()),
        "most_frequent_label": float(max(safe_B.mean(), 1 - safe_B.mean())),
        "auc": area(scores_B, safe_B),
        "calibration_error": error,
        "reliability": table,
        "mean_lengths": {"safe": mean(lengths_B[safe_B]), "unsafe": mean(lengths_B[~safe_B])},
        "auc_of_length": area(lengths_B, safe_B),
        "score_length_correlation": correlation(scores_B, lengths_B),
    }


def results(
    rows: Sequence[Encoded], scores: Sequence[Sequence[float]], *, kind: Kind, level: float
) -> dict[str, Any]:
    """Returns the accuracy, calibration and length bias of held-out scores, ready for JSON.

    Args:
      rows: held-out rows.
      scores: of each reply of each row, logits.
      kind: of the rows.
      level: nominal coverage of the intervals.

    Returns:
      loss (nats), accuracy with its interval (a tie is half right), share of ties, calibration
      (of pairs: how often the better scored reply is the chosen one against sigmoid of the scores'
      distance, 0.5 to 1; of labels: the share of safe ones against sigmoid of the score), and mean
      lengths in tokens. Of pairs also the length bias: accuracy where the chosen reply is the
      longer, the shorter, or of equal length; how often the rule "the longer one wins" is right;
      and correlations with length, of scores over all replies, and of differences within pairs.
    """
    # all turns of a conversation are one question, as in `preferences.hold_out`
    questions = [turns_of_user(row.row.question)[0] for row in rows]
    scores_BG = np.array(scores, np.float64)
    lengths_BG = np.array([row.lengths for row in rows], np.float64)
    if kind == "pairs":
        return _of_pairs(scores_BG, lengths_BG, questions, level)
    safe_B = np.array([row.row.label for row in rows]) > 0.5
    return _of_labels(scores_BG[:, 0], lengths_BG[:, 0], safe_B, questions, level)
