"""The synthetic world: a seeded, bilingual microcosm that stands in for "a base model's web".

It is NOT evidence about web-scale models: every behaviour that RL can find here was planted, at
the rates below. What RL has to discover is which of the planted behaviours pays.

Reasoning problems, in English or Chinese (half each); numbers and operations decide the split:
  chain    from a digit, apply 3-6 operations (+1..+9, -1..-9, *3, *7, *9; 7-8 in the "ood" split)
           from left to right, keeping the last digit only; a step reads "7*3≡1"
  search   which two of 4-5 digits (6 in "ood") have a given sum; the answer is the larger one
Splits "train" (90%), "validation" (5%), "test" (5%) and "ood" are disjoint: a checksum of the
problem, without its language, belongs to exactly one of the first three, and ood problems are
longer than any other.
Known flaw: the checksum sees the order of a search problem's numbers. Up to order, every search
test problem also occurs in training, so only chains measure what was never seen.

Documents of the corpus, all from training problems. How each is written is drawn by `Rates`:
  chain, bare      a guess, right with probability `bare_right`, without any work
  chain, worked    hasty steps that take up to three operations at once ("7+5*3-4≡2"), each written
                   wrong with probability `slip`; later steps build on the wrong value
  chain, checked   the same hasty steps with the same slips, each followed by a check that takes
                   one operation at a time; on a slip the writer says "wait" (等等) and goes on with
                   the right value
  search, bare     a guess among the numbers
  search, worked   pairs tried in order until one fits; after each failed try the writer gives up
                   with probability `give_up` and guesses
  drill            lists of single steps, all right: a textbook
  general          copying words, sorting words, looking up facts, translating number words:
                   never any reasoning
Three operations at once are hard for a small network in one pass, single ones are easy: a check is
more reliable than the step it checks, whatever the sampling, and that is why checking can pay.

Layout, independent of style: think and answer tags with `full_tags`, the thought in plain text and
only the answer tagged with `answer_tag_only`, else plain text with a line "Answer: N" (答案：N).
With `mixed` the words of the thought are in the other language than the question.
"""

import dataclasses
import random
import zlib
from typing import Literal

from r1jax.data.problems import Problem

Split = Literal["train", "validation", "test", "ood"]

REFLECTIVE_WORDS = ("wait", "等等")

WORDS = {
    "en": {
        "check": " check ", "ok": " ok", "wait": " wait ", "guess": "quick guess",
        "up": "hm guess", "no": " no", "yes": " yes",
    },
    "zh": {
        "check": "核对", "ok": "对", "wait": "等等", "guess": "猜一下",
        "up": "算了猜", "no": "不对", "yes": "对了",
    },
}  # fmt: skip
ANSWER_LINE = {"en": "Answer: ", "zh": "答案："}

FACTS = [
    ("color of grass", "green", "草的颜色", "绿"), ("color of snow", "white", "雪的颜色", "白"),
    ("color of coal", "black", "煤的颜色", "黑"), ("color of blood", "red", "血的颜色", "红"),
    ("color of sky", "blue", "天空的颜色", "蓝"), ("color of lemon", "yellow", "柠檬的颜色", "黄"),
    ("legs of dog", "4", "狗的腿", "4"), ("legs of hen", "2", "鸡的腿", "2"),
    ("legs of ant", "6", "蚂蚁的腿", "6"),
    ("legs of spider", "8", "蜘蛛的腿", "8"), ("days in week", "7", "一周的天", "7"),
    ("months in year", "12", "一年的月", "12"), ("hours in day", "24", "一天的小时", "24"),
    ("capital of China", "Beijing", "中国的首都", "北京"),
    ("capital of Japan", "Tokyo", "日本的首都", "东京"),
    ("capital of France", "Paris", "法国的首都", "巴黎"),
    ("capital of Egypt", "Cairo", "埃及的首都", "开罗"),
    ("opposite of hot", "cold", "热的反面", "冷"), ("opposite of big", "small", "大的反面", "小"),
    ("opposite of day", "night", "白天的反面", "黑夜"),
]  # fmt: skip
VOCABULARY = [
    "ant", "bee", "cat", "dog", "eel", "fox", "goat", "hen", "ink", "jar", "key", "lamp", "moon",
    "nest", "oak", "pen", "queen", "rose", "sun", "tree", "urn", "van", "web", "yak", "zoo",
]  # fmt: skip
UNITS = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
]  # fmt: skip
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
HAN = "零一二三四五六七八九"


