"""Runs of stub stages: they copy and count, so that a whole recipe takes a moment."""

import dataclasses
import json
from pathlib import Path
from typing import ClassVar, Literal

import pytest

from configs import r1_tiny
from r1jax import config as configs
from r1jax.io.loop import Stopped
from r1jax.pipelines import table
from r1jax.pipelines.recipe import check, check_run
from r1jax.pipelines.recipe import lineage as lineages
from r1jax.pipelines.recipe import report as stage_report
from r1jax.pipelines.recipe import run as r1
from r1jax.pipelines.recipe import stages as r1_stages


@dataclasses.dataclass(frozen=True)
class MakeConfig:
    """Writes `rows` rows that depend on the seed and on what the inputs hold."""

    pipeline: Literal["make"]
    seed: int
    rows: int
    inputs: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ExamineConfig:
    """Gives a model a score by its seed."""

    pipeline: Literal["examine"]
    model: str
    nested: dict[str, object]
    level: ClassVar = 0.95
    measures: ClassVar = frozenset({"reasoning"})


def make(config: MakeConfig, workdir: Path) -> None:
    """Goes on where it stopped, row by row; stops when `stop_at` says so."""
    workdir.mkdir(parents=True, exist_ok=True)
    path = workdir / "rows.jsonl"
    there = path.read_text().splitlines() if path.exists() else []
    read = "".join(Path(text).read_text() for text in config.inputs)
    for number in range(len(there), config.rows):
        if stop_at == (workdir.name, number):
            raise Stopped("SIGTERM: stopped")
        with path.open("a") as file:
            file.write(json.dumps({"row": number, "seed": config.seed, "read": len(read)}) + "\n")
    (workdir / "model").mkdir(exist_ok=True)
    weights = f"{config.seed} {config.rows} {read}"
    (workdir / "model" / "model.safetensors").write_bytes(weights.encode())
    (workdir / "model" / "config.json").write_text("{}\n")
    (workdir / "model" / "made_by.json").write_text(json.dumps({"config": str(workdir)}))
    (workdir / "metrics.jsonl").write_text("{}\n")
    summary = {"steps": config.rows, "seconds": {"all": 1.5}, "config": {"path": str(workdir)}}
    (workdir / "summary.json").write_text(json.dumps(summary))


def examine(config: ExamineConfig, workdir: Path) -> None:
    workdir.mkdir(parents=True, exist_ok=True)
    size = len((Path(config.model) / "model.safetensors").read_bytes()) % 10
    score = {"mean": size / 10, "low": size / 10 - 0.05, "high": size / 10 + 0.05, "n": 9}
    questions = {"reasoning": {"a": size / 20, "b": 3 * size / 20}}
    document = {"columns": {"reasoning": score}, "by_question": questions}
    (workdir / "results.json").write_text(json.dumps(document))


MAKE = table.Pipeline(
    config=MakeConfig,
    run=make,
    kind="data",
    reads=("inputs",),
    leaves=("model/*", "rows.jsonl"),
    facts=("steps",),
    figures=(),
)
EXAMINE = table.Pipeline(
    config=ExamineConfig,
    run=examine,
    kind="exam",
    reads=("model",),
    leaves=("results.json", "*.jsonl"),
    facts=(),
    figures=(),
)
stop_at: tuple[str, int] | None = None


@pytest.fixture(autouse=True)
def stubs(monkeypatch):
    monkeypatch.setitem(table.PIPELINES, "make", MAKE)
    monkeypatch.setitem(table.PIPELINES, "examine", EXAMINE)
    monkeypatch.setattr(lineages, "code_state", lambda package: CODE)
    monkeypatch.setattr(stage_report, "plot_pipeline", lambda *a, **k: None)
    monkeypatch.setattr(stage_report, "plot_measures", lambda *a, **k: None)
    monkeypatch.setattr(r1_stages.gc, "collect", lambda: 0)  # slow in a process full of tests
    monkeypatch.setitem(globals(), "stop_at", None)


