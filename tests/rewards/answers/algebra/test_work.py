import pytest

from r1jax.rewards.answers import latex
from r1jax.rewards.answers.algebra.parser import parse
from r1jax.rewards.answers.algebra.work import undone


def left(answer, gold, *, relation=False):
    given, wanted = (parse(latex.tidy(text)) for text in (answer, gold))
    assert given is not None and wanted is not None
    return undone(given, wanted, relation=relation)


@pytest.mark.parametrize(
    ("answer", "gold", "why"),
    [
        ("(4y+1)(y-2)", "4y^2-7y-2", "a product of sums"),
        ("(y-3)^2(y+1)", "y^3-5y^2+3y+9", "a product of sums"),
        (r"(2+\sqrt3)(1-\sqrt3)", r"-1-\sqrt3", "a product of sums"),
        (r"\sqrt{18}+\sqrt{50}", r"8\sqrt2", "like terms"),
        ("4y-y", "3y", "like terms"),
        (r"\sqrt5\sqrt7", r"\sqrt{35}", "like factors"),
        ("y^2y^5", "y^7", "like factors"),
        (r"\frac{2}{3-\sqrt7}", r"3+\sqrt7", "a root in a denominator"),
        (r"\sqrt{4+2\sqrt3}", r"1+\sqrt3", "a nested root"),
        (r"\frac{y^2-4}{y+2}", "y-2", "a division of polynomials"),
        (r"3\cdot 5\sqrt2", r"15\sqrt2", "arithmetic"),
        (r"(1+2)\sqrt2", r"3\sqrt2", "arithmetic"),
        (r"\sqrt{16}y", "4y", "arithmetic"),
        (r"2^5y", "32y", "arithmetic"),
        (r"\cos 30^\circ", r"\frac{\sqrt3}{2}", "functions of numbers"),
        (r"\ln 5+\ln 2", r"\ln 10", "functions of numbers"),
    ],
)
def test_what_gold_has_worked_out_is_refused(answer, gold, why):
    assert why in left(answer, gold)
    assert left(answer, answer) == ""
    assert left(gold, gold) == ""


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        (r"\frac{1}{\sqrt5}", r"\frac{\sqrt5}{5}"),
        (r"\sqrt{20}", r"2\sqrt5"),
        ("m(m+1)", "m^2+m"),
        ("(y-3)^2", "y^2-6y+9"),
        (r"\frac{1}{2+i}", r"\frac{2-i}{5}"),
        (r"3e^{\pi i/4}", r"\frac{3+3i}{\sqrt2}"),
        (r"\frac{\ln 7}{\ln 5}", r"\log_5 7"),
        (r"\frac{\cos y}{\sin y}", r"\cot y"),
        (r"\frac1B", "B^{-1}"),
        (r"\frac{1}{y-1}+\frac{1}{y+1}", r"\frac{2y}{y^2-1}"),
        (r"\frac{1+\sqrt5}{4}", r"\cos 36^\circ"),
    ],
)
def test_another_form_is_worked_out_as_well(answer, gold):
    assert left(answer, gold) == ""


def test_an_equation_may_be_given_in_another_form():
    assert left("(u-2)(u+3)", "u^2+u-6", relation=True) == ""
    assert left(r"3\cdot 5u", "15u", relation=True) == "arithmetic"
