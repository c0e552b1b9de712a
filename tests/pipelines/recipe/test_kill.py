"""The whole recipe in miniature, as a process that is killed in every stage and started again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from r1jax.pipelines.recipe.check import check
from r1jax.pipelines.recipe.stages import ASSETS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
NANO = ROOT / "tests" / "pipelines" / "recipe" / "nano_r1.py"
LIMIT = 3600  # seconds that a run may take on a loaded machine


def start(workdir: Path, log: Path) -> subprocess.Popen:
    command = (sys.executable, "-m", "r1jax.main", f"--config={NANO}", f"--workdir={workdir}")
    caches = {"XDG_CACHE_HOME": str(log.parents[1] / "r1_caches")}
    with log.open("a") as out:
        return subprocess.Popen(
            command, cwd=ROOT, env=os.environ | caches, stdout=out, stderr=subprocess.STDOUT
        )


def done(workdir: Path) -> dict[str, dict]:
    return {p.parent.name: json.loads(p.read_text()) for p in workdir.glob("stages/*/done.json")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("r1") / "whole"
    log = workdir.with_suffix(".log")
    assert start(workdir, log).wait(timeout=LIMIT) == 0, log.read_text()[-3000:]
    return workdir


def test_every_stage_is_done_and_every_hash_can_be_derived_again(finished, monkeypatch):
    monkeypatch.chdir(ROOT)
    stages = done(finished)
    assert len(stages) == 28
    assert check(finished, assets=ASSETS) == []
    for name in ("report.md", "pipeline.png", "stages.png", "lineage.json"):
        assert (finished / name).stat().st_size > 1000


def test_counts_of_the_data_add_up_from_stage_to_stage(finished):
    def lines(place):
        paths = sorted(finished.glob(f"stages/{place}"))
        return sum(path.read_bytes().count(b"\n") for path in paths)

    def counted(name):
        return json.loads((finished / "stages" / name / "summary.json").read_text())["counts"]

    rejection = counted("rejection")
    assert lines("rejection/answers.jsonl") == rejection["sampled"] == 48 * 4
    assert lines("general/rows.jsonl") == 100
    for stage, source in (("dev1", "cold_start"), ("dev3", "rejection"), ("student", "rejection")):
        counts = counted(stage)
        assert counts["read"] == lines(f"{source}/sft/*.jsonl"), (stage, counts)
        assert counts["rows"] + counts["held_out"] + counts["dropped"] == counts["read"]


def test_a_run_killed_in_every_stage_is_the_uninterrupted_run(finished, tmp_path):
    workdir, log = tmp_path / "run", tmp_path / "log"
    workdir.mkdir()
    seconds = {
        p.parent.name: json.loads(p.read_text())["seconds"]
        for p in finished.glob("stages/*/timing.json")
    }
    killed: set[str] = set()
    deadline = time.monotonic() + LIMIT
    while len(done(workdir)) < len(seconds):
        process = start(workdir, log)
        while process.poll() is None:
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            begun = {p.parent.name for p in workdir.glob("stages/*/begun.json")}
            fresh = begun - killed - done(workdir).keys()
            if fresh:
                (stage,) = fresh
                killed.add(stage)
                time.sleep(min(seconds[stage], 20) * 0.6)  # somewhere within the stage
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.002)
        assert process.wait() in (0, -signal.SIGKILL), log.read_text()[-3000:]
    assert start(workdir, log).wait(timeout=LIMIT) == 0, log.read_text()[-3000:]
    assert len(killed) > 20, "most stages were met while they ran"
    got, want = done(workdir), done(finished)
    for name in want:
        assert got[name] == want[name], name
    for name in ("lineage.json", "results.json"):
        assert (workdir / name).read_bytes() == (finished / name).read_bytes(), name
