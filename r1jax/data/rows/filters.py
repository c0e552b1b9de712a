"""Which sampled completions are fit to be learnt from, and why the others are not.

DeepSeek-R1 keeps correct samples and drops those whose chain of thought mixes languages, has long
paragraphs or blocks of code (arXiv:2501.12948, section 2.3.3); R1-Zero's samples for the cold start
must be correct and readable, without repetition or mixed languages (v2, supplement B.3.2). None of
its thresholds is published, nor what counts as long. The format, and limits in tokens and of the
thought's length, are ours.

A filter reads a sampled row as `exams.run` stores it: what judging found is there.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

from r1jax.config import Count, Share, UserError
from r1jax.text.thought import split_completion

Row = Mapping[str, Any]
FIELDS = ("completion", "opened", "value", "error", "parts", "tokens", "truncated")
_PARAGRAPHS = re.compile(r"\n[ \t]*\n")


@dataclasses.dataclass(frozen=True)
class FilterConfig:
    """What a completion must be; False and None switch a filter off.

    Attributes:
      finished: it ended by itself before the length cap.
      correct: its answer was judged, and right: a program that passes some of its tests is not.
      format: it earns the whole format reward, whichever form that pays.
      language: least R_language of its thought, 0 to 1.
      repetition: largest share of n-grams that it has said before, 0 to 1.
      paragraph: most characters of a paragraph of its thought; blank lines part them.
      no_code: its thought has no fenced block of code.
      tokens: most sampled tokens.
      thought: fewest characters of its thought; one without any has 0.
    """

    finished: bool
    correct: bool
    format: bool
    language: Share | None
    repetition: Share | None
    paragraph: Count | None
    no_code: bool
    tokens: Count | None
    thought: Count | None


def _thought(row: Row) -> str:
    return split_completion(row["completion"], opened=row["opened"]).reasoning or ""


def blank(row: Row, config: FilterConfig) -> str:
    """Returns "" for a completion that says something; always on: nothing is no training row."""
    del config
    return "" if row["completion"].strip() else "says nothing"


def finished(row: Row, config: FilterConfig) -> str:
    """Returns "" for a completion that ended by itself, else why not."""
    return "cut off by the length cap" if config.finished and row["truncated"] else ""


def correct(row: Row, config: FilterConfig) -> str:
    """Returns "" for an answer that was judged right, else why not."""
    if not config.correct:
        return ""
    if row["error"]:
        return "could not be judged"
    return "" if row["value"] == 1 else f"accuracy {row['value']:g}"


def format(row: Row, config: FilterConfig) -> str:
    """Returns "" for the whole format reward, else how much it earned."""
    earned = row["parts"]["format"]
    return f"format {earned:g}" if config.format and earned != 1 else ""


def language(row: Row, config: FilterConfig) -> str:
    """Returns "" for a thought in the wanted language, else its share of it."""
    share = row["parts"]["language"]
    if config.language is None or share >= config.language:
        return ""
    return f"language {share:.3g} below {config.language:g}"


def repetition(row: Row, config: FilterConfig) -> str:
    """Returns "" for a text that repeats little, else how much (the part is minus the share)."""
    share = -row["parts"]["repetition"]
    if config.repetition is None or share <= config.repetition:
        return ""
    return f"repetition {share:.3g} above {config.repetition:g}"


def paragraph(row: Row, config: FilterConfig) -> str:
    """Returns "" for a thought in short paragraphs, else the length of the longest."""
    if config.paragraph is None:
        return ""
    longest = max(len(part.strip()) for part in _PARAGRAPHS.split(_thought(row)))
    if longest <= config.paragraph:
        return ""
    return f"a paragraph of {longest} characters, more than {config.paragraph}"


def code(row: Row, config: FilterConfig) -> str:
    """Returns "" for a thought without a fenced block of code."""
    return "a block of code in the thought" if config.no_code and "```" in _thought(row) else ""


def tokens(row: Row, config: FilterConfig) -> str:
    """Returns "" for a completion that is short enough, else its length."""
    if config.tokens is None or row["tokens"] <= config.tokens:
        return ""
    return f"{row['tokens']} tokens, more than {config.tokens}"


def thought(row: Row, config: FilterConfig) -> str:
    """Returns "" for a thought that is long enough, else its length."""
    length = len(_thought(row)) if config.thought is not None else 0
    if config.thought is None or length >= config.thought:
        return ""
    return f"a thought of {length} characters, fewer than {config.thought}"


# the order is that of the first reason, by which rejected rows are counted
FILTERS: dict[str, Callable[[Row, FilterConfig], str]] = {
    "blank": blank,
    "finished": finished,
    "correct": correct,
    "format": format,
    "language": language,
    "repetition": repetition,
    "paragraph": paragraph,
    "code": code,
    "tokens": tokens,
    "thought": thought,
}


def rejections(row: Row, config: FilterConfig) -> dict[str, str]:
    """Returns the filters that reject a sampled row, in the order of `FILTERS`, and why.

    Raises:
      UserError: if the row lacks one of `FIELDS`.
    """
    if missing := [name for name in FIELDS if name not in row]:
        raise UserError(f"sampled row {row.get('id')!r}: missing fields {missing}")
    reasons = {name: of(row, config) for name, of in FILTERS.items()}
    return {name: why for name, why in reasons.items() if why}


def active(config: FilterConfig) -> list[str]:
    """Returns the names of the filters that are switched on."""
    off = (False, None)
    given = dataclasses.asdict(config) | {"code": config.no_code, "blank": True}
    return [name for name in FILTERS if not any(given[name] is value for value in off)]
