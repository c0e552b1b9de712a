"""Scores of repeated samples and their uncertainty: pass@k, cons@k, intervals by question."""

import math
from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from jaxtyping import Bool, Float

from r1jax.rewards import maths


def pass_at_k(n: int, c: int, k: int) -> float:
    """Returns the unbiased chance that one of k samples is right (arXiv:2107.03374, equation 1).

    Args:
      n: samples drawn.
      c: of them right.
      k: samples allowed, at most n.

    Raises:
      ValueError: unless 0 <= c <= n and 1 <= k <= n.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass@k: got n {n}, c {c}, k {k}, wanted 0 <= c <= n and 1 <= k <= n")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def majority(answers: Sequence[str | None]) -> str | None:
    """Returns the most frequent answer, in its first wording; None if nobody answered.

    Answers count together when `maths.canonical` says so; None casts no vote; of equally frequent
    ones the first to occur wins.
    """
    given = [(maths.canonical(answer), answer) for answer in answers if answer is not None]
    if not given:
        return None
    # most_common keeps the order of first occurrence among equal counts
    winner = Counter(key for key, _ in given).most_common(1)[0][0]
    return dict(reversed(given))[winner]


def consensus_correct(
    answers: Sequence[Sequence[str | None]], golds: Sequence[str], *, k: int
) -> Bool[np.ndarray, "Q J"]:
    """Returns whether the majority of each k successive samples is right, for each question.

    Samples are exchangeable, so the J = samples / k blocks are independent draws of cons@k.

    Args:
      answers: per question the extracted answer of each sample, None where there is none.
      golds: the reference answer of each question.
      k: samples that vote together.

    Raises:
      ValueError: if the lengths do not fit, or the number of samples is no multiple of k.
    """
    if not golds or len(answers) != len(golds):
        raise ValueError(f"cons@k: got {len(answers)} rows of answers, {len(golds)} golds")
    n_samples = {len(row) for row in answers}
    if k < 1 or len(n_samples) > 1 or min(n_samples) < 1 or min(n_samples) % k:
        raise ValueError(f"cons@k: got {sorted(n_samples)} samples, wanted a multiple of k = {k}")
    correct = []
    for row, gold in zip(answers, golds, strict=True):
        votes = [majority(row[start : start + k]) for start in range(0, len(row), k)]
        correct.append([vote is not None and maths.judge(vote, gold)[0] for vote in votes])
    return np.array(correct)


def cons_at_k(answers: Sequence[Sequence[str | None]], golds: Sequence[str], *, k: int) -> float:
    """Returns the fraction of majorities over k samples that are right (arXiv:2501.12948, table 2).

    Arguments and errors are those of `consensus_correct`.
    """
    return float(consensus_correct(answers, golds, k=k).mean())


def clustered_interval(
    correct_QK: Bool[np.ndarray, "Q K"] | Float[np.ndarray, "Q K"], *, level: float
) -> tuple[float, float, float]:
    """Returns mean correctness and its interval, (mean, low, high), clustered by question.

    Samples of one question resemble each other, so only questions count as independent: the error
    is the sample std of the Q per-question means over sqrt(Q), the interval normal, clipped to
    [0, 1]. With few questions it is too narrow; all right or all wrong gives width 0.

    Args:
      correct_QK: correctness of K samples of Q questions, 0 to 1.
      level: nominal coverage, such as 0.95.

    Raises:
      ValueError: if Q < 2, K < 1, level is outside (0, 1), or a value outside [0, 1].
    """
    if correct_QK.shape[0] < 2 or correct_QK.shape[1] < 1:
        raise ValueError(f"interval: got correctness {correct_QK.shape}, wanted Q >= 2, K >= 1")
    if not 0 < level < 1:
        raise ValueError(f"interval: got level {level}, wanted one between 0 and 1")
    values_QK = correct_QK.astype(np.float64)
    if not np.all((values_QK >= 0) & (values_QK <= 1)):
        raise ValueError("interval: got correctness outside [0, 1] or NaN")
    means_Q = values_QK.mean(axis=1)
    mean = float(means_Q.mean())
    error = float(means_Q.std(ddof=1)) / math.sqrt(len(means_Q))
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    return mean, max(0.0, mean - reach), min(1.0, mean + reach)
