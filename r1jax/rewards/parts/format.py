"""The form of a completion: the format reward of R1-Zero, and its variants.

The papers ask that the reasoning stands in think tags; whether a tagged answer must follow, and
what the reward is worth, they leave open (DeepSeek-R1, arXiv:2501.12948, section 2.2.2). `FORMATS`
holds the readings by name. All are worth 0 to 1, say what is missing, and take linear time.
"""

import unicodedata

from r1jax.text.thought import ANSWER, CLOSE, OPEN, TAGS, cut

# letters and symbols that print nothing: Hangul fillers, the Braille blank
_BLANK = "\u115f\u1160\u3164\uffa0\u2800"


def _visible(text: str) -> bool:
    """Whether something can be read: separators, zero-width and control characters do not count."""
    chars = set(text)  # a megabyte of blanks has few different ones
    return any(unicodedata.category(char)[0] not in "ZCM" and char not in _BLANK for char in chars)


def thought(text: str) -> str:
    """Returns the reasoning of a completion, without tags, for rewards that look at nothing else.

    It is the thought by `cut`, so that all that no answer is read from counts; in a text without
    think tags what stands before the first <answer>, and without that too, everything.
    """
    inside, said = cut(text)
    inside = inside.removesuffix(CLOSE) if inside else (said or "").partition(ANSWER[0])[0]
    for tag in TAGS:
        inside = inside.replace(tag, " ")
    return inside


def _rest(text: str, tags: tuple[str, ...]) -> tuple[str, str]:
    """What follows the thought, without margins, and "" or what is wrong up to there."""
    text = text.strip()
    for tag in tags:
        if (count := text.count(tag)) != 1:
            return "", f"{count or 'no'} {tag}"
    if not text.startswith(OPEN):
        return "", f"text before {OPEN}"
    inside, rest = cut(text)
    empty = not _visible(inside.removeprefix(OPEN).removesuffix(CLOSE))
    return (rest or "").lstrip(), "empty thought" if empty else ""


def think_answer(text: str) -> tuple[float, str]:
    """Returns R_format, 1.0 or 0.0, and what is wrong (arXiv:2501.12948, section 2.2.2).

    The stripped text must be one <think>THOUGHT</think>, then after whitespace only one
    <answer>REPLY</answer>, and nothing else, each tag once. Both contents must hold something
    visible: a policy soon finds that an empty thought earns a format reward that allows it.
    """
    rest, wrong = _rest(text, TAGS)
    if wrong:
        return 0.0, wrong
    opening, closing = ANSWER
    if not rest.startswith(opening):
        return 0.0, f"no {opening} right after {CLOSE}"
    if not rest.endswith(closing):
        return 0.0, f"text after {closing}"
    if not _visible(rest.removeprefix(opening).removesuffix(closing)):
        return 0.0, "empty reply"
    return 1.0, "a thought, then a reply"


def think(text: str) -> tuple[float, str]:
    """Returns 1.0 for one <think>THOUGHT</think> and a visible reply in plain text, else 0.0.

    It is the form of R1's own chat template, where the answer stands in a box: answer tags are
    refused, since one text in two forms would be read by one place of the answer or the other.
    """
    rest, wrong = _rest(text, (OPEN, CLOSE))
    for tag in ANSWER:
        if not wrong and tag in text:
            wrong = f"a tag {tag}"
    if wrong:
        return 0.0, wrong
    return (1.0, "a thought, then a reply") if _visible(rest) else (0.0, "empty reply")


def tag_count(text: str) -> tuple[float, str]:
    """Returns a quarter for each of the four tags that occurs exactly once: 0, 0.25, ... 1.0.

    A stepping stone for a base model that never earns the strict reward, nothing more: neither
    order nor content counts, so the four bare tags in any order are worth 1.0.
    """
    counts = {tag: text.count(tag) for tag in TAGS}
    wrong = [f"{count or 'no'} {tag}" for tag, count in counts.items() if count != 1]
    return 1 - len(wrong) / 4, ", ".join(wrong) or "each tag once"


def soft_think_answer(text: str) -> tuple[float, str]:
    """Returns the mean of `tag_count` and `think_answer`: 0, 0.125, ... 0.5, or 1.0.

    Each tag helps, and yet only the strict form earns more than half.
    """
    strict, why = think_answer(text)
    counted, why_counted = tag_count(text)
    return (strict + counted) / 2, why if counted == 1 else why_counted


FORMATS = {
    "think_answer": think_answer,
    "think": think,
    "tag_count": tag_count,
    "soft_think_answer": soft_think_answer,
}
