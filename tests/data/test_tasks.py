import json

import pytest

from configs import r1_zero_reasoning_gym_tiny
from r1jax import config as configs
from r1jax.data.problems import ProblemSource
from r1jax.data.tasks import GymTask, JsonlTask, TaskConfig, WorldTask, sources

WORLD = WorldTask(train=30, validation=4, test=5, ood=6, seed=0, search_share=0.5)


def jsonl(tmp_path, **changes) -> TaskConfig:
    for name, count in (("train", 10), ("test", 3)):
        lines = [json.dumps({"q": f"{name} {i}?", "a": f"so #### {i}"}) for i in range(count)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    fields = {
        "train": str(tmp_path / "train.jsonl"), "test": str(tmp_path / "test.jsonl"),
        "validation": 4, "question_field": "q", "answer_field": "a",
        "answer_pattern": r"#### (\d+)", "stratum_field": "",
    }  # fmt: skip
    return TaskConfig(world=None, jsonl=JsonlTask(**fields | changes), gym=None)


def test_the_world_has_four_splits_of_the_wanted_sizes():
    made = sources(TaskConfig(world=WORLD, jsonl=None, gym=None))
    sizes = {split: len(source) for split, source in made.items()}
    assert sizes == {"train": 30, "validation": 4, "test": 5, "ood": 6}
    assert all(isinstance(source, ProblemSource) for source in made.values())
    assert made["ood"][5].id == "ood-5"


def test_the_world_need_not_have_an_ood_split_but_all_others():
    kwargs = {"train": 3, "validation": 2, "test": 2, "ood": 0, "seed": 0, "search_share": 0.0}
    make = lambda **change: sources(TaskConfig(WorldTask(**kwargs | change), None, None))
    assert list(make()) == ["train", "validation", "test"]
    with pytest.raises(ValueError, match="world, validation: got size 0"):
        make(validation=0)


def test_validation_is_held_out_from_the_end_of_the_training_file(tmp_path):
    made = sources(jsonl(tmp_path))
    questions = {s: [made[s][i].question for i in range(len(made[s]))] for s in made}
    assert questions["train"] == [f"train {i}?" for i in range(6)]
    assert questions["validation"] == [f"train {i}?" for i in range(6, 10)]
    assert questions["test"] == [f"test {i}?" for i in range(3)]
    assert made["validation"][0].answer == "6"


@pytest.mark.parametrize("validation", [0, 10, 11])
def test_a_file_that_cannot_spare_the_validation_is_named(tmp_path, validation):
    message = rf"train\.jsonl: 10 questions cannot spare {validation} to validate"
    with pytest.raises(ValueError, match=message):
        sources(jsonl(tmp_path, validation=validation))


def test_no_question_of_a_gym_returns_in_a_later_split():
    options = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
    task = GymTask(task="chain_sum", train=60, validation=40, test=40, seed=0, options=options)
    made = sources(TaskConfig(world=None, jsonl=None, gym=task))
    asked = {s: {made[s][i].question for i in range(len(made[s]))} for s in made}
    assert not asked["train"] & asked["validation"]
    assert not (asked["train"] | asked["validation"]) & asked["test"]
    assert len(made["train"]) == 60 and 0 < len(made["test"]) < 40


def test_a_gym_without_a_new_question_is_told():
    options = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
    task = GymTask(task="chain_sum", train=4000, validation=3, test=3, seed=0, options=options)
    with pytest.raises(ValueError, match="chain_sum, validation: every question is also in"):
        sources(TaskConfig(world=None, jsonl=None, gym=task))


@pytest.mark.parametrize(
    ("given", "told"), [((None, None, None), r"got \[\]"), ((WORLD, 1, None), "'world', 'jsonl'")]
)
def test_exactly_one_kind_of_source_is_wanted(tmp_path, given, told):
    world, file, gym = given
    with pytest.raises(ValueError, match=f"exactly one of world, jsonl, gym.*{told}"):
        TaskConfig(world, jsonl(tmp_path).jsonl if file else None, gym)


def test_the_shipped_gym_config_has_questions_in_every_split():
    config = configs.build(TaskConfig, r1_zero_reasoning_gym_tiny.get_config().task.to_dict())
    sizes = {split: len(source) for split, source in sources(config).items()}
    assert sizes["train"] == 5_000 and min(sizes["validation"], sizes["test"]) > 100
