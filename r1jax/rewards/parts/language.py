r"""R_language, the share of a thought's words that are in the wanted language.

DeepSeek-R1 (arXiv:2501.12948, eq. 7) adds it to the reward so that a thought keeps to one language;
how words are told from each other and from maths, the paper leaves open. Here maths and code go
first, then words are counted by script: a Latin word of two letters or more is English, 1.7 Han
characters are a word of Chinese. Hence the default detector cannot tell French or German from
English, nor Japanese written in Han characters from Chinese (its kana count as another language).
The detector "lingua" tells the languages of Latin script apart: pip install r1jax[language].

Words in maths or code count for nothing: a thought that is nothing else earns the whole reward.
"""

import functools
import math
import re

from r1jax.config import MissingPackage, UserError
from r1jax.rewards.parts.format import thought

# characters; jieba cuts the questions of CMATH into words of 1.64, BELLE's seed tasks into 1.77
HAN_PER_WORD = 1.7

# Every alternative stops at the next thing that looks like its own beginning, or is possessive, so
# that a megabyte of openings is read a few times at most. What never closes hides nothing.
_MATHS_OR_CODE = re.compile(
    r"""
    ```(?:[^`]++|`(?!``))*+```                     # fenced code
    | `[^`\n]++`
    | \$\$(?:[^$]++|\$(?!\$))*+\$\$
    # as pandoc has it, so that prices are no maths: no space inside the dollars, no digit after
    | \$(?=[^\s$])(?:[^$\\\n]++|\\.|\n(?![ \t]*\n))*+(?<!\s)\$(?!\d)
    | \\\[(?:[^\\]++|\\(?![\[\]]))*+\\\]
    | \\\((?:[^\\]++|\\(?![()]))*+\\\)
    | \\boxed\s*\{(?:[^{}]++|\{(?:[^{}]++|\{[^{}]*+\})*+\})*+\}
    | \\(?:begin|end|mathrm|mathbf|mathbb|operatorname\*?|label|ref)\s*\{[^{}]*+\}
    | \\(?:[A-Za-z]++|.)
    | https?://\S++
    """,
    re.VERBOSE | re.DOTALL,
)
_LATIN = (
    r"A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff\uff21-\uff3a\uff41-\uff5a"
    r"\U0001d400-\U0001d7cb"
)
_INSIDE = r"\u0300-\u036f'\u2019"  # accents of their own, apostrophes
# two letters, and no digit or underscore attached: 5cm and x_max are no words
_LATIN_WORD = re.compile(
    rf"(?<![{_LATIN}{_INSIDE}0-9_])[{_LATIN}][{_INSIDE}]*+[{_LATIN}][{_LATIN}{_INSIDE}]*+(?![0-9_])"
)
_HAN = re.compile(r"[\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
# bounded runs, since kana and Thai are written without spaces; one Greek letter is a variable
_OTHER_WORD = re.compile(
    r"[\u3041-\u3096\u30a1-\u30fa\u30fc\uff66-\uff9d]{1,2}"
    r"|[\u1100-\u11ff\u3131-\u318e\uac00-\ud7af]{1,12}"
    r"|[\u0370-\u10ff\u1200-\u1dbf]{2,12}"
)
# maths and units in Latin letters, in any language's text; the names of points (ABCD) are left out
# by their capitals
_NEUTRAL = (
    "sin",
    "cos",
    "tan",
    "cot",
    "sec",
    "csc",
    "arcsin",
    "arccos",
    "arctan",
    "log",
    "ln",
    "lg",
    "exp",
    "lim",
    "max",
    "min",
    "mod",
    "gcd",
    "lcm",
    "det",
    "dx",
    "dy",
    "mm",
    "cm",
    "dm",
    "km",
    "mg",
    "kg",
    "ml",
)
_MAX_CAPITALS = 4
_SENTENCE_END = re.compile(r"[.!?;:\n\u3002\uff01\uff1f\uff1b\uff1a]+")
_LINGUA_PIECES = 200  # of a text
_LINGUA_WORDS = (5, 50)  # of a piece: fewer are hard to tell, more say nothing new
_LINGUA_LETTERS = 20  # of a word: lingua's time is quadratic in them


def prose(text: str) -> str:
    """Returns a text without maths, boxes, LaTeX commands, code and addresses."""
    return _MATHS_OR_CODE.sub(" ", text)


def _latin_words(text: str) -> list[str]:
    return [
        word
        for word in _LATIN_WORD.findall(text)
        if not (word.isupper() and len(word) <= _MAX_CAPITALS) and word.lower() not in _NEUTRAL
    ]


def script_words(text: str) -> dict[str, float]:
    """Returns the words of prose by script: "en" Latin, "zh" Han, "other" all other letters.

    Left out, since they belong to no language: single letters, whatever holds a digit, up to four
    capitals in a row (points, abbreviations), common functions and units. Han characters count by
    the character, spaced out or not, at HAN_PER_WORD.
    """
    return {
        "en": float(len(_latin_words(text))),
        "zh": sum(map(len, _HAN.findall(text))) / HAN_PER_WORD,
        "other": float(len(_OTHER_WORD.findall(text))),
    }


@functools.cache
def _lingua():
    try:
        from lingua import IsoCode639_1, LanguageDetectorBuilder
    except ImportError as error:
        raise MissingPackage(
            "language reward: the detector 'lingua' needs: pip install r1jax[language]"
        ) from error
    codes = [IsoCode639_1.from_str(code) for code in LANGUAGES["lingua"] if code != "zh"]
    return LanguageDetectorBuilder.from_iso_codes_639_1(*codes).build()


def lingua_words(text: str) -> dict[str, float]:
    """Returns the words of prose by language, those in Latin script as lingua judges them.

    Sentences are judged whole, by their first 50 words; those of less than 5 words, and all of a
    text of thousands, together with the next. A language that lies within another's piece counts
    as that one.

    Raises:
      ImportError: if the package lingua-language-detector is missing.
    """
    detector = _lingua()
    words = script_words(text)
    least, most = _LINGUA_WORDS
    least = max(least, math.ceil(words.pop("en") / _LINGUA_PIECES))
    counts = dict.fromkeys(LANGUAGES["lingua"], 0.0) | words
    piece: list[str] = []
    # the empty sentence at the end sends off what is left
    for sentence in [*_SENTENCE_END.split(text), ""]:
        piece += _latin_words(sentence)
        if len(piece) >= least or (piece and not sentence):
            shortened = " ".join(word[:_LINGUA_LETTERS] for word in piece[:most])
            language = detector.detect_language_of(shortened)
            code = language.iso_code_639_1.name.lower() if language else "other"
            counts[code] += len(piece)
            piece = []
    return counts


DETECTORS = {"script": script_words, "lingua": lingua_words}
LANGUAGES = {"script": ("en", "zh"), "lingua": ("en", "zh", "fr", "de", "es", "it", "pt")}


def consistency(text: str, *, question: str, target: str, detector: str) -> tuple[float, str]:
    """Returns R_language of a completion, 0.0 to 1.0, and the counts (arXiv:2501.12948, eq. 7).

    Only the thought is looked at (`format.thought`). One without letters and digits is worth 0.0,
    or silence would be the safest language; one of maths alone mixes nothing and is worth 1.0.

    Args:
      text: a completion.
      question: the question's own text, without the template around it.
      target: the wanted language, or "question": the one most words of the question are in, by the
        same detector; of a question without words, the one most words of the thought are in.
      detector: a name in DETECTORS.

    Raises:
      UserError: if the detector is unknown, or it does not know the target.
      ImportError: if the detector's package is missing.
    """
    if detector not in DETECTORS:
        raise UserError(f"language detector: got {detector!r}, wanted one of {list(DETECTORS)}")
    known = ("question", *LANGUAGES[detector])
    if target not in known:
        raise UserError(f"language target with {detector}: got {target!r}, wanted one of {known}")
    inside = thought(text)
    if not any(map(str.isalnum, inside)):
        return 0.0, "a thought without letters or digits"
    count = DETECTORS[detector]
    words = count(prose(inside))
    total = sum(words.values())
    if total == 0:
        return 1.0, "no words besides maths and code"
    if target == "question":
        asked = count(prose(question))
        asked = asked if any(asked.values()) else words
        target = max(asked, key=lambda language: asked[language])
    listed = ", ".join(f"{language} {n:.4g}" for language, n in words.items() if n)
    return words[target] / total, f"wanted {target}, words: {listed}"
