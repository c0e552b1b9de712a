"""Verdicts on two replies: five levels, how a model is asked for one, and a judge who knows."""

import hashlib
import re
from typing import NamedTuple

import numpy as np

# From the first reply shown, A. DeepSeek-R1 averages verdicts of these five levels and keeps pairs
# with |mean| > 1 (arXiv:2501.12948, section 3.1 and appendix B.2); what number a level is worth is
# not published: this coding is our choice.
LEVELS = {"A>>B": 2, "A>B": 1, "A=B": 0, "B>A": -1, "B>>A": -2}
_VERDICT = re.compile(r"\[\[\s*(A>>B|A>B|A=B|B>A|B>>A)\s*\]\]")

# What Arena-Hard's judge is asked (arXiv:2406.11939), in our words
_ASK = """Two assistants, A and B, replied to the same request. Say which reply is better.

Work out first how you would reply yourself. Then look for mistakes in both replies, and weigh \
whether each is right, helps the person who asks, keeps to what was asked, and is clear. Which one \
is shown first means nothing, and longer is not better.

End with one of these verdicts, in double brackets:
[[A>>B]] A is much better
[[A>B]] A is a little better
[[A=B]] they are about equally good
[[B>A]] B is a little better
[[B>>A]] B is much better

<request>
{question}
</request>
<reply_a>
{first}
</reply_a>
<reply_b>
{second}
</reply_b>"""


class Judgement(NamedTuple):
    """One look at a pair.

    Attributes:
      swapped: whether the second reply of the pair was shown first, as A.
      verdict: of LEVELS, from the reply that was shown first; None if it could not be read.
      said: what the judge wrote; "" for the rules.
    """

    swapped: bool
    verdict: int | None
    said: str

    @property
    def delta(self) -> int | None:
        """The verdict from the pair's first reply: 2 if that is much better."""
        return None if self.verdict is None else -self.verdict if self.swapped else self.verdict


def ask(question: str, first: str, second: str) -> str:
    """Returns what a model is asked; a blank reply is called one."""
    told = {"question": question, "first": first, "second": second}
    for_blank = {name: text.strip() or "(nothing)" for name, text in told.items()}
    # one pass, so that braces in a text are no places
    return re.sub(r"\{(question|first|second)\}", lambda m: for_blank[m[1]], _ASK)


def parse(text: str) -> int | None:
    """Returns the verdict of a reply, or None if there is none, or several that differ."""
    found = set(_VERDICT.findall(text))
    return LEVELS[found.pop()] if len(found) == 1 else None


def stream(seed: int, pair: str, number: int) -> np.random.Generator:
    """Random numbers of one judgement of a pair, a function of these three."""
    digest = hashlib.sha256(f"judgement {seed} {number} {pair}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def noisy(
    first: float,
    second: float,
    rng: np.random.Generator,
    *,
    scale: float,
    noise: float,
    position_bias: float,
) -> int:
    """Returns the verdict of a judge who knows the truth but is neither sure nor fair.

    clip(round((first - second) * scale + noise * normal + position_bias), -2, 2).

    Args:
      first, second: how good the replies truly are, 0 to 1, in the order in which they are shown.
      scale: levels between a reply worth 0 and one worth 1.
      noise: standard deviation, in levels.
      position_bias: levels by which the reply shown first is preferred for that.
    """
    leaning = (first - second) * scale + noise * rng.normal() + position_bias
    return int(np.clip(np.rint(leaning), -2, 2))
