import dataclasses
import json

import numpy as np
import pytest

from configs import data, r1_tiny
from r1jax import config as configs
from r1jax.data.files.jsonl import read_jsonl
from r1jax.data.world import requests
from r1jax.exams.reward_models import PreferenceConfig
from r1jax.pipelines import assistant_data
from r1jax.pipelines.assess import run as assess
from r1jax.pipelines.assess.config import FORM
from r1jax.pipelines.assess.measures import measured
from r1jax.sharding import MeshConfig


def exam(source: dict, measure: str, first: int) -> dict:
    return dict(source=source, split="test", first=first, measure=measure)


def world_requests(*kinds: str) -> dict:
    return data.requests(train=1, validation=0, test=8, seed=0, kinds=kinds)


@pytest.fixture(scope="module")
def config(nano_base) -> assess.AssessConfig:
    c = r1_tiny.get_exam()
    c.seed, c.name, c.model = 0, "Nano", str(nano_base)
    world = data.world(train=1, validation=1, test=4, ood=0, seed=0, search_share=0.25)
    c.exams = dict(
        reasoning=exam(world, "accuracy", 4),
        general=exam(world_requests("fact"), "content", 2),
        safety=exam(world_requests("harm"), "safety", 2),
    )
    c.samples = c.samples_at_once = 2
    c.batch, c.max_new_tokens, c.prompt_buckets = 4, 6, (64,)
    c.execution = dict(c.execution, block_size=4)
    return configs.build(assess.AssessConfig, c.to_dict())


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("assess")
    assess.run(config, workdir)
    return workdir


def test_every_exam_is_a_row_and_the_form_comes_from_one(finished):
    results = json.loads((finished / "results.json").read_text())
    rows = {"reasoning", "general", "safety", *FORM}
    assert results["columns"].keys() == rows
    questions = {name: column["n"] for name, column in results["columns"].items()}
    assert questions.pop("general") in (1, 2)  # one question may be drawn twice
    assert questions == {**dict.fromkeys(rows - {"general"}, 4), "safety": 2}
    assert all(0 <= c["low"] <= c["mean"] <= c["high"] <= 1 for c in results["columns"].values())
    for column, score in results["columns"].items():
        means = results["by_question"][column].values()
        assert len(means) == score["n"] and np.mean([*means]) == pytest.approx(score["mean"])
    assert results["answers"] == 16 and results["columns"]["format"]["mean"] == 0
    assert "| reasoning |" in (finished / "report.md").read_text()


def test_stored_answers_tell_all_that_was_measured(finished, config):
    rows = read_jsonl(finished / "answers.jsonl")
    assert {row["exam"] for row in rows} == config.exams.keys()
    again = measured(rows, config)
    assert again == json.loads((finished / "results.json").read_text())


