"""Texts of others in a report: as they stand, and without effect on what surrounds them."""

import re

from r1jax.io.samples import visible


def plain(text: str) -> str:
    """Returns a name as it stands: no Markdown, no HTML, one line."""
    return re.sub(r"([\\`*_\[\]<>#&$~])", r"\\\1", " ".join(visible(text).split()))


def fenced(text: str) -> list[str]:
    """Returns the lines of a text in a fence longer than any in it."""
    shown = visible(text)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", shown)), default=0))
    return [f"{fence}text", shown, fence]