CODE = {"commit": "c0ffee", "dirty": False, "sha256": "0" * 64}


def making(name, *inputs, rows=3, optional=False, seed=-1):
    config = {"pipeline": "make", "seed": seed, "rows": rows, "inputs": inputs}
    return {"name": name, "what": f"makes {name}", "config": config, "optional": optional}


def examining(name, model):
    config = {"pipeline": "examine", "model": model, "nested": {"deep": [{"at": model}]}}
    return {"name": name, "what": "examines", "config": config, "optional": False}


STAGES = (
    making("first"),
    making("second", "stage:first/rows.jsonl", "stage:first/model/model.safetensors"),
    examining("exam", "stage:second/model"),
)
CLAIM = {
    "name": "any",
    "statement": "the second model knows something",
    "left": "Second.reasoning",
    "right": "",
    "relation": ">=",
    "factor": 1.0,
    "offset": -1.0,
}


def built(stages=STAGES, seed=5, only="", models=None, claims=(CLAIM,)):
    models = {"Second": "exam"} if models is None else models
    report = {
        "title": "stubs",
        "models": models,
        "level": 0.95,
        "claims": claims if models else (),
    }
    values = {"pipeline": "r1", "seed": seed, "stages": stages, "only": only, "report": report}
    return configs.build(r1.R1Config, values)


def changed(name, **values):
    return tuple(
        {**stage, "config": {**stage["config"], **values}} if stage["name"] == name else stage
        for stage in STAGES
    )


def done(workdir):
    return {p.parent.name: p.read_bytes() for p in sorted(workdir.glob("stages/*/done.json"))}


@pytest.fixture
def whole(tmp_path):
    r1.run(built(), tmp_path / "whole")
    return tmp_path / "whole"


def test_a_missing_file_of_a_late_stage_stops_the_first(tmp_path):
    stages = (making("first"), examining("exam", "nowhere/model"))
    with pytest.raises(ValueError, match="'exam' reads what is not there: model: nowhere/model"):
        r1.run(built(stages, models={}), tmp_path)
    assert not (tmp_path / "stages").exists()
    r1.run(built(stages, models={}, only="first"), tmp_path)  # which does not read it


def test_a_killed_run_goes_on_to_the_same_bytes_as_one_elsewhere(tmp_path, whole, monkeypatch):
    killed = tmp_path / "some" / "where" / "else"
    for place in (("first", 1), ("second", 2)):
        monkeypatch.setitem(globals(), "stop_at", place)
        with pytest.raises(Stopped):
            r1.run(built(), killed)
        assert place[0] not in done(killed)
    monkeypatch.setitem(globals(), "stop_at", None)
    r1.run(built(), killed)
    assert done(killed) == done(whole) and len(done(whole)) == 3
    assert (killed / "lineage.json").read_bytes() == (whole / "lineage.json").read_bytes()
    assert json.loads((killed / "stages" / "second" / "timing.json").read_text())["processes"] == 2


def test_done_stages_are_skipped_and_told(whole, capsys, monkeypatch):
    capsys.readouterr()
    before = done(whole)
    monkeypatch.setitem(table.PIPELINES, "make", MAKE._replace(run=None))  # would fail if run
    r1.run(built(), whole)
    said = capsys.readouterr().out
    assert "stage 2/3 second (make): done\n" in said and "3 of 3 stages done, 0 now" in said
    assert done(whole) == before


def test_a_stage_is_told_with_its_number_and_what_it_does(tmp_path, capsys):
    r1.run(built(), tmp_path)
    assert "stage 1/3 first (make): makes first\n" in capsys.readouterr().out


