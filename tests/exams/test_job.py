import dataclasses
import json
import os

import pytest

from r1jax.config import UserError
from r1jax.exams.job import Job, batches_of, model_fingerprint
from r1jax.io import summary


@dataclasses.dataclass(frozen=True)
class Config:
    pipeline: str
    seed: int


def request(config: Config) -> dict:
    return {"seed": config.seed, "ks": (1, 2)}


def opened(workdir, seed: int = 0) -> Job[Config]:
    return Job(Config("job", seed), workdir, request)


@pytest.mark.parametrize(
    ("rows", "size", "batches"),
    [("abcdefg", 3, ["abc", "def", "g"]), ("ab", 2, ["ab"]), ("ab", 5, ["ab"]), ("", 3, [])],
)
def test_batches_hold_all_rows(rows, size, batches):
    assert batches_of(rows, size) == batches


def test_a_job_goes_on_only_with_its_own_request(tmp_path):
    opened(tmp_path)
    opened(tmp_path, seed=1)  # what was not begun binds nobody
    opened(tmp_path).begin()
    opened(tmp_path).begin()
    with pytest.raises(ValueError, match=r"rows of another request: \['seed'\] differ"):
        opened(tmp_path, seed=1)


def test_a_workdir_is_refused_before_the_request_is_read(tmp_path):
    (tmp_path / "file").write_text("x")

    def unread(config: Config) -> dict:
        raise AssertionError("read")

    with pytest.raises(ValueError, match="file: is a file, wanted a directory"):
        Job(Config("job", 0), tmp_path / "file", unread)


def test_a_store_writes_the_batches_that_are_left(tmp_path, capsys):
    job, batches = opened(tmp_path), batches_of([{"row": r} for r in range(5)], 2)

    def go_on(last: int) -> list[int]:
        with job.store("rows.jsonl", sizes=[2, 2, 1], title="count") as store:
            numbers = list(store.left)[:last]
            for number in numbers:
                store.write(batches[number], rows=number)
            assert store.done == 3 - len(store.left)
        return numbers

    assert go_on(1) == [0]
    assert go_on(3) == [1, 2]
    assert go_on(3) == []
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert [json.loads(line)["row"] for line in lines] == [0, 1, 2, 3, 4]
    assert "count 3/3  rows 2  (done)" in capsys.readouterr().out


def test_a_summary_is_the_run_s_and_what_it_adds(tmp_path):
    summary = opened(tmp_path, seed=4).summarize({"rows": 2})
    assert (summary["pipeline"], summary["seed"], summary["rows"]) == ("job", 4, 2)
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert os.listdir(tmp_path) == ["summary.json"]


@pytest.mark.parametrize("model", ["nowhere", "package:nothing"])
def test_a_model_that_is_not_there_is_told_at_the_start(model):
    with pytest.raises(UserError, match=f"model {model}: no such file or directory"):
        model_fingerprint(model)


def test_other_versions_are_warned_of_and_stay_in_the_summary(tmp_path, monkeypatch, capsys):
    opened(tmp_path).begin()
    monkeypatch.setattr(summary, "_version", lambda package: "0.1")
    job = opened(tmp_path)
    assert f"warning: {tmp_path}: other versions than before" in capsys.readouterr().err
    job.begin()
    assert opened(tmp_path).summarize({})["notes"] == job.notes != []
