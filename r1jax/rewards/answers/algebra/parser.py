r"""Formulas of answers as trees: a strict parser, which refuses what it does not know.

Letters keep their case, marks and indices: f'(x), \dot x and x_1 are not f(x), x and x. Factors
side by side bind before a slash: a/bc is a/(bc), 1/2x is 1/(2x). \log is to base 10, as \lg. i is
the imaginary unit, e Euler's number. Degrees inside trigonometric functions are converted,
elsewhere they are a unit that counts 1.
"""

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

from r1jax.config import UserError
from r1jax.rewards.answers.algebra import letters
from r1jax.rewards.answers.algebra.tokens import ACCENTS, END, Cursor, tokens
from r1jax.rewards.answers.algebra.tree import Tree, negative, node, number

MAX_DEPTH = 60
TRIGONOMETRIC = frozenset(["sin", "cos", "tan", "cot", "sec", "csc"])
INVERSE = {f"arc{name}": f"arc{name}" for name in ("sin", "cos", "tan", "cot")}
HYPERBOLIC = frozenset(["sinh", "cosh", "tanh", "coth"])
LOGARITHMS = {"ln": node("constant", name="e"), "log": number(10), "lg": number(10)}
# taken with several arguments, in brackets
SYMMETRIC = frozenset(["gcd", "lcm", "max", "min"])
_NAMED = frozenset(["deg", "dim", "ker", "det", "arg", "sgn", "sign", "Re", "Im", "Pr"])
_FUNCTIONS = TRIGONOMETRIC | HYPERBOLIC | {*INVERSE, *LOGARITHMS, "exp", "cis"}
# letters that name a function where a bracket follows; a(b+c) is a product
_GREEK = ("\\phi", "\\psi", "\\sigma", "\\tau", "\\zeta", "\\Gamma")
_APPLIED = frozenset(["f", "g", "F", "G", *_GREEK])
_CLOSING = {"(": ")", "[": "]", "{": "}", "\\lfloor": "\\rfloor", "\\lceil": "\\rceil", "|": "|"}
_ROUNDED = {"\\lfloor": "floor", "\\lceil": "ceiling", "|": "absolute"}
_CONSTANTS = {"\\pi": "pi", "\\infty": "infinity", "e": "e", "i": "i"}
_ATOMS = frozenset(["\\frac", "\\sqrt", "\\binom", "\\pi", "\\infty", "\\lfloor", "\\lceil"])
_BIG = {"\\sum": "sum", "\\prod": "product"}