def test_done_json_has_no_path_and_hashes_the_artefacts(whole):
    record = json.loads((whole / "stages" / "second" / "done.json").read_text())
    assert str(whole) not in json.dumps(record)
    model = {"model/config.json", "model/model.safetensors"}
    assert set(record["artefacts"]) == {*model, "rows.jsonl"}
    assert record["artefacts"]["rows.jsonl"]["rows"] == 3
    assert record["metrics"] == {"steps": 3} and record["seed"] == 5 and record["code"] == CODE
    first = json.loads((whole / "stages" / "first" / "done.json").read_text())["artefacts"]
    read = ("rows.jsonl", "model/model.safetensors")
    assert record["inputs"] == {f"stage:first/{name}": first[name]["sha256"] for name in read}


def test_a_seed_of_minus_one_is_the_runs_and_another_stays(tmp_path):
    r1.run(built((making("a"), making("b", seed=7)), models={}, seed=11), tmp_path)
    seeds = [json.loads(text)["config"]["seed"] for text in done(tmp_path).values()]
    assert seeds == [11, 7]


def test_a_changed_config_of_a_done_stage_is_refused(whole):
    with pytest.raises(ValueError, match=r"(?s)'first' was made from.*rm -r .*rows: was 3, now 4"):
        r1.run(built(changed("first", rows=4)), whole)
    with pytest.raises(ValueError, match=r"(?s)'first'.*seed: was 5, now 6"):
        r1.run(built(seed=6), whole)


def test_a_changed_config_of_a_half_run_stage_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "stop_at", ("second", 2))
    with pytest.raises(Stopped):
        r1.run(built(), tmp_path)
    with pytest.raises(ValueError, match=r"(?s)'second'.*rows: was 3, now 4"):
        r1.run(built(changed("second", rows=4)), tmp_path)


def test_a_stage_that_other_code_began_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "stop_at", ("second", 2))
    with pytest.raises(Stopped):
        r1.run(built(), tmp_path)
    monkeypatch.setitem(globals(), "stop_at", None)
    newer = {**CODE, "commit": "decaf", "sha256": "1" * 64}
    monkeypatch.setattr(lineages, "code_state", lambda package: newer)
    r1.run(built(), tmp_path)
    records = {name: json.loads(text) for name, text in done(tmp_path).items()}
    commits = {name: record["code"]["commit"] for name, record in records.items()}
    assert commits == {"first": "c0ffee", "second": "decaf", "exam": "decaf"}
    begun_by = {name: record.get("begun_by") for name, record in records.items()}
    assert begun_by == {"first": None, "second": CODE, "exam": None}


def test_exams_of_another_level_than_the_reports_are_refused(tmp_path):
    exam = r1_tiny.get_exam().to_dict() | {"name": "First", "model": "stage:first/model"}
    other = {**STAGES[-1], "name": "other", "config": exam | {"level": 0.9}}
    stages = (*STAGES, other)
    models = {"Second": "exam", "First": "other"}
    message = r"report.level 0.95: the intervals of First, stage 'other', are of level 0.9"
    with pytest.raises(ValueError, match=message):
        r1.run(built(stages, models=models), tmp_path)
    assert not done(tmp_path)


def test_changed_inputs_of_a_done_stage_are_refused(whole):
    folder = whole / "stages" / "first"
    for path in [*folder.glob("*.json*"), *folder.glob("model/*")]:
        path.unlink()
    with pytest.raises(ValueError, match=r"(?s)'second'.*inputs.stage:first/rows.jsonl: was"):
        r1.run(built(changed("first", rows=4)), whole)


def test_an_artefact_that_is_gone_or_cut_is_refused(whole):
    path = whole / "stages" / "first" / "rows.jsonl"
    path.write_text(path.read_text()[:-3])
    with pytest.raises(ValueError, match=r"'first': .*rows.jsonl: got \d+ bytes, wanted"):
        r1.run(built(), whole)
    path.unlink()
    with pytest.raises(ValueError, match=r"rows.jsonl: got None bytes, wanted .*rm -r"):
        r1.run(built(), whole)


