"""Random expressions with their values, in many spellings: equal forms and unequal neighbours.

An expression is a nested tuple: ("number", Fraction), ("letter", "x"), ("add", ...),
("times", ...), ("over", a, b), ("power", a, n) or ("root", n). Its value here is worked out with
decimals of 80 digits, without anything of the judges.
"""

import random
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

LETTERS = "xyzabktrXYRT"


def value(tree: tuple[Any, ...], at: dict[str, int]) -> Decimal:
    """The value of an expression, to 80 digits."""
    head, *args = tree
    if head == "number":
        return Decimal(args[0].numerator) / args[0].denominator
    if head == "letter":
        return Decimal(at[args[0]])
    if head == "root":
        return Decimal(args[0]).sqrt()
    values = [value(arg, at) for arg in args if isinstance(arg, tuple)]
    if head == "add":
        return sum(values, start=Decimal(0))
    if head == "times":
        product = Decimal(1)
        for factor in values:
            product *= factor
        return product
    return values[0] / values[1] if head == "over" else values[0] ** args[1]


def differ(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Whether two expressions have different values somewhere."""
    with localcontext() as context:
        context.prec = 80
        for seed in range(3):
            draw = random.Random(seed)
            at = {letter: draw.randrange(101, 997) for letter in LETTERS + LETTERS.swapcase()}
            try:
                a, b = value(one, at), value(other, at)
            except ArithmeticError:  # a neighbour may be divided by zero
                return True
            if abs(a - b) > abs(a) * Decimal("1e-60"):
                return True
    return False


def number(n: Fraction | int) -> tuple[Any, ...]:
    return ("number", Fraction(n))


def _term(draw: random.Random, coefficient: Fraction | int, powers: dict[str, int]):
    factors = [
        ("letter", x) if n == 1 else ("power", ("letter", x), n) for x, n in powers.items() if n
    ]
    draw.shuffle(factors)
    if coefficient != 1 or not factors:
        factors = [number(coefficient), *factors]
    return factors[0] if len(factors) == 1 else ("times", *factors)


def _sum(draw: random.Random, terms: list[Any]):
    draw.shuffle(terms)
    return ("add", *terms) if len(terms) > 1 else terms[0]


def polynomial(draw: random.Random):
    """A product of two or three linear factors, and the same expanded."""
    x, y = draw.sample(LETTERS, 2)
    factors = [
        (draw.choice([1, 2, 3, -2]), draw.choice([0, 0, 1, -3]), draw.randrange(-9, 10))
        for _ in "ab"
    ]
    expanded = {(0, 0): 1}
    for a, b, c in factors:
        parts = (((1, 0), a), ((0, 1), b), ((0, 0), c))
        found: dict[tuple[int, int], int] = {}
        for (i, j), left in expanded.items():
            for (k, m), right in parts:
                found[i + k, j + m] = found.get((i + k, j + m), 0) + left * right
        expanded = found
    terms = [_term(draw, n, {x: i, y: j}) for (i, j), n in expanded.items() if n]
    wholes = []
    for a, b, c in factors:
        linear = [_term(draw, a, {x: 1})]
        linear += [_term(draw, b, {y: 1})] if b else []
        linear += [number(c)] if c else []
        wholes.append(_sum(draw, linear))
    return _sum(draw, terms), ("times", *wholes)


def radicals(draw: random.Random):
    """A sum of simple roots, and the same with squares under them."""
    a, b = draw.sample([2, 3, 5, 6, 7, 10, 11, 13], 2)
    m, n = draw.randrange(2, 8), draw.randrange(2, 8)
    simple = [("times", number(m), ("root", a)), ("times", number(n), ("root", b))]
    under = [("root", a * m * m), ("root", b * n * n)]
    return _sum(draw, simple), _sum(draw, under)


def reciprocal(draw: random.Random):
    """A rationalised fraction, and the same with a root in its denominator."""
    a, b, c = draw.randrange(1, 9), draw.choice([2, 3, 5, 6, 7]), draw.randrange(1, 9)
    norm = a * a - b
    above = _sum(draw, [number(c * a), ("times", number(-c), ("root", b))])
    rational = ("over", above, number(norm))
    return rational, ("over", number(c), _sum(draw, [number(a), ("root", b)]))


def fractions(draw: random.Random):
    """A quotient of polynomials, and the same as a sum of fractions."""
    x = draw.choice(LETTERS)
    a, b = draw.sample(range(-9, 10), 2)
    below = [_sum(draw, [("letter", x), number(n)]) if n else ("letter", x) for n in (a, b)]
    above = _sum(
        draw, [_term(draw, 2, {x: 1}), number(a + b)] if a + b else [_term(draw, 2, {x: 1})]
    )
    parts = [("over", number(1), part) for part in below]
    return ("over", above, ("times", *below)), _sum(draw, parts)


def monomial(draw: random.Random):
    """A fraction of powers, twice in another order; it may be tiny."""
    x, y = draw.sample(LETTERS, 2)
    powers = {x: draw.randrange(1, 5), y: draw.randrange(1, 5)}
    n = draw.randrange(2, 40)
    tiny = ("power", number(10), draw.choice([1, 18, 60, 200]))
    below = [("times", ("root", n), _term(draw, 1, {y: 2}), tiny) for _ in "ab"]
    return tuple(("over", _term(draw, 7, powers), b) for b in below)


KINDS = (polynomial, radicals, reciprocal, fractions, monomial)


def neighbour(draw: random.Random, tree: tuple[Any, ...]) -> tuple[Any, ...]:
    """The expression with another sign, digit or letter case, or times 1 + 10^-9."""
    if draw.random() < 0.2:
        return ("times", number(1 + Fraction(1, 10**9)), tree)
    leaves = _leaves(tree)
    path = draw.choice(leaves)
    return _changed(draw, tree, path)


def _leaves(tree: tuple[Any, ...], path: tuple[int, ...] = ()) -> list[tuple[int, ...]]:
    if tree[0] in ("number", "letter", "root"):
        return [path]
    inner = [(i, arg) for i, arg in enumerate(tree) if isinstance(arg, tuple)]
    return [leaf for i, arg in inner for leaf in _leaves(arg, (*path, i))]


def _changed(draw: random.Random, tree: tuple[Any, ...], path: tuple[int, ...]):
    if path:
        inner = _changed(draw, tree[path[0]], path[1:])
        return (*tree[: path[0]], inner, *tree[path[0] + 1 :])
    head, content = tree
    if head == "letter":
        return ("letter", content.swapcase())
    if head == "root":
        return ("root", content + 1)
    return number(-content) if draw.random() < 0.5 else number(content + draw.choice([1, -1, 10]))


def spelt(draw: random.Random, tree: tuple[Any, ...]) -> str:
    """The expression as somebody may write it."""
    head, *args = tree
    if head == "number":
        n = args[0]
        return str(n.numerator) if n.denominator == 1 else f"{float(n):.12f}".rstrip("0")
    if head == "letter":
        return args[0]
    if head == "root":
        forms = ["\\sqrt{%s}", "\\sqrt{ %s }", "√%s", "sqrt(%s)", "\\sqrt(%s)", "%s^{1/2}"]
        return draw.choice(forms) % args[0]
    if head == "add":
        text = ""
        for term in (spelt(draw, arg) for arg in args):
            text += term if not text or term.startswith("-") else draw.choice(["+", " + "]) + term
        return text
    if head == "power":
        base = _bracketed(draw, args[0])
        return draw.choice([f"{base}^{{{args[1]}}}", f"{base}^{args[1]}", f"{base}**{args[1]}"])
    if head == "over":
        above, below = (spelt(draw, arg) for arg in args)
        if draw.random() < 0.7:
            return f"\\{draw.choice(['frac', 'dfrac', 'tfrac'])}{{{above}}}{{{below}}}"
        return f"({above})/({below})"
    factors = [_bracketed(draw, arg) for arg in args]
    text = factors[0]
    for factor in factors[1:]:
        beside = not factor[0].isdigit() and factor[0] != "-"
        text += (draw.choice(["", " ", "\\cdot ", "*"]) if beside else " \\times ") + factor
    return text


def _bracketed(draw: random.Random, tree: tuple[Any, ...]) -> str:
    text = spelt(draw, tree)
    if tree[0] not in ("add", "over", "times") and not text.startswith("-"):
        return text
    return draw.choice(["(%s)", "\\left(%s\\right)", "[%s]"]) % text
