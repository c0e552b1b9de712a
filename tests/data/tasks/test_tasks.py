import collections
import itertools
import json
import sys

import pytest

from configs import data, r1_zero_reasoning_gym_tiny, r1_zero_tiny
from r1jax import config as configs
from r1jax.data.tasks.problems import ProblemSource, question_digest
from r1jax.data.tasks.splits import each
from r1jax.data.tasks.tasks import TaskConfig, files_digest, load_task, sources
from r1jax.data.world.sums import WorldSource

WORLD = dict(train=30, validation=4, test=5, ood=6, seed=0, search_share=0.5)
SUMS = dict(min_terms=2, max_terms=2, min_digits=1, max_digits=1)


def build(**blocks) -> TaskConfig:
    return configs.build(TaskConfig, data.task(**blocks))


def rows(path, *questions):
    """A file of questions and the block that reads it."""
    lines = [json.dumps({"q": q, "a": f"so #### {i}"}) for i, q in enumerate(questions)]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return data.rows(str(path), question="q", answer="a", answer_pattern=r"#### (\d+)")


def files(tmp_path, *, train=10, name="", **changes):
    return data.files(
        train=rows(tmp_path / f"{name}train.jsonl", *(f"{name}train {i}?" for i in range(train))),
        test=rows(tmp_path / f"{name}test.jsonl", *(f"{name}test {i}?" for i in range(3))),
        **{"validation": 4} | changes,
    )


def asked(split):
    return [split[i].question for i in range(len(split))]


def test_the_world_has_four_splits_of_the_wanted_sizes():
    made = sources(build(world=data.world(**WORLD)))
    sizes = {split: len(source) for split, source in made.items()}
    assert sizes == {"train": 30, "validation": 4, "test": 5, "ood": 6}
    assert all(isinstance(source, ProblemSource) for source in made.values())
    assert made["ood"][5].id == "world/0:ood-5"


def test_the_world_need_not_have_an_ood_split_but_all_others():
    def make(**change):
        return sources(build(world=data.world(**WORLD | {"ood": 0} | change)))

    assert list(make()) == ["train", "validation", "test"]
    with pytest.raises(ValueError, match="world, validation: got size 0"):
        make(validation=0)


def test_validation_is_drawn_and_the_rest_keeps_its_order(tmp_path):
    made = sources(build(main=files(tmp_path)))
    questions = {s: asked(made[s]) for s in made}
    # ordered by: printf 'validation 3' | sha256sum
    assert questions["validation"] == [f"train {i}?" for i in (3, 4, 5, 9)]
    assert questions["train"] == [f"train {i}?" for i in (0, 1, 2, 6, 7, 8)]
    # likewise: printf 'test 0' | sha256sum
    assert questions["test"] == [f"test {i}?" for i in (0, 2, 1)]
    assert made["validation"][0].answer == "3"
    assert asked(sources(build(main=files(tmp_path)))["train"]) == questions["train"]


