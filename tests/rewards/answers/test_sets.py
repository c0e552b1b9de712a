import pytest
from judging import paid

from r1jax.rewards.answers import sets

# spellings of one set of real numbers a line
SAME = [
    [r"\mathbb R\setminus\{3\}", r"(-\infty,3)\cup(3,\infty)", r"x\ne3", r"\mathbb{R}-\{3\}"],
    [r"x \neq \pm 2", r"(-\infty,-2)\cup(-2,2)\cup(2,\infty)", r"x \ne 2, x \ne -2", "x≠-2, x≠2"],
    [
        r"\{t\mid t>6\}",
        r"(6,\infty)",
        r"\{t : t > 6\}",
        "]6,+\\infty[",
        "{t | t>6}",
        r"B=\{t\mid t>6\}",
        "t>6",
    ],
    ["|x|<5", "(-5,5)", "-5<x<5", "]-5,5[", r"x\in(-5,5)", r"\{x\in\mathbb{R} \mid |x|<5\}"],
    [r"x\ne 7", r"\{x \mid x\ne 7, x\in\mathbf{R}\}", r"\{x \mid x \neq 7, x \in R\}"],
    [r"\{t \mid t=3k, k\in\mathbb{Z}\}", r"\{t | t=3k, k \in Z\}"],
    ["x=6 or x=7", r"x=6 \lor x=7", "x=6, x=7"],
    [r"|y-2|\le 1", "[1,3]", r"1\le y\le3", r"\{y \in \mathbb{R} : 1 \le y \le 3\}"],
    [
        r"y<0 \text{ or } y>4",
        r"y<0\text{或}y>4",
        "y<0或y>4",
        r"(-\infty,0)\cup(4,\infty)",
        "|y-2|>2",
        r"]4,\infty[\cup]-\infty,0[",
    ],
    [r"\mathbb{R}", r"(-\infty,\infty)", "ℝ", r"x\in\mathbb{R}"],
    [r"x\in\mathbb{R}, x\ne 0", r"(-\infty,0)\cup(0,\infty)", r"x \ne 0"],
    [r"]-\infty,8]", r"x\le 8", r"8 \ge x", r"(-\infty, 8]"],
    [r"x\ge\frac{2}{3}", r"[\frac23,\infty)", r"\{x \mid x \geq 2/3\}"],
]
DIFFERENT = [
    (r"(-\infty,0)\cup(0,\infty)", r"x\ne 1"),
    ("|x|<5", "[-5,5]"),
    ("|x|<5", "|x|>5"),
    ("]6,9[", "[6,9]"),
    ("]6,9]", "[6,9["),
    (r"x\ge6", r"(6,\infty)"),
    (r"\mathbb{R}\setminus\{3\}", r"\mathbb{R}\setminus\{-3\}"),
    (r"\mathbb{R}\setminus\{3\}", r"\mathbb{R}"),
    ("y<0 or y>4", "0<y<4"),
    (r"\{x \mid x>6\}", r"\{x \mid x<6\}"),
    (r"|y-2|\le 1", r"|y+2|\le 1"),
]


@pytest.mark.parametrize("spellings", SAME)
def test_a_set_may_be_told_in_many_ways(spellings):
    for gold in spellings:
        for answer in spellings:
            assert paid(answer, gold), (answer, gold)


@pytest.mark.parametrize(("answer", "gold"), DIFFERENT)
def test_other_sets_are_wrong(answer, gold):
    assert not paid(answer, gold)
    assert not paid(gold, answer)


@pytest.mark.parametrize("text", ["x=3", "(2,5)", "a|b", r"x \ne y, z", "|x|", "1<2<3<4", "", "|"])
def test_what_tells_no_set_has_no_intervals(text):
    assert sets.read(text) == []
