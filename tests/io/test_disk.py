import pytest

from r1jax.io.disk import replaced, write_json, write_jsonl


def test_a_broken_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [{"a": "汉"}, {}])
    assert path.read_text() == '{"a": "汉"}\n{}\n'
    with pytest.raises(RuntimeError), replaced(path) as file:
        file.write("half")
        raise RuntimeError
    assert path.read_text() == '{"a": "汉"}\n{}\n'


def test_what_json_has_no_word_for_is_refused(tmp_path):
    path = tmp_path / "results.json"
    write_json(path, {"mean": 0.5}, indent=1)
    for document in ({"mean": float("nan")}, {"mean": object()}):
        with pytest.raises((ValueError, TypeError)):
            write_json(path, document, indent=1)
    assert path.read_text() == '{\n "mean": 0.5\n}\n'
