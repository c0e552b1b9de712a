"""Rewards of length: pure functions of a completion's number of tokens.

Tokens are those that were sampled, the end token included. The cap is the length at which the
sampler stops: a completion that was cut off has exactly that many.
"""

import math

from r1jax.config import UserError


def _check(tokens: int, cap: int) -> None:
    if tokens < 0 or cap < 1:
        raise UserError(
            f"length reward: got {tokens} tokens and a cap of {cap}, wanted at least 0 and 1"
        )


def soft_overlong(tokens: int, *, cap: int, buffer: int) -> tuple[float, str]:
    """Returns the soft overlong punishment, -1.0 to 0.0, and why (DAPO, arXiv:2503.14476, eq. 13).

    Args:
      tokens: length of the completion.
      cap: L_max in tokens; there and beyond, hence for all that was cut off, it is -1.
      buffer: L_cache, the last tokens before the cap, over which it falls linearly from 0;
        the paper has 4,096 of 20,480.

    Raises:
      UserError: if tokens is negative or the buffer is not within 1..cap.
    """
    _check(tokens, cap)
    if not 1 <= buffer <= cap:
        raise UserError(f"soft overlong: got buffer {buffer}, wanted 1 to the cap of {cap} tokens")
    free = cap - buffer
    if tokens <= free:
        return 0.0, f"{tokens} tokens, {free} are free"
    return max(-1.0, (free - tokens) / buffer), f"{tokens} tokens, {free} are free, cap {cap}"


def cosine(
    tokens: int,
    correct: bool,
    *,
    cap: int,
    right_short: float,
    right_long: float,
    wrong_short: float,
    wrong_long: float,
    exceeded: float,
) -> tuple[float, str]:
    """Returns the cosine length reward and why (Yeo et al., arXiv:2502.03373).

    Half a cosine leads from the short value at 0 tokens to the long value at the cap. With
    right_short > right_long and wrong_short < wrong_long a right answer had better be short,
    while a wrong one had better come of more thinking. It takes the place of accuracy: adding
    both pays correctness twice.

    Args:
      tokens: length of the completion.
      correct: whether its answer is right.
      cap: L_max in tokens.
      right_short, right_long: value of a right answer of 0 and of cap tokens; any order.
      wrong_short, wrong_long: the same of a wrong answer.
      exceeded: value from the cap on, where the sampler cuts off, right or wrong.

    Returns:
      A value between the short and the long one, or exceeded; all in reward units.

    Raises:
      UserError: if tokens is negative or the cap below 1.
    """
    _check(tokens, cap)
    if tokens >= cap:
        return exceeded, f"{tokens} tokens reach the cap of {cap}"
    short, long = (right_short, right_long) if correct else (wrong_short, wrong_long)
    shortness = (1 + math.cos(math.pi * tokens / cap)) / 2
    value = long + (short - long) * shortness
    return value, f"{'right' if correct else 'wrong'} in {tokens} of {cap} tokens"
