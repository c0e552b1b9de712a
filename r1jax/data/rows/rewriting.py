r"""Replies in the layout that cold start teaches: <think>THOUGHT</think>, then a summary.

DeepSeek-R1 lets V3 rewrite R1-Zero's samples, told to stay faithful, to add no step, to box the
answer and to keep to the question's language (arXiv:2501.12948v2, supplement B.3.2). What is here
rewrites by rule: the thought as it was, and a sentence with the answer.
"""

import re
from collections.abc import Mapping

from r1jax.text.thought import TAGS

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_LATIN_WORD = re.compile("[A-Za-z]{2,}")
_WORD = re.compile("[\u3040-\u30ff\u3400-\u9fff]|[^\\W\u3040-\u30ff\u3400-\u9fff]+|[^\\w\\s]")


def script(text: str) -> str:
    """Returns "zh" for a text with more Han characters than Latin words, else "en"."""
    return "zh" if len(_HAN.findall(text)) > len(_LATIN_WORD.findall(text)) else "en"


def clean(thought: str) -> str:
    """Returns a thought without tags, runs of spaces, and blank lines but single ones.

    Indentation stays: in code it has a meaning.
    """
    for tag in TAGS:
        thought = thought.replace(tag, " ")
    lines = [re.sub(r"(?<=\S)[ \t]+", " ", line).rstrip() for line in thought.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def summarize(answer: str, question: str, templates: Mapping[str, str]) -> str:
    r"""Returns the sentence that gives the answer in the question's language.

    Args:
      answer: what goes for {answer}; several lines become one.
      question: tells the language, by `script`.
      templates: by language, such as {"en": "The answer is \boxed{{answer}}."}.
    """
    return templates[script(question)].replace("{answer}", " ".join(answer.split()))


def word_grams(text: str, *, n: int) -> frozenset[tuple[str, ...]]:
    """Returns the n-grams of a text's words; Han, kana and marks are words by themselves.

    A shorter text is one gram.
    """
    words = _WORD.findall(text.casefold())
    return frozenset(tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1)))


def overlap(one: frozenset[tuple[str, ...]], two: frozenset[tuple[str, ...]]) -> float:
    """Returns the grams that two texts share, of all that either has: 0 to 1 (Jaccard)."""
    return len(one & two) / len(one | two)
