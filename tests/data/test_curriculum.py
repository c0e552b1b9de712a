import json

import pytest

from r1jax.data.curriculum import CurriculumConfig, read_pass_rates


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"pass_rate": 0.5}, "got id None"), ({"id": 3, "pass_rate": 0.5}, "got id 3"),
        ({"id": "b"}, "pass_rate None"), ({"id": "b", "pass_rate": 1.01}, "pass_rate 1.01"),
        ({"id": "b", "pass_rate": -0.1}, "0 to 1"), ({"id": "b", "pass_rate": True}, "True"),
        ({"id": "b", "pass_rate": "0.5"}, "'0.5'"), ({"id": "a", "pass_rate": 0.5}, "already"),
    ],
)  # fmt: skip
def test_a_line_without_a_usable_rate_is_named(tmp_path, row, why):
    path = tmp_path / "rates.jsonl"
    lines = ({"id": "a", "pass_rate": 1}, row)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ValueError, match=rf"rates\.jsonl:2: .*{why}"):
        read_pass_rates(path)


@pytest.mark.parametrize(("lowest", "highest"), [(-0.1, 0.5), (0.6, 0.5), (0.5, 1.1)])
def test_bounds_that_are_no_range_are_refused(lowest, highest):
    with pytest.raises(ValueError, match="wanted 0 <= lowest <= highest <= 1"):
        CurriculumConfig("x", lowest, highest, "keep")
