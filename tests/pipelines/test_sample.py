import json

import pytest

from configs import data
from configs import sample as sample_config
from r1jax import config as configs
from r1jax.data.files.jsonl import read_jsonl
from r1jax.data.rows.training_rows import iter_training_rows, questions_of
from r1jax.io.digests import fingerprint
from r1jax.io.disk import write_jsonl
from r1jax.pipelines.sample import run as sample
from r1jax.rewards.judge import Judge
from r1jax.rewards.score import Verdict

COUNTED = ("kept", "rejected", "surplus", "duplicates")


def settings(base, **changes):
    c = sample_config.get_config()
    c.model = str(base)
    c.task = data.task(
        zero=data.world(train=9, validation=2, test=2, ood=0, seed=0, search_share=0.25),
        one=data.world(train=4, validation=2, test=2, ood=0, seed=1, search_share=1.0),
    )
    c.prompts = dict(zero=3, one=2)
    c.samples, c.samples_at_once, c.batch, c.keep, c.shard_rows = 4, 2, 4, 2, 3
    c.max_new_tokens, c.prompt_buckets = 6, (64,)
    c.sampler.update(cache_segments=1)
    c.execution.block_size = 4
    # a base that knows nothing is right by chance alone: see `luck`
    c.filters.update(finished=False, format=False, language=None, repetition=None, no_code=False)
    c.update(changes)
    return configs.build(sample.SampleConfig, c.to_dict())


@pytest.fixture(autouse=True, scope="module")
def luck():
    """Answers are right if their length is even, so that some are kept and some are not."""
    call = Judge.__call__

    def judged(self, texts, questions):
        right = [Verdict(float(len(text) % 2 == 0), "by its length", False) for text in texts]
        before = call(self, texts, questions)
        return [j._replace(verdict=v) for j, v in zip(before, right, strict=True)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Judge, "__call__", judged)
        yield


def greeting(name: str, question: str) -> dict:
    """A training row of one question and its reply."""
    turns = (("user", question), ("assistant", "Hi!"))
    messages = [{"role": role, "content": content} for role, content in turns]
    return {"id": name, "source": "chat", "kind": "greeting", "messages": messages}


@pytest.fixture(scope="module")
def general(tmp_path_factory):
    """A file of ten rows to mix in, one of which asks an evaluation question."""
    path = tmp_path_factory.mktemp("general") / "general.jsonl"
    task = settings("no model").task
    planted = sample.tasks.load_task(task).splits["test"][0].question
    questions = [planted if i == 4 else f"Hello {i}!" for i in range(10)]
    write_jsonl(path, [greeting(f"g{i}", question) for i, question in enumerate(questions)])
    return path


def mixed(path, **changes):
    return {"talk": {**sample_config.mixed(str(path), share=0.25), **changes}}


