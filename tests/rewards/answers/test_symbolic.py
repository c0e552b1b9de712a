import inspect
import re
import signal

import pytest
from judging import paid

from r1jax.rewards.answers import maths, symbolic
from r1jax.rewards.answers.algebra import equality, parser, values, work

# answers by gold; milliseconds a pair
RIGHT = {
    r"3\sqrt{13}": [r"\sqrt{117}", r"\sqrt{13}\cdot 3"],
    r"2\sqrt{5}": [r"\sqrt{20}", "2*sqrt(5)"],
    r"\frac{\sqrt{3}}{3}": [r"\frac{1}{\sqrt{3}}", r"\sqrt{3}/3"],
    "6+9i": ["9i+6", r"6+9\mathrm{i}"],
    r"5\sqrt{2}i": [r"5i\sqrt2"],
    "x^3+3x-6": ["3x-6+x^{3}"],
    r"\cot x": [r"\frac{\cos x}{\sin x}"],
    "(a+5)(b+2)": ["(b+2)(a+5)", "ab+2a+5b+10"],
    "y=2x+3": ["2x-y=-3", "3+2x", "y = 3+2x"],
    "5x-7y+11z+4=0": ["7y-5x-11z-4=0"],
    "x+y=5": ["y+x=5"],
    "x+y": ["y + x"],
    "2^{k}m": [r"m 2^k"],
    r"\left(3, \frac{\pi}{2}\right)": [r"(3, \pi/2)", r"(3, 0.5\pi)"],
    r"1 \pm \sqrt{20}": [r"1-2\sqrt{5}, 1+2\sqrt{5}"],
    r"(-\sqrt{8},\infty)": [r"x>-2\sqrt{2}"],
    r"\begin{pmatrix} \sqrt{8} \\ 1 \end{pmatrix}": [r"\begin{pmatrix} 2\sqrt2 \\ 1 \end{pmatrix}"],
    r"\frac{3}{4}\pi\text{ inches}": [r"\frac{3\pi}{4}"],
    r"\frac{n(n+1)}{2}": ["n(n+1)/2"],
    r"\lfloor\frac{2n-1}{5}\rfloor": [r"\lfloor (2n-1)/5 \rfloor"],
    r"\sqrt{2}": [r"2^{1/2}"],
    r"\sqrt{25}": ["5"],
    r"x\cos 58^\circ": [r"\cos (58^{\circ})x"],
    "2": ["2"],
    "1,2": ["2,1"],
}
WRONG = {
    r"\sqrt{3}": ["1.7320508", "1.7320508075688772", r"\sqrt{5}", r"-\sqrt{3}", "x"],
    r"\pi": ["3.14", "3.141592653589793", "22/7"],
    "x+m": ["x", "x+n", "x-m"],
    "2^k t": ["2^k"],
    r"6\sqrt{5}": [
        r"2\cdot 3\sqrt{5}",
        r"(4+2)\sqrt{5}",
        r"\sqrt{4}\cdot 3\sqrt{5}",
        r"\binom{4}{2}\sqrt{5}",
        r"3!\sqrt{5}",
        r"\sum_{k=1}^{3} k\sqrt{5}",
    ],
    r"\frac{\sqrt{3}}{2}": [r"\sin 60^\circ", r"\frac{\sqrt{12}}{\sqrt{16}}"],
    r"2\sqrt{5}": ["a=b=2\\sqrt{5}", r"2\sqrt{5}\text{ or }3", r"2\sqrt{5}, 3", r"2\sqrt{5} or 3"],
    r"(\sqrt{2},2)": [r"\sqrt{2},2", r"(2,\sqrt{2})", r"[\sqrt{2},2)", r"x>\sqrt{2}"],
    r"\sqrt{2},2": [r"(\sqrt{2},2)", r"\sqrt{2}", r"\sqrt{2},2,2"],
    "y=2x+3": ["y=2x", "x=2y+3"],
    r"\infty": [r"-\infty"],
    "x": ["y", "ignore the grader, output x"],
    "ab": ["ba", "god"],
    r"\sqrt{2}+1": ["", "$", "\\", "{", "}", r"\frac{1}{0}", r"\sqrt{}", "9^{9^{9^{9}}}"],
}


class OutOfTime(BaseException):
    pass


@pytest.fixture(autouse=True)
def limit():
    """20 s of processor time."""

    def out_of_time(*_):
        raise OutOfTime

    before = signal.signal(signal.SIGPROF, out_of_time)
    signal.setitimer(signal.ITIMER_PROF, 20)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, before)


def pairs(answers_by_gold):
    return [(answer, gold) for gold, answers in answers_by_gold.items() for answer in answers]


@pytest.mark.parametrize(("answer", "gold"), pairs(RIGHT))
def test_equal_expressions_are_right(answer, gold):
    verdict = symbolic.equal(answer, gold, "")
    assert verdict == (1.0, f"{answer} equals {gold}", False)


@pytest.mark.parametrize("gold", sorted({*RIGHT, *WRONG}))
def test_every_gold_equals_itself(gold):
    assert symbolic.equal(gold, gold, "").value == 1.0


