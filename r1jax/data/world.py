"""The synthetic world: a seeded, bilingual microcosm that stands in for "a base model's web".

It is NOT evidence about web-scale models: every behaviour that RL can find here was planted, at the rates below.
What RL has to discover is which of the planted behaviours pays.

Reasoning problems, in English or Chinese (half each), whose identity (numbers and operations) decides the split:
  chain    start from a number, then add or take 2-4 two-digit numbers (5-6 in the "ood" split), staying in 0..99
  search   which two of 4-5 numbers (6 in "ood") have a given sum; the answer is the larger one
Splits "train" (90%), "validation" (5%), "test" (5%) and "ood" are disjoint: a checksum of the problem, without its
language, belongs to exactly one of the first three, and ood problems are longer than any other.

Documents of the corpus, all from training problems. How each kind is written is drawn by `Rates`:
  chain, bare      a guess, right with probability `bare_right`, without any work
  chain, worked    hasty steps that take two operations at once ("17+28-9=36"), each written wrong with probability
                   `slip`; later steps build on the wrong value, so the answer is wrong too
  chain, checked   the same hasty steps, with the same slips, each followed by a check that takes one operation at a
                   time; on a slip the writer says "wait" (等等) and goes on with the right value
  search, bare     a guess among the numbers
  search, worked   pairs tried in order until one fits; after each failed try the writer gives up with probability
                   `give_up` and guesses
  drill            lists of single additions and subtractions, all right: a textbook
  general          copying words, sorting words, looking up facts, translating number words: never any reasoning
Layout, independent of style: think and answer tags with `full_tags`, the thought in plain text and only the answer
tagged with `answer_tag_only`, else plain text with a line "Answer: N" (答案：N). With `mixed` the words of the
thought are in the other language than the question.
"""

import dataclasses
import random
import zlib
from typing import Literal

from r1jax.data.problems import Problem

Split = Literal["train", "validation", "test", "ood"]

REFLECTIVE_WORDS = ("wait", "等等")

WORDS = {
    "en": {"check": " check ", "ok": " ok", "wait": " wait ", "guess": "quick guess", "up": "hm guess", "no": " no", "yes": " yes"},
    "zh": {"check": "核对", "ok": "对", "wait": "等等", "guess": "猜一下", "up": "算了猜", "no": "不对", "yes": "对了"},
}  # fmt: skip
ANSWER_LINE = {"en": "Answer: ", "zh": "答案："}

FACTS = [
    ("color of grass", "green", "草的颜色", "绿"), ("color of snow", "white", "雪的颜色", "白"),
    ("color of coal", "black", "煤的颜色", "黑"), ("color of blood", "red", "血的颜色", "红"),
    ("color of sky", "blue", "天空的颜色", "蓝"), ("color of lemon", "yellow", "柠檬的颜色", "黄"),
    ("legs of dog", "4", "狗的腿", "4"), ("legs of hen", "2", "鸡的腿", "2"), ("legs of ant", "6", "蚂蚁的腿", "6"),
    ("legs of spider", "8", "蜘蛛的腿", "8"), ("days in week", "7", "一周的天", "7"),
    ("months in year", "12", "一年的月", "12"), ("hours in day", "24", "一天的小时", "24"),
    ("capital of China", "Beijing", "中国的首都", "北京"), ("capital of Japan", "Tokyo", "日本的首都", "东京"),
    ("capital of France", "Paris", "法国的首都", "巴黎"), ("capital of Egypt", "Cairo", "埃及的首都", "开罗"),
    ("opposite of hot", "cold", "热的反面", "冷"), ("opposite of big", "small", "大的反面", "小"),
    ("opposite of day", "night", "白天的反面", "黑夜"),
]  # fmt: skip
VOCABULARY = (
    "ant bee cat dog eel fox goat hen ink jar key lamp moon nest oak pen queen rose sun tree urn van web yak zoo"
).split()
UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()  # noqa: E501
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
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


