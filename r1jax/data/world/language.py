"""The two languages of thoughts in the synthetic world, and how one is put into the other.

A Chinese thought calculates in digits, "7+5≡2"; an English one spells, "seven plus five is two".
Both say the same, piece by piece, so a thought is translated by rules and loses nothing. They are
not equally easy for a network: the corpus drills digits (`data.world.corpus`), and a slip is more
often spelt. That is why mixing languages can pay, and why a thought that keeps to the question's
language has a price.
"""

import re

from r1jax.config import UserError
from r1jax.data.world.general import UNITS
from r1jax.data.world.writing import WORDS

LANGUAGES = ("en", "zh")
# each piece in both languages; what RL counts as words are those in letters
_PIECES: tuple[tuple[str, str], ...] = (
    *((UNITS[n], str(n)) for n in range(10)),
    (" plus ", "+"),
    (" minus ", "-"),
    (" times ", "*"),
    (" is ", "≡"),
    (" want ", "?"),
    (" check ", WORDS["zh"]["check"]),
    (" and ", " "),
    (" ok", WORDS["zh"]["ok"]),
    (" wait ", WORDS["zh"]["wait"]),
    (" no", WORDS["zh"]["no"]),
    (" yes", WORDS["zh"]["yes"]),
    (WORDS["en"]["guess"], WORDS["zh"]["guess"]),
    (WORDS["en"]["up"], WORDS["zh"]["up"]),
    ("; ", "; "),
)
_IN = {"en": {zh: en for en, zh in _PIECES}, "zh": {en: zh for en, zh in _PIECES}}
_ANY = sorted({piece for pair in _PIECES for piece in pair}, key=len, reverse=True)
_TOKEN = re.compile("|".join(map(re.escape, _ANY)))


def translate_thought(thought: str, language: str) -> str | None:
    """Returns a thought in one language, whatever mixture of both it is in.

    Args:
      thought: without tags.
      language: "en" or "zh".

    Returns:
      The same thought; None where something in it belongs to neither language.

    Raises:
      UserError: on another language.
    """
    if language not in LANGUAGES:
        raise UserError(f"language: got {language!r}, wanted one of {LANGUAGES}")
    said, at, text = [], 0, thought.strip()
    for match in _TOKEN.finditer(text):
        if match.start() != at:
            return None
        at = match.end()
        said.append(_IN[language].get(match[0], match[0]))
    return "".join(said) if said and at == len(text) else None
