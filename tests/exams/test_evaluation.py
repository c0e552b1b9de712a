import dataclasses

import jax
import numpy as np
import pytest

from configs import rewards
from r1jax import config as configs
from r1jax.config import UserError
from r1jax.data.tasks.problems import Problem
from r1jax.exams import evaluation, results
from r1jax.exams.evaluation import EvalConfig, evaluate
from r1jax.exams.examiner import Answered, Examiner, answer_rows, rollout_metrics
from r1jax.exams.training import TrainingExam
from r1jax.hub.artifacts import load_model
from r1jax.rewards.combine import Completion, RewardConfig, Rewarder
from r1jax.rewards.score import Score
from r1jax.sampling.config import SamplerConfig
from r1jax.sampling.sampler import Sampler
from r1jax.text import templates
from r1jax.text.sentencepiece_export import to_hugging_face
from r1jax.types import Rollout

PLAIN = templates.PromptConfig(template="plain", instruction="", examples=())
CONFIG = EvalConfig(
    every_updates=1,
    validation=4,
    test=4,
    ood=0,
    samples=4,
    consensus=2,
    batch=2,
    sampler=SamplerConfig(1.0, 0, 1.0, 0.0, 1.0, 1, 0),
    level=0.9,
)
PROBLEMS = [
    Problem(f"p{i}", f"from {i} go +1, last digit?", str(i + 1), f"s{i % 2}", "", "maths", {})
    for i in range(4)
]
RIGHT, WRONG = "<think>ok</think><answer>{}</answer>", "<think>wait</think><answer>0</answer>"
# what each problem is answered: of four samples 4, 2, 1 and 0 are right
SAID = [[RIGHT] * 4, [RIGHT, WRONG, RIGHT, WRONG], [WRONG, WRONG, RIGHT, "none"], [WRONG] * 4]


def strata(row: dict) -> dict[str, float]:
    """pass@1 of each stratum."""
    return {name: group["mean"] for name, group in row["by_stratum"].items()}


def rewarder() -> Rewarder:
    config = rewards.get_config()
    config.judge.places = ("answer_tag",)
    return Rewarder(configs.build(RewardConfig, config.to_dict()), {})


def judge(texts: list[str], problems: list[Problem]) -> list[Score]:
    said = [Completion(t, False, p, 9, False) for t, p in zip(texts, problems, strict=True)]
    return rewarder()(said, first=0, seed=0, cap=10)


@pytest.fixture(scope="module")
def base(nano_base):
    return load_model(str(nano_base))


@pytest.fixture(scope="module")
def examiner(base):
    """One whose sampler is never called."""
    _, model, tokenizer = base
    sampler = Sampler(
        model=model,
        config=CONFIG.sampler,
        max_new=64,
        stop_ids=(tokenizer.eos_id,),
        pad_id=tokenizer.pad_id,
        buckets=(32, 48),
    )
    return Examiner(sampler=sampler, tokenizer=tokenizer, style=PLAIN, rewarder=rewarder(), seed=0)


def scripted(examiner: Examiner, monkeypatch) -> list[tuple]:
    """Makes `draw` answer as SAID; returns the list of what it is asked."""
    draws = []
    tokenizer = examiner.tokenizer

    def draw(self, weights, problems, key, *, group, cap):
        draws.append(([p.id for p in problems], jax.random.key_data(key).tolist(), cap))
        texts = [SAID[int(p.id[1])][g].format(p.answer) for p in problems for g in range(group)]
        ids = [[*tokenizer.encode(t), tokenizer.eos_id] for t in texts]
        rows, width = len(ids), max(map(len, ids))
        tokens, mask = np.zeros((rows, width), np.int32), np.zeros((rows, width), bool)
        for b, row in enumerate(ids):
            tokens[b, : len(row)], mask[b, : len(row)] = row, True
        nothing = np.zeros((rows, width), np.float32)
        truncated = np.array(["none" in t for t in texts])
        return Rollout(
            tokens,
            mask,
            tokens,
            mask,
            nothing,
            nothing,
            truncated,
            np.zeros((0, rows, width, 0), np.int32),
        )

    monkeypatch.setattr(Examiner, "draw", draw)
    return draws


