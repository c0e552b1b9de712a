import gzip
import json

import pytest

from r1jax.config import UserError
from r1jax.data.files.jsonl import iter_jsonl, numbered_jsonl, read_jsonl


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
        (b"\xef\xbb\xbf{}", "BOM"),
        (b"[1]", "got list, wanted an object"),
        (b'{"a": "\xff"}', "utf-8"),
    ],
)
def test_a_bad_line_is_named(tmp_path, bad, why):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"a": 1}\n' + bad + b'\n{"a": 3}\n')
    with pytest.raises(ValueError, match=f"x.jsonl:2: .*{why}"):
        read_jsonl(path)


def test_blank_lines_and_a_byte_order_mark_count_as_lines(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\n \t\r\n{"a": 2}\n\n')
    assert list(numbered_jsonl(path)) == [(1, {"a": 1}), (4, {"a": 2})]
    assert list(iter_jsonl(path)) == read_jsonl(path) == [{"a": 1}, {"a": 2}]
    path.write_bytes(b"\xef\xbb\xbf\n\n[1]")
    with pytest.raises(ValueError, match=r"x\.jsonl:3: got list"):
        read_jsonl(path)


@pytest.mark.parametrize("text", ["", "\n \n", "\ufeff"])
def test_a_file_of_nothing_is_an_error(tmp_path, text):
    path = tmp_path / "x.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"x\.jsonl: empty"):
        read_jsonl(path)


@pytest.mark.parametrize("cut", [-9, 5])
def test_a_broken_gzip_is_an_error(tmp_path, cut):
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n')[:cut])
    with pytest.raises(ValueError, match=r"x\.jsonl\.gz: broken gzip"):
        read_jsonl(path)


def test_good_lines_come_before_a_bad_one_is_met(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\n{"a"\n')
    rows = iter_jsonl(path)
    assert [next(rows), next(rows)] == [{"a": 1}, {"a": 2}]
    with pytest.raises(ValueError, match=r"x\.jsonl:3"):
        next(rows)


@pytest.mark.parametrize("deep", ["[" * 100_000, '{"a":' * 100_000])
def test_a_line_nested_too_deep_is_named(tmp_path, deep):
    (tmp_path / "x.jsonl").write_text(f'{{"a": 1}}\n{deep}\n')
    with pytest.raises(UserError, match=r"x\.jsonl:2: maximum recursion depth"):
        read_jsonl(tmp_path / "x.jsonl")
