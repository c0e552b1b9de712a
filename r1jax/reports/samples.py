"""Tables of samples for a person to read."""

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

WIDTH = 100


class SampleRow(NamedTuple):
    """One sampled completion and how it was judged.

    Attributes:
      prompt: text the model was given.
      completion: text it gave back.
      reward: total.
      parts: the reward's parts by name; they need not add up (weights).
      reason: why the reward is what it is.
      advantage: relative to its group, dimensionless.
      length: sampled tokens, the stop token included.
      truncated: whether the length cap cut it off.
    """

    prompt: str
    completion: str
    reward: float
    parts: Mapping[str, float]
    reason: str
    advantage: float
    length: int
    truncated: bool


def display_width(text: str) -> int:
    """Returns the columns of a terminal: two for wide (CJK) letters, none for accents."""
    return sum(
        0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )


def pad(text: str, width: int) -> str:
    """Returns the text followed by spaces up to `width` columns; longer text stays as it is."""
    return text + " " * (width - display_width(text))


def pad_left(text: str, width: int) -> str:
    """Returns the text after spaces up to `width` columns."""
    return " " * (width - display_width(text)) + text


def visible(text: str) -> str:
    """Returns the text with control characters spelt out: no sample redraws a terminal."""
    return "".join(
        c if c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Cs") else repr(c)[1:-1]
        for c in text
    )


def wrap(text: str, width: int) -> list[str]:
    """Returns lines of at most `width` columns; newlines stay, words break only if they must."""
    lines = []
    for line in visible(text).split("\n"):
        current, used, last_space = "", 0, -1
        for c in line:
            columns = display_width(c)
            if used + columns > width and last_space > 0 and c != " ":
                lines.append(current[:last_space])
                current = current[last_space + 1 :]
                used, last_space = display_width(current), -1
            if used + columns > width:
                lines.append(current)
                current, used, last_space = "", 0, -1
            if c == " ":
                last_space = len(current)
            current, used = current + c, used + columns
        lines.append(current)
    return lines


def _block(label: str, text: str) -> str:
    lines = wrap(text, WIDTH - 14)
    margin = [pad(label, 11), *[" " * 11] * (len(lines) - 1)]
    return "\n".join(f"{m} | {line}".rstrip() for m, line in zip(margin, lines, strict=True))


def _table(rows: Sequence[SampleRow]) -> list[str]:
    parts = list(dict.fromkeys(name for row in rows for name in row.parts))
    header = ["#", "reward", *parts, "advantage", "length", "truncated"]
    body = [
        [
            str(number),
            f"{row.reward:.3f}",
            *[f"{row.parts[name]:.3f}" if name in row.parts else "-" for name in parts],
            f"{row.advantage:+.3f}",
            str(row.length),
            "yes" if row.truncated else "no",
        ]
        for number, row in enumerate(rows, 1)
    ]
    widths = [max(map(display_width, column)) for column in zip(header, *body, strict=True)]
    return ["  ".join(map(pad_left, line, widths)).rstrip() for line in [header, *body]]


def write_samples(workdir: str | Path, update: int, rows: Sequence[SampleRow]) -> Path:
    """Writes `samples/update_000020.txt`: a table of scores, then each sample in full.

    The bytes are a function of the arguments alone. Control characters are spelt out.

    Args:
      workdir: the run's directory.
      update: number of the update that the samples were drawn for.
      rows: samples, in the order of the table.

    Returns:
      The path written.
    """
    lines = [f"update {update}, {len(rows)} samples", "", *_table(rows)]
    for number, row in enumerate(rows, 1):
        lines += ["", f"--- {number} ".ljust(WIDTH, "-")]
        blocks = {"prompt": row.prompt, "completion": row.completion, "reason": row.reason}
        lines += [_block(label, text) for label, text in blocks.items()]
    path = Path(workdir) / "samples" / f"update_{update:06d}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
