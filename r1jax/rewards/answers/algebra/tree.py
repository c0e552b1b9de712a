"""Trees of expressions: what stands in an answer, with nothing worked out."""

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple


class Tree(NamedTuple):
    """An expression.

    Attributes:
      head: "number", "symbol", "constant" (pi, e, i, infinity), "add", "multiply", "divide",
        "power", "root" (radicand, index), "call" of a function, "factorial", "double factorial",
        "binomial", "modulo", "floor", "ceiling", "absolute", "every" (a sum or product over a
        letter: letter, first, last, body) or "integral" (letter, lower, upper, body).
      name: of a symbol, constant, function, or "sum" and "product" of "every".
      value: of a number.
      args: what it is made of.
    """

    head: str
    name: str = ""
    value: Fraction = Fraction(0)
    args: tuple["Tree", ...] = ()


def number(value: Fraction | int) -> Tree:
    return Tree("number", value=Fraction(value))


def node(head: str, *args: Tree, name: str = "") -> Tree:
    return Tree(head, name, args=args)


def negative(tree: Tree) -> Tree:
    """Minus a tree; a number takes the sign itself."""
    if tree.head == "number":
        return number(-tree.value)
    return node("multiply", number(-1), tree)


def parts(tree: Tree) -> Iterator[Tree]:
    """The tree and everything in it."""
    yield tree
    for arg in tree.args:
        yield from parts(arg)


@lru_cache(maxsize=8192)
def symbols(tree: Tree) -> frozenset[str]:
    """The letters that a tree leaves free."""
    if tree.head == "symbol":
        return frozenset([tree.name])
    names = frozenset[str]().union(*map(symbols, tree.args))
    return names - {tree.args[0].name} if tree.head in ("every", "integral") else names


@lru_cache(maxsize=8192)
def heads(tree: Tree) -> frozenset[str]:
    """The heads of all parts, and the names of constants and functions."""
    return frozenset(part.head for part in parts(tree)) | frozenset(
        part.name for part in parts(tree) if part.head in ("constant", "call")
    )


def flat(tree: Tree, head: str) -> list[Tree]:
    """The terms of a sum, or the factors of a product, through nested ones."""
    if tree.head != head:
        return [tree]
    return [arg for part in tree.args for arg in flat(part, head)]


def rational(tree: Tree) -> Fraction | None:
    """The value of a number or of a quotient of two, None for anything else."""
    if tree.head == "number":
        return tree.value
    if tree.head == "divide" and all(arg.head == "number" for arg in tree.args):
        above, below = tree.args
        return above.value / below.value if below.value else None
    return None