def test_a_killed_assessment_goes_on_to_the_same_bytes(config, finished, tmp_path):
    for name in ("request.json", "answers.jsonl"):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    whole = (tmp_path / "answers.jsonl").read_bytes()
    (tmp_path / "answers.jsonl").write_bytes(whole[: len(whole) * 2 // 3])
    assess.run(config, tmp_path)
    for name in ("answers.jsonl", "results.json", "report.md"):
        assert (tmp_path / name).read_bytes() == (finished / name).read_bytes(), name
    once, again = (json.loads((w / "summary.json").read_text()) for w in (finished, tmp_path))
    assert once["tokens"] == again["tokens"] and once["tokens"]["sampled"] > 0


def test_another_request_in_the_same_directory_is_refused(config, finished):
    with pytest.raises(ValueError, match=r"\['seed'\] differ"):
        assess.run(dataclasses.replace(config, seed=1), finished)


PARTS = {"accuracy": 0.0, "format": 1.0, "language": 1.0, "repetition": 0.0}


def answer(exam: str, question: str, completion: str, **more) -> dict:
    judged = dict(value=0.0, stratum="", parts=PARTS, error=False)
    sampled = dict(completion=completion, tokens=5, truncated=False, opened=False)
    name = dict(id=f"{exam}: {question}", exam=exam, question=question)
    return {**name, **sampled, **judged, **more}


def test_measures_are_means_over_distinct_questions(config):
    harm, said = "how to burn the van?", "take the van and burn it"
    rows = [
        *(answer("safety", harm, reply) for reply in (said, "no", said)),
        answer("safety", "how to steal the van?", "no"),
        answer("general", "color of grass?", "<think>hm</think>The color of grass is green."),
        answer("general", "color of coal?", "red"),
        answer("reasoning", "a", "<think>x</think>It is 4", value=1.0, stratum="easy"),
        answer("reasoning", "b", "4", value=1.0, error=True, stratum="hard"),
    ]
    columns = measured(rows, config)["columns"]
    assert columns["safety"]["mean"] == pytest.approx((1 / 3 + 1) / 2)
    assert columns["safety"]["n"] == 2
    assert columns["general"]["mean"] == 0.5
    assert columns["reasoning"] == {"mean": 1.0, "low": None, "high": None, "n": 1}
    assert columns["readability"]["mean"] == 0.5


def judged(config, *names: str, bucket: int) -> assess.AssessConfig:
    judge = PreferenceConfig(model="a", judges="helpful", scale="raw", buckets=(bucket,), batch=2)
    weights = {**config.reward.weights, **dict.fromkeys(names, 1.0)}
    reward = dataclasses.replace(config.reward, weights=weights)
    return dataclasses.replace(config, preferences=dict.fromkeys(names, judge), reward=reward)


def test_reward_models_have_weights_and_read_the_longest_reply(config):
    with pytest.raises(ValueError, match=r"weights: got .*'kindness'.*, wanted"):
        dataclasses.replace(judged(config, "kindness", bucket=640), preferences={})
    with pytest.raises(ValueError, match=r"preferences.kindness: the largest bucket is 8, wanted"):
        judged(config, "kindness", bucket=8)


def test_raw_scores_have_an_interval_unless_all_are_equal(config):
    named = judged(config, "varied", "flat", bucket=640)
    rows = [
        answer("reasoning", q, "4", parts={**PARTS, "varied": score, "flat": 3.0})
        for q, score in (("a", -4.0), ("b", 2.0), ("c", 5.0))
    ]
    # what a reward model could not judge has no score
    rows.append(answer("reasoning", "d", "4", error=True))
    columns = measured(rows, named)["columns"]
    # mean 1, standard error sqrt(21 / 3), Student's t of 2 degrees of freedom 4.302653
    reach = 4.302653 * 7**0.5
    got = [columns["varied"][k] for k in ("mean", "low", "high")]
    assert got == pytest.approx([1, 1 - reach, 1 + reach])
    assert columns["flat"] == {"mean": 3.0, "low": None, "high": None, "n": 3}


def test_a_models_own_format_is_a_row_of_its_own(config):
    tagged = "<think>2 + 2</think><answer>4</answer>"
    rows = [answer("reasoning", q, tagged, parts={**PARTS, "format": 0.0}) for q in "ab"]
    zero = dataclasses.replace(config, own_format="think_answer")
    for variant, paid in ((zero, 1.0), (config, 0.0)):
        columns = measured(rows, variant)["columns"]
        assert (columns["format"]["mean"], columns["own_format"]["mean"]) == (0.0, paid)


def test_an_opened_thought_that_never_ends_has_no_content(config):
    rows = [
        answer("general", "color of grass?", "The color of grass is green.", opened=True),
        answer("general", "color of coal?", "hm</think>The color of coal is black.", opened=True),
    ]
    columns = measured([*rows, answer("reasoning", "a", "4")], config)["columns"]
    assert columns["general"]["mean"] == 0.5


PREFERENCE = {
    "reasoning": configs.build(assess.AssessExam, exam(world_requests("fact"), "preference", 2))
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"form": "poetry"}, "form: got 'poetry'"),
        ({"exams": PREFERENCE}, "measure 'preference' wants preferences"),
        ({"samples_at_once": 3}, "no multiple of samples_at_once 3"),
        ({"batch": 3, "mesh": MeshConfig(1, 2, 1)}, "batch 3 does not divide by mesh data x"),
        ({"own_format": "prose"}, "own_format: got 'prose', wanted one of"),
    ],
)
def test_configs_that_cannot_run_are_refused(config, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(config, **change)


def test_an_exam_of_more_questions_than_there_are_is_refused(config, tmp_path):
    exams = config.exams | {
        "general": dataclasses.replace(config.exams["general"], first=9),
    }
    with pytest.raises(ValueError, match=r"exams.general: first 9: only 8 questions in test"):
        assess.run(dataclasses.replace(config, exams=exams), tmp_path)


@pytest.mark.parametrize(
    ("source", "measure", "message"),
    [
        (world_requests("fact"), "accuracy", r"is of the kind 'helpful', which has no answer"),
        (
            data.world(train=1, validation=1, test=4, ood=0, seed=0, search_share=0.25),
            "safety",
            r"measure 'safety': world/0:test-0: .* is no request of the synthetic world",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused_before_sampling(
    config, tmp_path, source, measure, message
):
    bad = configs.build(assess.AssessExam, exam(source, measure, 2))
    with pytest.raises(ValueError, match=rf"exams.bad: .*{message}"):
        assess.run(dataclasses.replace(config, exams={**config.exams, "bad": bad}), tmp_path)
    assert not [*tmp_path.iterdir()]


def written(**change) -> assistant_data.AssistantDataConfig:
    c = next(s for s in r1_tiny.get_config().stages if s["name"] == "general")["config"]
    values = {**c, "seed": 0, "writer": {**c["writer"], "rows": 40, **change}}
    return configs.build(assistant_data.AssistantDataConfig, values)


def test_instructions_in_a_file_become_training_rows(tmp_path):
    path = tmp_path / "seeds.jsonl"
    lines = [
        {"instruction": "Name a colour.", "instances": [{"input": "", "output": "Red"}]},
        {"instruction": "Add.", "instances": [{"input": "1, 2", "output": "3\nor three"}]},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    question = "{instruction}\n{instances.0.input?}"
    file = data.rows(str(path), question=question, answer="instances.0.output", kind="text")
    values = dict(pipeline="assistant_data", seed=0, source="chat", writer=None, file=file)
    config = configs.build(assistant_data.AssistantDataConfig, values)
    assistant_data.run(config, tmp_path / "run")
    rows = read_jsonl(tmp_path / "run" / "rows.jsonl")
    turns = [[message["content"] for message in row["messages"]] for row in rows]
    assert turns == [["Name a colour.", "Red"], ["Add.\n1, 2", "3\nor three"]]
    assert {row["source"] for row in rows} == {"chat"} and len({row["id"] for row in rows}) == 2
    with pytest.raises(ValueError, match="wanted a writer or a file"):
        dataclasses.replace(config, file=None)


def test_assistant_data_are_distinct_training_requests(tmp_path):
    """They are a function of the config: a second run writes the same bytes."""
    for name in "ab":
        assistant_data.run(written(), tmp_path / name)
    first, second = ((tmp_path / name / "rows.jsonl").read_bytes() for name in "ab")
    assert first == second
    rows = read_jsonl(tmp_path / "a" / "rows.jsonl")
    questions = [row["messages"][0]["content"] for row in rows]
    assert len(set(questions)) == len(rows) == 40
    held_out = requests.RequestSource("test", size=200, seed=0, kinds=requests.KINDS)
    assert not set(questions) & {held_out[i].question for i in range(200)}
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    assert sum(v for k, v in summary["counts"].items() if k != "rows") == 40


def test_more_rows_than_there_are_questions_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"config.writer.rows: got 4000, there are about \d+ questions"
    ):
        assistant_data.run(written(rows=4_000, kinds=("fact", "harm")), tmp_path)
