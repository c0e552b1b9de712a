"""Whether the shape of an answer is gold's, part by part."""

import re
from collections.abc import Callable

from r1jax.rewards.answers import measures, numbers, qualifiers, shapes, units
from r1jax.rewards.answers.shapes import Shape

_LETTER = re.compile(r"\\?[A-Za-z]+")
_EITHER = re.compile(r"\bor\b|或|\\(?:lor|vee)")
_RATIO = re.compile(r"(\d{1,9}) ?: ?(\d{1,9})")
_APPLIED = re.compile(r"(.+)\(([A-Za-z])\)")
_COMMAND = re.compile(r"\\[A-Za-z]+")
# the constant of integration
_CONSTANT = re.compile(r"(?<=\+)\s*[cCkK]\s*\Z")
_CHOICES = frozenset("ABCDEFGHIJ")

Same = Callable[[str, str], bool | None]


def compare(answer: Shape, gold: Shape, same: Same, context: str) -> bool | None:
    """Returns whether an answer is gold's equal and no less worked out; None if `same` cannot tell.

    A number of gold's wants a number with no more operations left: "17 + 25" is no answer to 42.

    Args:
      answer: what was given.
      gold: what was wanted.
      same: tells whether two single expressions, (answer, gold), are the same.
      context: gold's text and the question's, whose nouns may stand behind numbers.
    """
    answer, gold = _fraction(answer, gold), _fraction(gold, answer)
    answer = _same_argument(answer, gold)
    if gold.number is not None and answer.number is not None and not gold.name:
        return _number(answer.number, gold.number, context)
    if (lettered := _run(gold)) and answer.kind != gold.kind and _run(answer):
        return _run(answer) == lettered
    if qualifiers.clash(answer.qualifier, gold.qualifier):
        return False
    if gold.kind == "choice" or answer.kind == "choice":
        return _choice(answer, gold, same, context)
    # "x + y = 5" is an equation as a gold; only an answer may name a sum: "m + n = 5" for 5
    if "+" in gold.name and answer.name != gold.name:
        return same(answer.whole, gold.whole) if "=" in answer.whole else False
    if answer.name and gold.name and answer.name.casefold() != gold.name.casefold():
        # x = 2y is y = x/2
        swapped = answer.name in _letters(gold.text) and gold.name in _letters(answer.text)
        return same(answer.whole, gold.whole) if swapped else False
    if gold.number is not None:
        return answer.number is not None and _number(answer.number, gold.number, context)
    if by_name := _by_name(answer, gold):
        return _all(compare(*pair, same, context) for pair in by_name)
    if gold.kind in ("list", "union"):
        return _unordered(answer, gold, same, context)
    if gold.parts:
        given, wanted = _column(answer), _column(gold)
        if given.kind != wanted.kind or len(given.parts) != len(wanted.parts):
            return False
        pairs = zip(given.parts, wanted.parts, strict=True)
        return _all(compare(a, g, same, context) for a, g in pairs)
    return _leaf(answer, gold, same, context)


def _fraction(shape: Shape, other: Shape) -> Shape:
    """3:2 beside a number is 3/2; beside another ratio it is itself."""
    if (
        other.number is None
        or other.number.unit
        or shape.kind != "text"
        or not (ratio := _RATIO.fullmatch(shape.text))
    ):
        return shape
    return shapes.read(f"{ratio[1]}/{ratio[2]}")


def _same_argument(answer: Shape, gold: Shape) -> Shape:
    """f(t) = t^2 in the letter of gold's f(x) = x^2."""
    given, wanted = _APPLIED.fullmatch(answer.name), _APPLIED.fullmatch(gold.name)
    if not given or not wanted or given[1] != wanted[1] or given[2] == wanted[2]:
        return answer
    if wanted[2] in _COMMAND.sub("", answer.whole):
        return answer
    return shapes.read(qualifiers.with_letter(answer.whole, given[2], wanted[2]))


def _run(shape: Shape) -> str:
    """The letters of "ABD" and of "A, B, D", in order; "" for anything else."""
    if (
        shape.kind == "list"
        and not _EITHER.search(shape.text)
        and all(part.text in _CHOICES for part in shape.parts)
    ):
        return "".join(sorted(part.text for part in shape.parts))
    ascending = shape.text == "".join(sorted({*shape.text}))
    return shape.text if ascending and len(shape.text) > 1 and {*shape.text} <= _CHOICES else ""


