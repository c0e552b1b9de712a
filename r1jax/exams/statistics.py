"""Scores of repeated samples and their uncertainty: pass@k, votes, intervals, two models compared.

Samples of one question resemble each other, so only questions count as independent: whatever is
averaged here is first one number a question. Questions may then have unlike numbers of samples.
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from r1jax.config import UserError

ROUNDING = 1e-9  # means of questions that differ by less are equal


class Interval(NamedTuple):
    """A mean over questions and the ends of its interval."""

    mean: float
    low: float
    high: float


class Comparison(NamedTuple):
    """Two models, a and b, on the same questions.

    Attributes:
      questions: that both answered.
      mean_a, mean_b: means over questions.
      difference: mean_a - mean_b.
      low, high: its interval.
      p_t: two-sided paired t-test over questions; None if every question differs by the same
        amount but 0, where there is no spread to test against.
      p_flip: two-sided sign-flip test, which needs no normal distribution: trust it for few
        questions.
    """

    questions: int
    mean_a: float
    mean_b: float
    difference: float
    low: float
    high: float
    p_t: float | None
    p_flip: float


def mean(values: Iterable[Any]) -> float | None:
    """Returns the mean of numbers or booleans; None of none."""
    known = list(values)
    return float(np.mean(known)) if known else None


def pass_at_k(n: int, c: int, k: int) -> float:
    """Returns the unbiased chance that one of k samples is right (arXiv:2107.03374, equation 1).

    Args:
      n: samples drawn.
      c: of them right.
      k: samples allowed, at most n.

    Raises:
      UserError: unless 0 <= c <= n and 1 <= k <= n.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise UserError(f"pass@k: got n {n}, c {c}, k {k}, wanted 0 <= c <= n and 1 <= k <= n")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def winner(votes: Sequence[Hashable]) -> int | None:
    """Returns who first cast the most frequent vote; None if nobody voted.

    Args:
      votes: a key of each sample that answers share when they are equivalent; None casts no vote.
        Of equally frequent ones the first to occur wins.
    """
    # most_common keeps the order of first occurrence among equal counts
    ranked = Counter(vote for vote in votes if vote is not None).most_common(1)
    return list(votes).index(ranked[0][0]) if ranked else None


def consensus(votes: Sequence[Hashable], right: Sequence[bool | None], *, k: int) -> float | None:
    """Returns the share of blocks of k successive samples whose most frequent answer is right.

    That is cons@k (arXiv:2501.12948, table 2) of one question: samples are exchangeable, so the
    blocks are independent draws of it. Voting needs no judge, so unjudged answers vote; the winner
    is right if its first judged holder in the block is, else the first in the question. A block in
    which nobody answered is wrong; one whose winner nobody judged is left out.

    Args:
      votes: one key a sample, the same for equivalent answers; None casts no vote.
      right: whether the answer is, None where its judge failed.
      k: samples that vote together.

    Returns:
      None if no block's winner was judged.

    Raises:
      UserError: if the lengths differ, or k does not divide the number of samples.
    """
    if len(votes) != len(right) or k < 1 or not votes or len(votes) % k:
        raise UserError(
            f"cons@k: got {len(votes)} votes, {len(right)} verdicts, k {k}, wanted equal numbers "
            "that k divides"
        )
    known = list(zip(votes, right, strict=True))
    verdicts: list[bool] = []
    for start in range(0, len(votes), k):
        block = known[start : start + k]
        first = winner([vote for vote, _ in block])
        if first is None:
            verdicts.append(False)
            continue
        alike = [r for vote, r in [*block, *known] if vote == block[first][0] and r is not None]
        verdicts += alike[:1]
    return sum(verdicts) / len(verdicts) if verdicts else None


def mean_interval(
    means_Q: Float[np.ndarray, " Q"], *, level: float, bounds: tuple[float, float] = (0.0, 1.0)
) -> Interval:
    """Returns the mean over questions and its interval, clipped to the bounds.

    Student's t with Q - 1 degrees of freedom over the Q means. Where all of them are equal, so that
    their spread says nothing, the rule of three: 0 right of 100 is [0, 0.030] at level 0.95. Close
    to 0 and 1 the t interval is too narrow: in simulated exams of 30 questions with 64 samples each
    the 95% interval holds a truth of 0.4, 0.1, 0.02 in 95%, 93%, 76% of them.

    Args:
      means_Q: mean of each question's samples, however many, such as their correctness.
      level: nominal coverage, such as 0.95.
      bounds: of what a question can have; scores without any have -inf and inf.

    Raises:
      UserError: if Q < 2, level is outside (0, 1), a value is outside the bounds, or all values
        are equal and nothing bounds the others.
    """
    n_questions = len(means_Q)
    if n_questions < 2:
        raise UserError(f"interval: got {n_questions} questions, wanted at least 2")
    if not 0 < level < 1:
        raise UserError(f"interval: got level {level}, wanted one between 0 and 1")
    if not np.all((means_Q >= bounds[0]) & (means_Q <= bounds[1])):
        raise UserError(f"interval: got values outside {list(bounds)} or NaN")
    mean = float(means_Q.mean())
    if np.ptp(means_Q) < ROUNDING:
        if not np.all(np.isfinite(bounds)):
            raise UserError(f"interval: all values are {mean} and none is known to bound others")
        # Had more than this share of all questions another value, Q in a row without one would be
        # less likely than 1 - level; that share may lie at either bound.
        unseen = 1 - (1 - level) ** (1 / n_questions)
        low, high = ((1 - unseen) * mean + unseen * bound for bound in bounds)
        return Interval(mean, low, high)
    error = float(means_Q.std(ddof=1)) / math.sqrt(n_questions)
    reach = float(stats.t.ppf((1 + level) / 2, n_questions - 1)) * error
    return Interval(mean, max(bounds[0], mean - reach), min(bounds[1], mean + reach))


