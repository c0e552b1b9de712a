r"""What is left to do in an expression, by kind: an answer may have no more of it than gold has.

Repeating the task would else be a perfect policy: (2x+1)(3x+1) for its expansion,
\sqrt{12}+\sqrt{27} for 5\sqrt{3}, \frac{1}{\sqrt{2}-1} for \sqrt{2}+1.
"""

from collections import Counter
from fractions import Fraction

from r1jax.rewards.answers.algebra.parser import INVERSE, TRIGONOMETRIC
from r1jax.rewards.answers.algebra.tree import Tree, flat, heads, parts, rational, symbols
from r1jax.rewards.answers.algebra.values import exact_root

# an equation may be given in another form: these do not count in it
FORMS = frozenset(["a product of sums", "like terms", "like factors", "a division of polynomials"])
_POLYNOMIAL = frozenset(["number", "symbol", "add", "multiply", "power"])


def undone(answer: Tree, gold: Tree, *, relation: bool) -> str:
    """Returns what an answer has more left to do than gold, "" for nothing.

    Args:
      answer: what was given.
      gold: what was wanted.
      relation: they are sides of equations, of which every form is as good.
    """
    given, wanted = _work(answer), _work(gold)
    if not _is_polynomial(gold):
        del given["a division of polynomials"]
    # the radical of \sin 36° is nested
    wanted["a nested root"] += wanted["functions of numbers"]
    more = sorted(kind for kind in given if given[kind] > wanted[kind])
    return ", ".join(kind for kind in more if not (relation and kind in FORMS))


def _is_polynomial(tree: Tree) -> bool:
    return all(
        rational(part) is not None or part.head in _POLYNOMIAL or part.head == "divide"
        for part in parts(tree)
    ) and not any(map(_divides, parts(tree)))


def _divides(tree: Tree) -> bool:
    """Whether it is divided by a polynomial with letters."""
    if tree.head == "power":
        exponent = rational(tree.args[1])
        return exponent is not None and exponent < 0 and bool(symbols(tree.args[0]))
    if tree.head != "divide" or not symbols(tree.args[1]):
        return False
    return heads(tree.args[1]) <= _POLYNOMIAL


def _work(tree: Tree) -> Counter[str]:
    count: Counter[str] = Counter()
    for part in parts(tree):
        count["arithmetic"] += _arithmetic(part)
        count["functions of numbers"] += _functions(part)
        if part.head == "add":
            count["like terms"] += _repeated(map(_rest, part.args))
            count["a product of sums"] += _repeated(map(_shared, flat(part, "add")))
        count["a division of polynomials"] += _divides(part)
        count["a nested root"] += _is_root(part) and any(map(_is_root, parts(part.args[0])))
        count["a root in a denominator"] += (
            part.head == "divide"
            and part.args[1].head == "add"
            and not symbols(part.args[1])
            and any(map(_is_root, parts(part.args[1])))
        )
    for factors in _products(tree):
        count["arithmetic"] += _plain(factors)
        count["like factors"] += _repeated(map(_base, factors))
        count["a product of sums"] += max(0, sum(map(_is_sum, factors)) - 1)
    return +count


def _arithmetic(tree: Tree) -> int:
    """Operations between plain numbers: 2*3*sqrt(5) has one, sqrt(9) one."""
    if tree.head == "add":
        return max(0, sum(rational(term) is not None for term in flat(tree, "add")) - 1)
    if tree.head == "power":
        base, exponent = map(rational, tree.args)
        if base is None or exponent is None or exponent == -1:
            return 0  # 1/5 is a number
        return int(exponent.denominator == 1 or _root(base, exponent.denominator) is not None)
    if tree.head == "root":
        base, index = map(rational, tree.args)
        if base is None or index is None or index.denominator > 1:
            return 0
        return int(_root(base, index.numerator) is not None)
    return 0


