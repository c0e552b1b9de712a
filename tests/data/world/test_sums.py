import dataclasses
import random
import re
from collections import Counter

import pytest

from configs.pretrain_tiny import get_rates
from r1jax.data.world import sums
from r1jax.data.world.sums import ANSWER_LINE, HASTE, WORDS, Chain, Rates, Search, WorldSource, draw

RATES = Rates(**get_rates().to_dict())
SPLITS = ("train", "validation", "test", "ood")
N = 4000


SEARCH = re.compile("which of|中哪个")


def calculate(value: int, operations) -> int:
    for sign, n in operations:
        value = {"+": value + int(n), "-": value - int(n), "*": value * int(n)}[sign]
    return value % 10


def evaluate(question: str) -> int:
    """The answer to a question of either language, by rules of its own."""
    numbers = [int(n) for n in re.findall(r"\d+", question)]
    operations = re.findall(r"([-+*])(\d+)", question)
    if SEARCH.search(question):
        *given, _, target = numbers
        (fitting,) = [n for n in given if calculate(n, operations) == target]
        assert len(set(given)) == len(given)
        return fitting
    return calculate(numbers[0], operations)


@pytest.fixture(scope="module")
def documents() -> list[tuple[str, str]]:
    return [sums.document(0, i, rates=RATES) for i in range(N)]


def language(question: str) -> str:
    return "zh" if re.search(r"[\u4e00-\u9fff]", question) else "en"


def parse(question: str) -> Chain | Search | None:
    """The problem of a question; None for general text."""
    numbers = [int(n) for n in re.findall(r"\d+", question)]
    found = [(sign, int(n)) for sign, n in re.findall(r"([-+*])(\d+)", question)]
    if SEARCH.search(question):
        return Search(tuple(numbers[:-2]), found[0], numbers[-1])
    if "last digit" in question or "个位" in question:
        return Chain(numbers[0], tuple(found))
    return None


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


def near(count: int, total: int, rate: float) -> bool:
    """Within 4 standard errors."""
    return abs(count / total - rate) <= 4 * (rate * (1 - rate) / total) ** 0.5


def met(problem: Chain | Search) -> tuple:
    """The values that solving it meets, whatever the order of a search's digits."""
    if isinstance(problem, Chain):
        firsts = range(len(problem.operations) + 1)
        return tuple(calculate(problem.start, problem.operations[:i]) for i in firsts)
    tries = {(n, calculate(n, [problem.operation])) for n in problem.numbers}
    return frozenset(tries), problem.target


@pytest.mark.parametrize("family", ["chain", "search"])
def test_no_problem_of_one_split_is_met_in_another_in_any_order_or_spelling(family):
    drawn = {
        split: {
            met(draw(random.Random(f"{split}{i}"), split, family))
            for i in range(5_000 if split == "train" else 500)
        }
        for split in SPLITS
    }
    for a in SPLITS:
        for b in SPLITS:
            assert a == b or not drawn[a] & drawn[b]
    assert min(map(len, drawn.values())) > 400


def test_a_split_ignores_order_and_spelling():
    rng = random.Random(0)
    for _ in range(50):
        search = draw(rng, "test", "search")
        numbers = tuple(rng.sample(search.numbers, len(search.numbers)))
        sign, n = search.operation
        twin = {"+": ("-", 10 - n), "-": ("+", 10 - n), "*": ("*", n)}[sign]
        assert sums._split_of(Search(numbers, twin, search.target)) == "test"
        other = next(n for n in numbers if n != search.answer)
        target = calculate(other, [search.operation])
        assert met(Search(numbers, twin, target)) != met(search)


def test_ood_problems_are_longer_than_all_others():
    sizes = {
        split: {WorldSource(split, size=99, seed=0, search_share=0.5)[i].stratum for i in range(99)}
        for split in SPLITS
    }
    assert sizes["ood"] == {"chain7", "chain8", "search7", "search8"}
    others = {"chain3", "chain4", "chain5", "chain6", "search4", "search5", "search6"}
    assert sizes["train"] == sizes["validation"] == sizes["test"] == others


def test_the_corpus_holds_training_problems_only(documents):
    problems = [p for question, _ in documents if (p := parse(question)) is not None]
    assert len(problems) > N / 2
    assert {sums._split_of(p) for p in problems} == {"train"}
    assert max(len(p.operations) for p in problems if isinstance(p, Chain)) == 6
    assert max(len(p.numbers) for p in problems if isinstance(p, Search)) == 6


def test_a_split_is_told_by_the_problem_whatever_its_language():
    for split in SPLITS:
        source = WorldSource(split, size=60, seed=5, search_share=0.5)
        asked = [source[i] for i in range(60)]
        assert {language(p.question) for p in asked} == {"en", "zh"}
        if split != "ood":
            told = [parse(p.question) for p in asked]
            assert {sums._split_of(p) for p in told if p is not None} == {split}


@pytest.mark.parametrize("split", SPLITS)
def test_questions_have_the_answers_of_an_independent_reader(split):
    source = WorldSource(split, size=100, seed=1, search_share=0.5)
    for i in range(100):
        problem = source[i]
        assert int(problem.answer) == evaluate(problem.question), problem.question
        assert problem.id == f"world/1:{split}-{i}"


def test_problems_and_documents_are_functions_of_seed_and_index(documents):
    assert sums.document(0, 3210, rates=RATES) == documents[3210]
    assert [sums.document(1, i, rates=RATES) for i in range(50)] != documents[:50]
    first = WorldSource("test", size=10, seed=3, search_share=0.3)
    longer = WorldSource("test", size=99, seed=3, search_share=0.3)
    assert [first[i] for i in (7, 2)] == [longer[i] for i in (7, 2)]
    other = WorldSource("test", size=10, seed=4, search_share=0.3)
    assert [first[i] for i in range(10)] != [other[i] for i in range(10)]


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


def test_a_checked_chain_ends_right_and_waits_exactly_on_its_slips(documents):
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
        assert any(word in thought for word in sums.REFLECTIVE_WORDS) == (slips > before)
        assert answer == value == problem.answer
    assert near(slips, total, RATES.slip)


def test_a_worked_chain_follows_its_own_steps_and_one_slip_spoils_it(documents):
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
            assert not any(word in reply for word in sums.REFLECTIVE_WORDS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slip": 1.2}, "slip = 1.2 is no probability"),
        ({"mixed": -0.1}, "mixed = -0.1 is no probability"),
        ({"mixed": float("nan")}, "mixed = nan is no probability"),
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


@pytest.mark.parametrize(("size", "share"), [(0, 0.5), (-1, 0.5), (5, 1.5), (5, -0.1)])
def test_an_empty_source_and_impossible_shares_are_refused(size, share):
    with pytest.raises(ValueError, match="world, test: got size"):
        WorldSource("test", size=size, seed=0, search_share=share)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_search_problems_come_at_their_share(share):
    source = WorldSource("train", size=1000, seed=0, search_share=share)
    count = sum(source[i].stratum.startswith("search") for i in range(len(source)))
    assert near(count, 1000, share)
