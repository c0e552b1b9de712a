"""Numbers with their intervals, and texts of others that cannot change the page."""

import re
from collections.abc import Mapping
from typing import Any

from r1jax.reports.samples import visible


def plain(text: str) -> str:
    """Returns a name as it stands: no Markdown, no HTML, one line."""
    return re.sub(r"([\\`*_\[\]<>#&$~])", r"\\\1", " ".join(visible(text).split()))


def fenced(text: str) -> str:
    """Returns a text in a fence longer than any in it."""
    shown = visible(text)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", shown)), default=0))
    return f"{fence}text\n{shown}\n{fence}"


def number(value: float | None) -> str:
    """Returns a measure, or a dash where there is none."""
    return "—" if value is None else f"{value:.3f}"


def span(score: Mapping[str, Any]) -> str:
    """Returns a mean with the ends of its interval, where it has one."""
    if score.get("low") is None or score.get("high") is None:
        return number(score["mean"])
    return f"{score['mean']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"