@dataclasses.dataclass(frozen=True)
class Rates:
    """How often each behaviour is planted; all are probabilities.

    Attributes:
      chain, search, drill: kinds of documents; the rest is general text.
      bare, worked: styles of a chain document; the rest is checked.
      search_bare: guesses among search documents.
      bare_right: chance that a bare chain answer is right.
      slip: chance that a hasty step is wrong.
      give_up: chance to stop searching after each failed try.
      full_tags, answer_tag_only: layouts; the rest is plain text.
      mixed: documents whose thought is in the other language.
    """

    chain: float
    search: float
    drill: float
    bare: float
    worked: float
    search_bare: float
    bare_right: float
    slip: float
    give_up: float
    full_tags: float
    answer_tag_only: float
    mixed: float

    def __post_init__(self):
        for field, value in dataclasses.asdict(self).items():
            if not 0 <= value <= 1:
                raise ValueError(f"{field} = {value} is no probability")
        for group in (
            ("chain", "search", "drill"),
            ("bare", "worked"),
            ("full_tags", "answer_tag_only"),
        ):
            if sum(getattr(self, g) for g in group) > 1 + 1e-9:
                raise ValueError(f"{' + '.join(group)} exceed 1")


Operation = tuple[str, int]
OPERATIONS: list[Operation] = [
    *(("+", n) for n in range(1, 10)),
    *(("-", n) for n in range(1, 10)),
    *(("*", n) for n in (3, 7, 9)),
]
HASTE = 3  # operations that a hasty step takes at once


def apply(value: int, operation: Operation) -> int:
    """The last digit of value (operation)."""
    sign, n = operation
    return (value + n if sign == "+" else value - n if sign == "-" else value * n) % 10


@dataclasses.dataclass(frozen=True)
class Chain:
    """A digit, and operations to apply one after the other, keeping the last digit."""

    start: int
    operations: tuple[Operation, ...]

    @property
    def answer(self) -> int:
        value = self.start
        for operation in self.operations:
            value = apply(value, operation)
        return value

    @property
    def stratum(self) -> str:
        return f"chain{len(self.operations)}"

    def question(self, language: str) -> str:
        listed = " ".join(f"{sign}{n}" for sign, n in self.operations)
        if language == "en":
            return f"from {self.start} go {listed}, last digit?"
        return f"从{self.start}起 {listed}，个位？"


@dataclasses.dataclass(frozen=True)
class Search:
    """Which two of `numbers` have the sum `total`? Exactly one pair does."""

    numbers: tuple[int, ...]
    total: int

    @property
    def pairs(self) -> list[tuple[int, int]]:
        return [(a, b) for i, a in enumerate(self.numbers) for b in self.numbers[i + 1 :]]

    @property
    def answer(self) -> int:
        return next(max(pair) for pair in self.pairs if sum(pair) == self.total)

    @property
    def stratum(self) -> str:
        return f"search{len(self.numbers)}"

    def question(self, language: str) -> str:
        listed = " ".join(map(str, self.numbers))
        if language == "en":
            return f"which two of {listed} sum to {self.total}? the larger?"
        return f"{listed}中哪两个的和是{self.total}？较大的？"


def _split_of(problem: Chain | Search) -> Split:
    checksum = zlib.crc32(repr(problem).encode()) % 100
    return "train" if checksum < 90 else "validation" if checksum < 95 else "test"


def _chain(rng: random.Random, n_operations: int) -> Chain:
    # every sign equally often: multiplication is what makes order matter
    by_sign = {sign: [o for o in OPERATIONS if o[0] == sign] for sign in "+-*"}
    drawn = tuple(rng.choice(by_sign[rng.choice("+-*")]) for _ in range(n_operations))
    return Chain(rng.randint(0, 9), drawn)


def _search(rng: random.Random, n_numbers: int) -> Search:
    while True:
        numbers = tuple(rng.sample(range(1, 10), n_numbers))
        pair = rng.sample(numbers, 2)
        found = Search(numbers, sum(pair))
        if sum(sum(p) == found.total for p in found.pairs) == 1:
            return found


def draw(rng: random.Random, split: Split, family: str) -> Chain | Search:
    """Draws a problem of a split: "chain" or "search"."""
    while True:
        if family == "chain":
            problem = _chain(rng, rng.choice((7, 8) if split == "ood" else (3, 4, 5, 6)))
        else:
            problem = _search(rng, 6 if split == "ood" else rng.choice((4, 5)))
        if split == "ood" or _split_of(problem) == split:
            return problem


def _expression(start: int, operations: tuple[Operation, ...]) -> str:
    return str(start) + "".join(f"{sign}{n}" for sign, n in operations)


def _chain_thought(
    chain: Chain, style: str, rates: Rates, words: dict[str, str], rng: random.Random
) -> tuple[str, int]:
    """The text of the work and the value it arrives at."""
    value, text = chain.start, []
    for i in range(0, len(chain.operations), HASTE):
        operations = chain.operations[i : i + HASTE]
        partial, checks = value, []
        for operation in operations:
            after = apply(partial, operation)
            checks.append(f"{_expression(partial, (operation,))}≡{after}")
            partial = after
        slips = rng.random() < rates.slip
        written = (partial + rng.randint(1, 9)) % 10 if slips else partial
        step = f"{_expression(value, operations)}≡{written}"
        if style == "checked":
            verdict = f"{words['wait']}{partial}" if slips else words["ok"]
            step += words["check"] + " ".join(checks) + verdict
            written = partial
        value = written
        text.append(step)
    return "; ".join(text), value


