import gzip
import hashlib
import json
import re
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from array_record.python.array_record_module import ArrayRecordWriter

from r1jax.config import UserError
from r1jax.data.files.files import add_to_digest, data_files, read_rows

ROWS = [
    {"q": f"question {i} \u7b54", "tests": {"inputs": [str(i)]}, "none": None} for i in range(5)
]


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_parquet(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=2)


def write_arrow(path, rows):
    table = pa.Table.from_pylist(rows)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table, max_chunksize=2)


def write_array_record(path, rows):
    writer = ArrayRecordWriter(str(path), "group_size:1")
    for row in rows:
        writer.write(json.dumps(row).encode())
    writer.close()


WRITERS = {
    "jsonl": (write_jsonl, ".jsonl"), "parquet": (write_parquet, ".parquet"),
    "array_record": (write_array_record, ".array_record"),
}  # fmt: skip


def saved_to_disk(folder, shards, **state):
    """A folder as datasets.save_to_disk leaves it."""
    folder.mkdir(parents=True)
    names = [f"data-{i:05}-of-{len(shards):05}.arrow" for i in range(len(shards))]
    for name, rows in zip(names, shards, strict=True):
        write_arrow(folder / name, rows)
    files = [{"filename": name} for name in names]
    (folder / "state.json").write_text(json.dumps({"_data_files": files, "_split": None} | state))
    (folder / "dataset_info.json").write_text("{}")
    return folder


def rows_of(path, format):
    return [row for _, row in read_rows(path, format)]


@pytest.mark.parametrize("format", WRITERS)
def test_every_format_gives_the_same_rows(tmp_path, format):
    write, suffix = WRITERS[format]
    path = tmp_path / f"x{suffix}"
    write(path, ROWS)
    assert rows_of(path, format) == ROWS
    assert [where for where, _ in read_rows(path, format)] == [f"{path}:{i}" for i in range(1, 6)]


