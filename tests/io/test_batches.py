import json

import pytest

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
    check_request(tmp_path, request)
    write_request(tmp_path, request)
    check_request(tmp_path, {"seed": 0, "ks": [1, 2]})
    with pytest.raises(ValueError, match=r"rows of another request: \['more', 'seed'\] differ"):
        check_request(tmp_path, {"seed": 1, "ks": (1, 2), "more": 1})