def test_a_validation_drawn_from_a_sorted_file_is_from_all_of_it(tmp_path):
    made = sources(build(main=files(tmp_path, train=400, validation=100)))
    numbers = [int(p.answer) for p in each(made["validation"])]
    assert len(set(numbers)) == 100 and numbers != sorted(numbers)
    quarters = collections.Counter(n // 100 for n in numbers[:40])
    assert min(quarters[q] for q in range(4)) >= 4
    # more of them are the same and others, and so are those of a longer file
    more = sources(build(main=files(tmp_path, train=400, validation=150)))["validation"]
    assert [int(p.answer) for p in each(more)][:100] == numbers
    longer = sources(build(main=files(tmp_path, train=410, validation=100)))["validation"]
    assert len(set(numbers) & {int(p.answer) for p in each(longer)}) >= 90


def test_validation_and_test_may_be_left_out(tmp_path):
    made = sources(build(main=files(tmp_path, validation=0) | {}))
    assert len(made["train"]) == 10 and len(made["validation"]) == 0
    alone = data.files(train=rows(tmp_path / "x.jsonl", "1?"))
    assert [len(s) for s in sources(build(main=alone)).values()] == [1, 0, 0]


@pytest.mark.parametrize("validation", [10, 11])
def test_a_file_that_cannot_spare_the_validation_is_named(tmp_path, validation):
    message = rf"train\.jsonl: 10 questions cannot spare {validation} to validate"
    with pytest.raises(ValueError, match=message):
        sources(build(main=files(tmp_path, validation=validation)))


@pytest.mark.reasoning_gym
def test_no_question_of_a_gym_returns_in_a_later_split():
    gym = data.gym(task="chain_sum", train=60, validation=40, test=40, seed=0, options=SUMS)
    made = {split: set(asked(source)) for split, source in sources(build(sums=gym)).items()}
    assert not made["train"] & made["validation"]
    assert not (made["train"] | made["validation"]) & made["test"]
    assert 0 < len(made["test"]) < 40


@pytest.mark.reasoning_gym
def test_a_gym_without_a_new_question_is_told():
    gym = data.gym(task="chain_sum", train=4000, validation=3, test=3, seed=0, options=SUMS)
    with pytest.raises(ValueError, match="chain_sum, validation: every question is also in"):
        sources(build(sums=gym))


@pytest.mark.parametrize(
    ("given", "told"), [((), r"\[\]"), (("files", "world"), r"\['world', 'files'\]")]
)
def test_exactly_one_kind_of_source_is_wanted(tmp_path, given, told):
    block = {"weight": 1.0, "world": None, "files": None, "gym": None, "requests": None}
    there = {"world": data.world(**WORLD), "files": files(tmp_path)}
    block |= {kind: there[kind][kind] for kind in given}
    message = (
        rf"config\.sources\.main: wanted exactly one of world, files, gym, requests, got {told}"
    )
    with pytest.raises(ValueError, match=message):
        build(main=block)


def test_a_task_needs_a_source_and_a_source_a_weight(tmp_path):
    with pytest.raises(ValueError, match="sources: got none"):
        build()
    with pytest.raises(ValueError, match=r"sources\.main\.weight: got 0\.0, wanted above 0"):
        build(main=files(tmp_path, weight=0.0))


def test_a_gym_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "reasoning_gym.factory", None)
    gym = data.gym(task="chain_sum", train=9, validation=3, test=3, seed=0, options={})
    with pytest.raises(ImportError, match=r"r1jax\[tasks\]"):
        sources(build(sums=gym))


@pytest.mark.reasoning_gym
def test_the_shipped_gym_config_has_questions_in_every_split():
    config = configs.build(TaskConfig, r1_zero_reasoning_gym_tiny.get_config().task.to_dict())
    sizes = {split: len(source) for split, source in sources(config).items()}
    assert sizes["train"] == 5_000 and min(sizes["validation"], sizes["test"]) > 100


def test_sources_stand_in_the_order_of_their_names(tmp_path):
    task = load_task(
        build(
            b=data.world(weight=0.5, **WORLD),
            a=files(tmp_path, weight=2.0),
            c=files(tmp_path / "c", name="c ", validation=0),
        )
    )
    assert task.sizes == (6, 30, 10) and task.weights == (2.0, 0.5, 1.0)
    train = task.splits["train"]
    assert len(train) == 46
    assert (train[5].question, train[36].question) == ("train 8?", "c train 0?")
    assert [train[i].id for i in (6, 35)] == ["world/0:train-0", "world/0:train-29"]
    assert [len(task.splits[s]) for s in ("validation", "test", "ood")] == [8, 11, 6]
    for index in (-1, 46):
        with pytest.raises(IndexError, match="wanted 0 to 45"):
            train[index]


def test_a_problem_may_stand_in_one_place_only(tmp_path):
    one = files(tmp_path)
    with pytest.raises(ValueError, match=r"/train:1 is in a, train and in b, train"):
        load_task(build(a=one, b=one))
    same = data.files(train=one["files"]["train"], test=one["files"]["train"], validation=2)
    with pytest.raises(ValueError, match=r"/train:\d+ is in a, train and in a, test"):
        load_task(build(a=same))
    with pytest.raises(ValueError, match="world/0:train-0 is in a, train and in b, train"):
        load_task(build(a=data.world(**WORLD), b=data.world(**WORLD | {"train": 9})))


def test_worlds_of_two_seeds_mix():
    worlds = build(a=data.world(**WORLD), b=data.world(**WORLD | {"seed": 1}))
    assert load_task(worlds).sizes == (30, 30)


@pytest.mark.reasoning_gym
def test_gyms_of_two_options_mix():
    gym = dict(task="chain_sum", train=9, validation=3, test=3, seed=0)
    longer = data.gym(**gym, options={"min_terms": 5, "max_terms": 6})
    made = load_task(build(a=data.gym(**gym, options={"max_terms": 4}), b=longer))
    assert len({p.id for p in each(made.splits["train"])}) == 18
    with pytest.raises(ValueError, match=r"chain_sum-.*/0:0 is in a, train and in b, train"):
        load_task(build(a=longer, b=longer))


