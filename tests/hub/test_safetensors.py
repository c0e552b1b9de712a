import json

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from r1jax.hub import safetensors

F32, BF16 = np.dtype(np.float32), np.dtype(ml_dtypes.bfloat16)


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "a.weight": rng.standard_normal((3, 5)).astype(F32),
        "b.weight": rng.standard_normal((4, 2)).astype(BF16),
        "c": np.array(2.5, F32),
    }


@pytest.fixture
def written(tmp_path, arrays):
    """A checkpoint of two files."""
    kinds = {name: (a.dtype, a.shape) for name, a in arrays.items()}
    safetensors.write(tmp_path, kinds, arrays.__getitem__, max_bytes=20)
    return tmp_path


def test_what_is_written_is_read_again_and_by_the_library(written, arrays):
    files = safetensors.find(written)
    assert list(files) == list(arrays)
    for name, array in arrays.items():
        got = safetensors.read(files[name])
        assert got.dtype == array.dtype
        np.testing.assert_array_equal(got, array)
        np.testing.assert_array_equal(load_file(files[name].file)[name], array)
    assert len({t.file for t in files.values()}) == 2
    total = json.loads((written / safetensors.INDEX).read_text())["metadata"]["total_size"]
    assert total == sum(a.nbytes for a in arrays.values())


def test_one_file_needs_no_index(tmp_path, arrays):
    save_file(arrays, tmp_path / "model.safetensors")
    assert not (tmp_path / safetensors.INDEX).exists()
    assert safetensors.find(tmp_path).keys() == arrays.keys()


def test_float8_is_read_as_it_is(tmp_path):
    values = np.array([0.5, -448, 2**-9, 1], ml_dtypes.float8_e4m3fn)
    kinds = {"w": (values.dtype, (2, 2))}
    safetensors.write(tmp_path, kinds, lambda _: values.reshape(2, 2), max_bytes=100)
    got = safetensors.read(safetensors.find(tmp_path)["w"])
    np.testing.assert_array_equal(got.astype(F32), [[0.5, -448], [2**-9, 1]])


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def header(path, change):
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    entries = json.loads(raw[8 : 8 + length])
    change(entries)
    text = json.dumps(entries).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])


def index(path, change):
    document = json.loads((path.parent / safetensors.INDEX).read_text())
    change(document["weight_map"])
    (path.parent / safetensors.INDEX).write_text(json.dumps(document))


