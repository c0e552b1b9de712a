"""Whether a person can read a completion: DeepSeek-R1's complaint about R1-Zero, made a measure.

The paper (arXiv:2501.12948, sections 2.2.4 and 2.3.1) names what makes R1-Zero hard to read: it
mixes languages, and its answer is no summary for a reader. How that is measured it does not say.
"""

import re
from collections.abc import Mapping

from r1jax.text.thought import CLOSE, TAGS, cut

ONE_LANGUAGE = 0.95  # share of a thought's words in the question's language
REPEATED = -0.1  # the repetition part of the reward: minus the share of repeated n-grams
_TAG = re.compile("|".join(TAGS))
_WORD = re.compile(r"[^\W\d_]{2,}")


def summary(text: str) -> str:
    """What follows the thought of a completion, without tags; "" where the thought never ends."""
    return _TAG.sub(" ", cut(text)[1] or "").strip()


def readable(text: str, parts: Mapping[str, float]) -> bool:
    """Returns whether the thought keeps to one language and does not repeat, and a summary follows.

    Args:
      text: a completion, without what its prompt opened.
      parts: of its reward: "language" 0 to 1, "repetition" above -1 to 0.

    A summary says something in words: a bare number is none.
    """
    return (
        CLOSE in text
        and parts["language"] >= ONE_LANGUAGE
        and parts["repetition"] >= REPEATED
        and _WORD.search(summary(text).replace("boxed", "")) is not None
    )
