import dataclasses
import os
import signal
import threading
import time
from typing import get_args, get_type_hints

import pytest

from configs import rewards
from r1jax import config as configs
from r1jax.data.files.mapping import FileSource
from r1jax.data.tasks.problems import Problem
from r1jax.rewards.judge import KINDS, Judge, JudgeConfig
from r1jax.rewards.sandbox import SandboxConfig

CONFIG = configs.build(JudgeConfig, rewards.get_judge().to_dict())


def problem(kind: str, answer: str, **reference) -> Problem:
    return Problem(f"{kind} {answer}", "?", answer, "", "", kind, reference)


def boxed(answer: str) -> str:
    return rf"<think>so</think> \boxed{{{answer}}}"


@pytest.fixture(scope="module")
def judge():
    with Judge(CONFIG) as made:
        yield made


ROOT = problem("maths", r"2\sqrt{5}")
CASES = [
    (problem("maths", "42"), "42", 1),
    (problem("maths", "42"), "43", 0),
    (ROOT, r"\sqrt{20}", 1),
    (ROOT, r"\sqrt{21}", 0),
    (problem("maths", r"x^2+2x+1"), "(x+1)^2", 1),
    (problem("choice", "B", options=["1", "2", "3"]), "(B)", 1),
    (problem("choice", "B", options=["1", "2", "3"]), "C", 0),
    (problem("text", "cat dog"), "cat dog", 1),
    (problem("text", "god"), "dog", 0),
    (problem("countdown", "3*7-1", numbers=[1, 3, 7], target=20, use_all=True), "3*7-1", 1),
    (
        problem("knights_knaves", "?", names=["Ann", "Bob"], knights=[True, False]),
        "Ann is a knight, Bob is a knave",
        1,
    ),
]


def test_the_package_of_sandboxes_has_their_config():
    assert isinstance(CONFIG.sandbox, SandboxConfig)


def test_the_question_says_what_is_restated_and_what_nouns_mean(judge):
    question = r"How many eggs? Simplify $\sqrt{20}$."
    eggs, root = (
        Problem("q", question, gold, "", "", "maths", {}) for gold in ("12", r"2\sqrt{5}")
    )
    texts = [boxed(a) for a in ("12 eggs", "12 hats", r"\sqrt{20}", r"\sqrt5\cdot 2")]
    judged = judge(texts, [eggs, eggs, root, root])
    assert [j.verdict.value for j in judged] == [1, 0, 0, 1]
    assert judge.votes(["12", "12 eggs", "12 hats"], eggs) == [
        "number 12",
        "number 12",
        "text 12 hats",
    ]


def test_every_kind_is_judged_in_one_batch_and_in_order(judge):
    judged = judge([boxed(a) for _, a, _ in CASES], [q for q, _, _ in CASES])
    assert [j.verdict.value for j in judged] == [value for _, _, value in CASES]
    assert [j.answer for j in judged] == [a for _, a, _ in CASES]
    assert not any(j.verdict.error for j in judged)


def test_what_gives_no_answer_is_wrong_and_says_why(judge):
    (judged,) = judge(["it is 42"], [problem("maths", "42")])
    assert judged.answer is None and judged.verdict.value == 0 and not judged.verdict.error
    assert judged.verdict.reason == "no answer in answer_tag, boxed"


def test_no_worker_starts_for_what_can_be_told_without():
    with Judge(CONFIG) as judge:
        judge([boxed("42"), boxed("B")], [problem("maths", "42"), problem("choice", "B")])
        assert judge._pool is None


def test_equal_answers_to_one_question_are_compared_once(judge, monkeypatch):
    asked = []
    work = judge._work
    monkeypatch.setattr(judge, "_work", lambda jobs: asked.extend(jobs) or work(jobs))
    judged = judge([boxed(r"\sqrt{20}")] * 50 + [boxed(r"\sqrt{22}")], [ROOT] * 51)
    assert len(asked) == 2
    assert [j.verdict.value for j in judged] == [1] * 50 + [0]


def test_workers_killed_in_mid_batch_change_no_verdict(judge):
    question = [problem("maths", rf"{n}\sqrt{{5}}") for n in range(2, 42)]
    texts = [boxed(rf"\sqrt{{{5 * n * n + n % 2}}}") for n in range(2, 42)]
    want = judge(texts, question)
    assert [j.verdict.value for j in want] == [1 - n % 2 for n in range(2, 42)]
    killed = []

    def kill():
        time.sleep(0.05)
        for pid in judge._pool.processes():
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    got = judge(texts, question)
    killer.join()
    assert killed and got == want


def test_unknown_kinds_and_golds_that_nothing_equals_are_refused(judge):
    with pytest.raises(ValueError, match="kind: got 'math', wanted one of"):
        judge.check(problem("math", "42"))
    for bad in (problem("maths", " "), problem("choice", "F", options=["1", "2"])):
        with pytest.raises(ValueError):
            judge.check(bad)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"places": ("box",)}, "places: got"),
        ({"cpu_seconds": 30.0}, "none above the next"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, told):
    with pytest.raises(ValueError, match=told):
        dataclasses.replace(CONFIG, **changes)


def test_formulas_vote_together_where_they_are_equal(judge):
    answers = [r"\sqrt{20}", None, r"2\sqrt{5}", "4.47", r"2 \sqrt{5}", "7"]
    keys = judge.votes(answers, ROOT)
    assert keys[0] == keys[2] == keys[4] and keys[1] is None
    assert len({keys[0], keys[3], keys[5]}) == 3


def test_numbers_vote_without_a_worker():
    with Judge(CONFIG) as judge:
        keys = judge.votes(["1/2", "0.5", r"\frac12", "2"], problem("maths", "1/2"))
        assert keys[0] == keys[1] == keys[2] != keys[3]
        assert judge._pool is None


def test_the_kinds_are_those_that_problems_may_name():
    assert set(KINDS) == set(get_args(get_type_hints(FileSource)["kind"]))