def _plain(factors: list[Tree]) -> int:
    """How many plain numbers are still to be multiplied; 1 and -1 are none."""
    return max(0, sum(rational(factor) not in (None, 1, -1) for factor in factors) - 1)


def _root(value: Fraction, index: int) -> Fraction | None:
    return exact_root(abs(value), index) if value else Fraction(0)


def _functions(tree: Tree) -> int:
    """Functions of numbers; the logarithm to a base counts as two, being a quotient.

    A quotient of two to the same base is two in all, whatever that base is.
    """
    if tree.head == "divide":
        above, below = (flat(side, "multiply")[-1] for side in tree.args)
        logarithms = above.head == below.head == "call" and above.name == below.name == "log"
        alike = logarithms and not symbols(tree) and above.args[1] == below.args[1]
        return -2 if alike and above.args[1].head == "number" else 0
    if tree.head != "call" or symbols(tree):
        return 0
    if tree.name == "log":
        return 1 + (tree.args[1].head == "number")
    return int(tree.name in TRIGONOMETRIC or tree.name in INVERSE or tree.name.isalpha())


def _is_root(tree: Tree) -> bool:
    if symbols(tree):
        return False
    if tree.head == "power":
        exponent = rational(tree.args[1])
        return exponent is not None and exponent.denominator > 1
    return tree.head == "root"


def _products(tree: Tree) -> list[list[Tree]]:
    """The factors of each product, through nested ones; denominators may stay factored."""
    if tree.head == "divide":
        return _products(tree.args[0])
    if tree.head == "multiply":
        factors = flat(tree, "multiply")
    elif tree.head == "power":
        factors = [tree]
    else:
        return [found for arg in tree.args for found in _products(arg)]
    inner = [arg for factor in factors for arg in factor.args]
    return [factors, *(found for arg in inner for found in _products(arg))]


def _is_sum(factor: Tree) -> bool:
    """Whether it is a sum or a power of one; (x+1)^2 alone is a form of its own."""
    if factor.head == "power":
        exponent = rational(factor.args[1])
        return factor.args[0].head == "add" and (exponent is None or exponent > 0)
    return factor.head == "add"


def _base(factor: Tree) -> object:
    """What makes two factors alike: the same letter, or roots of the same index of numbers."""
    if factor.head == "root" and not symbols(factor):
        return factor.args[1]
    base = factor.args[0] if factor.head == "power" else factor
    return base if base.head == "symbol" else None


def _repeated(keys: object) -> int:
    """How many keys are there again; None is like nothing."""
    return sum(n - 1 for key, n in Counter(keys).items() if key is not None)  # pyright: ignore


def _rest(term: Tree) -> object:
    """A term without its rational factors, equal for like terms; None for a number."""
    factors = []
    for factor in flat(term, "multiply"):
        above = [factor]
        if factor.head == "divide" and rational(factor.args[1]) is not None:
            above = flat(factor.args[0], "multiply")
        factors += [_radical(part) for part in above if rational(part) is None]
    return tuple(sorted(map(repr, factors))) or None


def _shared(term: Tree) -> object:
    """The sum that letters and numbers multiply: 2y+7 of y(2y+7), in y(2y+7)-4(2y+7) twice."""
    factors = flat(term, "multiply")
    sums = [factor for factor in factors if factor.head == "add"]
    if len(sums) != 1 or not symbols(sums[0]):
        return None
    rest = (factor for factor in factors if factor is not sums[0])
    return sums[0] if all(heads(factor) <= _POLYNOMIAL for factor in rest) else None


def _radical(factor: Tree) -> object:
    """A root of a whole number, by what is left of its radicand: 3 of sqrt(12)."""
    if factor.head != "root" or symbols(factor):
        return factor
    radicand, index = map(rational, factor.args)
    if radicand is None or index is None or radicand.denominator * index.denominator != 1:
        return factor
    n, k = abs(radicand.numerator), index.numerator
    for d in range(2, 1000):
        while k > 1 and n and n % d**k == 0:
            n //= d**k
    return (k, n)
