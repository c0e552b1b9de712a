"""Real processes, killed with SIGKILL and started again by the same command."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from r1jax.io.checkpoints import UNFINISHED

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NANO = ROOT / "tests" / "pipelines" / "nano_r1_zero.py"
RESULTS = ("metrics.jsonl", "eval.jsonl", "samples/update_000000.txt", "samples/update_000002.txt")
LIMIT = 1800  # seconds that a process may take on a loaded machine


def caches(base: Path) -> Path:
    """The cache folder of these processes' user, who has compiled nothing before."""
    return base.parent / "caches"


def start(base: Path, workdir: Path, log: Path) -> subprocess.Popen:
    command = [
        *(sys.executable, "-m", "r1jax.main", f"--config={NANO}", f"--workdir={workdir}"),
        *(f"--config.base={base}", "--config.reward.kind=random"),
        "--config.checkpoint.every_updates=1",  # between minibatches too
    ]
    cheap = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}  # compiling is the cost
    env = os.environ | cheap | {"XDG_CACHE_HOME": str(caches(base))}
    with log.open("w") as out:
        return subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT)


def finish(process: subprocess.Popen, log: Path) -> str:
    code = process.wait(timeout=LIMIT)
    assert code == 0, log.read_text()
    return log.read_text()


def kill_when(process: subprocess.Popen, log: Path, moment: Callable[[], bool]) -> None:
    """SIGKILL as soon as `moment` is seen; the process must not have ended by itself."""
    deadline = time.monotonic() + LIMIT
    try:
        while not moment():
            assert process.poll() is None, f"ended before the moment came:\n{log.read_text()}"
            assert time.monotonic() < deadline
            time.sleep(0.001)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def finished(nano_base, tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("kill") / "whole"
    log = workdir.with_suffix(".log")
    said = finish(start(nano_base, workdir, log), log)
    assert "pass@1" in said and "INFO" not in said and " I1" not in said
    assert not [line for line in said.splitlines() if line.startswith(("I0", "W0", "warning"))]
    return workdir


@pytest.fixture
def workdir(tmp_path) -> Path:
    return tmp_path / "run"


def test_a_run_in_a_new_workdir_compiles_nothing_anew(nano_base, workdir, finished, tmp_path):
    def programs() -> set[str]:
        return {path.name for path in caches(nano_base).rglob("*-cache")}

    before, log = programs(), tmp_path / "log"
    assert len(before) > 20
    finish(start(nano_base, workdir, log), log)
    assert programs() == before
    same_results(workdir, finished)


def steps(workdir: Path) -> set[int]:
    return {int(p.name) for p in (workdir / "checkpoints").glob("*") if p.name.isdigit()}


def saving(workdir: Path, step: int) -> bool:
    """Whether this checkpoint has files but is not finished."""
    return any((workdir / "checkpoints").glob(f"{step}{UNFINISHED}*/*/*"))


def table(workdir: Path) -> Path:
    """What the second rollout leaves when it is drawn and judged."""
    return workdir / "samples" / "update_000002.txt"


def in_second_rollout(workdir: Path) -> bool:
    # update 2 is on disk while the first program of the next rollout is being loaded
    return 2 in steps(workdir) and not table(workdir).exists()


def between_minibatches(workdir: Path) -> bool:
    return 3 in steps(workdir)


def while_saving(workdir: Path) -> bool:
    return saving(workdir, 2)


MOMENTS = {f.__name__: f for f in (in_second_rollout, between_minibatches, while_saving)}


def same_results(workdir: Path, finished: Path) -> None:
    for name in RESULTS:
        assert (workdir / name).read_bytes() == (finished / name).read_bytes(), name
    got, want = (json.loads((d / "summary.json").read_text()) for d in (workdir, finished))
    for key in ("weights_sha256", "tokens", "before", "after", "max_logp_gap"):
        assert got[key] == want[key], key


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_and_started_again_is_the_uninterrupted_run(
    moment, nano_base, workdir, finished, tmp_path
):
    log = tmp_path / "log"
    kill_when(start(nano_base, workdir, log), log, lambda: MOMENTS[moment](workdir))
    done = steps(workdir)
    assert 4 not in done and not (workdir / "summary.json").exists()
    if moment == "in_second_rollout":
        assert max(done) == 2 and not table(workdir).exists()
    elif moment == "while_saving":
        assert saving(workdir, 2) and max(done) == 1
    elif moment == "between_minibatches":
        assert max(done) == 3
    said = finish(start(nano_base, workdir, log), log)
    assert f"resumed from update {max(done)}" in said
    assert ("unfinished save, ignored" in said) == (moment == "while_saving")
    same_results(workdir, finished)


def test_a_damaged_checkpoint_gives_way_to_the_one_before(nano_base, workdir, finished, tmp_path):
    log = tmp_path / "log"
    kill_when(start(nano_base, workdir, log), log, lambda: 3 in steps(workdir))
    damaged = workdir / "checkpoints" / "3"
    for path in damaged.rglob("*"):
        if path.is_file() and path.stat().st_size > 1000:
            path.write_bytes(path.read_bytes()[:-500])
    said = finish(start(nano_base, workdir, log), log)
    assert f"warning: {damaged}: damaged" in said
    assert f"{workdir}/checkpoints/2: used instead" in said
    assert "resumed from update 2" in said
    same_results(workdir, finished)
