import errno
import fcntl
import subprocess
import sys
import threading
from pathlib import Path

import jax
import pytest

from r1jax.config import UserError
from r1jax.io.lock import LOCK, held

HOLD = """
import sys
from r1jax.io.lock import held
with held(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the directory, until it is killed or its stdin ends."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def enter(path: Path) -> None:
    with held(path):
        pass


def test_a_second_run_is_told_which_process_holds_it(other, tmp_path):
    with pytest.raises(UserError, match=f"held by process {other.pid} on .* since 20"):
        enter(tmp_path)
    enter(tmp_path / "below")  # a directory of its own


def test_the_lock_dies_with_a_killed_process(other, tmp_path):
    other.kill()
    other.wait()
    enter(tmp_path)


def test_the_lock_ends_with_its_block(other, tmp_path):
    other.communicate(b"")
    assert (tmp_path / LOCK).read_text() == ""
    enter(tmp_path)


def test_a_block_within_a_block_is_one_run(tmp_path):
    with held(tmp_path):
        with held(tmp_path / "." / ".." / tmp_path.name):
            pass
        command = [sys.executable, "-c", HOLD, str(tmp_path)]
        second = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert second.returncode and "held by process" in second.stderr
    enter(tmp_path)


def test_another_thread_is_another_run(tmp_path):
    refused = []

    def work():
        try:
            enter(tmp_path)
        except UserError as error:
            refused.append(str(error))

    with held(tmp_path):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(refused) == 1 and "held by process" in refused[0]


def test_later_processes_of_one_run_need_no_lock(other, tmp_path, monkeypatch):
    monkeypatch.setattr(jax.distributed, "is_initialized", lambda: True)
    with pytest.raises(UserError, match="held by process"):  # the first of its own run
        enter(tmp_path)
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    enter(tmp_path)


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch, capsys):
    def flock(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    enter(tmp_path)
    assert "no locks here (No locks available)" in capsys.readouterr().err


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file, wanted a directory"):
        enter(tmp_path / "file")
