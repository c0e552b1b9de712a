import re
from unittest.mock import ANY

import pytest

from r1jax.data.tasks.reasoning_gym import TASKS, ReasoningGymSource
from r1jax.rewards.answers import maths
from r1jax.rewards.judge import KINDS

pytestmark = pytest.mark.reasoning_gym

OPTIONS = {"basic_arithmetic": {"operators": ["+", "-", "*"]}}


def source(task, size=200, seed=1, **options):
    options = OPTIONS.get(task, {}) | options
    return ReasoningGymSource(task, size=size, seed=seed, options=options)


@pytest.mark.parametrize("task", sorted(TASKS))
def test_our_checker_judges_the_golds_of_every_task(task):
    problems = source(task, size=30 if task == "countdown" else 200)  # sympy makes its golds
    for index in range(len(problems)):
        problem = problems[index]
        gold, kind, reference = problem.answer, KINDS[problem.kind], problem.reference
        kind.check(gold, reference)
        assert kind.quick(gold, gold, reference) == (1.0, ANY, False), gold
        worse = f"{gold.strip('$')}1" if "}" not in gold else gold.replace("}", "1}", 1)
        assert kind.quick(worse, gold, reference) in (None, (0.0, ANY, False)), gold


@pytest.mark.parametrize(
    ("task", "shown"),
    [
        ("chain_sum", "problem: (.*) ="),
        ("decimal_chain_sum", "problem: (.*) ="),
        ("products", r"multiplication: (.*?)\. "),
        ("basic_arithmetic", r"Calculate (.*)\."),
    ],
)
def test_the_sum_in_the_question_earns_nothing(task, shown):
    problems = source(task)
    for index in range(len(problems)):
        question, gold = problems[index].question, problems[index].answer
        match = re.search(shown, question)
        assert match is not None, question
        # a lone number in parentheses is its own value
        alone = not re.search(r"\d[ )]*[-+*]", match[1])
        assert maths.canonical(match[1], {}) == maths.canonical(gold, {}), question
        assert alone or maths.quick(match[1], gold, {}) == (0.0, ANY, False), question


def test_the_unsimplified_fraction_earns_nothing():
    problems = source("fraction_simplification")
    for index in range(len(problems)):
        match = re.search("fraction (.*) to its", problems[index].question)
        assert match is not None
        answer = problems[index].answer
        verdict = maths.quick(match[1], answer, {})
        assert verdict is not None
        assert maths.canonical(match[1], {}) == maths.canonical(answer, {})
        # some are simple already; a gold of 1/1 is no simpler than 100/100
        shown, gold = (re.findall(r"\d+", text) for text in (match[1], answer))
        assert verdict.value == (shown == gold or gold[1] == "1")


def test_division_in_basic_arithmetic_is_refused():
    with pytest.raises(ValueError, match="golds round quotients"):
        source("basic_arithmetic", operators=["+", "/"])


def test_problems_are_a_function_of_seed_and_index():
    one, two, other = source("chain_sum"), source("chain_sum", size=9), source("chain_sum", seed=2)
    assert one[7] == two[7]
    assert one[7].question != other[7].question
    assert one[7].id == two[7].id and other[7].id.endswith("/2:7")


def test_ids_tell_task_options_and_seed():
    same, sized, other = (
        source("chain_sum", size=9, **options)
        for options in ({"max_terms": 3, "min_terms": 2}, {"min_terms": 2, "max_terms": 3}, {})
    )
    assert same[1].id == sized[1].id != other[1].id
    # sha256 of the text {}
    assert other[1].id == "chain_sum-44136fa3/1:1"


def test_neighbouring_seeds_share_no_questions():
    one, two = source("decimal_chain_sum"), source("decimal_chain_sum", seed=2)
    questions = {one[i].question for i in range(200)}
    assert not questions & {two[i].question for i in range(200)}


def test_options_reach_the_task_and_strata_tell_them():
    problems = source("chain_sum", size=20, min_terms=3, max_terms=3, min_digits=2, max_digits=2)
    assert {problems[i].stratum for i in range(20)} == {"num_terms=3 num_digits=2"}


@pytest.mark.parametrize("task", ["knights_knaves", "prime_factorization", "sums"])
def test_tasks_we_cannot_judge_are_refused_with_the_list(task):
    with pytest.raises(ValueError, match=f"got '{task}', wanted one of .*'chain_sum'"):
        source(task)


def test_bad_options_and_ranges_are_refused():
    with pytest.raises(ValueError, match=r"unknown options \['terms'\].*min_terms"):
        source("chain_sum", terms=3)
    with pytest.raises(ValueError, match="unknown options"):
        source("chain_sum", **{"data_seed": 3})
    with pytest.raises(ValueError, match=r"chain_sum: options .* refused"):
        source("chain_sum", min_terms=5, max_terms=4)
    with pytest.raises(ValueError, match="got size 0"):
        source("chain_sum", size=0)
    with pytest.raises(ValueError, match="seed -1"):
        source("chain_sum", seed=-1)


def test_countdown_is_judged_by_numbers_and_not_by_one_solution():
    problem = source("countdown", size=20, min_numbers=3, max_numbers=3)[7]
    numbers, target = problem.reference["numbers"], problem.reference["target"]

    def judge(answer):
        return KINDS["countdown"].quick(answer, problem.answer, problem.reference)

    assert judge(f"({problem.answer})") == (1.0, ANY, False)
    assert judge(str(target)) == (0.0, ANY, False)
    assert "using all" in problem.question.lower() and problem.reference["use_all"] is True
    assert all(str(n) in problem.question for n in (*numbers, target)) and len(numbers) == 3


@pytest.mark.parametrize("index", [-1, 200])
def test_an_index_outside_is_an_error(index):
    with pytest.raises(IndexError, match="wanted 0 to 199"):
        source("chain_sum")[index]
