import io

import pytest

from r1jax.io.progress import Progress, clock, number


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Flushed(io.StringIO):
    flushes = 0

    def flush(self) -> None:
        self.flushes += 1


@pytest.fixture
def now(monkeypatch):
    time = [100.0]
    monkeypatch.setattr("r1jax.io.progress.time.monotonic", lambda: time[0])
    return time


def test_plain_lines_come_first_at_each_every_and_last_with_time(monkeypatch, now):
    stream = Flushed()
    monkeypatch.setattr("sys.stdout", stream)
    with Progress("r1_zero", start=20, total=47, every=10) as progress:
        for step in range(21, 48):
            now[0] += 2
            progress.advance(step, reward=0.5, tokens=12345.6)
    lines = stream.getvalue().splitlines()
    assert [line.split()[2] for line in lines] == ["21/47", "30/47", "40/47", "47/47"]
    assert lines[1] == "[0:20] r1_zero 30/47  reward 0.500  tokens 12,346  (0:34 left)"
    assert lines[-1].startswith("[0:54]") and lines[-1].endswith("(done)")
    assert stream.flushes == 4


def test_messages_are_shown_as_they_are(monkeypatch, now):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    with Progress("run", start=0, total=1, every=1) as progress:
        progress.say("[bold] saved")
    assert stream.getvalue() == "[bold] saved\n"


def test_a_terminal_gets_a_bar_with_values_and_messages_above(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "90")
    stream = Terminal()
    monkeypatch.setattr("sys.stdout", stream)
    with Progress("run", start=0, total=4, every=1) as progress:
        progress.advance(3, reward=0.25)
        progress.say("[bold] saved")
        progress.advance(4, reward=0.75)
    shown = stream.getvalue()
    assert "\x1b[" in shown and "━" in shown and "4/4" in shown
    assert "0.750" in shown and "[bold] saved" in shown
    assert shown.endswith("\x1b[?25h")  # the cursor is back


def test_a_dumb_terminal_gets_plain_lines(monkeypatch, now):
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    monkeypatch.setattr("sys.stdout", stream)
    with Progress("run", start=0, total=2, every=1) as progress:
        progress.advance(1, loss=2)
    assert stream.getvalue() == "[0:00] run 1/2  loss 2  (0:00 left)\n"


def test_errors_pass_and_leave_the_terminal_clean(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    monkeypatch.setattr("sys.stdout", stream)
    with (
        pytest.raises(KeyError),
        Progress("run", start=0, total=2, every=1),
    ):
        raise KeyError("x")
    assert stream.getvalue().endswith("\x1b[?25h")


def test_numbers_and_times_are_short():
    values = (0, 7, 0.0, 0.51234, 42.12, 1234.5, 3.1e-5, float("nan"), -0.25)
    assert [number(v) for v in values] == [
        *("0", "7", "0.000", "0.512", "42.1", "1,234", "3.1e-05", "nan", "-0.250")
    ]
    assert [clock(s) for s in (7, 59.6, 750, 11045)] == ["0:07", "1:00", "12:30", "3:04:05"]


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="start 3, total 2"):
        Progress("run", start=3, total=2, every=1)
