"""Whether a text says one of some words."""

import re
from collections.abc import Collection
from functools import lru_cache

from r1jax.config import UserError

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_LETTER = rf"[^\W{_HAN}]"  # of a script that parts its words


def says_any(text: str, words: Collection[str]) -> bool:
    """Returns whether a text says one of the words, in upper or lower case.

    A word is found as a whole: "but" is not said by "attribute". Chinese parts no words, so one
    with a Han character is found wherever it stands, and one in letters between Han characters too.

    Args:
      text: any text.
      words: words or phrases; none of them is said by any text.

    Raises:
      UserError: if a word is blank.
    """
    pattern = _pattern(tuple(words))
    return pattern is not None and pattern.search(text) is not None


@lru_cache(maxsize=64)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str] | None:
    if not all(map(str.strip, words)):
        raise UserError(f"words: got {words}, wanted none of them blank")
    either = "|".join(_whole(word.strip()) for word in words)
    return re.compile(either, re.IGNORECASE) if either else None


def _whole(word: str) -> str:
    spelt = re.escape(word)
    return spelt if re.search(f"[{_HAN}]", word) else rf"(?<!{_LETTER}){spelt}(?!{_LETTER})"