def _all(verdicts: object) -> bool | None:
    found = list(verdicts)  # pyright: ignore[reportArgumentType]
    return False if False in found else None if None in found else True


def _letters(text: str) -> list[str]:
    return _LETTER.findall(text)


def _number(given: numbers.Number, wanted: numbers.Number, context: str) -> bool:
    return (
        numbers.equal(given, wanted)
        and given.operations <= 2 * wanted.operations  # one that gold has may stand there twice
        and not numbers.other_unit(given, wanted)
        and (not given.unit or units.allowed(given.unit, context))
    )


def _leaf(answer: Shape, gold: Shape, same: Same, context: str) -> bool | None:
    unit = answer.number.unit if answer.number else answer.unit
    if unit and not (units.allowed(unit, context) and measures.ratio(unit, gold.unit) == 1):
        return False
    if answer.key == gold.key:
        return True
    if gold.kind == "text":
        # a letter of a choice, written small
        return answer.kind == "text" and gold.text in _CHOICES and answer.text == gold.text.lower()
    if answer.kind not in ("expression", "number"):
        return False
    relation = "=" in answer.text or "=" in gold.text
    given, wanted = (answer.whole, gold.whole) if relation else (answer.text, gold.text)
    given = qualifiers.renamed(given, answer.qualifier, gold.qualifier)
    if (constant := _CONSTANT.search(wanted)) and constant[0].strip() == "C":
        given = _CONSTANT.sub("C", given)
    return same(given, wanted)


def _choice(answer: Shape, gold: Shape, same: Same, context: str) -> bool | None:
    """(C) 15 is C, and 15, but not (C) 16."""
    if answer.kind == gold.kind:
        if answer.name != gold.name:
            return False
        return compare(answer.parts[0], gold.parts[0], same, context)
    lettered, other = (answer, gold) if answer.kind == "choice" else (gold, answer)
    if other.kind == "text" and other.text.upper() in _CHOICES:
        return other.text.upper() == lettered.name
    option = lettered.parts[0]
    pair = (option, other) if answer.kind == "choice" else (other, option)
    return compare(*pair, same, context)


def _named(shape: Shape) -> dict[str, Shape]:
    """The parts of x = 2, y = 3 and of (x, y) = (2, 3) by their names; {} where they have none."""
    if shape.kind == "tuple ()" and shape.name.startswith("("):
        names = shape.name[1:-1].split(",")
        parts = shape.parts
    elif shape.kind == "list":
        names = [part.name for part in shape.parts]
        parts = tuple(part._replace(name="") for part in shape.parts)
    else:
        return {}
    # x_1 and x_2 are two values of one thing, which have no order
    single = all(len(name.lstrip("\\")) == 1 for name in names)
    if not single or len({*names}) != len(names) or len(names) != len(parts):
        return {}
    return dict(sorted(zip(names, parts, strict=True)))


def _by_name(answer: Shape, gold: Shape) -> list[tuple[Shape, Shape]]:
    """Pairs of parts, where gold or answer has names for them and the other names or an order."""
    given, wanted = _named(answer), _named(gold)
    if given and wanted:
        pairs = [(given[name], wanted[name]) for name in wanted if name in given]
        return pairs if len(pairs) == len(given) == len(wanted) else []
    if not (given or wanted):
        return []
    plain = gold if given else answer
    ordered = plain.kind == "tuple ()" or (plain.kind == "list" and not given)
    if not ordered or len(plain.parts) != len(given or wanted):
        return []
    named = list((given or wanted).values())
    pairs = zip(named, plain.parts, strict=True) if given else zip(plain.parts, named, strict=True)
    return list(pairs)


def _column(shape: Shape) -> Shape:
    """A matrix of one column is the vector of its cells."""
    if shape.kind == "matrix" and all(len(row.parts) == 1 for row in shape.parts):
        cells = tuple(row.parts[0] for row in shape.parts)
        return shape._replace(kind="tuple ()", parts=cells) if len(cells) > 1 else shape
    return shape


def _unordered(answer: Shape, gold: Shape, same: Same, context: str) -> bool | None:
    if answer.kind != gold.kind or len(answer.parts) != len(gold.parts):
        return False
    left, unsure = list(answer.parts), False
    for wanted in gold.parts:
        verdicts = [compare(given, wanted, same, context) for given in left]
        if True in verdicts:
            left.pop(verdicts.index(True))
        elif None in verdicts:
            unsure = True
        else:
            return False
    return None if unsure else True
