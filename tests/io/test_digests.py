import json

import pytest

from r1jax.io import digests
from r1jax.io.digests import differences, fingerprint, leaves_by_path, seal, unseal


def test_a_changed_sealed_document_is_refused():
    sealed = seal({"b": [1, 2.5, None], "a": "é"})
    assert unseal(sealed) == {"b": [1, 2.5, None], "a": "é"}
    with pytest.raises(ValueError, match="document: sha256"):
        unseal(sealed | {"text": sealed["text"].replace("2.5", "3.5")})
    with pytest.raises(ValueError, match="JSON"):
        seal({"a": float("nan")})


def test_differences_show_both_sides():
    got = differences({"a": 1, "b": "x", "same": 0}, {"a": 2, "c": None, "same": 0})
    assert got == [
        "a: checkpoint 1, now 2",
        "b: checkpoint 'x', now absent",
        "c: checkpoint absent, now None",
    ]


def test_two_leaves_of_one_name_are_refused():
    with pytest.raises(ValueError, match="2 arrays, but only 1 names"):
        leaves_by_path({"a/b": 1, "a": {"b": 2}})


def test_a_fingerprint_tells_names_sizes_and_both_ends(tmp_path):
    place = tmp_path / "model"
    place.mkdir()
    (place / "a").write_bytes(b"x" * (3 * 2**20))
    first = fingerprint(place)
    assert first == fingerprint(place) != fingerprint(place / "a")
    for at in (0, 3 * 2**19, 3 * 2**20 - 1):  # data are read whole
        content = bytearray(b"x" * (3 * 2**20))
        content[at] = 0
        (place / "a").write_bytes(content)
        assert fingerprint(place) != first
    (place / "a").write_bytes(b"x" * (3 * 2**20))
    assert fingerprint(place) == first
    (place / "a").rename(place / "b")
    assert fingerprint(place) != first


def test_a_fingerprint_does_not_tell_where_a_model_was_made(tmp_path):
    def made(name: str, document, made_by=None) -> str:
        place = tmp_path / name / "model"
        place.mkdir(parents=True)
        (place / "config.json").write_text(json.dumps(document))
        (place / "model.safetensors").write_bytes(b"1234")
        if made_by is not None:
            (place / "made_by.json").write_text(json.dumps(made_by))
        return fingerprint(place)

    sha256 = made("a", {"d": 1}, made_by={"base": "runs/a"})
    assert sha256 == made("b", {"d": 1}, made_by={"base": "runs/elsewhere/b"})
    assert sha256 == made("c", {"d": 1})  # by another program
    assert sha256 != made("d", {"d": 2}, made_by={"base": "runs/a"})


@pytest.mark.parametrize(("whole", "different"), [(2**28, 4), (2**20, 3)])
def test_of_big_tensors_a_fingerprint_reads_the_ends(tmp_path, monkeypatch, whole, different):
    monkeypatch.setattr(digests, "WHOLE", whole)
    path, content = tmp_path / "model.safetensors", bytearray(b"x" * (3 * 2**20))
    prints = []
    for at in (None, 0, 3 * 2**19, 3 * 2**20 - 1):
        changed = content[:]
        if at is not None:
            changed[at] = 0
        path.write_bytes(changed)
        prints.append(fingerprint(path))
    assert len(set(prints)) == different and (prints[0] == prints[2]) == (different == 3)


def test_the_fingerprint_of_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        fingerprint(tmp_path / "nowhere")