def test_what_was_changed_at_the_same_size_is_read_by_no_stage(tmp_path):
    r1.run(built(only="first"), tmp_path)
    path = tmp_path / "stages" / "first" / "rows.jsonl"
    path.write_text(path.read_text().replace('"row": 1', '"row": 9'))
    message = r"'second': 'stage:first/rows.jsonl': .*rows.jsonl is not as stage 'first' left it;"
    with pytest.raises(ValueError, match=message):
        r1.run(built(), tmp_path)
    assert set(done(tmp_path)) == {"first"}


def test_files_from_outside_are_fingerprinted_and_watched(tmp_path):
    outside = tmp_path / "data.jsonl"
    outside.write_text("{}\n")
    stages = (making("first", str(outside)),)
    config, workdir = built(stages, models={}), tmp_path / "run"
    r1.run(config, workdir)
    entry = json.loads((workdir / "lineage.json").read_text())["externals"][str(outside)]
    assert entry["read_by"] == ["first"]
    assert check.check(workdir, assets=r1_stages.ASSETS) == []
    outside.write_text('{"other": 1}\n')
    (problem,) = check.check(workdir, assets=r1_stages.ASSETS)
    assert str(outside) in problem
    with pytest.raises(ValueError, match=r"externals\..*data.jsonl: was"):
        r1.run(config, workdir)


def test_what_a_stage_run_again_left_stale_is_told(whole, capsys):
    folder = whole / "stages" / "first"
    for path in [*folder.glob("*.json*"), *folder.glob("model/*")]:
        path.unlink()
    capsys.readouterr()
    config = dataclasses.replace(built(changed("first", rows=4)), only="first")
    r1.run(config, whole)
    assert "made from things that changed since: second, exam\n" in capsys.readouterr().out
    assert "**Not of one piece:** second, exam were made" in (whole / "report.md").read_text()


def test_one_stage_alone_needs_its_inputs_and_nothing_else(tmp_path):
    with pytest.raises(ValueError, match=r"only 'exam': reads \['second'\], not done yet"):
        r1.run(built(only="exam"), tmp_path)
    for name in ("first", "second", "exam"):
        r1.run(built(only=name), tmp_path)
    assert set(done(tmp_path)) == {"first", "second", "exam"}
    with pytest.raises(ValueError, match=r"only 'sceond': wanted one of \['first', 'second',"):
        built(only="sceond")


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ((making("a", "stage:b/x"),), r"'stage:b/x': no such stage, wanted one of \[\]"),
        ((making("a", "stage:b/x"), making("b")), "stage 'b' comes later$"),
        ((making("a", "stage:b/x"), making("b", "stage:a/x")), "comes later, and .* a cycle"),
        ((making("a", "stage:a/x"),), "a stage cannot read what it makes itself"),
        ((making("a"), making("a")), r"\['a'\] only once"),
        ((making("a", optional=True), making("b", "stage:a/x")), "'a' is optional"),
        ((making("a"), making("b", "stage:a/../../x")), "leaves the stage's directory"),
        ((making("A b"),), "name 'A b': wanted small letters"),
        ((), "got .., wanted at least one"),
    ],
)
def test_a_wrong_reference_is_told_before_any_work(stages, message):
    with pytest.raises(ValueError, match=message):
        built(stages, models={"Second": "a"})


def test_a_reference_to_nothing_that_was_left_is_told(tmp_path):
    stages = (making("a"), making("b", "stage:a/modle"))
    with pytest.raises(ValueError, match=r"'stage:a/modle': stage 'a' left nothing there, but \["):
        r1.run(built(stages, models={}), tmp_path)


def test_an_unknown_key_of_the_last_stage_stops_the_first(tmp_path):
    with pytest.raises(ValueError, match=r"config.stages.exam.config: unknown keys \['modl'\]"):
        r1.run(built(changed("exam", modl="x")), tmp_path)
    with pytest.raises(ValueError, match=r"exam.config.pipeline: got 'r1', wanted one of \["):
        r1.run(built(changed("exam", pipeline="r1")), tmp_path)
    assert not (tmp_path / "stages").exists()


