import os
import signal
import threading
import time
from pathlib import Path

import pytest

from r1jax.rewards.workers.pool import Job, Pool


def job(function: str, *, cpu: float = 20.0, wall: float = 30.0, **arguments) -> Job:
    return Job(function, arguments, cpu_seconds=cpu, wall_seconds=wall)


@pytest.fixture
def pool(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    with Pool(workers=2, memory_mb=1024, module="strange_worker") as made:
        yield made


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_verdicts_come_in_the_order_of_the_jobs(pool):
    jobs = [job("sleep", seconds=0.3), *[job("echo", text=f"{i} ünï\n{{}}") for i in range(50)]]
    verdicts = pool.map(jobs, seconds=60)
    assert [v.reason for v in verdicts] == ["slept", *[f"{i} ünï\n{{}}" for i in range(50)]]
    assert all(v.value == 1 and not v.error for v in verdicts)
    assert pool.replaced == 0


def test_workers_persist_and_end_with_the_pool(pool):
    first = {v.reason for v in pool.map([job("pid")] * 20, seconds=60)}
    second = {v.reason for v in pool.map([job("pid")] * 20, seconds=60)}
    assert len(first | second) <= 2
    pids = pool.processes()
    pool.close()
    assert pids and not any(alive(pid) for pid in pids)
    with pytest.raises(RuntimeError, match="closed"):
        pool.map([job("pid")], seconds=1)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("spin", "more than 0.2 s of processor time"),
        ("hog", "ran out of memory"),
        ("hog_quietly", "ran out of memory"),
        ("recurse", "recursed too deep"),
        ("die_always", "died 3 times, the last time with exit code -9"),
        ("flood", "died 3 times"),
        ("babble", "died 3 times"),
    ],
)
def test_a_job_that_breaks_its_limits_is_an_error_of_its_own(pool, function, told):
    jobs = [
        job("echo", text="before"),
        job(function, cpu=0.2 if function == "spin" else 20.0),
        job("echo", text="after"),
    ]
    before, verdict, after = pool.map(jobs, seconds=60)
    assert verdict.error and told in verdict.reason and verdict.value == 0
    assert (before.reason, after.reason) == ("before", "after")
    assert pool.replaced >= 1
    assert [v.reason for v in pool.map([job("echo", text="next")] * 4, seconds=60)] == ["next"] * 4


def test_a_job_that_never_returns_from_c_is_ended_by_the_kernel(pool):
    (verdict,) = pool.map([job("spin_in_c", cpu=0.1)], seconds=60)
    assert verdict.error and "processor time" in verdict.reason


def test_a_job_that_sleeps_for_ever_is_killed_by_the_clock(pool):
    slow, quick = pool.map(
        [job("sleep", wall=1.0, seconds=1000), job("echo", text="quick")], seconds=60
    )
    assert slow.error and slow.reason == "the judge gave no verdict within 1 s"
    assert quick.reason == "quick"


def test_what_is_not_done_by_the_batch_deadline_is_an_error(pool):
    pool.map([job("pid")] * 8, seconds=60)  # warm
    jobs = [job("sleep", seconds=1000) for _ in range(6)]
    verdicts = pool.map([job("echo", text="first"), *jobs], seconds=2)
    assert verdicts[0].reason == "first"
    assert {v.reason for v in verdicts[1:]} == {"the time for the whole batch was over"}
    assert all(v.error for v in verdicts[1:])
    assert pool.map([job("echo", text="next")], seconds=60)[0].reason == "next"


def test_a_worker_killed_from_outside_changes_no_verdict(pool, tmp_path):
    jobs = [job("die", path=str(tmp_path / "mark")), *[job("echo", text=str(i)) for i in range(20)]]
    verdicts = pool.map(jobs, seconds=60)
    assert [v.reason for v in verdicts] == ["the second time", *map(str, range(20))]
    assert not any(v.error for v in verdicts) and pool.replaced == 1


def test_kill_9_in_mid_batch_changes_no_verdict(pool):
    pool.map([job("pid")] * 8, seconds=60)
    killed = []

    def kill():
        time.sleep(0.3)
        for pid in pool.processes():
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    verdicts = pool.map([job("sleep", seconds=0.1)] * 16, seconds=60)
    killer.join()
    assert killed and {v.reason for v in verdicts} == {"slept"}
    assert not any(v.error for v in verdicts)


def test_threads_share_a_pool_without_mixing_their_verdicts(pool):
    got = {}

    def ask(name: str):
        verdicts = pool.map([job("echo", text=f"{name}{i}") for i in range(30)], seconds=60)
        got[name] = [v.reason for v in verdicts]

    threads = [threading.Thread(target=ask, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {name: [f"{name}{i}" for i in range(30)] for name in "abcd"}


def test_what_a_worker_does_not_know_is_told_to_whoever_waits(pool):
    (verdict,) = pool.map([job("no such function")], seconds=60)
    assert verdict.error and "died 3 times" in verdict.reason


@pytest.mark.parametrize(("workers", "memory_mb"), [(0, 1024), (1, 100)])
def test_a_pool_that_cannot_work_is_refused(workers, memory_mb):
    with pytest.raises(ValueError, match=f"got {workers} workers of {memory_mb} MiB"):
        Pool(workers=workers, memory_mb=memory_mb, module="strange_worker")


def test_closing_does_not_wait_for_what_is_queued(pool):
    pool.map([job("pid")] * 8, seconds=60)
    got = []
    asker = threading.Thread(
        target=lambda: got.extend(pool.map([job("sleep", seconds=1000)] * 20, seconds=600))
    )
    asker.start()
    time.sleep(0.3)
    pool.close()
    asker.join(timeout=30)
    assert not asker.is_alive()
    assert [v.reason for v in got] == ["the judges were dismissed"] * 20
    assert all(v.error for v in got) and not pool.processes()


def test_closing_while_jobs_are_handed_in_leaves_nobody_waiting(pool):
    told = []

    def ask():
        try:
            told.append(len(pool.map([job("sleep", seconds=1000)] * 20_000, seconds=600)))
        except RuntimeError as error:
            told.append(str(error))

    askers = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
    for asker in askers:
        asker.start()
    pool.close()
    for asker in askers:
        asker.join(timeout=60)
    assert len(told) == 3


def test_a_stopped_worker_is_killed_though_it_reads_no_long_job(pool):
    pool.map([job("pid")] * 8, seconds=60)
    for pid in pool.processes():
        os.kill(pid, signal.SIGSTOP)
    (verdict,) = pool.map([job("echo", wall=1.0, text="x" * 10**6)], seconds=60)
    assert verdict.error and verdict.reason == "the judge gave no verdict within 1 s"


def test_a_fork_cannot_use_its_parents_judges(pool):
    pool.map([job("pid")], seconds=60)
    pool._owner -= 1  # as a fork would find it
    with pytest.raises(RuntimeError, match="forked"):
        pool.map([job("pid")], seconds=60)
    pool._owner += 1


def test_judges_that_cannot_start_are_an_error_of_each_answer(pool, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("r1jax.rewards.workers.pool.subprocess.Popen", refuse)
    verdicts = pool.map([job("pid")] * 3, seconds=60)
    assert all(v.error and "Too many open files" in v.reason for v in verdicts)
