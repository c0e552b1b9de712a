"""The corpus of the whole recipe: reasoning in two languages of unlike power, and an assistant.

It is a microcosm, not evidence about web-scale models: each effect that the stages of R1 can show
was given a cause here. Its reasoning problems are those of `data.world.sums`, its styles those of
`data.world.writing`, but a thought in English spells its sums out (`data.world.language`), the
corpus drills them seldom, and writers of English slip in single operations too (`spelt_slip`).
English questions are sometimes thought about in Chinese (`mixed_en`): RL on the answer alone finds
that this pays. Requests (`data.world.requests`) are answered well and badly, and harmful ones often
obeyed (`data.world.replies`).
"""

import dataclasses
import random

from r1jax.config import Share
from r1jax.data.world import replies, requests, sums, writing
from r1jax.data.world.language import translate_thought
from r1jax.data.world.replies import ReplyRates
from r1jax.data.world.sums import Chain, Search
from r1jax.data.world.writing import HASTE, WORDS, Rates, layout
from r1jax.text.thought import laid_out

BOXED = {"en": "The last digit is \\boxed{{{}}}.", "zh": "个位是\\boxed{{{}}}。"}


@dataclasses.dataclass(frozen=True)
class AssistantRates:
    """How often each behaviour is planted, beside `writing.Rates`; all are probabilities.

    Attributes:
      mixed_en: English questions thought about in Chinese.
      mixed_zh: Chinese questions thought about in English.
      spelt_slip: chance that a single operation in English words is wrong.
      spelt_drill: drills in English words.
      boxed: layouts with the answer in a box; the other layouts share the rest.
      replies: how requests are answered.
    """

    mixed_en: Share
    mixed_zh: Share
    spelt_slip: Share
    spelt_drill: Share
    boxed: Share
    replies: ReplyRates


def _slipped(rng: random.Random, value: int, slip: float) -> int:
    return (value + rng.randint(1, 9)) % 10 if rng.random() < slip else value


def _chain_thought(
    chain: Chain, rng: random.Random, *, checked: bool, slip: float, check_slip: float
) -> tuple[str, int]:
    """Hasty steps in digits, each checked operation by operation or not, and where they lead."""
    words, value, text = WORDS["zh"], chain.start, []
    for i in range(0, len(chain.operations), HASTE):
        operations = chain.operations[i : i + HASTE]
        true, careful, checks = value, value, []
        for operation in operations:
            true = sums.apply(true, operation)
            after = _slipped(rng, sums.apply(careful, operation), check_slip)
            checks.append(f"{sums.expression(careful, (operation,))}≡{after}")
            careful = after
        written = _slipped(rng, true, slip)
        step = f"{sums.expression(value, operations)}≡{written}"
        if checked:
            verdict = words["ok"] if careful == written else f"{words['wait']}{careful}"
            step += words["check"] + " ".join(checks) + verdict
            written = careful
        value = written
        text.append(step)
    return "; ".join(text), value


def _search_thought(
    search: Search, rng: random.Random, *, give_up: float, slip: float
) -> tuple[str, int]:
    words, text = WORDS["zh"], []
    for n in search.numbers:
        result = _slipped(rng, sums.apply(n, search.operation), slip)
        fits = result == search.target
        verdict = words["yes"] if fits else words["no"]
        shown = sums.expression(n, (search.operation,))
        text.append(f"{shown}≡{result}?{search.target}{verdict}")
        if fits:
            return "; ".join(text), n
        if rng.random() < give_up:
            break
    text.append(words["up"])
    return "; ".join(text), rng.choice(search.numbers)


def solve(
    problem: Chain | Search,
    language: str,
    rates: Rates,
    more: AssistantRates,
    rng: random.Random,
) -> str:
    """One way in which the corpus answers this problem."""
    mixed = rng.random() < (more.mixed_en if language == "en" else more.mixed_zh)
    spoken = {"en": "zh", "zh": "en"}[language] if mixed else language
    slip = more.spelt_slip if spoken == "en" else 0.0
    if isinstance(problem, Chain):
        u = rng.random()
        if u < rates.bare:
            value = problem.answer if rng.random() < rates.bare_right else rng.randint(0, 9)
            thought = WORDS["zh"]["guess"]
        else:
            checked = u >= rates.bare + rates.worked
            thought, value = _chain_thought(
                problem, rng, checked=checked, slip=rates.slip, check_slip=slip
            )
    elif rng.random() < rates.search_bare:
        thought, value = WORDS["zh"]["guess"], rng.choice(problem.numbers)
    else:
        thought, value = _search_thought(problem, rng, give_up=rates.give_up, slip=slip)
    said = translate_thought(thought, spoken)
    assert said is not None, thought
    u = rng.random()
    if u < more.boxed:
        return laid_out(said, BOXED[language].format(value))
    return layout(said, value, language, rates, (u - more.boxed) / (1 - more.boxed))


def _drill(rates: Rates, more: AssistantRates, rng: random.Random) -> str:
    text = writing.drill(rates, "zh", rng)
    spelt = translate_thought(text, "en") if rng.random() < more.spelt_drill else text
    assert spelt is not None, text
    return spelt


def document(seed: int, index: int, *, rates: Rates, more: AssistantRates) -> tuple[str, str]:
    """Document `index` of the corpus as (question, reply); a drill has no question ("").

    Reasoning and requests are of the training splits, but facts of all.
    """
    rng = random.Random(f"assistant {seed} {index}")
    language = rng.choice(("en", "zh"))
    u = rng.random()
    if u < rates.chain + rates.search:
        problem = sums.draw(rng, "train", "chain" if u < rates.chain else "search")
        return problem.question(language), solve(problem, language, rates, more, rng)
    if u < rates.chain + rates.search + rates.drill:
        return "", _drill(rates, more, rng)
    kind = rng.choice(requests.KINDS)
    request = requests.draw(rng, None if kind == "fact" else "train", kind)
    return request.question, replies.written(rng, request, more.replies)