DAMAGE = {
    "truncated": (cut, ["model-00001", "a.weight", "truncated"]),
    "a header longer than the file": (
        lambda p: p.write_bytes((10**9).to_bytes(8, "little") + b"{}"),
        ["model-00001", "header"],
    ),
    "a header that is not JSON": (
        lambda p: p.write_bytes((2).to_bytes(8, "little") + b"{x"),
        ["model-00001", "JSON"],
    ),
    "an unknown dtype": (
        lambda p: header(p, lambda h: h["a.weight"].update(dtype="F4")),
        ["a.weight", "F4"],
    ),
    "a shape that its bytes do not fill": (
        lambda p: header(p, lambda h: h["a.weight"].update(shape=[3, 6])),
        ["a.weight", "72", "60"],
    ),
    "no offsets": (
        lambda p: header(p, lambda h: h["a.weight"].pop("data_offsets")),
        ["a.weight", "offsets"],
    ),
    "a missing file": (lambda p: p.unlink(), ["lists", "model-00001-of-00002.safetensors"]),
    "an index that lists what the file lacks": (
        lambda p: index(p, lambda m: m.update(d=p.name)),
        ["d is in model-00001", "lacks it"],
    ),
    "an index that names no file": (
        lambda p: index(p, lambda m: m.update(c=5)),
        ["weight_map names no files", "'c': 5"],
    ),
    "a dtype that is no name": (
        lambda p: header(p, lambda h: h["a.weight"].update(dtype=["F32"])),
        ["a.weight", "F32"],
    ),
    "a tensor that the index does not list": (
        lambda p: index(p, lambda m: m.pop("c")),
        ["does not list", "'c'"],
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_told_with_file_and_tensor(damage, written):
    spoil, parts = DAMAGE[damage]
    spoil(written / "model-00001-of-00002.safetensors")
    with pytest.raises(ValueError) as error:
        safetensors.find(written)
    for part in parts:
        assert part in str(error.value)


def test_pickles_are_refused_by_name(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin.*never"):
        safetensors.find(tmp_path)


def test_an_empty_directory_is_told(tmp_path):
    with pytest.raises(ValueError, match="0 safetensors files"):
        safetensors.find(tmp_path)


def test_a_value_unlike_its_announcement_is_refused(tmp_path):
    with pytest.raises(ValueError, match="w: got float32"):
        safetensors.write(tmp_path, {"w": (BF16, (2,))}, lambda _: np.ones(2, F32), max_bytes=10)


def test_an_earlier_checkpoint_in_other_shards_leaves_nothing(written, arrays):
    kinds = {name: (a.dtype, a.shape) for name, a in arrays.items()}
    for max_bytes in (1_000, 10, 20):
        safetensors.write(written, kinds, arrays.__getitem__, max_bytes=max_bytes)
        files = {t.file.name for t in safetensors.find(written).values()}
        assert {p.name for p in written.glob("*.safetensors")} == files


def write_one(path, array, **metadata) -> None:
    safetensors.write_file(
        path, {"a": (array.dtype, array.shape)}, lambda _: array, metadata=metadata
    )


def test_a_files_metadata_come_back_as_they_were(tmp_path):
    write_one(tmp_path / "w", np.ones(2), tokenizer="bytes", note="é\n")
    tensors, metadata = safetensors.read_header(tmp_path / "w")
    assert list(tensors) == ["a"] and metadata == {"tokenizer": "bytes", "note": "é\n"}


def test_transposed_arrays_are_written_in_their_order(tmp_path):
    array = np.arange(6.0).reshape(2, 3).T
    write_one(tmp_path / "w", array)
    got = safetensors.read(safetensors.read_header(tmp_path / "w")[0]["a"])
    np.testing.assert_array_equal(got, array)


@pytest.mark.parametrize("keep", [0, 4, 40, -1])
def test_a_truncated_file_is_named(keep, tmp_path):
    path = tmp_path / "w.safetensors"
    write_one(path, np.ones((2, 3)))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"w\.safetensors: "):
        safetensors.read_header(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data + bytes(12), "12 bytes behind the last tensor"),
        (lambda data: data.replace(b"[4,12]", b"[8,16]") + bytes(4), "b: begins at byte"),
        (lambda data: data.replace(b"[4,12]", b"[0,8] "), "b: begins at byte"),
        (
            lambda data: (10**5).to_bytes(8, "little") + b"[" * 10**5,
            "its header is not JSON",
        ),
        (
            lambda data: (20).to_bytes(8, "little") + b'{"__metadata__":[1]}',
            r"__metadata__ is \[1\], wanted an object",
        ),
    ],
    ids=["appended", "a hole", "an overlap", "nested deep", "metadata"],
)
def test_bytes_that_no_tensor_owns_are_named(change, message, tmp_path):
    arrays = {"a": np.zeros(1, np.float32), "b": np.ones(2, np.float32)}
    path = tmp_path / "x.safetensors"
    kinds = {n: (t.dtype, t.shape) for n, t in arrays.items()}
    safetensors.write_file(path, kinds, arrays.__getitem__, metadata={})
    safetensors.read_header(path)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"x\.safetensors: {message}"):
        safetensors.read_header(path)


def test_a_foreign_or_missing_file_is_named(tmp_path):
    (tmp_path / "text").write_text("no weights here, only words and more words")
    with pytest.raises(ValueError, match=r"text: .*truncated, or no safetensors file"):
        safetensors.read_header(tmp_path / "text")
    with pytest.raises(FileNotFoundError, match="absent"):
        safetensors.read_header(tmp_path / "absent")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w"
    write_one(path, np.ones(2))
    before = path.read_bytes()

    def disk_full(_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("r1jax.hub.safetensors.os.fsync", disk_full)
    with pytest.raises(OSError, match="No space left"):
        write_one(path, np.zeros(2))
    assert path.read_bytes() == before


def test_other_files_of_tensors_are_no_part_of_a_checkpoint(tmp_path, arrays):
    kinds = {name: (a.dtype, a.shape) for name, a in arrays.items()}
    write_one(tmp_path / "score_head.safetensors", np.ones(2))
    for max_bytes in (20, 1_000):
        safetensors.write(tmp_path, kinds, arrays.__getitem__, max_bytes=max_bytes)
        assert safetensors.find(tmp_path).keys() == arrays.keys()