@dataclasses.dataclass(frozen=True)
class Chain:
    """start, then signed amounts to add one after the other."""

    start: int
    amounts: tuple[int, ...]

    @property
    def values(self) -> list[int]:
        """Running values, the start first."""
        values = [self.start]
        for amount in self.amounts:
            values.append(values[-1] + amount)
        return values

    @property
    def answer(self) -> int:
        return self.values[-1]

    @property
    def stratum(self) -> str:
        return f"chain{len(self.amounts)}"

    def question(self, language: str) -> str:
        if language == "en":
            return (
                f"start {self.start}, "
                + ", ".join(f"{'add' if a > 0 else 'take'} {abs(a)}" for a in self.amounts)
                + "?"
            )
        return (
            f"从{self.start}开始，"
            + "，".join(f"{'加' if a > 0 else '减'}{abs(a)}" for a in self.amounts)
            + "？"
        )


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


def _chain(rng: random.Random, n_ops: int) -> Chain:
    start = rng.randint(10, 99)
    amounts, value = [], start
    for _ in range(n_ops):
        choices = [sign for sign, room in ((1, 99 - value), (-1, value)) if room >= 10]
        sign = rng.choice(choices)
        amount = sign * rng.randint(10, min(99 - value if sign > 0 else value, 79))
        amounts.append(amount)
        value += amount
    return Chain(start, tuple(amounts))


def _search(rng: random.Random, n_numbers: int) -> Search:
    while True:
        numbers = tuple(rng.sample(range(1, 50), n_numbers))
        pair = rng.sample(numbers, 2)
        found = Search(numbers, sum(pair))
        if sum(sum(p) == found.total for p in found.pairs) == 1:
            return found


def draw(rng: random.Random, split: Split, family: str) -> Chain | Search:
    """Draws a problem of a split: "chain" or "search"."""
    while True:
        if family == "chain":
            problem = _chain(rng, rng.choice((5, 6) if split == "ood" else (2, 3, 4)))
        else:
            problem = _search(rng, 6 if split == "ood" else rng.choice((4, 5)))
        if split == "ood" or _split_of(problem) == split:
            return problem


def _slipped(value: int, rng: random.Random) -> int:
    return value + rng.choice([d for d in (-20, -10, -2, -1, 1, 2, 10, 20) if 0 <= value + d <= 99])


def _expression(start: int, amounts: tuple[int, ...]) -> str:
    return str(start) + "".join(f"{a:+d}" for a in amounts)


def _chain_thought(
    chain: Chain, style: str, rates: Rates, words: dict[str, str], rng: random.Random
) -> tuple[str, int]:
    """The text of the work and the value it arrives at."""
    value, text = chain.start, []
    for i in range(0, len(chain.amounts), 2):
        amounts = chain.amounts[i : i + 2]
        right = value + sum(amounts)
        written = _slipped(right, rng) if rng.random() < rates.slip else right
        step = f"{_expression(value, amounts)}={written}"
        if style == "checked":
            partial, checks = value, []
            for amount in amounts:
                checks.append(f"{partial}{amount:+d}={partial + amount}")
                partial += amount
            step += (
                words["check"]
                + " ".join(checks)
                + (words["ok"] if written == right else f"{words['wait']}{right}")
            )
            written = right
        value = written
        text.append(step)
        if not 0 <= value <= 99:
            break
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
            value = problem.answer if rng.random() < rates.bare_right else rng.randint(0, 99)
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
    sums = []
    for _ in range(rng.randint(4, 8)):
        step = _chain(rng, 1)
        sums.append(f"{_expression(step.start, step.amounts)}={step.answer}")
    return " ".join(sums)


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
    """Problems of one split by random access: problem `index` is a function of (seed, split, index).

    Args:
      split: which of the disjoint splits.
      size: how many problems.
      seed: of the problems; independent of the corpus's.
      search_share: share of search problems; the others are chains.
    """

    def __init__(self, split: Split, *, size: int, seed: int, search_share: float):
        if size < 1:
            raise ValueError(f"world: a source needs at least one problem, got size {size}")
        self.split, self.size, self.seed, self.search_share = split, size, seed, search_share

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
