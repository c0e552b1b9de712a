"""Progress of a run: a live bar on a terminal, plain lines anywhere else."""

import math
import os
import sys
import time

from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from r1jax.config import UserError


def clock(seconds: int | float) -> str:
    """Returns "0:07", "12:30" or "3:04:05"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def number(value: int | float) -> str:
    """Returns the value short enough to read in passing: "12,345", "42.1", "3.1e-05"."""
    size = abs(value)
    if not math.isfinite(size) or isinstance(value, int):
        return f"{value:,}"
    if 0 < size < 1e-3:
        return f"{value:.1e}"
    return f"{value:,.0f}" if size >= 1000 else f"{value:.1f}" if size >= 10 else f"{value:.3f}"


def redraws() -> bool:
    """Returns whether stdout is a terminal that can overwrite what it has shown."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


class Progress:
    """Shows updates done, values, time gone and time left; a context manager.

    On a terminal it is a bar that moves; elsewhere a flushed line at the first update, at each
    `every`, and at the last.
    """

    def __init__(self, title: str, *, start: int, total: int, every: int):
        """Sets up; nothing is shown before the block is entered.

        Args:
          title: what is running.
          start: updates done before this process began: not counted into the speed.
          total: updates at the end.
          every: updates between plain lines.

        Raises:
          UserError: if every < 1 or start > total.
        """
        if every < 1 or start > total:
            raise UserError(f"progress of {title}: every {every}, start {start}, total {total}")
        self._title, self._start, self._total = title, start, total
        self._every = every
        self._step, self._values = start, {}
        self._began = time.monotonic()
        self._live = None
        if redraws():
            console = Console()
            self._live = Live(get_renderable=self._picture, console=console, refresh_per_second=4)

    def __enter__(self) -> "Progress":
        self._began = time.monotonic()
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *raised: object) -> None:
        if self._live is not None:
            self._live.stop()

    def advance(self, step: int, **values: int | float) -> None:
        """Shows that `step` updates are done since the run's beginning, with their values."""
        first = self._step == self._start
        self._step, self._values = step, values
        if self._live is None and (first or step % self._every == 0 or step == self._total):
            shown = "  ".join(f"{name} {number(value)}" for name, value in values.items())
            line = f"[{clock(self._elapsed())}] {self._title} {self._count()}  {shown}"
            self.say(f"{line}  ({self._left()})")

    def say(self, text: str) -> None:
        """Shows a message, above the bar if there is one."""
        if self._live is None:
            print(text, flush=True)
        else:
            self._live.console.print(text, markup=False, highlight=False)

    def _count(self) -> str:
        return f"{self._step:>{len(str(self._total))}}/{self._total}"

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _left(self) -> str:
        done = self._step - self._start
        if self._step == self._total:
            return "done"
        return (
            f"{clock(self._elapsed() / done * (self._total - self._step))} left" if done else "..."
        )

    def _picture(self) -> Group:
        line = Table.grid(padding=(0, 1), expand=True)
        line.add_column(no_wrap=True)
        line.add_column(ratio=1)
        line.add_column(no_wrap=True)
        line.add_column(no_wrap=True)
        line.add_row(
            Text(self._title, style="bold"),
            ProgressBar(total=max(self._total, 1), completed=self._step, complete_style="cyan"),
            Text(self._count(), style="green"),
            Text(f"{clock(self._elapsed())} gone, {self._left()}", style="cyan"),
        )
        values = Columns(
            [
                Text.assemble((f"{name} ", "dim"), (number(value), "bold"), no_wrap=True)
                for name, value in self._values.items()
            ],
            padding=(0, 3),
        )
        return Group(line, values)