@pytest.fixture(scope="module")
def sampled(nano_base, general, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("sample")
    sample.run(settings(nano_base, mixture=mixed(general)), workdir)
    return workdir


def bytes_of(workdir):
    names = ("answers.jsonl", "questions.jsonl", "request.json", "report.md")
    return {
        path.relative_to(workdir): path.read_bytes()
        for path in [*(workdir / name for name in names), *sorted(workdir.glob("sft/*"))]
    }


def test_a_stored_completion_has_its_question_and_rejections(sampled):
    rows = read_jsonl(sampled / "answers.jsonl")
    assert len(rows) == 5 * 4 and {row["domain"] for row in rows} == {"zero", "one"}
    questions = {q["id"]: q["question"] for q in read_jsonl(sampled / "questions.jsonl")}
    assert len(questions) == 5
    for row in rows:
        assert row["question"] == questions[row["id"]] and row["opened"] is False
        assert row["rejected_by"] == ([] if row["value"] == 1 else ["correct"])
    assert 0 < sum(not row["rejected_by"] for row in rows) < 20


def test_kept_completions_become_rows_with_provenance(sampled, nano_base):
    answers = {(row["id"], row["sample"]): row for row in read_jsonl(sampled / "answers.jsonl")}
    rows = [row for _, row in iter_training_rows(sampled / "sft") if row["source"] != "talk"]
    assert len({row["id"] for row in rows}) == len(rows) > 0
    for row in rows:
        made = row["provenance"]
        answer = answers[made["question"], made["sample"]]
        turns = [turn["content"] for turn in row["messages"]]
        assert turns == [answer["question"], answer["completion"]]
        assert row["source"] == answer["domain"] and made["tokens"] == answer["tokens"]
        assert made["checks_passed"] == ["blank", "correct", "paragraph"]
        assert not answer["rejected_by"]
        assert made["model_fingerprint"] == fingerprint(nano_base) and made["temperature"] == 1.0


def test_counts_add_up(sampled):
    summary = json.loads((sampled / "summary.json").read_text())
    counts = summary["counts"]
    assert counts["sampled"] == 20 == sum(counts[name] for name in COUNTED)
    for domain in summary["domains"].values():
        rejected = sum(domain["rejected"].values())
        fit = domain["kept"] + domain["surplus"] + domain["duplicates"]
        assert domain["sampled"] == fit + rejected
        assert domain["fit"] == domain["sampled"] - rejected
    rows = [row for _, row in iter_training_rows(sampled / "sft")]
    samples = {name: domain["samples"] for name, domain in summary["composition"].items()}
    assert samples == {name: [r["source"] for r in rows].count(name) for name in samples}
    assert samples["talk"] == round((samples["zero"] + samples["one"]) / 3)  # a quarter of all
    assert f"| Total | {len(rows)} | 1.0 |" in (sampled / "report.md").read_text()


def test_mixed_rows_keep_their_fields_but_no_exam_question(sampled):
    summary = json.loads((sampled / "summary.json").read_text())
    assert (summary["mixture"]["talk"]["rows"], summary["mixture"]["talk"]["contaminated"]) == (
        10,
        1,
    )
    talk = [row for _, row in iter_training_rows(sampled / "sft") if row["source"] == "talk"]
    assert talk and "talk/g4" not in {row["id"] for row in talk}
    for row in talk:
        assert row["kind"] == "greeting" and row["provenance"] == {"mixed_in_from": "chat"}
        assert questions_of(row)[0].startswith("Hello")


def test_ids_of_parts_do_not_clash_and_one_part_has_each_once(nano_base, general, tmp_path):
    both = mixed(general) | {"chat": mixed(general)["talk"]}
    sample.run(settings(nano_base, mixture=both), tmp_path / "both")
    ids = [row["id"] for _, row in iter_training_rows(tmp_path / "both" / "sft")]
    assert len(set(ids)) == len(ids) and {"chat", "talk"} < {i.partition("/")[0] for i in ids}
    twice = tmp_path / "twice.jsonl"
    twice.write_text(general.read_text() * 2)
    message = r"mixture.talk: .*twice.jsonl:11: id 'g0' is an earlier row's too"
    with pytest.raises(ValueError, match=message):
        sample.run(settings(nano_base, mixture=mixed(twice)), tmp_path / "twice")


@pytest.mark.parametrize("cut", [0, 3, 17])
def test_a_killed_run_goes_on_to_the_same_bytes(cut, sampled, nano_base, general, tmp_path):
    lines = (sampled / "answers.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "answers.jsonl").write_bytes(b"".join(lines[:cut]) + lines[cut][:20])
    (tmp_path / "request.json").write_bytes((sampled / "request.json").read_bytes())
    (tmp_path / "sft.part").mkdir()  # killed while it wrote the rows
    (tmp_path / "sft.part" / "00009.jsonl").write_text("half")
    sample.run(settings(nano_base, mixture=mixed(general)), tmp_path)
    assert bytes_of(tmp_path) == bytes_of(sampled)
    once, again = (
        json.loads((workdir / "summary.json").read_text())["tokens"]
        for workdir in (sampled, tmp_path)
    )
    rows = read_jsonl(sampled / "answers.jsonl")
    assert once == again == {"sampled": sum(row["tokens"] for row in rows)}


def test_stored_answers_are_chosen_anew_but_not_filtered_anew(sampled, nano_base, tmp_path):
    for name in ("answers.jsonl", "request.json"):
        (tmp_path / name).write_bytes((sampled / name).read_bytes())
    sample.run(settings(nano_base, keep=1, prefer="shortest"), tmp_path)
    assert (tmp_path / "answers.jsonl").read_bytes() == (sampled / "answers.jsonl").read_bytes()
    rows = [row for _, row in iter_training_rows(tmp_path / "sft")]
    questions = [row["provenance"]["question"] for row in rows]
    assert len(set(questions)) == len(questions)
    with pytest.raises(ValueError, match=r"another request: \['filters.tokens'\] differ"):
        sample.run(settings(nano_base, filters={"tokens": 5}), tmp_path)


def test_too_few_rows_to_mix_in_are_refused_or_repeated(sampled, nano_base, general, tmp_path):
    for name in ("answers.jsonl", "request.json"):
        (tmp_path / name).write_bytes((sampled / name).read_bytes())
    much = {"share": 0.9}
    with pytest.raises(ValueError, match=r"mixture.talk: \d+ wanted, 9 there"):
        sample.run(settings(nano_base, mixture=mixed(general, **much)), tmp_path)
    sample.run(settings(nano_base, mixture=mixed(general, **much, repeat=True)), tmp_path)
    rows = [row for _, row in iter_training_rows(tmp_path / "sft")]
    talk = [row["id"] for row in rows if row["source"] == "talk"]
    assert len(talk) == pytest.approx(0.9 * len(rows), abs=1) and len(talk) > 9
    assert len(set(talk)) == len(talk)


def test_an_evaluation_question_in_training_is_refused_at_once(nano_base, tmp_path, monkeypatch):
    honest = sample.evaluation_questions

    def planted(config, there):
        last = there.splits["train"][len(there.splits["train"]) - 1]
        evaluation = honest(config, there)
        said = {**evaluation.said, "exam": {"e7": last.question.upper()}}
        return evaluation._replace(said=said)

    monkeypatch.setattr(sample, "evaluation_questions", planted)
    prompts = {"zero": 9, "one": 4}
    with pytest.raises(ValueError, match=r"1 training questions .*, which is e7 of exam"):
        sample.run(settings(nano_base, prompts=prompts), tmp_path)
    assert not (tmp_path / "answers.jsonl").exists()


def test_a_run_that_keeps_nothing_says_which_filters_it_was(nano_base, tmp_path):
    with pytest.raises(ValueError, match=r"none of 20 samples is fit; .*report.md"):
        sample.run(settings(nano_base, filters={"thought": 99}), tmp_path)
    assert "| thought | " in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompts": {"two": 3}}, r"prompts: no sources \['two'\], there are \['one', 'zero'\]"),
        ({"prompts": {"zero": 0, "one": 0}}, "wanted counts, and some above 0"),
        ({"keep": 0}, "keep: got 0, wanted at least 1"),
        ({"samples_at_once": 3}, "samples 4 are no multiple of samples_at_once 3"),
        ({"mixture": {"zero": sample_config.mixed("x", share=0.1)}}, "are sources of the task too"),
        ({"mixture": mixed("x", share=1.0)}, "share: got 1.0, wanted above 0 and below 1"),
        ({"reward": {"kind": "random"}}, "answers are judged by rules"),
        ({"batch": 3, "mesh": {"data": 2}}, "batch 3 does not divide by mesh data x expert = 2"),
        ({"level": 1.0}, "level: got 1.0"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        settings("no model", **changes)


def test_more_questions_than_there_are_is_an_error(nano_base, tmp_path):
    with pytest.raises(ValueError, match="prompts of zero: 10 wanted, 9 there"):
        sample.run(settings(nano_base, prompts={"zero": 10}), tmp_path)