def examine(examiner, base, problems, **changes):
    """Evaluates the base on the first four problems of a test split, but for the changes."""
    usual = {"split": "test", "count": 4, "config": CONFIG, "reflective": (), "cap": 60}
    return evaluate(examiner, base[0], problems, jax.random.key(0), **{**usual, **changes})


@pytest.fixture
def examined(examiner, base, monkeypatch):
    draws = scripted(examiner, monkeypatch)
    row, shown = examine(examiner, base, PROBLEMS, reflective=("wait", "等等"))
    return row, shown, draws


@pytest.mark.parametrize(
    ("opening", "text", "score"),
    [
        ("<think>", "a</think><answer>1</answer>", 2.0),
        ("", "a</think><answer>1</answer>", 1.0),
        ("<think>", "<think>a</think><answer>1</answer>", 1.0),
    ],
)
def test_a_thought_that_the_prompt_opened_counts_as_the_policys(opening, text, score, base):
    """Only the format is at stake: the answer is right in every case."""
    _, model, plain = base
    chat = "{{ messages[0].content }}" + opening
    tokenizer = to_hugging_face(plain, chat=chat)
    sampler = Sampler(
        model=model,
        config=CONFIG.sampler,
        max_new=64,
        stop_ids=(tokenizer.eos_id,),
        pad_id=tokenizer.pad_id,
        buckets=(32,),
    )
    style = templates.PromptConfig(template="chat", instruction="", examples=())
    examiner = Examiner(
        sampler=sampler, tokenizer=tokenizer, style=style, rewarder=rewarder(), seed=0
    )
    ids = np.array([tokenizer.encode(text)], np.int32)
    real, nothing = np.ones(ids.shape, bool), np.zeros(ids.shape, np.float32)
    rollout = Rollout(
        ids,
        real,
        ids,
        real,
        nothing,
        nothing,
        np.array([False]),
        np.zeros((0, *ids.shape, 0), np.int32),
    )
    answered = examiner.read(rollout, PROBLEMS[:1], group=1, step=0, cap=60)
    assert answered.completions == [text]
    assert answered.prompts == [PROBLEMS[0].question + opening]
    assert answered.scores[0].total == score


def test_the_numbers_of_an_examination_by_hand(examined):
    row, _, _ = examined
    assert row["split"] == "test" and row["questions"] == 4 and row["samples"] == 4
    score = row["pass_at_1"]
    assert score["mean"] == (4 + 2 + 1 + 0) / 16 and score["questions"] == 4
    # means of questions 1, .5, .25, 0: std .426956, over sqrt(4), times t(3) at .95: 2.353363
    np.testing.assert_allclose(score["low"], max(0, 0.4375 - 0.502391), atol=1e-5)
    np.testing.assert_allclose(score["high"], 0.4375 + 0.502391, atol=1e-5)
    # votes of two: right+right, right+wrong (the first wins a tie), wrong+wrong, wrong+right...
    assert row["cons_at"]["2"]["mean"] == np.mean([[1, 1], [1, 1], [0, 1], [0, 0]])
    assert row["rates"] == {
        "format": 15 / 16,
        "truncation": 1 / 16,
        "error": 0,
        "reflective": 8 / 16,
    }
    assert strata(row) == {"s0": (4 + 1) / 8, "s1": 2 / 8}
    assert {name: lengths["answers"] for name, lengths in row["lengths"].items()} == {
        "all": 16,
        "right": 7,
        "wrong": 9,
        "truncated": 1,
    }


def test_an_exam_while_training_and_one_alone_tell_the_same(examined, examiner):
    row, _, _ = examined
    texts = [text.format(p.answer) for p, said in zip(PROBLEMS, SAID, strict=True) for text in said]
    problems = [p for p in PROBLEMS for _ in range(4)]
    ids = [[*examiner.tokenizer.encode(t), examiner.tokenizer.eos_id] for t in texts]
    truncated = np.array(["none" in t for t in texts])
    tokens = np.array([*map(len, ids)])
    answered = Answered(problems, [""] * 16, texts, judge(texts, problems), tokens, truncated, 0.0)
    rows = answer_rows(answered, samples=4, first=0)
    examiner.vote(rows, PROBLEMS)
    alone = results.results(rows, ks=(2,), level=CONFIG.level)
    rates = {name: rate for name, rate in row["rates"].items() if name != "reflective"}
    assert rates == alone["rates"]
    for name in evaluation.KEPT:
        if name != "rates":
            assert row[name] == alone[name], name


