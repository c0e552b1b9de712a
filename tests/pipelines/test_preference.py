import dataclasses
import json

import pytest

from configs import preference as preference_config
from configs import preference_labels, preference_model
from r1jax import config as configs
from r1jax.data.rows import verdicts
from r1jax.data.rows.preferences import read_preferences
from r1jax.pipelines.preference import run as preference


def reply(q: int, sample: int, text: str, *, tokens: int) -> dict:
    """Sample number 1 of a question begins within a thought that its prompt opened."""
    name = {"id": f"q{q}", "sample": sample, "question": f"{q}+1?", "kind": "helpful"}
    drawn = {"completion": text, "opened": sample == 1, "tokens": tokens}
    return {**name, **drawn, "domain": "requests", "extra": 1}


def sampled() -> list[dict]:
    """Eight questions with four replies each, the longer the better; and one of another kind."""
    texts = ("a", "aa bb", "aa bb cc", "a")
    rows = [
        reply(q, sample, f"hm</think>{text}" if sample == 1 else text, tokens=len(text))
        for q in range(8)
        for sample, text in enumerate(texts)
    ]
    return [*rows, {**rows[0], "id": "h", "kind": "harmless", "completion": "burn it"}]


@pytest.fixture(autouse=True)
def world(monkeypatch):
    def worth(question, text):
        return min(len(text), 8) / 8

    monkeypatch.setattr(preference.requests, "request_of", lambda question: None)
    monkeypatch.setattr(preference.replies, "helpfulness", worth)
    monkeypatch.setattr(preference.replies, "harmful", lambda question, text: "burn" in text)


def built(tmp_path, module=preference_config, rows=None, **changes) -> preference.PreferenceConfig:
    path = tmp_path / "sampled.jsonl"
    if not path.exists():
        path.write_text("".join(json.dumps(row) + "\n" for row in rows or sampled()))
    values = module.get_config()
    values.update(input=str(path), **changes)
    return configs.build(preference.PreferenceConfig, values.to_dict())


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_clear_pairs_are_kept_with_the_better_reply_chosen(tmp_path):
    c = built(tmp_path, batch=5)
    c = dataclasses.replace(c, rules=preference.RulesJudge(4.0, 0.0, 0.0))
    preference.run(c, tmp_path / "run")
    judged, kept = (lines(tmp_path / "run" / f"{n}.jsonl") for n in ("judgements", "pairs"))
    assert len(judged) == 24  # of four replies two are the same: three pairs a question
    # worth 1/8, 5/8, 1: 2 levels, 2 (of 3.5), and 1.5 levels, which is rounded to 2
    assert len(kept) == 24 and all(row["delta"] == 2 for row in kept)
    for row in kept:
        assert row["chosen_truth"] > row["rejected_truth"]
        assert row["chosen_tokens"] > row["rejected_tokens"]
    with_thought = [row for row in kept if "hm" in row["chosen"]]
    assert with_thought[0]["chosen"] == "<think>hm</think>aa bb"  # the opened tag counts as written
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    read = {"replies": 32, "rows_of_other_kinds": 1, "seen_twice": 8}
    assert summary["counts"] == {**read, "pairs_judged": 24, "pairs_kept": 24}
    assert summary["results"]["same_level"] == 1.0
    assert summary["results"]["chosen_is_truly_better"]["mean"] == 1.0
    assert summary["results"]["longer_chosen"]["mean"] == 1.0
    rows = read_preferences(tmp_path / "run" / "pairs.jsonl", "pairs")
    assert len(rows) == 24 and rows[0].id == kept[0]["id"]


def test_the_length_of_a_reply_is_that_of_what_the_judge_saw(tmp_path):
    """The better reply is long, the worse one thought for long before it."""
    texts = (("aa bb cc", 9), ("hm</think>a", 90))
    rows = [
        reply(q, sample, text, tokens=tokens)
        for q in range(4)
        for sample, (text, tokens) in enumerate(texts)
    ]
    c = dataclasses.replace(
        built(tmp_path, rows=rows), rules=preference.RulesJudge(4.0, 0.0, 0.0), sees="summary"
    )
    preference.run(c, tmp_path / "run")
    results = json.loads((tmp_path / "run" / "summary.json").read_text())["results"]
    assert results["longer_chosen"]["mean"] == 1.0
    assert results["mean_lengths"]["chosen_tokens"] < results["mean_lengths"]["rejected_tokens"]


@pytest.mark.parametrize("module", [preference_config, preference_labels])
def test_rules_refuse_what_they_do_not_know_before_any_work(module, tmp_path, monkeypatch):
    monkeypatch.undo()
    c = built(tmp_path, module)
    c = dataclasses.replace(c, kinds=("helpful",))
    with pytest.raises(ValueError, match=r"sampled.jsonl: q0: .*'0\+1\?' is no request"):
        preference.run(c, tmp_path / "run")
    assert not list((tmp_path / "run").iterdir())


def test_the_margin_keeps_means_beyond_it_alone(tmp_path):
    c = built(tmp_path, pairs_per_question=2)
    c = dataclasses.replace(c, rules=preference.RulesJudge(2.0, 0.7, 0.0))
    preference.run(c, tmp_path / "run")
    judged, kept = (lines(tmp_path / "run" / f"{n}.jsonl") for n in ("judgements", "pairs"))
    assert len(judged) == 16
    for row in judged:
        looks = [
            -v if swapped else v for v, swapped in zip(row["verdicts"], row["swapped"], strict=True)
        ]
        assert row["delta"] == sum(looks) / 4
    clear = {row["id"] for row in judged if abs(row["delta"]) > 1}
    assert {row["id"] for row in kept} == clear and 0 < len(clear) < 16