def test_references_are_replaced_in_nested_values_too(tmp_path, monkeypatch):
    seen = []

    def watched(config, workdir):
        seen.append(config)
        examine(config, workdir)

    monkeypatch.setitem(table.PIPELINES, "examine", EXAMINE._replace(run=watched))
    r1.run(built(), tmp_path)
    path = str(tmp_path / "stages" / "second" / "model")
    assert seen[0].model == path and seen[0].nested == {"deep": [{"at": path}]}


def test_a_report_names_a_stage_that_is_there():
    with pytest.raises(ValueError, match=r"report.models.Second: got 'exma', wanted one of"):
        built(models={"Second": "exma"})
    with pytest.raises(ValueError, match=r"claim 'any': got 'Second.reasoning', wanted MODEL"):
        built(models={"Third": "exam"})


def test_a_column_that_no_exam_fills_is_told_before_any_work(tmp_path):
    message = r"report.models.Second: stage 'second' is a 'make', wanted one that examines a model"
    with pytest.raises(ValueError, match=message):
        r1.run(built(models={"Second": "second"}), tmp_path)
    message = r"claim 'any': Second has no 'raesoning', wanted one of \['reasoning'\]"
    with pytest.raises(ValueError, match=message):
        r1.run(built(claims=({**CLAIM, "left": "Second.raesoning"},)), tmp_path)
    assert not (tmp_path / "stages").exists()


def test_the_report_shows_models_claims_and_stages(whole):
    report = (whole / "report.md").read_text()
    for text in ("| measure | Second |", "| reasoning | 0.", "**holds**", "1. first | make |"):
        assert text in report
    assert "```mermaid\nflowchart TD\n    s1[" in report and "\n    s1 --> s2\n" in report
    results = json.loads((whole / "results.json").read_text())
    assert results["seed"] == 5 and results["models"]["Second"]["reasoning"]["n"] == 9


def test_models_are_compared_question_by_question(tmp_path):
    stages = (*STAGES, examining("exam-of-first", "stage:first/model"))
    models = {"First": "exam-of-first", "Second": "exam"}
    claim = {**CLAIM, "right": "First.reasoning"}
    r1.run(built(stages, models=models, claims=(claim,)), tmp_path)
    (judged,) = json.loads((tmp_path / "results.json").read_text())["claims"]
    assert judged["paired"] and judged["margin"] != 0


def checked(run, tmp_path):
    config = configs.build(check_run.LineageConfig, {"pipeline": "lineage", "path": str(run)})
    check_run.run(config, tmp_path / "check")


def test_the_check_passes_what_is_whole(whole, tmp_path, capsys):
    checked(whole, tmp_path)
    assert "3 stages, 7 artefacts, all as they were" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("stages/first/model/model.safetensors", "first/model/model.safetensors: sha256 is"),
        ("stages/second/rows.jsonl", "second/rows.jsonl: sha256 is"),
        ("stages/exam/results.json", "exam/results.json: sha256 is"),
        ("stages/exam/done.json", "done.json"),
        ("lineage.json", "lineage.json"),
    ],
)
def test_the_check_finds_a_flipped_byte(whole, tmp_path, name, message):
    data = bytearray((whole / name).read_bytes())
    for place in (len(data) // 3, len(data) // 2):
        flipped = bytearray(data)
        flipped[place] ^= 1
        (whole / name).write_bytes(flipped)
        with pytest.raises(ValueError, match=message):
            checked(whole, tmp_path)


def test_the_check_finds_a_file_that_is_gone_or_new(whole, tmp_path):
    (whole / "stages" / "first" / "rows.jsonl").unlink()
    (whole / "stages" / "exam" / "new.jsonl").write_text("")
    with pytest.raises(ValueError, match=r"(?s)2 things.*rows.jsonl: is not there.*new.jsonl: was"):
        checked(whole, tmp_path)
