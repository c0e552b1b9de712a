import pytest
from judging import paid

from r1jax.rewards.answers import latex, qualifiers

RIGHT = {
    "3m+2": [r"3m+2 \text{ for all } m \ge 1", "3m+2, m \\in \\mathbb{N}"],
    r"3m+2 \text{ for all integers } m": ["3m+2", "2+3m"],
    r"\frac{\pi}{5}+2k\pi, k\in\mathbb{Z}": [
        r"\frac{\pi}{5}+2k\pi",
        r"\frac{\pi}{5}+2k\pi\ (k\in\mathbb Z)",
        r"2n\pi+\frac{\pi}{5}, n\in\mathbb{Z}",
        r"2n\pi+\frac{\pi}{5}, n \in Z",
        r"\frac{\pi}{5}+2k\pi (k \in \mathbf{Z})",
        "\\frac{\\pi}{5}+2k\\pi, k∈Z",
        r"\frac{\pi}{5}+2\pi k \text{ where } k \text{ is an integer}",
    ],
    r"g(x)=3x \text{ for all real } x": ["g(x)=3x", "3x"],
    "x=m\\pi, m\\in\\mathbb{Z}": ["x=m\\pi", "m\\pi"],
    r"\frac{\pi}{7}+\pi k, k\in\mathbb{Z}": [
        r"\frac{\pi}{7}+\pi n, n \in \mathbb{Z}",
        r"\frac{\pi}{7}+k\pi",
    ],
    r"\pi k+m, k, m\in\mathbb{Z}": [r"m+k\pi", r"\pi k+m \quad (k, m \in \mathbb{Z})"],
    r"2ak, k\in\mathbb{Z}": [r"2am, m\in\mathbb{Z}"],
}
WRONG = {
    "3m+2": [r"3m+1 \text{ for all } m \ge 1"],
    r"k\pi, k\in\mathbb{Z}": [
        r"k\pi, k\in\mathbb{N}",
        r"2k\pi, k\in\mathbb{Z}",
        r"\pi, k\in\mathbb{Z}",
        r"k \in \mathbb{Z}",
    ],
    r"\frac{\pi}{7}+\pi k, k\in\mathbb{Z}": [r"\frac{\pi}{7}+\pi"],
    r"g(x)=3x \text{ for all real } x": ["g(x)=2x", "3"],
}


def pairs(answers_by_gold):
    return [(answer, gold) for gold, answers in answers_by_gold.items() for answer in answers]


@pytest.mark.parametrize(("answer", "gold"), pairs(RIGHT))
def test_a_condition_may_be_left_out_or_renamed(answer, gold):
    assert paid(answer, gold)


@pytest.mark.parametrize(("answer", "gold"), pairs(WRONG))
def test_other_conditions_and_values_are_wrong(answer, gold):
    assert not paid(answer, gold)


@pytest.mark.parametrize(
    "text",
    [r"x \in \mathbb{R}", r"\{2k \mid k \in \mathbb{Z}\}", "5 for", "forty", r"x > 2", "(1,2)", ""],
)
def test_what_is_no_condition_stays(text):
    assert qualifiers.split(latex.tidy(text)) == (latex.tidy(text), qualifiers.NONE)