def test_exams_of_several_sources_begin_with_all_of_them(tmp_path):
    made = load_task(
        build(
            a=files(tmp_path, train=20, validation=8),
            w=data.world(**WORLD),
            c=files(tmp_path / "c", name="c "),
        )
    ).splits

    def sources_(split):
        return [p.id.partition("/")[0] for p in each(made[split])]

    assert collections.Counter(sources_("validation")[:8]) == {tmp_path.name: 4, "c": 2, "world": 2}
    assert set(sources_("test")[:3]) == {tmp_path.name, "c", "world"}
    assert len(sources_("test")) == 11
    assert set(sources_("ood")) == {"world"} and len(made["ood"]) == 6
    assert sources_("train") == [tmp_path.name] * 12 + ["c"] * 6 + ["world"] * 30


def test_training_questions_that_equal_held_out_ones_are_removed(tmp_path):
    twice = [f"What is {i}+{i}?" for i in range(50)] * 2
    main = data.files(
        train=rows(tmp_path / "train.jsonl", *twice),
        validation=20,
        test=rows(tmp_path / "test.jsonl", "what is\n7 + 7 ."),
    )
    task = load_task(build(main=main))
    held_out = {q for s in ("validation", "test") for q in asked(task.splits[s])}

    def key(q):
        return "".join(q.lower().split()).rstrip("?.")

    assert not {key(q) for q in asked(task.splits["train"])} & {key(q) for q in held_out}
    assert len(task.splits["validation"]) == 20
    report = task.report["repeats"]
    counts = report["sources"]["main"]
    assert counts["before"] == 80 and counts["kept"] == len(task.splits["train"]) == task.sizes[0]
    assert json.loads(json.dumps(report)) == report
    (note,) = task.notes
    assert f"{counts['removed']} of 80 training questions equal a held-out question" in note
    assert counts["removed"] > 10


def test_a_question_held_out_of_one_source_trains_no_other(tmp_path):
    a = data.files(
        train=rows(tmp_path / "a.jsonl", "1+1?", "2+2?") | {"question": "Solve {q}"},
        test=rows(tmp_path / "at.jsonl", "a?"),
    )
    b = data.files(
        train=rows(tmp_path / "b.jsonl", "A", "b?"), test=rows(tmp_path / "bt.jsonl", "2 + 2")
    )
    task = load_task(build(a=a, b=b))
    assert asked(task.splits["train"]) == ["Solve 1+1?", "b?"] and task.sizes == (1, 1)
    assert [(h["source"], h["evaluation_set"]) for h in task.report["repeats"]["removed"]] == [
        ("a", "b, test"),
        ("b", "a, test"),
    ]
    b["files"]["train"] = rows(tmp_path / "b.jsonl", "A")
    with pytest.raises(ValueError, match="b: every training question meets"):
        load_task(build(a=a, b=b))
    # the world is generated, and may stand in a file too
    world = WorldSource("train", size=30, seed=0, search_share=0.5)
    c = data.files(
        train=rows(tmp_path / "c.jsonl", "x"),
        test=rows(tmp_path / "ct.jsonl", world[4].question.upper()),
    )
    assert load_task(build(a=data.world(**WORLD), c=c)).sizes == (29, 1)


@pytest.mark.reasoning_gym
def test_gyms_of_two_sources_leak_nothing_into_each_other():
    def gym(seed):
        return data.gym(task="chain_sum", train=60, validation=40, test=40, seed=seed, options=SUMS)

    task = load_task(build(a=gym(0), b=gym(7)))
    assert not set(asked(task.splits["train"])) & {
        q for s in ("validation", "test") for q in asked(task.splits[s])
    }
    assert task.report["repeats"]["removed"] and "repeats" in task.notes[0]


def test_the_same_words_with_other_options_are_another_question(tmp_path):
    def block(name, *options):
        path = tmp_path / f"{name}.jsonl"
        lines = [{"q": "Which is true?", "o": o, "a": "A"} for o in options]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return data.rows(str(path), question="q", options="o", answer="a", kind="choice")

    train = block("train", ["1", "2"], ["3", "4"])
    task = load_task(build(main=data.files(train=train, test=block("test", ["A) 3", "4"]))))
    assert task.sizes == (1,) and task.splits["train"][0].reference["options"] == ["1", "2"]


def test_worlds_alone_are_not_walked(monkeypatch):
    real, met = WorldSource.__getitem__, itertools.count(1)

    def first_few(self, index):
        assert next(met) <= 8
        return real(self, index)

    monkeypatch.setattr(WorldSource, "__getitem__", first_few)
    big = WORLD | {"train": 10**9}
    assert load_task(build(a=data.world(**big), b=data.world(**big | {"seed": 1}))).report == {}