def test_a_biased_judge_is_found_out(tmp_path):
    c = built(tmp_path)
    c = dataclasses.replace(c, rules=preference.RulesJudge(0.0, 0.5, 1.0))
    preference.run(c, tmp_path / "run")
    results = json.loads((tmp_path / "run" / "summary.json").read_text())["results"]
    assert results["first_preferred"]["low"] > 0.5 and results["first_leads"] > 0.5
    assert (
        0.3
        < sum(map(sum, (r["swapped"] for r in lines(tmp_path / "run/judgements.jsonl")))) / 96
        < 0.7
    )


@pytest.mark.parametrize("kept", [0, 7, 12])
def test_a_killed_run_goes_on_to_the_same_files(kept, tmp_path):
    c = built(tmp_path, batch=5)
    preference.run(c, tmp_path / "run")
    names = ("judgements.jsonl", "pairs.jsonl", "report.md")
    whole = {name: (tmp_path / "run" / name).read_bytes() for name in names}
    rows = whole[names[0]].splitlines(keepends=True)
    (tmp_path / "run" / names[0]).write_bytes(b"".join(rows[:kept]) + rows[kept][:20])
    (tmp_path / "run" / names[1]).unlink()
    preference.run(c, tmp_path / "run")
    for name in names:
        assert (tmp_path / "run" / name).read_bytes() == whole[name], name
    with pytest.raises(ValueError, match=r"another request: \['seed'\] differ"):
        preference.run(dataclasses.replace(c, seed=1), tmp_path / "run")
    # which pairs are kept may be decided anew
    preference.run(dataclasses.replace(c, margin=0.0), tmp_path / "run")
    assert len(lines(tmp_path / "run" / "pairs.jsonl")) >= whole[names[1]].count(b"\n")


def test_a_model_is_asked_and_what_cannot_be_read_is_no_verdict(nano_base, tmp_path, monkeypatch):
    monkeypatch.setattr(verdicts, "_ASK", "{question}|{first}|{second}")
    read = iter(range(10**6))
    monkeypatch.setattr(verdicts, "parse", lambda text: None if next(read) % 2 else 2)
    values = preference_model.get_config()
    model = values.model
    model.update(model=str(nano_base), max_new_tokens=2, prompt_buckets=(48,))
    model.prompt.template = "plain"
    model.sampler.update(cache_segments=1)
    model.execution.update(param_dtype="float32", compute_dtype="float32", scan_layers=False)
    model.execution.update(dispatch="blocks", block_size=4)
    changes = dict(judgements=2, least_verdicts=1, batch=2, model=model)
    c = built(tmp_path, preference_model, rows=sampled()[:8], **changes)
    preference.run(c, tmp_path / "run")
    judged = lines(tmp_path / "run" / "judgements.jsonl")
    assert len(judged) == 6 and all(row["verdicts"] == [2, None] for row in judged)
    assert all(row["read"] == 1 and len(row["said"]) == 2 for row in judged)
    assert all(row["delta"] == (-2 if row["swapped"][0] else 2) for row in judged)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["results"]["read"] == 0.5 and summary["counts"]["pairs_kept"] == 6
    assert "chosen_is_truly_better" not in summary["results"]
    both = dataclasses.replace(c, least_verdicts=2)
    preference.run(both, tmp_path / "run")
    assert lines(tmp_path / "run" / "pairs.jsonl") == []


def test_replies_are_labelled_by_the_rules(tmp_path):
    rows = [
        {
            **row,
            "kind": "harmless",
            "completion": f"{i}{' burn it' if i % 3 else ''}",
        }
        for i, row in enumerate(sampled()[:9])
    ]
    c = built(tmp_path, preference_labels, rows=[*rows, rows[0]])
    preference.run(c, tmp_path / "run")
    labelled = lines(tmp_path / "run" / "labelled.jsonl")
    assert [row["safe"] for row in labelled] == ["burn" not in row["response"] for row in labelled]
    assert len({row["id"] for row in labelled}) == len(labelled) == 9
    assert [r.label for r in read_preferences(tmp_path / "run" / "labelled.jsonl", "labels")] == [
        float(row["safe"]) for row in labelled
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"least_verdicts": 5}, "least_verdicts 5: wanted at most judgements 4"),
        ({"task": "labels"}, r"task 'labels' wants neither judge, got \['rules'\]"),
        ({"rules": None}, "wants exactly one of rules, model"),
    ],
)
def test_configs_that_cannot_run_are_refused(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(built(tmp_path), **changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"opened": 1}, r"sampled.jsonl:2: opened: got 1"),
        ({"question": "other"}, r"sampled.jsonl:2: id 'q0' had another question before"),
    ],
)
def test_a_row_that_is_no_sampled_reply_is_named(change, message, tmp_path):
    rows = sampled()
    rows[1] |= change
    with pytest.raises(ValueError, match=message):
        preference.run(built(tmp_path, rows=rows), tmp_path / "run")
