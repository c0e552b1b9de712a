"""The penalty on repetition: which share of a text's n-grams it has said before.

Yeo et al. (arXiv:2502.03373) use it against padding of the length that another reward pays. Their
words are split at spaces; ours must read Chinese and see loops of symbols, so that each Han or
kana character and each mark is a word, and a longer run than any word counts in pieces.
"""

import re
from itertools import islice

from r1jax.config import UserError

# a run of letters and digits, else one character; the run is bounded, or a megabyte of one letter
# would be a single word that repeats nothing
_WORD = re.compile(r"[^\W\u3040-\u9fff]{1,20}|\S")


def repeated_share(text: str, *, n: int) -> float:
    """Returns the share of n-grams of words that occurred earlier in the text, 0 up to below 1.

    Letter case is ignored. A text of n words or fewer repeats nothing. It takes time proportional
    to n and to the length, and memory to the length alone.

    Args:
      text: any text, such as a thought.
      n: words in an n-gram.

    Raises:
      UserError: if n < 1.
    """
    if n < 1:
        raise UserError(f"repetition: got n-grams of {n} words, wanted at least 1")
    words = _WORD.findall(text.lower())
    total = len(words) - n + 1
    if total < 2:
        return 0.0
    numbers = {word: i for i, word in enumerate(dict.fromkeys(words))}
    ids = [numbers[word] for word in words]
    # hashes of numbers, not of strings: the same in every process; 64 bits hardly ever collide
    distinct = set(map(hash, zip(*(islice(ids, i, None) for i in range(n)), strict=False)))
    return 1 - len(distinct) / total


def penalty(text: str, *, n: int) -> tuple[float, str]:
    """Returns minus the repeated share, above -1.0 up to 0.0, and why.

    Raises:
      UserError: if n < 1.
    """
    share = repeated_share(text, n=n)
    return 0.0 - share, f"{share:.1%} of the {n}-grams are repeated"