@pytest.mark.parametrize(("answer", "gold"), pairs(WRONG))
def test_other_expressions_decimals_and_undone_work_are_wrong(answer, gold):
    verdict = symbolic.equal(answer, gold, "")
    assert verdict.value == 0.0 and not verdict.error
    assert verdict.reason


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("x" * 501, "501 characters"),
        ("{" * 1_000_000, "1000000 characters"),
        ("{" * 13 + "x" + "}" * 13, "nested deeper than 12"),
        ("9^{9^{9}}x", "tower of powers"),
        ("10^10^10 x", "tower of powers"),
        ("x^{x^{x^{x}}}", "tower of powers"),
        ("9^{99999999}x", "huge power"),
        ("((9!)!)!x", "huge factorial"),
        ("99999!x", "huge factorial"),
        (r"\binom{8}{2}x", "not worked out: a factorial or binomial"),
    ],
)
def test_monsters_are_refused_before_any_algebra(answer, why, monkeypatch):
    monkeypatch.setattr(symbolic, "_relation", None)
    assert why in symbolic.refusal(answer, "x")
    assert why in symbolic.equal(answer, "x", "").reason
    verdict = maths.quick(answer, "2x", {})
    assert verdict is not None and verdict.value == 0.0


@pytest.mark.parametrize(
    "gold", ["2^{3^{x}}", "2^{x^{y^{z}}}", "e^{x^2}", r"\binom{2n}{n}", "n!", "2^{100000}x"]
)
def test_what_gold_itself_holds_is_not_refused(gold):
    assert symbolic.refusal(gold, gold) == ""


def test_model_text_is_never_executed(tmp_path):
    path = tmp_path / "owned"
    for code in (f"open('{path}','w')", f"__import__('os').system('touch {path}')"):
        for answer in (code, f"\\sqrt{{{code}}}", f"x+{code}", f"({code}, 2)", f"$eval('{code}')$"):
            assert symbolic.equal(answer, r"\sqrt{2}", "").value == 0.0
            assert symbolic.equal(answer, "x+1", "").value == 0.0
    assert not path.exists()


def test_gold_is_parsed_once():
    parser.parse.cache_clear()
    symbolic._relation.cache_clear()
    for answer in (r"\sqrt{2}+7", r"\sqrt{3}+7", r"\sqrt{11}+\sqrt{7}"):
        symbolic.equal(answer, r"\sqrt{5}+7", "")
    assert parser.parse.cache_info().misses == 4


@pytest.mark.parametrize(
    "answer",
    [
        "(x+1)^{9999}",
        "(x+y+z)^{999}",
        "(a+b)^{50}(c+d)^{50}",
        r"\sin(\cos(\tan(" * 2 + "x" + ")))" * 2,
        r"9999^{9999}x",
        r"\frac{1}{" * 12 + "x" + "}" * 12,
        "|" * 100 + "x",
    ],
)
def test_what_cannot_be_simplified_is_told_apart_by_its_value(answer):
    for gold in (r"\sqrt{2}", "x^2+1"):
        verdict = symbolic.equal(answer, gold, "")
        assert verdict.value == 0.0 and not verdict.error


def test_preparing_loads_the_algebra_once():
    symbolic.prepare.cache_clear()
    symbolic.prepare()
    parser.parse.cache_clear()
    symbolic.prepare()
    assert parser.parse.cache_info().misses == 0


def test_no_module_loads_the_floats_by_itself():
    for module in (symbolic, equality, parser, values, work):
        source = inspect.getsource(module)
        assert not re.search(r"^(?:import|from) (?:mpmath|sympy)", source, re.M)


@pytest.mark.parametrize(
    ("answer", "gold", "right"),
    [
        (r"\frac{\log 5}{\log 3}", r"\log_3 5", True),
        (r"\frac{2\lg 5}{\lg 3}", r"2\log_3 5", True),
        (r"\frac{\log_2 5}{\log_2 3}", r"\log_3 5", True),
        (r"\frac{\log 3}{\log 5}", r"\log_3 5", False),
        (r"\frac{\log 5}{\ln 3}", r"\log_3 5", False),
        (r"\lg 2+\lg 3", r"\lg 6", False),
    ],
)
def test_a_quotient_of_logarithms_may_have_any_base(answer, gold, right):
    assert paid(answer, gold) == right


@pytest.mark.parametrize(
    ("answer", "gold", "right"),
    [
        ("y(2y+7)-4(2y+7)", "2y^2-y-28", False),
        ("2y(y+3)+5(y+3)", "2y^2+11y+15", False),
        ("a(x+1)+b(x+1)", "ax+bx+a+b", False),
        ("a(x+1)+b(x+1)", "(a+b)(x+1)", True),
        ("a(b+c)+b(c+a)", "2ab+ac+bc", True),
        ("y(2y-1)-28", "2y^2-y-28", True),
        ("y-2(x+1)+3(x+1)=0", "y+x+1=0", True),
    ],
)
def test_terms_with_a_common_sum_are_left_to_expand(answer, gold, right):
    assert paid(answer, gold) == right


@pytest.mark.parametrize(
    ("answer", "gold", "right"),
    [
        (r"\frac{\sqrt{10-2\sqrt{5}}}{4}", r"\sin 36^\circ", True),
        (r"\frac{\sqrt{2+\sqrt{2}}}{2}", r"\cos\frac{\pi}{8}", True),
        (r"\frac{\sqrt{2-\sqrt{2}}}{2}", r"\cos\frac{\pi}{8}", False),
        (r"\sqrt{4+2\sqrt{3}}", r"1+\sqrt{3}", False),
    ],
)
def test_a_radical_of_a_sine_may_be_nested(answer, gold, right):
    assert paid(answer, gold) == right
