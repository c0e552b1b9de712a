import pytest

from r1jax.rewards.answers import latex
from r1jax.rewards.answers.algebra.parser import parse
from r1jax.rewards.answers.algebra.tree import Tree


def written(tree: Tree) -> str:
    """A tree as nested calls, to read in a failure."""
    if tree.head == "number":
        return str(tree.value)
    if tree.head in ("symbol", "constant"):
        return tree.name
    return f"{tree.name or tree.head}({', '.join(map(written, tree.args))})"


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("-3y^2", "multiply(-1, multiply(3, power(y, 2)))"),
        ("u/vw", "divide(u, multiply(v, w))"),
        (r"u/v\cdot w", "multiply(divide(u, v), w)"),
        (r"2\frac{1}{4}y", "multiply(9/4, y)"),
        (r"4\frac{y}{3}", "multiply(4, divide(y, 3))"),
        (r"\sin 3x\cos 4y", "multiply(sin(multiply(3, x)), cos(multiply(4, y)))"),
        (r"\sin x(y+1)", "multiply(sin(x), add(y, 1))"),
        (r"\cos^{-1} y", "arccos(y)"),
        (r"\tan^3(y)", "power(tan(y), 3)"),
        (r"\log_27", "log(7, 2)"),
        (r"\ln y^3", "log(power(y, 3), e)"),
        (r"\sin 40^\circ", "sin(multiply(40, divide(pi, 180)))"),
        (r"40^\circ", "40"),
        ("h(y+1)", "multiply(h, add(y, 1))"),
        ("g(y+1)", "g(add(y, 1))"),
        ("g'(y)", "g'(y)"),
        ("g^{-1}(y)", "g^-1(y)"),
        ("y'' + y'", "add(y'', y')"),
        (r"\dot y\vec{u}", r"multiply(\dot{y}, \vec{u})"),
        ("y_{12} y_1", "multiply(y_12, y_1)"),
        (r"\frac Bb", "divide(B, b)"),
        (r"\Theta+\theta", r"add(\Theta, \theta)"),
        ("|y-|z||", "absolute(add(y, multiply(-1, absolute(z))))"),
        (r"\gcd(u, 2v)", "gcd(u, multiply(2, v))"),
        ("(2k+1)!!", "double factorial(add(multiply(2, k), 1))"),
        (r"\sum_{i=1}^{m} i^2", "sum(i, 1, m, power(i, 2))"),
        (r"\int_1^2 3t dt", "integral(t, 1, 2, multiply(3, t))"),
        ("9.0 + -3.0i", "add(9, multiply(-1, multiply(3, i)))"),
        (r"5\sqrt(7)", "multiply(5, root(7, 2))"),
        ("12,345y", "multiply(12345, y)"),
    ],
)
def test_a_formula_is_read_as_it_is_meant(text, tree):
    parsed = parse(latex.tidy(text))
    assert parsed is not None
    assert written(parsed) == tree


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3 4",
        "(2",
        "2)",
        "x+",
        r"\frac{d}{dx} x^3",
        r"\frac{dy}{dx}",
        r"1+3+\ldots+m",
        r"P(A|B)",
        r"\nabla y",
        r"y \to 0",
        r"\lim_{y\to 0} y",
        "z^*",
        r"\sqrt{}",
        "(" * 100,
        r"\mathbb{Z}",
        r"2 \text{ or } y",
        "x & y",
        r"\int y dy",
    ],
)
def test_what_is_not_understood_is_refused(text):
    assert parse(latex.tidy(text)) is None
