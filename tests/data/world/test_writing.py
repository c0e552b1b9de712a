import dataclasses
import hashlib
import re
from collections import Counter

import pytest
from sums_reader import calculate, evaluate, language, near, parse

from configs.pretrain_tiny import get_rates
from r1jax.data.world import sums, writing
from r1jax.data.world.sums import Chain, Search
from r1jax.data.world.writing import ANSWER_LINE, HASTE, WORDS, Rates

RATES = Rates(**get_rates().to_dict())
N = 4000


@pytest.fixture(scope="module")
def documents() -> list[tuple[str, str]]:
    return [writing.document(0, i, rates=RATES) for i in range(N)]


def reasoned(documents, kind: type) -> list[tuple]:
    """(problem, language of the question, layout, thought, answer) of the documents of a kind."""
    found = []
    for question, reply in documents:
        problem = parse(question)
        if not isinstance(problem, kind):
            continue
        forms = {
            "full": r"<think>(.*)</think><answer>(\d+)</answer>",
            "answer": r"(.*)\n<answer>(\d+)</answer>",
            "plain": rf"(.*)\n{ANSWER_LINE[language(question)]}(\d+)",
        }
        ((layout, match),) = [(k, m) for k, f in forms.items() if (m := re.fullmatch(f, reply))]
        found.append((problem, language(question), layout, match[1], int(match[2])))
    return found


def style(thought: str) -> str:
    if thought in {words["guess"] for words in WORDS.values()}:
        return "bare"
    return "checked" if any(w["check"] in thought for w in WORDS.values()) else "worked"


def test_the_corpus_holds_training_problems_only(documents):
    problems = [p for question, _ in documents if (p := parse(question)) is not None]
    assert len(problems) > N / 2
    assert {sums._split_of(p) for p in problems} == {"train"}
    assert max(len(p.operations) for p in problems if isinstance(p, Chain)) == 6
    assert max(len(p.numbers) for p in problems if isinstance(p, Search)) == 6


def test_documents_are_functions_of_seed_and_index(documents):
    assert writing.document(0, 3210, rates=RATES) == documents[3210]
    assert [writing.document(1, i, rates=RATES) for i in range(50)] != documents[:50]


def test_documents_stay_the_same_to_the_letter(documents):
    """The base models that ship were trained on them."""
    digest = hashlib.sha256(repr(documents).encode()).hexdigest()
    assert digest == "1615d8ceac945ce7125704e1127f72cff936c79f5f367399e01f47ee55fe7de8"


def test_kinds_of_documents_come_at_their_rates(documents):
    kinds = Counter(
        "drill" if not question else type(parse(question)).__name__ for question, _ in documents
    )
    assert near(kinds["Chain"], N, RATES.chain) and near(kinds["Search"], N, RATES.search)
    assert near(kinds["drill"], N, RATES.drill)
    # a third of the general questions is drills' "" aside; languages are even
    asked = [language(question) for question, _ in documents if parse(question) is not None]
    assert near(asked.count("zh"), len(asked), 0.5)


def test_styles_and_layouts_of_chains_come_at_their_rates(documents):
    chains = reasoned(documents, Chain)
    styles = Counter(style(thought) for _, _, _, thought, _ in chains)
    layouts = Counter(layout for _, _, layout, _, _ in reasoned(documents, Chain | Search))
    n = len(chains)
    assert near(styles["bare"], n, RATES.bare) and near(styles["worked"], n, RATES.worked)
    total = sum(layouts.values())
    assert near(layouts["full"], total, RATES.full_tags)
    assert near(layouts["answer"], total, RATES.answer_tag_only)


def test_guesses_are_right_as_often_as_planted(documents):
    bare = [(p, a) for p, _, _, t, a in reasoned(documents, Chain) if style(t) == "bare"]
    # a wrong guess is any of ten digits: a tenth of those is right by luck
    rate = RATES.bare_right + (1 - RATES.bare_right) / 10
    assert near(sum(p.answer == a for p, a in bare), len(bare), rate)


def test_thoughts_are_in_the_other_language_as_often_as_planted(documents):
    mixed, total = 0, 0
    for _, asked, _, thought, _ in reasoned(documents, Chain | Search):
        if re.search(r"[a-z\u4e00-\u9fff]", thought):  # hasty steps alone have no words
            total += 1
            mixed += language(thought) != asked
    assert near(mixed, total, RATES.mixed)


STEP = re.compile(r"(\d)((?:[-+*]\d)+)≡(\d)(?:( check |核对)(.*?)(?: ok|对|(?: wait |等等)(\d)))?$")


