import pytest
from judging import paid

RIGHT = {
    # pairs and points by name
    "(6,9)": [
        "x=6, y=9",
        "(x,y)=(6,9)",
        r"x=6 \text{ and } y=9",
        "y=9, x=6",
        "T(6,9)",
        r"\langle 6,9\rangle",
    ],
    "(x,y)=(6,9)": ["x=6, y=9", "y=9, x=6", "(6,9)"],
    "a=2, b=8, c=5": ["(a,b,c)=(2,8,5)", "(2,8,5)", "2, 8, 5", "c=5, b=8, a=2"],
    "T(6,-9)": ["(6,-9)", "T=(6,-9)", r"T\left(6,-9\right)"],
    "6, 9": ["x=6, x=9", "x_1=9, x_2=6"],
    # vectors and matrices
    r"\begin{pmatrix}6\\9\end{pmatrix}": [
        r"\langle 6,9\rangle",
        r"\left[\begin{array}{c}6\\9\end{array}\right]",
    ],
    r"\begin{pmatrix}5&0\\2&7\end{pmatrix}": [
        r"\left[\begin{array}{cc}5&0\\2&7\end{array}\right]",
        r"\left(\begin{array}{rr} 5 & 0 \\ 2 & 7 \end{array}\right)",
        r"\left[\begin{matrix}5&0\\2&7\end{matrix}\right]",
    ],
    # both signs
    r"\pm 6": [r"\mp 6", "6, -6"],
    r"\pm 6\mp 2\sqrt3": [r"6-2\sqrt3, 2\sqrt3-6"],
    r"4\mp\sqrt7": [r"4\pm\sqrt{7}", r"4+\sqrt7, 4-\sqrt7"],
    # lines
    r"y=\frac{x+5}{2}": ["x=2y-5", "2y-x=5"],
    "u=3v": ["v=u/3", r"v=\frac{u}{3}"],
    # a letter and its option
    r"\textbf{(D)}\ 48": ["D", "(D)", "(D) 48", "48", r"\text{(D) } 48", "d"],
    r"\text{(D)}": ["D", r"\textbf{(D)}\ 48", r"\mathrm{(D)}"],
    "D": [r"\textbf{(D)}\ 48", "(D) 48", r"\textbf{(D) }\frac{1}{2}"],
    "48": ["(D) 48"],
    r"\langle 6,9\rangle": [r"\vec{v}=\langle 6,9\rangle", r"\vec u = (6,9)"],
    "No": ["no"],
    # names of functions and letters of theirs
    r"g^{-1}(t)=\frac{t}{4}": [r"\frac{t}{4}", r"g^{-1}(t)=0.25t", r"g^{-1}(u)=\frac{u}{4}"],
    "g(t)=2at": ["g(u)=2au", "2at"],
    r"\sum_{k=1}^{m} k^3": [r"\sum_{j=1}^{m} j^3", r"\frac{m^2(m+1)^2}{4}"],
    "u=v=5": ["u=5, v=5", "(5,5)"],
    r"\begin{cases} u=6 \\ v=9 \end{cases}": ["u=6, v=9", "(6,9)", "v=9, u=6"],
    r"\left\{\begin{array}{l} u=6, \\ v=9 \end{array}\right.": ["(6,9)"],
    # letters side by side
    "kqt": ["qkt", "k q t"],
    r"\frac{BLv}{R}": ["BLv/R", "vBL/R"],
    "rst+1": ["1+tsr"],
    r"7\mathbf{i}-2\mathbf{k}": [r"-2\hat{k}+7\hat{\mathbf{i}}", r"7\hat{\imath}-2\hat k"],
    # a ratio and a letter with its text
    "5:8": ["5/8", "0.625", "5 : 8"],
    r"\frac58": ["5:8"],
    "G": ["G. 48", "(G) 2 or 3"],
    "BDE": ["B, D, E", "B and D and E"],
    "B, D": ["BD"],
    r"\ln u+C": [r"\ln u+c", r"C+\ln u"],
    "i": [r"e^{\frac{i\pi}{2}}", "i"],
}
WRONG = {
    "(6,9)": ["x=9, y=6", "(9,6)", "6, 9", "T(9,6)", r"\langle 9,6\rangle"],
    "(x,y)=(6,9)": ["x=9, y=6", "x=6", "x=6, z=9"],
    "x=6, y=9": ["9, 6", "(9,6)", "x=6", "x=6, y=9, z=1"],
    "T(6,-9)": ["(-9,6)", "T(6,9)", "S(6,-9)"],
    "(n,2)": ["C(n,2)"],
    r"\begin{pmatrix}6\\9\end{pmatrix}": [r"\begin{pmatrix}6&9\end{pmatrix}", "6, 9"],
    r"\pm 6": [r"\mp 7", "6"],
    r"\pm 6\mp 2\sqrt3": [r"6+2\sqrt3, -6-2\sqrt3"],
    r"y=\frac{x+5}{2}": ["x=2y+5", "x=5"],
    r"\textbf{(D)}\ 48": ["C", "(C) 48", "(D) 49", "49", "D or C"],
    "D": [
        r"\textbf{(C)}\ 48",
        "(D)(C)",
        "D. 48 or C",
        "(D) 48 or C",
        "D. not",
        "D. C",
        "D) 4, C) 5",
    ],
    "G": ["T", "H"],
    "r": ["R"],
    "Rt": ["rT", "rt"],
    "HTT": ["THT"],
    "kqt": ["kqT", "kq"],
    "tea": ["eat"],
    r"g^{-1}(t)=\frac{t}{4}": [r"\frac{t}{3}", r"g(t)=\frac{t}{4}"],
    "g(t)=2at": ["g(a)=2at", "h(u)=2au", "g(u)=2at"],
    r"\sum_{k=1}^{m} k^3": [r"\sum_{k=1}^{m} k^2", r"\sum_{k=0}^{m-1} k^3"],
    "u=v=5": ["u=5", "u=5, v=6"],
    r"\begin{cases} u=6 \\ v=9 \end{cases}": ["u=9, v=6", "(9,6)"],
    r"7\mathbf{i}-2\mathbf{k}": [r"7\hat{j}-2\hat{k}", "7i-2k"],
    "5:8": ["8/5", "8:5", "10:16"],
    "5:1": ["5 cm"],
    "BDE": ["B, D", "EDB", "B, D, E, F", "B, D or E"],
    "BD": ["B or D"],
    r"\emptyset": [r"\{\emptyset\}"],
    r"\ln u+C": [r"\ln u"],
    "2": ["2 abcd"],
    "2 abcd": ["2"],
    "R": ["r"],
}


def pairs(answers_by_gold):
    return [(answer, gold) for gold, answers in answers_by_gold.items() for answer in answers]


@pytest.mark.parametrize(("answer", "gold"), pairs(RIGHT))
def test_the_same_things_are_equal_part_by_part(answer, gold):
    assert paid(answer, gold)


@pytest.mark.parametrize(("answer", "gold"), pairs(WRONG))
def test_other_parts_orders_and_names_are_wrong(answer, gold):
    assert not paid(answer, gold)


@pytest.mark.parametrize("gold", {**RIGHT, **WRONG})
def test_every_gold_equals_itself(gold):
    assert paid(gold, gold)
