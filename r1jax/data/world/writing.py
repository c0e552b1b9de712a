"""The synthetic world: a seeded, bilingual microcosm that stands in for "a base model's web".

It is NOT evidence about web-scale models: every behaviour that RL can find here was planted, at
the rates below. What RL has to discover is which of the planted behaviours pays.

Documents of the corpus, all of training problems (`data.world.sums`); `Rates` says how often each
is written how:
  chain, bare      a guess, right with probability `bare_right`, without any work
  chain, worked    hasty steps that take up to three operations at once ("7+5*3-4≡2"), each written
                   wrong with probability `slip`; later steps build on the wrong value
  chain, checked   the same hasty steps with the same slips, each followed by a check that takes
                   one operation at a time; on a slip the writer says "wait" (等等) and goes on with
                   the right value
  search, bare     a guess among the digits
  search, worked   digits tried in order ("3*7≡1?4 no": is 1 the wanted 4?) until one fits; after
                   each failed try the writer gives up with probability `give_up` and guesses
  drill            a textbook, all right: lists of single steps, or with `drill_tries` of a search's
                   tries and their verdicts, aimed at a fit with `drill_fits`, else at any digit
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

from r1jax.config import Share, UserError
from r1jax.data.world.general import general
from r1jax.data.world.sums import Chain, Operation, Search, apply, draw, draw_operation, expression
from r1jax.text.thought import ANSWER, laid_out

REFLECTIVE_WORDS = ("wait", "等等")

WORDS = {
    "en": {
        "check": " check ",
        "ok": " ok",
        "wait": " wait ",
        "guess": "quick guess",
        "up": "hm guess",
        "no": " no",
        "yes": " yes",
    },
    "zh": {
        "check": "核对",
        "ok": "对",
        "wait": "等等",
        "guess": "猜一下",
        "up": "算了猜",
        "no": "不对",
        "yes": "对了",
    },
}
ANSWER_LINE = {"en": "Answer: ", "zh": "答案："}
HASTE = 3  # operations that a hasty step takes at once


@dataclasses.dataclass(frozen=True)
class Rates:
    """How often each behaviour is planted; all are probabilities.

    Attributes:
      chain, search, drill: kinds of documents; the rest is general text.
      drill_tries: drills of tries among all drills.
      drill_fits: tries of a drill whose target is made to fit; others may fit by luck.
      bare, worked: styles of a chain document; the rest is checked.
      search_bare: guesses among search documents.
      bare_right: chance that a bare chain answer is right.
      slip: chance that a hasty step is wrong.
      give_up: chance to stop searching after each failed try.
      full_tags, answer_tag_only: layouts; the rest is plain text.
      mixed: documents whose thought is in the other language.
    """

    chain: Share
    search: Share
    drill: Share
    drill_tries: Share
    drill_fits: Share
    bare: Share
    worked: Share
    search_bare: Share
    bare_right: Share
    slip: Share
    give_up: Share
    full_tags: Share
    answer_tag_only: Share
    mixed: Share

    def __post_init__(self):
        for group in (
            ("chain", "search", "drill"),
            ("bare", "worked"),
            ("full_tags", "answer_tag_only"),
        ):
            if sum(getattr(self, g) for g in group) > 1 + 1e-9:
                raise UserError(f"{' + '.join(group)} exceed 1")


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
            checks.append(f"{expression(partial, (operation,))}≡{after}")
            partial = after
        slips = rng.random() < rates.slip
        written = (partial + rng.randint(1, 9)) % 10 if slips else partial
        step = f"{expression(value, operations)}≡{written}"
        if style == "checked":
            verdict = f"{words['wait']}{partial}" if slips else words["ok"]
            step += words["check"] + " ".join(checks) + verdict
            written = partial
        value = written
        text.append(step)
    return "; ".join(text), value


def _try(n: int, operation: Operation, target: int, words: dict[str, str]) -> str:
    result = apply(n, operation)
    verdict = words["yes"] if result == target else words["no"]
    return f"{expression(n, (operation,))}≡{result}?{target}{verdict}"


def _search_thought(
    search: Search, rates: Rates, words: dict[str, str], rng: random.Random
) -> tuple[str, int]:
    text = []
    for n in search.numbers:
        text.append(_try(n, search.operation, search.target, words))
        if apply(n, search.operation) == search.target:
            return "; ".join(text), n
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
    return layout(thought, value, language, rates, rng.random())


def layout(thought: str, value: int, language: str, rates: Rates, u: float) -> str:
    """A thought and an answer in the layout that u, 0 to 1, chooses."""
    opening, closing = ANSWER
    if u < rates.full_tags:
        return laid_out(thought, f"{opening}{value}{closing}")
    if u < rates.full_tags + rates.answer_tag_only:
        return f"{thought}\n{opening}{value}{closing}"
    return f"{thought}\n{ANSWER_LINE[language]}{value}"


def drill(rates: Rates, language: str, rng: random.Random) -> str:
    """A list of single steps or of tries, all right."""
    steps, tries = [], rng.random() < rates.drill_tries
    for _ in range(rng.randint(6, 10)):
        start, operation = rng.randint(0, 9), draw_operation(rng)
        result = apply(start, operation)
        if tries:
            target = result if rng.random() < rates.drill_fits else rng.randint(0, 9)
            steps.append(_try(start, operation, target, WORDS[language]))
        else:
            steps.append(f"{expression(start, (operation,))}≡{result}")
    return ("; " if tries else " ").join(steps)


def document(seed: int, index: int, *, rates: Rates) -> tuple[str, str]:
    """Document `index` of the corpus as (question, reply); a drill has no question ("")."""
    rng = random.Random(f"document {seed} {index}")
    language = rng.choice(("en", "zh"))
    u = rng.random()
    if u < rates.chain + rates.search:
        problem = draw(rng, "train", "chain" if u < rates.chain else "search")
        return problem.question(language), solve(problem, language, rates, rng)
    if u < rates.chain + rates.search + rates.drill:
        return "", drill(rates, language, rng)
    return general(rng, language)