def test_questions_come_in_batches_each_with_a_key_of_its_own(examined):
    _, _, draws = examined
    assert [ids for ids, _, _ in draws] == [["p0", "p1"], ["p2", "p3"]]
    assert draws[0][1] != draws[1][1] and {cap for _, _, cap in draws} == {60}


def test_the_first_sample_of_three_questions_is_shown(examined):
    _, shown, _ = examined
    assert [s["completion"] for s in shown] == [RIGHT.format(1), RIGHT.format(2), WRONG]
    assert [s["score"] for s in shown] == [2.0, 2.0, 1.0]
    assert shown[0]["prompt"] == templates.render("plain", PROBLEMS[0].question)
    assert shown[0]["reason"].startswith("accuracy 1")


def test_the_split_decides_the_key(examiner, base, monkeypatch):
    keys = []
    for split in ("test", "test", "ood"):
        draws = scripted(examiner, monkeypatch)
        examine(examiner, base, PROBLEMS, split=split, count=2, cap=9)
        keys.append(draws[0][1])
    assert keys[0] == keys[1] != keys[2]


def test_lengths_of_right_and_wrong_answers_are_told_apart():
    scores = judge([RIGHT.format(1), WRONG, WRONG], [PROBLEMS[0]] * 3)
    tokens, truncated = np.array([4, 6, 8]), np.array([False, True, False])
    texts = ["a", "wait", "等等"]
    answered = Answered([PROBLEMS[0]] * 3, [""] * 3, texts, scores, tokens, truncated, 0.0)
    seen = rollout_metrics(answered, ("等等",))
    assert seen["length"] == 6 and seen["length_correct"] == 4
    assert seen["length_wrong"] == 7 and seen["reflective_rate"] == 1 / 3
    none_right = answered._replace(scores=judge([WRONG] * 3, [PROBLEMS[0]] * 3))
    assert rollout_metrics(none_right, ())["length_correct"] is None


def test_reflection_is_a_whole_word_in_any_case():
    scores = judge([WRONG] * 4, [PROBLEMS[0]] * 4)
    said = ["an attribute", "Wait", "but", "等等"]
    answered = Answered(
        [PROBLEMS[0]] * 4, [""] * 4, said, scores, np.ones(4), np.zeros(4, bool), 0.0
    )
    assert rollout_metrics(answered, ("but",))["reflective_rate"] == 1 / 4
    assert rollout_metrics(answered, ("wait", "等等"))["reflective_rate"] == 2 / 4


def test_what_could_not_be_judged_is_left_out_and_told(examiner, base, monkeypatch):
    """Of p1's four answers the two right ones fail to be judged: 0 of 2 is left, not 0 of 4."""
    scripted(examiner, monkeypatch)
    real = Rewarder.__call__

    def call(self, completions, *, first, seed, cap):
        scores = real(self, completions, first=first, seed=seed, cap=cap)
        return [
            s._replace(error=True) if c.question.id == "p1" and s.parts["accuracy"] else s
            for c, s in zip(completions, scores, strict=True)
        ]

    monkeypatch.setattr(Rewarder, "__call__", call)
    row, _ = examine(examiner, base, PROBLEMS)
    assert row["rates"]["error"] == 2 / 16
    assert row["pass_at_1"]["mean"] == np.mean([1, 0, 0.25, 0])
    assert strata(row) == {"s0": 0.625, "s1": 0.0}


def test_questions_without_an_answer_are_neither_right_nor_wrong(examiner, base, monkeypatch):
    """p0 is always answered rightly, p3 never; p1 and p2 are wishes."""
    scripted(examiner, monkeypatch)

    def wish(i):
        return PROBLEMS[i]._replace(kind="helpful", stratum="wish")

    row, _ = examine(examiner, base, [PROBLEMS[0], wish(1), wish(2), PROBLEMS[3]])
    assert row["pass_at_1"]["mean"] == row["cons_at"]["2"]["mean"] == 0.5
    assert row["questions"] == 4 and row["pass_at_1"]["questions"] == 2
    assert row["rates"]["error"] == 0 and row["lengths"]["all"]["answers"] == 16
    assert strata(row) == {"s0": 1.0, "s1": 0.0}


