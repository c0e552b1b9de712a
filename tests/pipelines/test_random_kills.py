"""Runs that are killed again and again, at moments drawn at random, end in the same bits."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
KILLS = 10  # of each pipeline
LIMIT = 1800  # seconds that a process may take on a loaded machine
SUMS = {f"{n} + 1?": n + 1 for n in range(2, 8)}


def write(path: Path, rows: Sequence[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def r1_zero(base: Path, folder: Path) -> list[str]:
    updates = [f"--config.{key}=24" for key in ("updates", "optimizer.total_updates")]
    return [f"--config={HERE / 'nano_r1_zero.py'}", "--config.reward.kind=random", *updates]


def sft(base: Path, folder: Path) -> list[str]:
    rows = [
        {
            "id": str(number),
            "source": "sums",
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": f"<think>sum</think>It is \\boxed{{{answer}}}."},
            ],
        }
        for number, (question, answer) in enumerate(SUMS.items())
    ]
    asked = [{"question": f"{letter}?", "answer": str(n)} for n, letter in enumerate("abc")]
    learned = [{"question": question, "answer": str(n)} for question, n in SUMS.items()]
    files = "--config.exam.task.sources.questions.files"
    return [
        f"--config={HERE / 'nano_sft.py'}",
        "--config.epochs=40",
        f"--config.data.rows.path={write(folder / 'rows.jsonl', rows)}",
        f"{files}.train.path={write(folder / 'train.jsonl', asked)}",
        f"{files}.test.path={write(folder / 'test.jsonl', learned[:2])}",
    ]


def start(arguments: list[str], base: Path, workdir: Path) -> subprocess.Popen:
    command = [
        *(sys.executable, "-m", "r1jax.main", f"--workdir={workdir}", *arguments),
        *(f"--config.base={base}", "--config.checkpoint.every_updates=2"),
    ]
    cheap = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}  # compiling is the cost
    env = os.environ | cheap | {"XDG_CACHE_HOME": str(base.parent / "caches")}
    with workdir.with_suffix(".log").open("a") as out:
        return subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=out)


def newest(workdir: Path) -> int:
    names = [path.name for path in (workdir / "checkpoints").glob("*")]
    return max((int(name) for name in names if name.isdigit()), default=0)


def kill_after(process: subprocess.Popen, workdir: Path, rng: random.Random) -> int | None:
    """SIGKILL within half a second of the next checkpoint; its step, None if the run was done."""
    before, deadline = newest(workdir), time.monotonic() + LIMIT
    while newest(workdir) == before:
        if process.poll() is not None:
            return None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    time.sleep(rng.random() / 2)
    process.send_signal(signal.SIGKILL)
    return newest(workdir) if process.wait() == -signal.SIGKILL else None


@pytest.mark.parametrize("arguments", [r1_zero, sft], ids=lambda f: f.__name__)
def test_killed_at_random_and_resumed_is_the_whole_run(arguments, nano_base, tmp_path):
    given, rng = arguments(nano_base, tmp_path), random.Random(0)
    whole, kills, lives = tmp_path / "whole", [], 0
    assert start(given, nano_base, whole).wait(timeout=LIMIT) == 0, (
        tmp_path / "whole.log"
    ).read_text()
    while len(kills) < KILLS:
        lives += 1
        workdir = tmp_path / f"killed_{lives}"
        workdir.mkdir()
        while len(kills) < KILLS:
            step = kill_after(start(given, nano_base, workdir), workdir, rng)
            if step is None:
                break
            kills.append(step)
        code = start(given, nano_base, workdir).wait(timeout=LIMIT)
        assert code == 0, workdir.with_suffix(".log").read_text()
        for name in ("metrics.jsonl", "eval.jsonl"):
            assert (workdir / name).read_bytes() == (whole / name).read_bytes(), (name, kills)
        ends = [json.loads((folder / "summary.json").read_text()) for folder in (workdir, whole)]
        for key in ("weights_sha256", "tokens", "notes"):
            assert ends[0][key] == ends[1][key], (key, kills)
    print(f"{arguments.__name__}: killed after the checkpoints {kills}, {lives} runs")
