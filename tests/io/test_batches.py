import json
import os
import subprocess
import sys

import pytest

from r1jax.config import UserError
from r1jax.io import summary
from r1jax.io.batches import RowFile, check_request, write_request


@pytest.mark.parametrize("cut", range(0, 120, 7))
def test_a_kill_leaves_no_trace_in_the_file(cut, tmp_path):
    sizes, path = [3, 1, 2], tmp_path / "rows.jsonl"
    batches = [[{"batch": b, "row": "ä" * r} for r in range(n)] for b, n in enumerate(sizes)]

    def go_on():
        with RowFile(path, sizes=sizes) as file:
            there = file.batches
            for batch in batches[there:]:
                file.write(batch)
            assert file.batches == 3
        return there

    assert go_on() == 0
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    lines = whole[:cut].count(b"\n")
    assert go_on() == (0 if lines < 3 else 1 if lines < 4 else 2 if lines < 6 else 3)
    assert path.read_bytes() == whole
    assert [json.loads(line)["batch"] for line in whole.splitlines()] == [0, 0, 0, 1, 2, 2]


def test_rows_of_another_request_are_not_mixed_in(tmp_path):
    request = {"seed": 0, "ks": (1, 2)}
    assert check_request(tmp_path, request) == []
    write_request(tmp_path, request, [])
    assert check_request(tmp_path, {"seed": 0, "ks": [1, 2]}) == []
    with pytest.raises(ValueError, match=r"rows of another request: \['more', 'seed'\] differ"):
        check_request(tmp_path, {"seed": 1, "ks": (1, 2), "more": 1})


def test_rows_of_other_versions_are_told_for_good(tmp_path, monkeypatch):
    write_request(tmp_path, {"seed": 0}, [])
    monkeypatch.setattr(summary, "_version", lambda package: "0.1")
    notes = check_request(tmp_path, {"seed": 0})
    assert len(notes) == 1 and "mpmath: was '" in notes[0] and "now '0.1'" in notes[0]
    write_request(tmp_path, {"seed": 0}, notes)
    assert check_request(tmp_path, {"seed": 0}) == notes


def test_a_request_that_is_no_object_is_named(tmp_path):
    (tmp_path / "request.json").write_text("[1]")
    with pytest.raises(UserError, match=r"request\.json: got list, wanted an object"):
        check_request(tmp_path, {"seed": 0})


def test_a_removed_file_of_rows_is_told_at_the_next_batch(tmp_path):
    with RowFile(tmp_path / "rows.jsonl", sizes=[1, 1]) as file:
        file.write([{"row": 0}])
        (tmp_path / "rows.jsonl").unlink()
        with pytest.raises(OSError, match="removed or replaced"):
            file.write([{"row": 1}])


def test_a_request_is_read_alike_in_every_locale(tmp_path):
    script = """
import sys
from r1jax.io.batches import check_request, write_request
write_request(sys.argv[1], {"prompt": "\\u6c49"}, [])
check_request(sys.argv[1], {"prompt": "\\u6c49"})
"""
    ascii_locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", script, str(tmp_path)]
    subprocess.run(command, check=True, env=os.environ | ascii_locale)