@pytest.mark.parametrize("fails", [False, True])
def test_too_few_judged_questions_are_told_with_a_reason(examiner, base, fails, monkeypatch):
    scripted(examiner, monkeypatch)
    wish = PROBLEMS[1]._replace(kind="helpful")
    source = [PROBLEMS[0], PROBLEMS[1] if fails else wish]
    if fails:
        real = Rewarder.__call__

        def call(self, completions, *, first, seed, cap):
            scores = real(self, completions, first=first, seed=seed, cap=cap)
            return [s._replace(error=True, reason="crashed") for s in scores]

        monkeypatch.setattr(Rewarder, "__call__", call)
    message = "0 of 2 .*first failure: crashed" if fails else "1 of 2 .*the others have no answer$"
    with pytest.raises(UserError, match=message):
        examine(examiner, base, source, count=2)


def test_an_exam_of_wishes_alone_is_refused_before_any_work(examiner):
    wishes = [p._replace(kind="helpful") for p in PROBLEMS[:3]]

    def exam(source):
        return TrainingExam(
            examiner,
            {"validation": source, "test": source},
            config=CONFIG,
            reflective=(),
            seed=0,
            where="evaluation",
        )

    exam(PROBLEMS).check()
    with pytest.raises(ValueError, match=r"evaluation.validation: 1 of 4 questions have an answer"):
        exam([*wishes, PROBLEMS[3]]).check()


def test_an_unjudged_vote_counts_like_others_of_its_key(examiner, base, monkeypatch):
    """p0's answers are all right; the judge fails on the first of them alone."""
    scripted(examiner, monkeypatch)
    real = Rewarder.__call__

    def call(self, completions, *, first, seed, cap):
        scores = real(self, completions, first=first, seed=seed, cap=cap)
        parts = scores[0].parts | {"accuracy": 0.0}
        return [scores[0]._replace(error=True, parts=parts), *scores[1:]]

    monkeypatch.setattr(Rewarder, "__call__", call)
    row, _ = examine(examiner, base, PROBLEMS, count=2)
    assert row["pass_at_1"]["mean"] == np.mean([1, 0.5])
    assert row["cons_at"]["2"]["mean"] == 1.0


def test_the_prompt_is_bos_and_the_rendered_question(examiner):
    ids = examiner.prompt(PROBLEMS[0]).ids
    assert ids[0] == examiner.tokenizer.bos_id
    assert examiner.tokenizer.decode(ids) == "User: from 0 go +1, last digit?\nAssistant:"


def test_bad_problems_are_told_by_split_and_id(examiner):
    examiner.check(PROBLEMS, range(4), "test")
    long = PROBLEMS[2]._replace(question="from 1 go " + "+1 " * 40)
    silent = PROBLEMS[3]._replace(answer="")
    for problem, message in ((long, "largest bucket 48"), (silent, "gold")):
        source = [*PROBLEMS[:2], problem]
        examiner.check(source, range(2), "test")
        with pytest.raises(ValueError, match=f"test: problem {problem.id}: .*{message}"):
            examiner.check(source, range(3), "test")


def test_draws_are_read_as_the_model_wrote_them(examiner, base):
    weights, _, _ = base
    rollout = examiner.draw(weights, PROBLEMS[:1], jax.random.key(1), group=2, cap=3)
    assert isinstance(rollout.completion_BC, np.ndarray)
    answered = examiner.read(rollout, PROBLEMS[:1], group=2, step=0, cap=3)
    assert answered.problems == PROBLEMS[:1] * 2 and len(answered.completions) == 2
    assert (answered.lengths <= 3).all() and (answered.lengths >= 1).all()
    for text, ids, mask in zip(
        answered.completions, rollout.completion_BC, rollout.mask_BC, strict=True
    ):
        assert text == examiner.tokenizer.decode(ids[mask].tolist())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"consensus": 3}, "samples 4 are no multiple of consensus 3"),
        ({"test": 5}, "test 5 is no multiple of batch 2"),
        ({"ood": 1}, "ood 1 is no multiple of batch 2"),
    ],
)
def test_counts_that_do_not_divide_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **change)