def steps_of(thought: str) -> list[tuple[int, list[tuple[str, int]], int, str, int]]:
    """(start, operations, written result, checks, result gone on with) of each hasty step."""
    steps = []
    for text in thought.split("; "):
        match = STEP.match(text)
        assert match, text
        operations = [(o[0], int(o[1])) for o in re.findall(r"[-+*]\d", match[2])]
        kept = int(match[6] or match[3])
        steps.append((int(match[1]), operations, int(match[3]), match[5] or "", kept))
    return steps


def right(start: int, operations: list[tuple[str, int]]) -> int:
    return evaluate(f"{start} " + " ".join(f"{sign}{n}" for sign, n in operations))


def test_a_checked_chain_ends_right_and_waits_on_its_slips(documents):
    slips, total = 0, 0
    for problem, _, _, thought, answer in reasoned(documents, Chain):
        if style(thought) != "checked":
            continue
        value, before = problem.start, slips
        for start, operations, written, checks, kept in steps_of(thought):
            assert start == value and len(operations) <= HASTE
            value = right(start, operations)
            for check, operation in zip(checks.split(" "), operations, strict=True):
                assert check == f"{start}{operation[0]}{operation[1]}≡{right(start, [operation])}"
                start = right(start, [operation])
            assert kept == value
            slips, total = slips + (written != value), total + 1
        assert any(word in thought for word in writing.REFLECTIVE_WORDS) == (slips > before)
        assert answer == value == problem.answer
    assert near(slips, total, RATES.slip)


def test_one_slip_spoils_a_worked_chain(documents):
    slips, total = 0, 0
    for problem, _, _, thought, answer in reasoned(documents, Chain):
        if style(thought) != "worked":
            continue
        value, mine = problem.start, 0
        for start, operations, written, _, _ in steps_of(thought):
            assert start == value
            mine += written != right(start, operations)
            value, total = written, total + 1
        assert answer == value
        # every operation is a permutation of the digits: only a second slip can undo a first
        if mine < 2:
            assert (answer == problem.answer) == (mine == 0)
        slips += mine
    assert near(slips, total, RATES.slip)


def test_a_search_tries_digits_in_order_and_gives_up_at_its_rate(documents):
    gave_up, failed, bare, total = 0, 0, 0, 0
    for problem, _, _, thought, answer in reasoned(documents, Search):
        total += 1
        if style(thought) == "bare":
            bare += 1
            assert answer in problem.numbers
            continue
        *tries, last = re.split("; ", thought)
        stopped = last in {words["up"] for words in WORDS.values()}
        tries += [] if stopped else [last]
        sign, operand = problem.operation
        for text, n in zip(tries, problem.numbers, strict=False):
            result = calculate(n, [problem.operation])
            fits = result == problem.target
            assert text.startswith(f"{n}{sign}{operand}≡{result}?{problem.target}")
            assert text.endswith((" yes", "对了") if fits else (" no", "不对"))
            failed += not fits
        gave_up += stopped
        assert stopped or answer == problem.answer
    assert near(gave_up, failed, RATES.give_up) and near(bare, total, RATES.search_bare)


def test_drills_are_right_in_every_step(documents):
    drills = [reply for question, reply in documents if not question]
    assert near(sum("?" in drill for drill in drills), len(drills), RATES.drill_tries)
    form = r"(\d)([-+*])(\d)≡(\d)(?:\?(\d)(?: (yes|no)|(对了|不对)))?"
    verdicts = Counter()
    for step in (s for drill in drills for s in re.split(r"; | (?=\d)", drill)):
        start, sign, operand, result, target, *said = re.fullmatch(form, step).groups()
        assert int(result) == calculate(int(start), [(sign, operand)])
        if target:
            assert (said[0] == "yes" or said[1] == "对了") == (result == target)
        verdicts[said[0] or said[1]] += 1
    fits, fails = verdicts["yes"] + verdicts["对了"], verdicts["no"] + verdicts["不对"]
    # one in ten of the others fits by luck
    rate = RATES.drill_fits + (1 - RATES.drill_fits) / 10
    assert near(fits, fits + fails, rate)
    assert min(verdicts[said] for said in (None, "yes", "no", "对了", "不对")) > 100


def test_general_text_never_reasons(documents):
    for question, reply in documents:
        if question and parse(question) is None:
            assert not re.search(r"<|≡|=|Answer|答案", reply)
            assert not any(word in reply for word in writing.REFLECTIVE_WORDS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chain": 0.9}, r"chain \+ search \+ drill exceed 1"),
        ({"bare": 0.9}, r"bare \+ worked exceed 1"),
        ({"full_tags": 0.9}, r"full_tags \+ answer_tag_only exceed 1"),
    ],
)
def test_impossible_rates_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(RATES, **change)


def test_rates_must_all_be_given_and_known():
    with pytest.raises(TypeError, match="slips"):
        Rates(**get_rates().to_dict(), slips=0.1)
    with pytest.raises(TypeError, match="mixed"):
        Rates(**{k: v for k, v in get_rates().items() if k != "mixed"})