def test_one_file_may_be_cut_into_splits_by_filters(tmp_path):
    whole = rows(tmp_path / "x.jsonl", *"abcdef")

    def cut(*which):
        return whole | {"filters": ({"field": "q", "op": "one_of", "value": which},)}

    made = sources(build(main=data.files(train=cut(*"acf"), test=cut(*"bde"), validation=1)))
    assert [asked(made[s]) for s in made] == [["a", "c"], ["f"], ["b", "e", "d"]]


LONG = "if a plane travels twelve hundred miles in three hours how far in {}?"


def test_training_questions_that_meet_an_exam_are_removed(tmp_path):
    train = [LONG.format("five"), "short", "1 + 1?", "v?", "train 3?", "and " + LONG.format("nine")]
    main = data.files(
        train=rows(tmp_path / "train.jsonl", *train),
        test=rows(tmp_path / "test.jsonl", "1 - 1?"),
        validation=1,
    )
    exam = rows(tmp_path / "exams" / "hard.jsonl", "new?", LONG.format("ten").upper(), "Short")
    plan = data.decontamination(held_out=False, hard=exam)
    task = load_task(build(main=main, decontamination=plan))
    assert asked(task.splits["train"]) == ["1 + 1?", "train 3?"] and task.sizes == (2,)
    report = task.report["decontamination"]
    assert report["sources"] == {"main": {"before": 5, "removed": 3, "kept": 2}}
    gram = "if a plane travels twelve hundred miles in three hours"

    def hit(row, gram, to):
        return {
            "source": "main",
            "id": f"{tmp_path.name}/train:{row}",
            "gram": gram,
            "evaluation_set": "hard",
            "evaluation_id": f"exams/hard:{to}",
        }

    assert report["removed"] == [hit(1, gram, 2), hit(2, "short", 3), hit(6, gram, 2)]
    assert json.loads(json.dumps(report)) == report
    (note,) = task.notes
    assert "3 of 5 training questions share 10 words" in note and "(hard 3)" in note


def test_the_splits_of_the_run_itself_count_when_asked(tmp_path):
    train = ["same", "other", LONG.format("ten"), LONG.format("two")]
    main = data.files(
        train=rows(tmp_path / "train.jsonl", *train),
        test=rows(tmp_path / "test.jsonl", "Same"),
        validation=1,
    )
    task = load_task(build(main=main, decontamination=data.decontamination()))
    assert asked(task.splits["train"]) == ["other"]
    assert [hit["evaluation_set"] for hit in task.report["decontamination"]["removed"]] == [
        "main, test",
        "main, validation",
    ]
    assert list(task.report) == ["decontamination"] and len(task.notes) == 1
    exam = rows(tmp_path / "exam.jsonl", "other")
    plan = data.decontamination(held_out=False, exam=exam)
    task = load_task(build(main=main, decontamination=plan))
    assert asked(task.splits["train"]) == [LONG.format("ten")]
    # equal questions go whatever was asked
    assert [hit["gram"] for hit in task.report["repeats"]["removed"]] == ["same"]


def test_words_of_our_templates_and_options_are_no_contamination(tmp_path):
    words = " ".join(f"word{i}" for i in range(12))

    def ask(name, q, template):
        return rows(tmp_path / name, q) | {"question": template}

    main = data.files(train=ask("train.jsonl", "mine", "{q} " + words))
    exam = ask("exam.jsonl", "yours", words + " {q}")
    plan = data.decontamination(held_out=False, exam=exam)
    assert load_task(build(main=main, decontamination=plan)).sizes == (1,)
    plain = data.decontamination(held_out=False, exam=rows(tmp_path / "e.jsonl", words))
    assert load_task(build(main=main, decontamination=plain)).sizes == (1,)
    whole = data.files(train=rows(tmp_path / "t.jsonl", "mine " + words, "other"))
    assert load_task(build(main=whole, decontamination=plain)).sizes == (1,)


def test_nothing_left_to_train_on_is_an_error(tmp_path):
    main = data.files(train=rows(tmp_path / "train.jsonl", "x"))
    exam = rows(tmp_path / "exam.jsonl", "x")
    with pytest.raises(ValueError, match="main: every training question meets"):
        load_task(build(main=main, decontamination=data.decontamination(exam=exam)))
    rates = tmp_path / "rates.jsonl"
    rates.write_text(json.dumps({"id": f"{tmp_path.name}/train:1", "pass_rate": 1.0}))
    plan = data.curriculum(str(rates), lowest=0.1, highest=0.9)
    with pytest.raises(ValueError, match=r"rates\.jsonl: leaves no training problem of main"):
        load_task(build(main=main, curriculum=plan))