def _search_thought(
    search: Search, rates: Rates, words: dict[str, str], rng: random.Random
) -> tuple[str, int]:
    text = []
    for a, b in search.pairs:
        if a + b == search.total:
            text.append(f"{a}+{b}={a + b}{words['yes']}")
            return "; ".join(text), max(a, b)
        text.append(f"{a}+{b}={a + b}{words['no']}")
        if rng.random() < rates.give_up:
            break
    text.append(words["up"])
    return "; ".join(text), rng.choice(search.numbers)


def solve(problem: Chain | Search, language: str, rates: Rates, rng: random.Random) -> str:
    """One way in which the corpus answers this problem."""
    other = "zh" if language == "en" else "en"
    words = WORDS[other if rng.random() < rates.mixed else language]
    if isinstance(problem, Chain):
        u = rng.random()
        style = (
            "bare" if u < rates.bare else "worked" if u < rates.bare + rates.worked else "checked"
        )
        if style == "bare":
            value = problem.answer if rng.random() < rates.bare_right else rng.randint(0, 9)
            thought = words["guess"]
        else:
            thought, value = _chain_thought(problem, style, rates, words, rng)
    elif rng.random() < rates.search_bare:
        thought, value = words["guess"], rng.choice(problem.numbers)
    else:
        thought, value = _search_thought(problem, rates, words, rng)
    u = rng.random()
    if u < rates.full_tags:
        return f"<think>{thought}</think><answer>{value}</answer>"
    if u < rates.full_tags + rates.answer_tag_only:
        return f"{thought}\n<answer>{value}</answer>"
    return f"{thought}\n{ANSWER_LINE[language]}{value}"


def _number_word(n: int, language: str) -> str:
    if language == "en":
        return UNITS[n] if n < 20 else TENS[n // 10 - 2] + (f"-{UNITS[n % 10]}" if n % 10 else "")
    tens = ("" if n < 20 else HAN[n // 10]) + "十" if n >= 10 else ""
    return tens + (HAN[n % 10] if n % 10 or n == 0 else "")


def _general(rng: random.Random, language: str) -> tuple[str, str]:
    kind = rng.choice(("copy", "sort", "fact", "translate"))
    if kind in ("copy", "sort"):
        words = rng.sample(VOCABULARY, rng.randint(2, 5))
        ask = {
            "en": {"copy": "copy: ", "sort": "sort: "},
            "zh": {"copy": "抄写：", "sort": "排序："},
        }[language][kind]
        return ask + " ".join(words), " ".join(sorted(words) if kind == "sort" else words)
    if kind == "fact":
        fact = rng.choice(FACTS)
        return (f"{fact[0]}?", fact[1]) if language == "en" else (f"{fact[2]}？", fact[3])
    n = rng.randint(0, 99)
    if language == "en":
        return f"in Chinese: {_number_word(n, 'en')}", _number_word(n, "zh")
    return f"译成英文：{_number_word(n, 'zh')}", _number_word(n, "en")


def _drill(rng: random.Random) -> str:
    steps = []
    for _ in range(rng.randint(6, 10)):
        if rng.random() < 0.25:
            a, b = rng.sample(range(1, 10), 2)
            steps.append(f"{a}+{b}={a + b}")
        else:
            step = _chain(rng, 1)
            steps.append(f"{_expression(step.start, step.operations)}≡{step.answer}")
    return " ".join(steps)


def document(seed: int, index: int, *, rates: Rates) -> tuple[str, str]:
    """Document `index` of the corpus as (question, reply); a drill has no question ("")."""
    rng = random.Random(f"document {seed} {index}")
    language = rng.choice(("en", "zh"))
    u = rng.random()
    if u < rates.chain + rates.search:
        problem = draw(rng, "train", "chain" if u < rates.chain else "search")
        return problem.question(language), solve(problem, language, rates, rng)
    if u < rates.chain + rates.search + rates.drill:
        return "", _drill(rng)
    return _general(rng, language)


class WorldSource:
    """Problems of one split; problem `index` is a function of (seed, split, index).

    Args:
      split: which of the disjoint splits.
      size: how many problems.
      seed: of the problems; independent of the corpus's.
      search_share: share of search problems; the others are chains.
    """

    def __init__(self, split: Split, *, size: int, seed: int, search_share: float):
        if size < 1 or not 0 <= search_share <= 1:
            raise ValueError(
                f"world, {split}: got size {size} and search_share {search_share}, wanted a size "
                "of at least 1 and a share within 0..1"
            )
        self.split: Split = split
        self.size, self.seed, self.search_share = size, seed, search_share

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Problem:
        rng = random.Random(f"problem {self.seed} {self.split} {index}")
        language = rng.choice(("en", "zh"))
        problem = draw(rng, self.split, "search" if rng.random() < self.search_share else "chain")
        return Problem(
            id=f"{self.split}-{index}",
            question=problem.question(language),
            answer=str(problem.answer),
            kind="number",
            stratum=problem.stratum,
            language=language,
        )