class _Parser:
    def __init__(self, words: Cursor):
        self.words, self.depth = words, 0
        self.peek, self.kind = words.peek, words.kind
        self.take, self.expect = words.take, words.expect
        self.angles = False  # degrees are to be converted
        self.bars = False  # the next bar closes
        self.differential = ""  # the letter that ends the integral around
        self.bound: list[str] = []  # letters that a sum runs over

    def deeper(self, read: Callable[[], Tree]) -> Tree:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UserError(f"nested deeper than {MAX_DEPTH}")
        tree = read()
        self.depth -= 1
        return tree

    def sum(self) -> Tree:
        terms = [self.product()]
        while sign := self.take("+", "-"):
            term = self.product()
            terms.append(negative(term) if sign == "-" else term)
        return node("add", *terms) if len(terms) > 1 else terms[0]

    def product(self) -> Tree:
        left = self.signed()
        while sign := self.take("*", "/", "\\bmod", "\\mod"):
            right = self.signed()
            head = {"*": "multiply", "/": "divide"}.get(sign, "modulo")
            left = node(head, left, right)
        return left

    def signed(self) -> Tree:
        if self.take("-"):
            return negative(self.deeper(self.signed))
        return self.deeper(self.signed) if self.take("+") else self.beside()

    def beside(self) -> Tree:
        """Factors side by side."""
        factors = [self.power()]
        if mixed := self.mixed(factors[0]):
            factors = [mixed]
        while self.starts_factor():
            factors.append(self.power())
        return node("multiply", *factors) if len(factors) > 1 else factors[0]

    def mixed(self, whole: Tree) -> Tree | None:
        r"""1\frac{1}{2} is a number, not a product."""
        if whole.head != "number" or whole.value.denominator != 1 or self.peek() != "\\frac":
            return None
        part = self.power()
        if part.head == "divide" and all(arg.head == "number" for arg in part.args):
            above, below = (arg.value for arg in part.args)
            if 0 < above < below:
                return number(whole.value + above / below)
        return node("multiply", whole, part)

    def starts_factor(self) -> bool:
        """Whether another factor follows; "x 2" is none."""
        text, kind = self.peek(), self.kind()
        if text == "d" and self.differential and self.peek(1) == self.differential:
            return False
        if text == "|":
            return not self.bars
        known = text in _ATOMS or text in _BIG or text in ("(", "[", "{", "\\int")
        if kind == "number":
            return self.peek(-1) == "!" or self.peek(1) == "^"
        return kind == "letter" or known or self.function_name() != "" or text[1:] in ACCENTS

    def power(self) -> Tree:
        base = self.deeper(self.atom)
        while True:
            if self.take("!"):
                twice = self.take("!")
                base = node("double factorial" if twice else "factorial", base)
            elif self.take("°"):
                base = self.degrees(base)
            elif self.take("%"):
                base = node("divide", base, number(100))
            elif self.take("^"):
                base = node("power", base, self.exponent())
            else:
                return base

    def degrees(self, base: Tree) -> Tree:
        if not self.angles:
            return base
        turn = node("divide", node("constant", name="pi"), number(180))
        return node("multiply", base, turn)

    def exponent(self) -> Tree:
        if self.peek() == "{":
            return self.group()
        if self.take("-"):
            return negative(self.deeper(self.atom))
        return self.deeper(self.atom)

    def group(self, *, separate: bool = False) -> Tree:
        """What a pair of brackets holds; several arguments are a "list" where they may be."""
        opening = self.peek()
        closing = _CLOSING.get(opening)
        if closing is None:
            raise UserError(f"wanted a bracket, got {opening}")
        self.words.skip()
        bars, self.bars = self.bars, opening == "|"
        items = [self.deeper(self.sum)]
        while separate and self.take(","):
            items.append(self.deeper(self.sum))
        self.expect(closing)
        self.bars = bars
        return node("list", *items) if separate else items[0]

    def atom(self) -> Tree:
        text, kind = self.peek(), self.kind()
        if kind == "number":
            self.words.skip()
            return number(Fraction(text))
        if text in ("(", "[", "{"):
            return self.group()
        if text in _ROUNDED:
            return node(_ROUNDED[text], self.group())
        if text == "\\frac":
            self.words.skip()
            return node("divide", self.numerator(), self.piece())
        if text == "\\binom":
            self.words.skip()
            return node("binomial", self.piece(), self.piece())
        if text == "\\sqrt":
            return self.root()
        if text in _BIG or text == "\\int":
            return self.big()
        if self.function_name():
            return self.call()
        if kind == "letter" or text in _CONSTANTS or text[1:] in ACCENTS:
            return self.letter()
        raise UserError(f"cannot read {text}")

    def numerator(self) -> Tree:
        # \frac{d}{dx} and \frac{dy}{dx} are derivatives, left undone
        if self.peek(1) in ("d", "\\partial") and not self.differential:
            raise UserError("a derivative")
        return self.piece()

    def piece(self) -> Tree:
        r"""What \frac and its like take: a group, or one letter or digit."""
        if self.peek() == "{":
            return self.group()
        self.words.split_number()
        return self.deeper(self.atom)

    def root(self) -> Tree:
        self.expect("\\sqrt")
        index = self.group() if self.peek() == "[" else number(2)
        radicand = self.group() if self.peek() in ("{", "(") else self.deeper(self.atom)
        return node("root", radicand, index)

    def function_name(self) -> str:
        name = self.peek()[1:] if self.peek().startswith("\\") else ""
        return name if name in _FUNCTIONS | SYMMETRIC | _NAMED else ""

    def call(self) -> Tree:
        name = self.function_name()
        self.words.skip()
        if name in SYMMETRIC or name in _NAMED:
            return node("call", *self.arguments(), name=name)
        base = LOGARITHMS.get(name)
        if base and self.take("_"):
            base = self.piece()
        raised = self.exponent() if self.take("^") else None
        if raised == number(-1) and name in TRIGONOMETRIC:
            name, raised = INVERSE.get(f"arc{name}", ""), None
            if not name:
                raise UserError("an inverse function")
        outer, self.angles = self.angles, name in TRIGONOMETRIC or name == "cis"
        arg = self.argument()
        self.angles = outer
        if name == "cis":
            arg = node("multiply", node("constant", name="i"), arg)
        if name in ("exp", "cis"):
            tree = node("power", node("constant", name="e"), arg)
        else:
            tree = node("call", arg, *([base] if base else []), name="log" if base else name)
        return node("power", tree, raised) if raised else tree

    def argument(self) -> Tree:
        """What a function is taken of: a bracket, or numbers and letters side by side."""
        if self.take("-"):
            return negative(self.argument())
        if self.peek() in ("(", "[", "{", "|"):
            inner = self.deeper(self.atom)
            return self.degrees(inner) if self.take("°") else inner
        factors = [self.power()]
        while self.starts_factor() and not self.function_name():
            plain = self.kind() == "letter" or self.peek() in _CONSTANTS
            if not plain and not all(factor.head == "number" for factor in factors):
                break
            factors.append(self.power())
        return node("multiply", *factors) if len(factors) > 1 else factors[0]

    def arguments(self) -> tuple[Tree, ...]:
        if self.peek() not in ("(", "["):
            return (self.power(),)
        return self.group(separate=True).args

    def letter(self) -> Tree:
        name = letters.name(self.words)
        if name in _CONSTANTS and name not in self.bound:
            return node("constant", name=_CONSTANTS[name])
        power = letters.applied_power(self.words) if name in _APPLIED else ""
        applied = bool(power) or name in _APPLIED or "'" in name
        if applied and self.peek() == "(":
            return node("call", *self.arguments(), name=name + power)
        return Tree("symbol", name)

    def big(self) -> Tree:
        """A sum or product over a letter, or an integral with bounds."""
        sign = self.peek()
        self.words.skip()
        letter = ""
        self.expect("_")
        if sign in _BIG:
            self.expect("{")
            letter = self.peek()
            self.words.skip()
            self.expect("=")
            low = self.sum()
            self.expect("}")
        else:
            low = self.exponent()
        self.expect("^")
        high = self.exponent()
        if sign in _BIG:
            self.bound.append(letter)
            body = self.deeper(self.product)
            self.bound.pop()
            return node("every", Tree("symbol", letter), low, high, body, name=_BIG[sign])
        return self.integral(low, high)

    def integral(self, low: Tree, high: Tree) -> Tree:
        ahead = 0
        while not (self.peek(ahead) == "d" and self.kind(ahead + 1) == "letter"):
            if self.peek(ahead) == END:
                raise UserError("an integral without its letter")
            ahead += 1
        letter, outer = self.peek(ahead + 1), self.differential
        self.differential = letter
        body = number(1) if ahead == 0 else self.deeper(self.sum)
        self.differential = outer
        self.expect("d")
        self.expect(letter)
        return node("integral", Tree("symbol", letter), low, high, body)


@lru_cache(maxsize=8192)
def parse(text: str) -> Tree | None:
    """Returns the tree of a tidied formula, None where it is not understood, all of it."""
    try:
        parser = _Parser(Cursor(tokens(text)))
        tree = parser.sum()
        parser.expect(END)
    except ValueError:
        return None
    return tree