def test_the_curriculum_drops_what_is_too_easy_or_too_hard(tmp_path):
    rates = tmp_path / "rates.jsonl"
    names = [f"{tmp_path.name}/train:{row}" for row in (1, 2, 3, 7, 8)]
    lines = [{"id": n, "pass_rate": r} for n, r in zip(names, (0, 0.25, 0.5, 1, 0.75), strict=True)]
    rates.write_text("".join(json.dumps(line | {"gold": "1"}) + "\n" for line in lines))

    def load(**plan):
        return load_task(
            build(main=files(tmp_path), curriculum=data.curriculum(str(rates), **plan))
        )

    task = load(lowest=0.25, highest=0.75, unmeasured="drop")
    assert asked(task.splits["train"]) == ["train 1?", "train 2?", "train 7?"]
    assert task.report["curriculum"]["sources"] == {
        "main": {"kept": 3, "below": 1, "above": 1, "unmeasured": 1}
    }
    assert "3 training problems kept, 1 too hard, 1 too easy, 1 without" in task.notes[0]
    assert load(lowest=0.25, highest=0.75, unmeasured="keep").sizes == (4,)
    assert len(task.splits["validation"]) == 4  # held out before, and never filtered
    with pytest.raises(ValueError, match=r"rates\.jsonl: no pass rate of .*/train:9"):
        load(lowest=0.25, highest=0.75)

    def digest(question):
        return question_digest(question)

    line = {"id": names[1], "pass_rate": 0.5, "question_sha256": digest("train 1?")}
    rates.write_text(json.dumps(line))
    assert load(lowest=0.25, highest=0.75, unmeasured="drop").sizes == (1,)
    rates.write_text(json.dumps(line | {"question_sha256": digest("train 2?")}))
    with pytest.raises(ValueError, match=r"rates\.jsonl: the question of .*/train:2 changed"):
        load(lowest=0.25, highest=0.75, unmeasured="drop")


def test_every_file_that_is_read_counts_in_the_digest(tmp_path):
    main = files(tmp_path)
    exam, rates = rows(tmp_path / "exam" / "e.jsonl", "x"), tmp_path / "rates.jsonl"
    rates.write_text('{"id": "x", "pass_rate": 0.5}\n')
    exam |= {"path": str(tmp_path / "exam")}
    config = build(
        main=main,
        decontamination=data.decontamination(exam=exam),
        curriculum=data.curriculum(str(rates), lowest=0.0, highest=1.0, unmeasured="keep"),
    )
    seen = {files_digest(config)}
    for path in sorted(tmp_path.rglob("*.jsonl")):
        path.write_text(path.read_text() + path.read_text().replace("x", "y"))
        seen.add(files_digest(config))
    assert len(seen) == 5
    assert files_digest(build(world=data.world(**WORLD))) not in seen


@pytest.mark.parametrize("train", ["train.path=here.jsonl", "validation=3"])
def test_the_command_line_reaches_every_source(train):
    c = r1_zero_tiny.get_config()
    c.task = data.task(x=data.files(train=data.gsm8k("a"), test=data.gsm8k("b"), validation=1))
    key, value = train.split("=")
    c.update_from_flattened_dict({f"task.sources.x.files.{key}": value if "p" in key else 3})
    built = configs.build(TaskConfig, c.task.to_dict()).sources["x"].files
    assert built is not None
    assert (built.train.path, built.validation) in {("here.jsonl", 1), ("a", 3)}


def test_blocks_of_well_known_data_sets_build():
    names = [
        "gsm8k",
        "math_train",
        "math_solutions",
        "math500",
        "aime24",
        "amc",
        "olympiadbench",
        "cmath",
        "svamp",
        "aqua",
        "mmlu",
        "agieval",
        "agieval_cloze",
        "humaneval",
        "mbpp",
        "code_contests",
        "knights_knaves",
    ]
    made = {name: data.files(train=getattr(data, name)(f"{name}.jsonl")) for name in names}
    config = build(**made)
    assert list(config.sources) == names
    kinds = {s.files.train.kind for s in config.sources.values() if s.files}
    assert kinds == {"maths", "choice", "code", "knights_knaves"}
    assert list(
        itertools.chain(*(s.files.train.filters for s in config.sources.values() if s.files))
    )
