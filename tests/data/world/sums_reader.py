"""Reads questions of the synthetic world by rules of its own."""

import re

from r1jax.data.world.sums import Chain, Search

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
