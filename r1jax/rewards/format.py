"""The form of a completion: where its answer stands, and the format reward of R1-Zero."""

import re
import unicodedata
from typing import NamedTuple

TAGS = ("<think>", "</think>", "<answer>", "</answer>")
PLACES = ("answer_tag", "boxed", "answer_line")
_ANSWER_LINE = re.compile(r"\s*(?:[Aa]nswer:|\u7b54\u6848[:\uff1a])(.*)")


class Extracted(NamedTuple):
    """The answer a text gives, or None with the reason why it gives none."""

    answer: str | None
    reason: str


def _visible(text: str) -> bool:
    """Whether something can be read: separators, zero-width and control characters do not count."""
    return any(unicodedata.category(char)[0] not in "ZC" for char in text)


def think_answer(text: str) -> tuple[float, str]:
    """Returns R_format, 1.0 or 0.0, and what is wrong (arXiv:2501.12948, section 2.2.2).

    The stripped text must be one <think>THOUGHT</think>, then after whitespace only one
    <answer>REPLY</answer>, and nothing else, each tag once. Both contents must hold something
    visible: a policy soon finds that an empty thought earns a format reward that allows it.
    """
    text = text.strip()
    for tag in TAGS:
        if (count := text.count(tag)) != 1:
            return 0.0, f"{count or 'no'} {tag}"
    if not text.startswith("<think>"):
        return 0.0, "text before <think>"
    thought, _, rest = text.removeprefix("<think>").partition("</think>")
    rest = rest.lstrip()
    if not rest.startswith("<answer>"):
        return 0.0, "no <answer> right after </think>"
    if not rest.endswith("</answer>"):
        return 0.0, "text after </answer>"
    if not _visible(thought):
        return 0.0, "empty thought"
    if not _visible(rest.removeprefix("<answer>").removesuffix("</answer>")):
        return 0.0, "empty reply"
    return 1.0, "a thought, then a reply"


def _from_tag(text: str) -> Extracted | None:
    # find, not a lazy regex: thousands of unclosed tags would cost quadratic time
    found, at = [], 0
    while (start := text.find("<answer>", at)) >= 0 and (end := text.find("</answer>", start)) >= 0:
        found.append(text[start + len("<answer>") : end].strip())
        at = end
    if len(set(found)) > 1:
        return Extracted(None, f"{len(found)} contradictory <answer>s")
    return (
        Extracted(found[0] or None, "in <answer>" if found[0] else "empty <answer>")
        if found
        else None
    )


def _from_box(text: str) -> Extracted | None:
    if (first := text.find("\\boxed")) < 0:
        return None
    open_at, content = [], None
    for match in re.compile(r"\\boxed\s*\{|\\[{}]|[{}]").finditer(text, first):
        if match[0] == "}" and open_at:
            start = open_at.pop()
            content = content if start is None else text[start : match.start()].strip()
        elif match[0].endswith("{") and match[0] != "\\{":
            open_at.append(match.end() if match[0].startswith("\\boxed") else None)
    if content is None:
        return None
    return Extracted(content or None, "in \\boxed" if content else "empty \\boxed")


def _from_line(text: str) -> Extracted | None:
    found = [match[1].strip() for line in text.splitlines() if (match := _ANSWER_LINE.match(line))]
    return (
        Extracted(found[-1] or None, "on a line" if found[-1] else "empty line") if found else None
    )


def extract_answer(text: str, places: tuple[str, ...]) -> Extracted:
    r"""Returns the final answer of a completion, from the first of the places that occurs in it.

    Args:
      text: a completion; if it holds </think>, only what follows the last one is looked at.
      places: in order of preference: "answer_tag" the one <answer>, where several that differ give
        None; "boxed" the \boxed that closes last; "answer_line" the last line that starts with
        "Answer:".

    Raises:
      ValueError: if places is empty or names an unknown one.
    """
    if not places or not set(places) <= set(PLACES):
        raise ValueError(f"places: got {places}, wanted one or more of {PLACES}")
    text = text.rpartition("</think>")[2]
    finders = {"answer_tag": _from_tag, "boxed": _from_box, "answer_line": _from_line}
    for place in places:
        if (found := finders[place](text)) is not None:
            return found
    return Extracted(None, f"no answer in {', '.join(places)}")
