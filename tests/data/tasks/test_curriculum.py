import json

import pytest

from r1jax.data.tasks.curriculum import CurriculumConfig, read_pass_rates, select
from r1jax.data.tasks.problems import Problem, question_digest


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"pass_rate": 0.5}, "got id None"),
        ({"id": 3, "pass_rate": 0.5}, "got id 3"),
        ({"id": "b"}, "pass_rate None"),
        ({"id": "b", "pass_rate": 1.01}, "pass_rate 1.01"),
        ({"id": "b", "pass_rate": -0.1}, "0 to 1"),
        ({"id": "b", "pass_rate": True}, "True"),
        ({"id": "b", "pass_rate": 1, "question_sha256": "abc"}, "'abc', wanted 64 hex"),
        ({"id": "b", "pass_rate": 1, "question_sha256": 7}, "sha256 7, wanted 64 hex"),
        ({"id": "b", "pass_rate": "0.5"}, "'0.5'"),
        ({"id": "a", "pass_rate": 0.5}, "already"),
    ],
)
def test_a_line_without_a_usable_rate_is_named(tmp_path, row, why):
    path = tmp_path / "rates.jsonl"
    lines = ({"id": "a", "pass_rate": 1}, row)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ValueError, match=rf"rates\.jsonl:2: .*{why}"):
        read_pass_rates(path)


def test_a_rate_counts_for_the_question_that_was_measured_alone(tmp_path):
    path = tmp_path / "rates.jsonl"
    plan = CurriculumConfig(str(path), 0.0, 1.0, "keep")

    def ask(name, question):
        return Problem(name, question, "1", "", "", "maths", {})

    digest = question_digest("one?")
    path.write_text(
        json.dumps({"id": "a", "pass_rate": 0.5, "question_sha256": digest.upper()})
        + "\n\n"
        + json.dumps({"id": "b", "pass_rate": 0.5})
        + "\n"
        + json.dumps({"id": "gone", "pass_rate": 1, "question_sha256": "0" * 64})
    )
    rates = read_pass_rates(path)
    kept, _ = select([ask("a", "one?"), ask("b", "any"), ask("c", "new")], rates, plan)
    assert [problem.id for problem in kept] == ["a", "b", "c"]
    with pytest.raises(ValueError, match=r"rates\.jsonl: the question of a changed .*'two\?' now"):
        select([ask("a", "two?")], rates, plan)


def test_bounds_that_are_no_range_are_refused():
    with pytest.raises(ValueError, match=r"lowest 0\.6 is above highest 0\.5"):
        CurriculumConfig("x", 0.6, 0.5, "keep")
