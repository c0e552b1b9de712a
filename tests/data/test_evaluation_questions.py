import json

from configs import data
from r1jax import config as configs
from r1jax.data.evaluation_questions import evaluation_questions
from r1jax.data.tasks import TaskConfig, load_task


def test_held_out_splits_and_files_are_all_there_in_both_wordings(tmp_path):
    path = tmp_path / "exam.jsonl"
    path.write_text(json.dumps({"text": "What is 3 + 4?", "answer": 7}) + "\n")
    exam = data.rows(str(path), question="Solve. {text}")
    block = data.task(
        world=data.world(train=2, validation=3, test=4, ood=1, seed=0, search_share=0.5),
        decontamination=data.decontamination(held_out=False, exam=exam),
    )
    config = configs.build(TaskConfig, block)
    got = evaluation_questions(config, load_task(config))
    sizes = {name: len(questions) for name, questions in got.items()}
    assert sizes == {
        "validation": 3, "test": 4, "ood": 1, "against exam": 1, "against exam, as asked": 1
    }  # fmt: skip
    assert [*got["against exam"].values()] == ["What is 3 + 4?"]
    assert [*got["against exam, as asked"].values()] == ["Solve. What is 3 + 4?"]