def mean_and_ends(
    means: Sequence[float], *, level: float, bounds: tuple[float, float] = (0.0, 1.0)
) -> dict[str, float | None]:
    """Returns mean, low and high of one number a question, ready for JSON.

    The mean of no question is None. So are the ends where `mean_interval` has none: of fewer than
    two questions, and of equal numbers without finite bounds.
    """
    if len(means) > 1 and (np.all(np.isfinite(bounds)) or np.ptp(means) >= ROUNDING):
        values_Q = np.array(means, np.float64)
        return mean_interval(values_Q, level=level, bounds=bounds)._asdict()
    return {"mean": mean(means), "low": None, "high": None}


def sign_flip_p(differences_Q: Float[np.ndarray, " Q"], *, draws: int, seed: int) -> float:
    """Returns how often random signs give a sum as far from 0 as these differences do.

    If the two models are alike, each question's difference is as likely as its negative. All sign
    patterns are tried where there are no more than `draws` of them, else `draws` random ones and
    the pattern seen, so that p is never 0 (Phipson and Smyth 2010).

    Args:
      differences_Q: of two models on each question.
      draws: sign patterns to try, at least 1.
      seed: of the random ones.
    """
    moved_Q = differences_Q[np.abs(differences_Q) > ROUNDING]
    n_moved = len(moved_Q)
    wanted = abs(moved_Q.sum()) - ROUNDING
    if 2**n_moved <= draws:
        patterns_P1 = np.arange(2**n_moved)[:, None]
        signs_PQ = 1 - 2 * (patterns_P1 >> np.arange(n_moved) & 1)
        return float(np.mean(np.abs(np.einsum("pq,q->p", signs_PQ, moved_Q)) >= wanted))
    rng, hits = np.random.default_rng(seed), 0
    for start in range(0, draws, 1000):  # a block at a time: 1000 signs a question in memory
        signs_PQ = rng.choice((-1.0, 1.0), size=(min(1000, draws - start), n_moved))
        hits += int(np.sum(np.abs(np.einsum("pq,q->p", signs_PQ, moved_Q)) >= wanted))
    return (1 + hits) / (1 + draws)


def check_same_questions(a: Set[str], b: Set[str]) -> None:
    """Checks that two exams have the same questions.

    Raises:
      UserError: says how many questions are in one only, and the first.
    """
    odd = sorted(a ^ b)
    if odd:
        raise UserError(
            f"compare: {len(odd)} questions are in one exam only "
            f"({len(a)} against {len(b)} questions), the first: {odd[0]!r}"
        )


def compare(
    a: Mapping[str, float], b: Mapping[str, float], *, level: float, draws: int, seed: int
) -> Comparison:
    """Returns how two models differ on the same questions.

    DeepSeek-R1's tables mark a paired t-test with p < 0.01 (arXiv:2501.12948v2).

    Args:
      a: mean correctness of the first model by question, 0 to 1.
      b: the same of the second.
      level: nominal coverage of the interval.
      draws: sign patterns of `sign_flip_p`.
      seed: of those.

    Raises:
      UserError: if the questions are not the same or fewer than 2, level is outside (0, 1), draws
        below 1, seed below 0, or a value outside [0, 1].
    """
    check_same_questions(a.keys(), b.keys())
    if draws < 1 or seed < 0:
        raise UserError(f"compare: got {draws} draws, seed {seed}, wanted at least 1 and 0")
    means_2Q = np.array([[a[name], b[name]] for name in a], np.float64).reshape(-1, 2).T
    if not np.all((means_2Q >= 0) & (means_2Q <= 1)):
        raise UserError("compare: got correctness outside [0, 1] or NaN")
    differences_Q = means_2Q[0] - means_2Q[1]
    interval = mean_interval(differences_Q, bounds=(-1.0, 1.0), level=level)
    if np.ptp(differences_Q) < ROUNDING:
        p_t = 1.0 if abs(interval.mean) < ROUNDING else None
    else:
        p_t = float(stats.ttest_rel(means_2Q[0], means_2Q[1])[1])
    p_flip = sign_flip_p(differences_Q, draws=draws, seed=seed)
    mean_a, mean_b = means_2Q.mean(axis=1).tolist()
    return Comparison(len(a), mean_a, mean_b, *interval, p_t, p_flip)