def test_rows_of_json_lines_are_numbered_by_their_lines(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('\ufeff\n{"a": 1}\n\n{"a": 2}\n\n', encoding="utf-8")
    assert list(read_rows(path, "jsonl")) == [(f"{path}:2", {"a": 1}), (f"{path}:4", {"a": 2})]


@pytest.mark.parametrize("format", WRITERS)
def test_a_folder_or_a_pattern_stands_for_its_files_in_order(tmp_path, format):
    write, suffix = WRITERS[format]
    for name, rows in (("train-1", ROWS[2:]), ("train-0", ROWS[:2]), ("test-0", ROWS[:1])):
        write(tmp_path / f"{name}{suffix}", rows)
    (tmp_path / "README.md").write_text("# not data")
    assert rows_of(tmp_path / "train-*", format) == ROWS
    assert rows_of(tmp_path, format) == ROWS[:1] + ROWS
    assert [where for where, _ in read_rows(tmp_path / "train-*", format)][1:3] == [
        f"{tmp_path}/train-0{suffix}:2", f"{tmp_path}/train-1{suffix}:1"
    ]  # fmt: skip
    with pytest.raises(ValueError, match=rf"valid-\*: no file that ends in \{suffix}"):
        rows_of(tmp_path / "valid-*", format)


def test_a_saved_dataset_is_read_in_the_order_of_its_state(tmp_path):
    folder = saved_to_disk(tmp_path / "set", [ROWS[:3], ROWS[3:]])
    assert rows_of(folder, "hugging_face") == ROWS
    state = json.loads((folder / "state.json").read_text())
    state["_data_files"].reverse()
    (folder / "state.json").write_text(json.dumps(state))
    assert rows_of(folder, "hugging_face") == ROWS[3:] + ROWS[:3]


def test_a_saved_dict_of_datasets_needs_a_split(tmp_path):
    for split in ("train", "test"):
        saved_to_disk(tmp_path / "set" / split, [ROWS])
    (tmp_path / "set" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert rows_of(tmp_path / "set" / "test", "hugging_face") == ROWS
    with pytest.raises(ValueError, match=r"name one of its splits \['test', 'train'\]"):
        rows_of(tmp_path / "set", "hugging_face")


def test_a_dataset_with_an_indices_mapping_is_refused(tmp_path):
    files = {"_indices_data_files": [{"filename": "indices.arrow"}]}
    folder = saved_to_disk(tmp_path / "set", [ROWS], **files)
    with pytest.raises(ValueError, match="flatten_indices"):
        rows_of(folder, "hugging_face")


def test_a_snapshot_of_the_hub_is_read_with_its_links(tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot" / "main"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for i, rows in enumerate((ROWS[:2], ROWS[2:])):
        write_parquet(blobs / f"{i:064x}", rows)
        (snapshot / f"train-{i}.parquet").symlink_to(blobs / f"{i:064x}")
    assert rows_of(snapshot, "hugging_face") == ROWS
    assert rows_of(snapshot / "train-1*", "hugging_face") == ROWS[2:]
    write_jsonl(snapshot / "extra.jsonl", ROWS)
    with pytest.raises(ValueError, match=r"either .parquet or .jsonl files, got both"):
        rows_of(snapshot, "hugging_face")


def test_a_directory_that_is_no_dataset_is_named(tmp_path):
    with pytest.raises(ValueError, match="got neither"):
        rows_of(tmp_path, "hugging_face")
    with pytest.raises(FileNotFoundError, match="nowhere: no such directory"):
        rows_of(tmp_path / "nowhere", "hugging_face")


@pytest.mark.parametrize("format", WRITERS)
def test_a_missing_or_broken_file_is_named(tmp_path, format):
    path = tmp_path / f"x{WRITERS[format][1]}"
    with pytest.raises(FileNotFoundError, match="x"):
        rows_of(path, format)
    path.write_bytes(b"\x00 no data \x00" * 9)
    with pytest.raises(ValueError, match=f"{path}"):
        rows_of(path, format)


def test_a_cut_arrow_file_is_named(tmp_path):
    folder = saved_to_disk(tmp_path / "set", [ROWS])
    (file,) = data_files(folder, "hugging_face")
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"data-00000-of-00001\.arrow: no readable Arrow stream"):
        rows_of(folder, "hugging_face")


def test_a_record_that_is_no_object_is_named(tmp_path):
    writer = ArrayRecordWriter(str(tmp_path / "x.array_record"), "group_size:1")
    for record in (b'{"a": 1}', b"[1]"):
        writer.write(record)
    writer.close()
    with pytest.raises(ValueError, match=r"x\.array_record:2: got list, wanted an object"):
        rows_of(tmp_path / "x.array_record", "array_record")


def test_a_missing_pyarrow_names_the_extra(tmp_path, monkeypatch):
    write_parquet(tmp_path / "x.parquet", ROWS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"r1jax\[data\]"):
        rows_of(tmp_path / "x.parquet", "parquet")


def test_a_digest_is_that_of_all_bytes_in_order(tmp_path):
    (tmp_path / "b.jsonl").write_bytes(b"two\n")
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b"one\n", mtime=0))
    digest = hashlib.sha256()
    add_to_digest(digest, tmp_path, "jsonl")
    want = hashlib.sha256(gzip.compress(b"one\n", mtime=0) + b"two\n")
    assert digest.hexdigest() == want.hexdigest()


@pytest.mark.parametrize("name", ["dataset_dict.json", "state.json"])
@pytest.mark.parametrize("text", ["{", "[]", "{}", "[" * 100_000])
def test_a_damaged_saved_dataset_is_named(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=re.escape(f"{tmp_path / name}: ")):
        data_files(tmp_path, "hugging_face")


def test_a_cell_that_is_no_python_object_is_named(tmp_path):
    path = tmp_path / "times.parquet"
    pq.write_table(pa.table({"at": pa.array([1], pa.timestamp("ns"))}), path)
    with pytest.raises(UserError, match=r"times\.parquet: no readable Parquet file"):
        list(read_rows(path, "parquet"))


@pytest.mark.parametrize(
    "files", ["7", "[1]", '["a"]', '[{"name": "a"}]', '[{"filename": 1}]', "{}"]
)
def test_a_state_without_filenames_is_named(tmp_path, files):
    (tmp_path / "state.json").write_text(f'{{"_data_files": {files}}}')
    with pytest.raises(UserError, match=r"state\.json: _data_files: got .*, wanted filenames"):
        data_files(tmp_path, "hugging_face")


def test_splits_that_are_no_list_are_told_as_they_are(tmp_path):
    (tmp_path / "dataset_dict.json").write_text('{"splits": 5}')
    with pytest.raises(UserError, match="name one of its splits 5"):
        data_files(tmp_path, "hugging_face")


def test_a_corrupt_page_of_parquet_is_named(tmp_path):
    path = tmp_path / "rows.parquet"
    table = pa.table({"text": [f"row {i} of many" for i in range(2000)]})
    pq.write_table(table, path, compression="zstd")
    content = bytearray(path.read_bytes())
    content[100:400] = bytes(300)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"rows\.parquet: no readable Parquet file"):
        list(read_rows(path, "parquet"))
