import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from r1jax.io.processes import all_rows, own_rows
from r1jax.rewards.score import Score

HERE = Path(__file__).parent


def test_one_process_judges_all_rows_itself():
    assert own_rows(7) == range(7)
    rows = [Score(1.0, {"accuracy": 1.0}, "so", False, "42"), {"any": "row"}]
    assert all_rows(rows) is rows


def test_two_processes_judge_their_own_rows_and_know_all_scores():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    environment["PYTHONPATH"] = str(HERE.parent.parent)
    processes = [
        subprocess.Popen(
            [sys.executable, HERE / "two_processes.py", str(index), str(port)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for index in range(2)
    ]
    told = [json.loads(p.communicate(timeout=120)[0].splitlines()[-1]) for p in processes]
    assert [t["rows"] for t in told] == [[0, 1, 2], [3, 4, 5, 6]]
    assert told[0]["scores"] == told[1]["scores"]
    scores = [Score(*score) for score in told[0]["scores"]]
    assert [s.parts["accuracy"] for s in scores] == [0, 0, 0, 1, 0, 0, 0]
    assert scores[3].answer == r"\sqrt{20}" and not any(s.error for s in scores)
