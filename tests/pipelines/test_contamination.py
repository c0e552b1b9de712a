import dataclasses
import json

import pytest

from configs import data
from r1jax import config as configs
from r1jax.data.tasks.tasks import TaskConfig
from r1jax.data.world.sums import WorldSource
from r1jax.pipelines import contamination
from r1jax.pipelines.contamination import ContaminationConfig

WORLD = dict(train=1, validation=1, test=10, ood=0, seed=0, search_share=0.25)


def conversation(question: str) -> dict:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": "no"}]
    return {"id": "a", "source": "b", "messages": turns}


def write(path, rows: list[dict]) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def make(tmp_path):
    def of(rows: list[dict], pairs: list[dict]) -> ContaminationConfig:
        write(tmp_path / "sft" / "00000.jsonl", rows[:1])
        write(tmp_path / "sft" / "00001.jsonl", rows[1:])
        training = dict(rows=str(tmp_path / "sft"), pairs=write(tmp_path / "pairs.jsonl", pairs))
        exams = dict(reasoning=dict(source=data.world(**WORLD), split="test", first=10))
        tasks = dict(rl=data.task(world=data.world(**WORLD)))
        values = dict(pipeline="contamination", training=training, tasks=tasks, exams=exams, n=None)
        return configs.build(ContaminationConfig, values)

    return of


def question_of(split, index: int) -> str:
    return WorldSource(split, size=10, seed=0, search_share=0.25)[index].question


def test_clean_files_are_counted(make, tmp_path):
    rows = [conversation(question_of("train", i)) for i in range(3)]
    contamination.run(make(rows, [{"question": "color of grass?"}]), tmp_path / "run")
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["questions"] == {"rows": 3, "pairs": 1, "rl": 1}
    assert results["meetings"] == 0 and results["evaluation"] == {"reasoning": 10}


@pytest.mark.parametrize("place", ["rows", "pairs"])
def test_spaces_and_case_hide_no_planted_question(make, tmp_path, place):
    planted = question_of("test", 7).upper().replace(" ", "  ")
    rows, pairs = [conversation("hi"), conversation("ho")], [{"question": "hu"}]
    if place == "rows":
        rows[1] = conversation(planted)
    else:
        pairs.append({"question": planted})
    where = "00001.jsonl:1" if place == "rows" else "pairs.jsonl:2"
    with pytest.raises(ValueError, match=rf"{where}: is world/0:test-7 of the exam 'reasoning'"):
        contamination.run(make(rows, pairs), tmp_path / "run")
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["meetings"] == 1 and results["first"][0]["id"] == where


def test_a_planted_question_is_found_in_tasks_and_dialogues(make, tmp_path):
    planted = question_of("test", 3)
    config = make([conversation("hi")] * 2, [{"question": "ho"}])
    for turn, before in enumerate(("", "\n\nHuman: hi\n\nAssistant: ho")):
        chat = f"{before}\n\nHuman: {planted}\n\nAssistant: "
        pairs = write(tmp_path / "hh.jsonl", [{"chosen": chat + "3", "rejected": chat + "4"}])
        with pytest.raises(ValueError, match=r"hh.jsonl:1: is world/0:test-3"):
            contamination.run(
                dataclasses.replace(config, training={"hh": pairs}), tmp_path / f"turn{turn}"
            )
    labelled = [{"question": f"Human: hi\n\nAssistant: ho\n\nHuman: {planted}"}]
    labels = {"labels": write(tmp_path / "labels.jsonl", labelled)}
    with pytest.raises(ValueError, match=r"labels.jsonl:1: is world/0:test-3"):
        contamination.run(dataclasses.replace(config, training=labels), tmp_path / "labels")
    rows = data.rows(
        write(tmp_path / "rl.jsonl", [{"q": planted, "a": "1"}]), question="q", answer="a"
    )
    task = configs.build(TaskConfig, data.task(mine=data.files(train=rows)))
    with pytest.raises(ValueError, match=r"is world/0:test-3 of the exam 'reasoning'"):
        contamination.run(dataclasses.replace(config, tasks={"rl": task}), tmp_path / "asked")
    hits = json.loads((tmp_path / "asked" / "results.json").read_text())["first"]
    assert hits[0]["id"].endswith("/rl:1")


def test_rows_that_ask_nothing_are_refused(make, tmp_path):
    with pytest.raises(
        ValueError,
        match=r"pairs.jsonl:1: got the fields \['text'\], wanted messages, question or chosen",
    ):
        contamination.run(make([conversation("hi")] * 2, [{"text": "hi"}]), tmp_path / "run")


def test_an_exam_of_more_questions_than_there_are_is_refused(make, tmp_path):
    config = make([conversation("hi")] * 2, [{"question": "ho"}])
    exams = {"reasoning": dataclasses.replace(config.exams["reasoning"], first=11)}
    with pytest.raises(ValueError, match=r"exams.reasoning: first 11: 10 questions in test"):
        contamination.run(dataclasses.replace(config, exams=exams), tmp_path / "run")


def test_options_that_two_questions_share_are_no_meeting(tmp_path):
    options = ["True, True", "False, False", "True, False", "False, True"]

    def source_of(name: str, question: str) -> dict:
        row = {"question": question, "options": options, "answer": "A"}
        path = write(tmp_path / name / "q.jsonl", [row])
        return data.rows(path, options="options", kind="choice")

    clean = "Is every group of prime order cyclic, and is its centre trivial?"
    exam = "Statement 1: a ring has a unit. Statement 2: an ideal is closed under sums."
    words = "\n".join(f"({letter}) {text}" for letter, text in zip("ABCD", options, strict=True))

    def looked(question: str, place: str) -> None:
        rows = write(tmp_path / "sft" / "0.jsonl", [conversation(f"{question}\n{words}")])
        rl, there = (source_of(name, text) for name, text in (("rl", question), ("exam", exam)))
        source = data.files(train=there, test=there)
        exams = dict(general=dict(source=source, split="test", first=1))
        values = dict(
            pipeline="contamination",
            training=dict(rows=rows),
            tasks=dict(rl=data.task(stem=data.files(train=rl))),
            exams=exams,
            n=5,
        )
        contamination.run(configs.build(ContaminationConfig, values), tmp_path / place)

    looked(clean, "clean")
    with pytest.raises(ValueError, match="is exam/q:1 of the exam 'general', the first of 2"):
        looked(exam + " Which hold?", "planted")
