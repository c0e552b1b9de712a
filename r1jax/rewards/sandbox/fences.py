"""Which part of a completion is its program: fenced blocks of Markdown."""

import re
from typing import NamedTuple

from r1jax.rewards.answers.extract import ENDLESS, Extracted
from r1jax.text.thought import ANSWER, cut

_PYTHON = re.compile(r"(?:i?py(?:thon)?|pypy)[\d.]*|", re.IGNORECASE)  # what tags a block as Python
_OPEN = re.compile(r"(?:^[ \t]*(~{3,}+)|(?<!`)(`{3,}+))[ \t]*([\w+#.-]*)[^`]*\Z")
_MARKS = re.compile(r"[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?")  # of a list, before a fence
_LEADING = re.compile(r"[ \t]*(`{3,}+|~{3,}+)[ \t]*(\w?)")
_TRAILING = re.compile(r"(?<![`~])(`{3,}+|~{3,}+)[ \t\r]*(?:</answer>.*)?\Z")
_DEFINES = re.compile(r"^[ \t]*(?:async[ \t]+def|def|class)[ \t]+\w", re.MULTILINE)
_INDENT = 3  # blanks by which a closing fence may stand further right than its opening one


class _Block(NamedTuple):
    """A fenced block: its tag, and what it holds, None if that was cut off."""

    tag: str
    inside: str | None


class _Opening(NamedTuple):
    """A fence that opens a block, its tag, and the blanks before the block's lines."""

    fence: str
    tag: str
    indent: int


def program(text: str) -> Extracted:
    """Returns the program that a completion gives, its indentation kept: one fenced block.

    Only what follows the thought counts (`thought.cut`). Fences are three or more ` or ~. Blocks
    tagged as Python (py, python3, ...) count or, if there is none, those without a tag. Of several
    it is the last that defines a function or class, for an example of its use often follows it; if
    none does, the last. Without any block it is what the one <answer> holds. A block that never
    closes was cut off.

    A fence closes where it begins a line, indented no deeper than a docstring would be, or ends the
    last line of the code: "return x```". A block also ends where another is opened.
    """
    _, said = cut(text)
    return Extracted(None, ENDLESS) if said is None else _chosen(said)


def _chosen(text: str) -> Extracted:
    opening, closing = ANSWER
    blocks = [block for block in _blocks(text) if _PYTHON.fullmatch(block.tag)]
    tagged = any(block.tag for block in blocks)
    found = [inside for tag, inside in blocks if tag or not tagged]
    if found:
        last = found[-1]
        if last is None:
            return Extracted(None, "a program that is cut off")
        defining = [inside for inside in found if inside and _DEFINES.search(inside)]
        chosen, where = defining[-1] if defining else last, "in a fenced block"
    else:
        chosen, closed_tag, _ = text.partition(opening)[2].partition(closing)
        if text.count(opening) != 1 or not closed_tag:
            return Extracted(None, "no fenced block")
        where = f"in {opening}"
    if not chosen.strip():
        return Extracted(None, "an empty program")
    return Extracted(chosen, where)


def _opening(line: str) -> _Opening | None:
    match = _OPEN.search(line)
    if match is None:
        return None
    marks = _MARKS.match(line)
    fence = match[1] or match[2]
    column = match.end(1) - len(fence) if match[1] else match.start()
    blanks = len(line) - len(line.lstrip(" \t"))
    return _Opening(fence, match[3], column if marks and marks.end() == column else blanks)


def _blocks(text: str) -> list[_Block]:
    """The fenced blocks of a text, in their order."""
    lines, blocks, at = text.split("\n"), [], 0
    while at < len(lines):
        opened = _opening(lines[at])
        at += 1
        # what follows the last line break is no line: nothing was begun
        if opened is not None and at < len(lines):
            inside, at = _inside(lines, at, opened)
            blocks.append(_Block(opened.tag, inside))
    return blocks


def _inside(lines: list[str], start: int, opened: _Opening) -> tuple[str | None, int]:
    """What a block holds whose lines begin at `start`, and the line to go on with."""
    deep = 0
    for at in range(start, len(lines)):
        line = lines[at]
        if (leading := _LEADING.match(line)) and leading[1].startswith(opened.fence):
            if leading.start(1) > opened.indent + _INDENT:
                deep = deep or at  # in a docstring, unless no other closes the block
            elif leading[2] and _opening(line):
                break
            else:
                return _joined(lines[start:at], "\n", opened), at + 1
        elif (trailing := _TRAILING.search(line)) and trailing[1].startswith(opened.fence):
            before = line[: trailing.start()]
            if opened.fence not in before:
                return _joined([*lines[start:at], before], "", opened), at + 1
    else:
        at = len(lines)
    if deep:
        return _joined(lines[start:deep], "\n", opened), deep + 1
    return (None, at) if at == len(lines) else (_joined(lines[start:at], "\n", opened), at)


def _joined(lines: list[str], end: str, opened: _Opening) -> str:
    """The lines of a block, less the blanks that its opening fence has."""
    text = "\n".join(lines) + end if lines else ""
    return re.sub(rf"^[ \t]{{1,{opened.indent}}}", "", text, flags=re.M) if opened.indent else text
