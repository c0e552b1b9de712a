import json

from configs import data
from r1jax import config as configs
from r1jax.data.tasks.evaluation_questions import evaluation_questions
from r1jax.data.tasks.tasks import TaskConfig, load_task


def test_held_out_splits_and_files_are_there_in_both_wordings(tmp_path):
    path = tmp_path / "exam.jsonl"
    path.write_text(json.dumps({"text": "What is 3 + 4?", "answer": 7}) + "\n")
    exam = data.rows(str(path), question="Solve. {text}")
    block = data.task(
        world=data.world(train=2, validation=3, test=4, ood=1, seed=0, search_share=0.5),
        decontamination=data.decontamination(held_out=False, exam=exam),
    )
    config = configs.build(TaskConfig, block)
    got = evaluation_questions(config, load_task(config))
    sizes = {name: len(questions) for name, questions in got.said.items()}
    assert sizes == {"validation": 3, "test": 4, "ood": 1, "against exam": 1}
    assert {**got.said["against exam"]} == {f"{tmp_path.name}/exam:1": "What is 3 + 4?"}
    assert [*got.asked["against exam"].values()] == ["Solve. What is 3 + 4?"]
    assert not got.asked["test"]  # the world adds no words


def test_a_held_out_split_in_words_of_ours_is_there_in_both(tmp_path):
    for name, asked in (("train", "Which is odd?"), ("test", "Which is even?")):
        row = {"q": asked, "options": ["1", "2"], "answer": "B"}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
    one, two = (
        data.rows(str(tmp_path / f"{name}.jsonl"), question="q", options="options", kind="choice")
        for name in ("train", "test")
    )
    config = configs.build(TaskConfig, data.task(stem=data.files(train=one, test=two)))
    got = evaluation_questions(config, load_task(config))
    assert [*got.said["test"].values()] == ["Which is even?"]
    assert [*got.asked["test"].values()] == ["Which is even?\n(A) 1\n(B) 2"]
