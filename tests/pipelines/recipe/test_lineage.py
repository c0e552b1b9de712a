import hashlib
import json
import subprocess

import pytest

from r1jax.pipelines import table
from r1jax.pipelines.recipe import lineage

LEAVES = sorted({glob for made in table.PIPELINES.values() for glob in made.leaves})
READS = sorted({key for made in table.PIPELINES.values() for key in made.reads})


def test_no_pipeline_leaves_what_holds_times_or_paths(tmp_path):
    kept = ["sft/00000.jsonl", "answers.jsonl", "results.json", "model/config.json"]
    kept += ["model/model.safetensors", "model/tokenizer.model", "model/chat_template.jinja"]
    kept += ["model/score_head.safetensors", "model/generation_config.json"]
    kept += ["hugging_face/special_tokens_map.json"]
    others = ["metrics.jsonl", "eval.jsonl", "timing.jsonl", "summary.json", "dialogue.jsonl"]
    others += ["report.md", "request.json", "begun.json", "sft.part/00000.jsonl"]
    others += ["model/made_by.json", "checkpoints/4/weights.safetensors"]
    for name in kept + others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a\nb\n")
    got = lineage.artefacts(tmp_path, LEAVES)
    sha = hashlib.sha256(b"a\nb\n").hexdigest()
    assert list(got) == sorted(kept)
    assert got["answers.jsonl"] == {"sha256": sha, "bytes": 4, "rows": 2}
    assert got["results.json"] == {"sha256": sha, "bytes": 4}


def test_a_models_artefacts_do_not_tell_where_it_was_made(tmp_path):
    def artefacts(name: str, config: dict, made_by: dict) -> dict:
        folder = tmp_path / name / "model"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "made_by.json").write_text(json.dumps(made_by))
        return lineage.artefacts(tmp_path / name, LEAVES)

    first = artefacts("a", {"theta": 10_000}, {"base": "runs/a"})
    assert artefacts("b", {"theta": 10_000}, {"base": "runs/elsewhere"}) == first
    assert artefacts("c", {"theta": 10}, {"base": "runs/a"}) != first
    path = tmp_path / "a" / "model" / "config.json"
    assert lineage.size(path) == first["model/config.json"]["bytes"]
    assert lineage.size(tmp_path / "nothing") is None


NAMES = ("model/a", "model/b", "sft/0.jsonl", "models.jsonl")
THERE = {name: {"sha256": str(number)} for number, name in enumerate(NAMES, start=1)}


@pytest.mark.parametrize(
    ("place", "wanted"),
    [
        ("model", ["model/a", "model/b"]),
        ("model/", ["model/a", "model/b"]),
        ("model/a", ["model/a"]),
        ("sft/*.jsonl", ["sft/0.jsonl"]),
        ("", list(THERE)),
        ("mod", []),
    ],
)
def test_a_place_is_a_file_a_folder_or_a_pattern(place, wanted):
    assert list(lineage.covered(place, THERE)) == sorted(wanted)


def test_a_file_has_its_own_hash_a_folder_one_of_all_its_files():
    assert lineage.input_sha256("model/a", THERE) == "1"
    folder = lineage.input_sha256("model", THERE)
    assert folder not in ("1", "2")
    assert folder != lineage.input_sha256("model", {**THERE, "model/b": {"sha256": "9"}})


def test_references_are_found_however_deep_they_stand():
    config = {"a": ["x", {"b": "stage:one/model"}], "c": ("stage:two",), "d": 3}
    assert lineage.references(config) == ["stage:one/model", "stage:two"]
    assert lineage.split_reference("stage:two") == ("two", "")


def test_only_paths_at_which_there_is_something_are_external(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test").mkdir()
    (tmp_path / "rows.jsonl").write_text("{}")
    (tmp_path / "assets" / "tiny").mkdir(parents=True)
    (tmp_path / "assets" / "tiny" / "weights").write_text("w")
    texts = ["test", "rows.jsonl", "*.jsonl", "package:tiny", "package:none", "./nothing.jsonl"]
    texts += ["**bold**/a.b", "a/b", "/", "*", "two\nlines/x", "stage:a/rows.jsonl"]
    places = {"workdir": tmp_path / "run", "assets": tmp_path / "assets"}
    got = lineage.externals({"x": texts}, reads=READS, **places)
    assert set(got) == {"rows.jsonl", "*.jsonl", "package:tiny"}
    (tmp_path / "test" / "part").write_text("")
    named = {"base": "test", "training": {"own": "test"}, "prompt": {"style": "test"}}
    named |= {"files": {"path": "test/*"}, "data": "nothing"}
    assert set(lineage.externals(named, reads=READS, **places)) == {"test", "test/*"}
    for config, reads in (({"prompt": named["prompt"], "name": "test"}, READS), (named, ())):
        assert set(lineage.externals(config, reads=reads, **places)) <= {"test/*"}


def test_a_pattern_is_its_files_whatever_folders_match_too(tmp_path):
    (tmp_path / "rows.jsonl").write_text("{}")
    before = lineage.external_sha256(f"{tmp_path}/*", tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "log.txt").write_text("going on")
    assert lineage.external_sha256(f"{tmp_path}/*", tmp_path) == before


def test_only_the_facts_that_a_pipeline_names_are_kept():
    names = ("steps", "counts", "before", "tokens", "results.pass_at_1", "results.columns")
    summary = {"steps": 4, "seconds": {"a": 1}, "config": {"base": "/x"}, "counts": {"rows": 2}}
    summary["results"] = {"pass_at_1": {"mean": 1.0}, "accuracies": {"q": 1.0}}
    wanted = {"steps": 4, "counts": {"rows": 2}, "results": {"pass_at_1": {"mean": 1.0}}}
    assert lineage.facts({**summary, "before": None}, names) == wanted
    column = {"tokens": {"sampled": 7}, "results": {"columns": {"a": 1}, "by_question": {"q": 1}}}
    wanted = {"tokens": {"sampled": 7}, "results": {"columns": {"a": 1}}}
    assert lineage.facts(column, names) == wanted


def test_code_is_known_by_commit_changes_and_hash(tmp_path):
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "a.py").write_text("x = 1\n")
    bare = lineage.code_state(package)
    assert bare["commit"] is None and bare["dirty"] is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@e"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)
    clean = lineage.code_state(package)
    assert len(clean["commit"]) == 40 and clean["dirty"] is False
    assert clean["sha256"] == bare["sha256"]
    (package / "a.py").write_text("x = 2\n")
    changed = lineage.code_state(package)
    assert changed["dirty"] is True and changed["sha256"] != clean["sha256"]
