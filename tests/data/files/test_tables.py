import gzip
import json

import pytest

from r1jax.config import UserError
from r1jax.data.files.files import read_rows


def rows(path, format):
    return list(read_rows(path, format))


@pytest.mark.parametrize("zipped", [False, True])
def test_a_json_array_is_read_item_by_item(tmp_path, zipped):
    data = json.dumps([{"a": 1}, {"a": "\u7b54"}], indent=2).encode("utf-8-sig")
    path = tmp_path / ("x.json.gz" if zipped else "x.json")
    path.write_bytes(gzip.compress(data) if zipped else data)
    assert rows(path, "json") == [(f"{path}:1", {"a": 1}), (f"{path}:2", {"a": "\u7b54"})]


@pytest.mark.parametrize(
    ("text", "format", "why"),
    [
        ('{"a": 1}\n{"a": 2}\n', "json", r"x: got no JSON: Extra data.*format 'jsonl'"),
        ('{"train": []}', "json", r"x: got an object with \['train'\], wanted an array"),
        ("[1]", "json", r"x:1: got int, wanted an object"),
        ("3", "json", "x: got no list"),
        ('[{"a": 1},', "json", "x: got no JSON"),
        ('[\n  {"a": 1}\n]', "jsonl", r"x:1: .*one JSON array is the format 'json'"),
        ('[{"a": 1}]', "jsonl", r"x:1: got list, .*the format 'json'"),
    ],
)
def test_a_json_file_of_another_shape_is_told_which(tmp_path, text, format, why):
    path = tmp_path / "x"
    path.write_text(text)
    with pytest.raises(UserError, match=why):
        rows(path, format)


@pytest.mark.parametrize(("format", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_a_table_has_the_names_in_its_first_line(tmp_path, format, delimiter):
    path = tmp_path / f"x.{format}.gz"
    lines = [["q", "a"], ['"one\ntwo, or ""three"""', "1"], [], ["four", ""]]
    text = "\ufeff" + "\r\n".join(delimiter.join(line) for line in lines)
    path.write_bytes(gzip.compress(text.encode()))
    assert rows(path, format) == [
        (f"{path}:2", {"q": 'one\ntwo, or "three"', "a": "1"}),
        (f"{path}:5", {"q": "four", "a": ""}),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("q,a\nx,1\ny\n", r"x\.csv:3: got 1 cells, wanted 2: q,a"),
        ("q,a\nx,1,2\n", r"x\.csv:2: got 3 cells"),
        ("q,a,q\n", r"columns \['q'\] stand there twice"),
        ('q,a\nx,"1\ny,2\n', r"x\.csv:2: unexpected end of data"),
        ('q,a\n"x" y,2\n', r"x\.csv:2: .* wanted cells of q,a"),
        ("q,a\nx,\udce9\n", r"x\.csv:2: .*utf-8.*wanted UTF-8"),
    ],
)
def test_a_table_that_is_broken_is_named(tmp_path, text, why):
    path = tmp_path / "x.csv"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match=why):
        rows(path, "csv")


def test_a_folder_stands_for_its_tables(tmp_path):
    for name in ("b.csv", "a.csv", "c.tsv"):
        (tmp_path / name).write_text(f"q\n{name}\n")
    assert [row["q"] for _, row in rows(tmp_path, "csv")] == ["a.csv", "b.csv"]
