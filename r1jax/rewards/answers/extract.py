r"""Where the final answer of a completion stands: <answer>, \boxed{} or a line "Answer:"."""

import re
from typing import NamedTuple

from r1jax.config import UserError
from r1jax.rewards.answers import shapes
from r1jax.text.thought import ANSWER, cut

PLACES = ("answer_tag", "boxed", "answer_line")
ENDLESS = "the thought does not end"  # why such a text gives no answer
_ANSWER_LINE = re.compile(
    r"[\s*_#>]*(?:(?:(?:[Ff]inal|FINAL)[ \t]+)?(?:[Aa]nswer|ANSWER)"
    r"|(?:\u6700\u7ec8)?\u7b54\u6848[\u662f\u4e3a]?)"
    r"[ \t]*(?:[*_]{1,3}[ \t]*)?[:\uff1a](.*)"
)
_DELIMITERS = re.compile(r"[\s*_]*(?:\$\$|\\\[)?[\s*_]*")  # a line of nothing but these
_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])")
# "\boxed 42" has no braces; a word behind it is talk of boxes
_BRACE = re.compile(
    r"\\(?:boxed|fbox)\s*(?:\{|(?<=\s)((?>[-+]?\.?\d(?:[\d.,/]*\d)?%?))(?![\w^\\{]))|\\[{}]|[{}]"
)


class Extracted(NamedTuple):
    """The answer a text gives, or None with the reason why it gives none."""

    answer: str | None
    reason: str


class _Box(NamedTuple):
    """Where a box begins and ends in a text, and what it holds: text[left:right].

    Positions, not texts: of 100,000 nested boxes those would take quadratic time.
    """

    start: int
    end: int
    left: int
    right: int


def _settled(found: list[str], what: str) -> Extracted:
    """The last of answers that all say the same; several that do not are a guess, no answer.

    Empty ones say nothing: "I put it into \\boxed{}". The same is what is spelt alike or an equal
    number; 2\\sqrt{5} and \\sqrt{20} contradict each other, since no algebra is done here.
    """
    found = [content for content in found if content] or found[:1]
    first = shapes.read(found[0]).key
    if any(shapes.read(other).key != first for other in found[1:]):
        return Extracted(None, f"{len(found)} contradictory {what}s")
    return Extracted(found[-1] or None, f"in {what}" if found[-1] else f"empty {what}")


def _unboxed(content: str, found: Extracted) -> Extracted:
    return _from_box(content) or found


def _from_tag(text: str) -> Extracted | None:
    # find, not a lazy regex: thousands of unclosed tags would cost quadratic time
    (opening, closing), found, at = ANSWER, [], 0
    while (start := text.find(opening, at)) >= 0 and (end := text.find(closing, start)) >= 0:
        found.append(text[start + len(opening) : end].strip())
        at = end
    if not found:
        return None
    if any(opening in content for content in found):
        return Extracted(None, "nested <answer>")
    settled = _settled(found, "<answer>")
    return settled if settled.answer is None else _unboxed(settled.answer, settled)


def _from_box(text: str) -> Extracted | None:
    r"""What the outermost closed \boxed{}, \fbox{} and \boxed 42 hold.

    A box around nothing but a box is that box.
    """
    first = _BOX.search(text)
    if first is None:
        return None
    open_at: list[tuple[str, int, int]] = []
    closed: list[_Box] = []
    for match in _BRACE.finditer(text, first.start()):
        if match[1]:
            closed.append(_Box(match.start(), match.end(), *match.span(1)))
            continue
        if match[0] == "}" and open_at:
            opening, start, left = open_at.pop()
            if opening != "{":
                box = _Box(start, match.end(), left, match.start())
                closed.append(_outermost(box, closed, text))
        elif match[0].endswith("{") and match[0] != "\\{":
            open_at.append((match[0], match.start(), match.end()))
    contents = [text[box.left : box.right].strip() for box in closed]
    return _settled(contents, "\\boxed") if closed else None


def _outermost(box: _Box, closed: list[_Box], text: str) -> _Box:
    """The box without those inside it, which leave `closed`."""
    inner = []
    while closed and closed[-1].start >= box.left:
        inner.append(closed.pop())
    if len(inner) != 1:
        return box
    around = text[box.left : inner[0].start] + text[inner[0].end : box.right]
    return box if around.strip() else box._replace(left=inner[0].left, right=inner[0].right)


def _from_line(text: str) -> Extracted | None:
    """What is behind the last "Answer:", or on the next line that says something."""
    lines = text.splitlines()
    found = [(at, match[1]) for at, line in enumerate(lines) if (match := _ANSWER_LINE.match(line))]
    if not found:
        return None
    at, last = found[-1]
    following = (line for line in lines[at + 1 :] if not _DELIMITERS.fullmatch(line))
    last = (next(following, "") if _DELIMITERS.fullmatch(last) else last).strip(" \t*_")
    return _unboxed(last, Extracted(last or None, "on a line" if last else "empty line"))


def extract_answer(text: str, places: tuple[str, ...]) -> Extracted:
    r"""Returns the final answer of a completion, from the first of the places that occurs in it.

    Args:
      text: a completion, of which only what follows its thought is looked at (`thought.cut`).
      places: in order of preference: "answer_tag" what <answer> holds; "boxed" what the outermost
        \boxed{} holds; "answer_line" the last line that starts with "Answer:", bold or
        not, or the one below it. Several tags or boxes that say different things give None, even
        if a worker could tell that two formulas are equal. A \boxed{} in the answer is unwrapped.

    Raises:
      UserError: if places is empty or names an unknown one.
    """
    if not places or not set(places) <= set(PLACES):
        raise UserError(f"places: got {places}, wanted one or more of {PLACES}")
    _, said = cut(text)
    if said is None:
        return Extracted(None, ENDLESS)
    finders = {"answer_tag": _from_tag, "boxed": _from_box, "answer_line": _from_line}
    for place in places:
        if (found := finders[place](said)) is not None:
            return found
    return Extracted(None, f"no answer in {', '.join(places)}")
