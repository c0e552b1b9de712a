import gzip
import json

import pytest

from r1jax.data.jsonl import load_problems, read_jsonl
from r1jax.data.problems import Problem

GSM8K = r"####\s*(.+)$"


def load(path, answer_pattern=GSM8K, stratum_field=""):
    return load_problems(
        path,
        question_field="question",
        answer_field="answer",
        answer_pattern=answer_pattern,
        stratum_field=stratum_field,
    )


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_plain_and_gzipped_files_read_alike(tmp_path):
    rows = [{"a": 1}, {"b": "\u7b54\u6848"}]
    plain = write(tmp_path / "x.jsonl", *rows)
    packed = tmp_path / "x.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_jsonl(plain) == read_jsonl(str(packed)) == rows


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"{'a': 1}", "double quotes"),
        (b"", "Expecting value"),
        (b"[1]", "got list, wanted an object"),
        (b'{"a": "\xff"}', "utf-8"),
    ],
)
def test_a_bad_line_is_named(tmp_path, bad, why):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"a": 1}\n' + bad + b'\n{"a": 3}\n')
    with pytest.raises(ValueError, match=f"x.jsonl:2: .*{why}"):
        read_jsonl(path)


def test_an_empty_file_is_an_error(tmp_path):
    path = write(tmp_path / "x.jsonl")
    with pytest.raises(ValueError, match=r"x\.jsonl: empty"):
        read_jsonl(path)


@pytest.mark.parametrize("cut", [-9, 5])
def test_a_broken_gzip_is_an_error(tmp_path, cut):
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n')[:cut])
    with pytest.raises(ValueError, match=r"x\.jsonl\.gz: broken gzip"):
        read_jsonl(path)


def test_problems_carry_answer_stratum_and_line(tmp_path):
    (tmp_path / "sums").mkdir()
    path = write(
        tmp_path / "sums" / "train.v1.jsonl",
        {"question": "1+1?", "answer": "#### is it\nyes\n#### 2", "level": 1},
        {"question": "1000+1?", "answer": "so\n#### 1,001 ", "level": 5},
    )
    assert load(path, stratum_field="level") == [
        Problem("sums/train.v1:1", "1+1?", "2", "1"),
        Problem("sums/train.v1:2", "1000+1?", "1,001", "5"),
    ]


def test_an_empty_pattern_takes_the_whole_field(tmp_path):
    path = write(
        tmp_path / "x.jsonl",
        {"question": "q", "answer": " a\nb "},
        {"question": "q", "answer": 145.0},
    )
    assert [problem.answer for problem in load(path, answer_pattern="")] == ["a\nb", "145.0"]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"question": "q"}, "no field 'answer'"),
        ({"answer": "#### 1"}, "no field 'question'"),
        ({"question": "q", "answer": "1"}, "finds nothing"),
        ({"question": "q", "answer": "####  "}, "finds nothing"),
        ({"question": " ", "answer": "#### 1"}, "field 'question' is empty"),
        ({"question": "q", "answer": None}, "is NoneType"),
        ({"question": "q", "answer": True}, "is bool"),
        ({"question": "q", "answer": ["#### 1"]}, "is list"),
    ],
)
def test_a_row_that_gives_no_problem_is_named(tmp_path, row, why):
    path = write(tmp_path / "x.jsonl", {"question": "q", "answer": "#### 1"}, row)
    with pytest.raises(ValueError, match=f"x.jsonl:2: .*{why}"):
        load(path)


def test_a_missing_stratum_is_an_error(tmp_path):
    path = write(tmp_path / "x.jsonl", {"question": "q", "answer": "#### 1"})
    with pytest.raises(ValueError, match=r"x\.jsonl:1: no field 'level'"):
        load(path, stratum_field="level")


@pytest.mark.parametrize("pattern", ["####", "(a)(b)"])
def test_a_pattern_needs_one_group(tmp_path, pattern):
    path = write(tmp_path / "x.jsonl", {"question": "q", "answer": "#### 1"})
    with pytest.raises(ValueError, match="wanted 1"):
        load(path, answer_pattern=pattern)
