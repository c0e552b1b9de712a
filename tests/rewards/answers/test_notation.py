import pytest
from judging import paid

from r1jax.rewards.answers import latex

SAME = {
    r"5\sqrt{7}": ["5√7", r"5\sqrt(7)", "5sqrt(7)", "5 √ 7", r"\\sqrt{7} \\cdot 5"],
    r"\frac{\sqrt{5}}{4}": ["√5/4", "sqrt(5)/4", "(√5)/4"],
    "(2, -1, 4)": [r"\langle 2, -1, 4\rangle", "<2, -1, 4>", "⟨2,-1,4⟩"],
    "e^{7}": ["exp(7)", r"\exp(7)", r"\mathrm{e}^7"],
    r"\frac{5}{11}": [r"0.\overline{45}", r".\overline{45}", "0.(45)", r"0.\dot{4}\dot{5}"],
    r"-\frac{3}{7}": [r"\frac{3}{-7}", "3/(-7)", "-3/7"],
    "1202_3": ["1202_{(3)}", r"1202_{\text{3}}", r"1202_{\text{three}}", r"1202_{3}", "1202₃"],
    "76": ['["76"]', r"\[ 76 \]", "$$76$$"],
    r"\emptyset": [r"\{\}", "∅", r"\varnothing"],
    r"m\equiv 4\pmod{9}": [r"m \equiv4 \pmod 9", r"m≡4\pmod{9}"],
    r"1+4+\cdots+m^2": [r"1 + 4 + \ldots + m^2", "1+4+…+m^2", r"1+4+\dots+m^2"],
    "g''(t)": [r"g^{\prime\prime}(t)", "g″(t)"],
    r"\alpha+\theta": ["α+θ", r"\theta + \alpha"],
    r"\pi r^2": ["πr²", "pi*r^2", r"r^2\pi"],
    r"\operatorname{lcm}(u,v)": [r"\mathrm{lcm}(v,u)", r"\text{lcm}(u, v)"],
    r"[1,\frac{2}{5}]": [r"[1, \\frac{2}{5}]"],
    r"\left|y\right|": ["|y|", r"\lvert y\rvert", r"\vert y\vert"],
    r"\binom{8}{3}": ["C_8^3", "C_{8}^{3}", r"\mathrm{C}_8^3", r"{8 \choose 3}"],
    r"\frac{8!}{5!}": ["A_8^3"],
    r"\frac{7}{9}": ["0.777...", r"0.777\ldots"],
    r"\frac{5}{11}+y": [r"0.454545\ldots+y"],
    "7.25": ["7{,}25"],
    "(7250, 3)": ["(7{,}250, 3)"],
    "2": [r"1.999\ldots", r"1.\overline{9}"],
    "1000": ["a thousand"],
    r"\frac14": ["a quarter", "one quarter"],
    "1, 4, 9, \\ldots": ["1, 4, 9, ..."],
    r"\gcd(u,v)": ["gcd(u,v)", "gcd(v, u)"],
    r"\boxed{76}": ["76"],
    "27": ["27th", r"27^{\text{th}}", "第27个", "twenty-seven", "Twenty seven", "二十七"],
    "-27": ["negative twenty-seven", "minus twenty-seven"],
    r"\frac{5}{8}": ["five eighths", "five-eighths", "八分之五"],
    "4.5": ["four and a half", "4又1/2", r"4又\frac12", "四又二分之一"],
    "3000": ["three thousand"],
    "1405": ["one thousand four hundred and five", "一千四百零五"],
    "36": ["three dozen", "约36", "about 36"],
    r"\text{no solution}": ["no solutions", r"\emptyset", "无解", "No real solutions"],
    r"\text{all real numbers}": [r"\mathbb{R}", r"(-\infty,\infty)"],
    r"-\infty": ["negative infinity"],
    r"z_1+z_2": ["z₁+z₂", "z_{2}+z_{1}"],
}
DIFFERENT = [
    (r"0.\overline{45}", "0.45"),
    ("1202_3", "1202"),
    ("1202_3", "1202_4"),
    ("1202_3", "47"),
    ("1.234,5", "1234.5"),
    ("3,5", "3.5"),
    ("x^2+1=0", "x^2+2=0"),
    ("x^2+1=0", r"\emptyset"),
    (r"f^{-1}(x)=x-3", "y=x-3"),
    (r"f^{-1}(x)", r"\frac{1}{f(x)}"),
    (r"[0,3]", r"[0,2]\cup[1,3]"),
    ("(6!)!", "6!!"),
    (r"\frac{-3}{-7}", r"\frac37"),
    (r"\frac{3}{-7}", r"\frac37"),
    (r"m\equiv 4\pmod{9}", r"m\equiv 5\pmod{9}"),
    (r"1+4+\ldots+m^2", "5+m^2"),
    (r"√7", "√17"),
    (r"\bar z", "z"),
    ("g''(t)", "g'(t)"),
    ("C_8^3", "A_8^3"),
    ("A_1^2", "1"),
    ("0.777...", "0.777"),
    ("7{,}250", "7.25"),
    ("twenty-seven", "28"),
    ("five eighths", "5"),
    ("one of them", "1"),
    ("五边形", "5"),
    ("第一象限", "第二象限"),
    ("no solution", "one solution"),
    ("八分之五", "8/5"),
]


@pytest.mark.parametrize(
    ("answer", "gold"), [(answer, gold) for gold, row in SAME.items() for answer in row]
)
def test_other_notations_are_the_same(answer, gold):
    assert paid(answer, gold)
    assert paid(gold, answer)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_is_written_almost_alike_is_not_the_same(one, other):
    assert not paid(one, other)
    assert paid(one, one) and paid(other, other)


@pytest.mark.parametrize(
    ("text", "tidied"),
    [
        (r"\$64", "$64"),
        ("$64$", "64"),
        ("$64", "$64"),
        ("-$64", "-$64"),
        (r"US\$64", "US$64"),
        (r"x\ $64$", "x 64"),
        ("64$", "64$"),
    ],
)
def test_dollars_are_money_or_around_formulas(text, tidied):
    assert latex.tidy(text) == tidied
