import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.rewards.parts import language
from r1jax.rewards.parts.language import consistency, lingua_words, prose, script_words

ENGLISH = [
    "First we add the two numbers, then we halve the sum.",
    "wait, that is wrong: let me check again",
    "Let $x$ be the number of apples, so $x + 3 = 7$ and hence $x = 4$.",
    "The area of triangle ABC is \\frac{1}{2} \\cdot AB \\cdot h, which gives 12 cm^2.",
    "She pays $5 for bread and $6 for milk, so $11 in all.",
    "By Vieta's formulas the sum of the roots equals $-\\frac{b}{a}$, which isn't zero.",
    "quick guess",
    "Using the code\n```python\nfor i in range(10):\n    total += i\n```\nwe find forty-five.",
    "7*3\u22611 check 7*3\u22611 ok",
    "\\[\\int_0^1 x^2\\,dx = \\frac13\\] so the integral converges.",
    "The na\u00efve caf\u00e9 owner knows \u03c0 is about 3.14.",
    "Since sin(30) = 0.5, the height is half of the side.",
    "I don't know whether he's right, but I'd try n = 2 first.",
    "Therefore the final answer is \\boxed{\\text{forty \\textbf{two}}}.",
    "THEREFORE the number is PRIME.",
]
CHINESE = [
    "首先把两个数相加，然后除以二。",
    "等等，这里错了，再算一遍",
    "设苹果有 $x$ 个，则 $x + 3 = 7$，所以 $x = 4$。",
    "三角形ABC的面积是 \\frac{1}{2} \\cdot AB \\cdot h，即 12 cm^2。",
    "她买面包花了 $5，买牛奶花了 $6，一共 $11。",
    "由韦达定理，两根之和为 $-\\frac{b}{a}$，不等于零。",
    "猜一下",
    "用代码\n```python\nfor i in range(10):\n    total += i\n```\n得到四十五。",
    "7*3\u22611核对7*3\u22611对",
    "\\[\\int_0^1 x^2\\,dx = \\frac13\\] 所以积分收敛。",
    "圆周率 \u03c0 约为 3.14。",
    "因为 sin(30) = 0.5，所以高是边长的一半。",
    "边长为5cm的正方形，周长是20cm。",
    "所以答案是 \\boxed{\\text{forty two}}。",
    "取 max(a, b)，再 mod 10，得到个位数。",
]
MIXED = [  # with the words of either: Latin words, Han characters
    ("we find 答案", 2, 2),
    ("首先 compute 两个数 of the sum", 4, 5),
    ("so 我们 know that $x$ 是 even", 4, 3),
    ("我 们 求 和 the sum", 2, 4),
    ("Answer: 答案", 1, 2),
]
EVERY = [(text, "en") for text in ENGLISH] + [(text, "zh") for text in CHINESE]
QUESTIONS = {"en": "What is the last digit?", "zh": "个位数是多少？"}
SAMPLES = ["ab cd", "求和", " 12 + 3 ", "x", "да", "の", "\n", "it's", "5cm"]
mixtures = st.lists(st.sampled_from(SAMPLES), max_size=8).map(" ".join)


def share(inside: str, target: str, detector: str = "script") -> float:
    text = f"<think>{inside}</think><answer>42</answer>"
    return consistency(text, question="", target=target, detector=detector)[0]


@pytest.mark.parametrize(("text", "name"), EVERY)
def test_one_language_is_consistent_with_itself_alone(text, name):
    assert share(text, name) == 1.0
    assert share(text, "zh" if name == "en" else "en") == 0.0


@pytest.mark.parametrize(("text", "name"), EVERY)
def test_the_question_tells_the_language(text, name):
    for asked in ("en", "zh"):
        question = QUESTIONS[asked]
        value = consistency(text, question=question, target="question", detector="script")[0]
        assert value == (asked == name)


@pytest.mark.parametrize(("text", "latin", "han"), MIXED)
def test_mixed_text_is_the_share_of_its_words(text, latin, han):
    english = latin / (latin + han / 1.7)
    assert share(text, "en") == pytest.approx(english)
    assert share(text, "zh") == pytest.approx(1 - english)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("la somme des deux nombres", {"en": 5, "zh": 0, "other": 0}),
        ("die Summe der Zahlen", {"en": 4, "zh": 0, "other": 0}),
        ("сумма чисел", {"en": 0, "zh": 0, "other": 2}),
        ("これは和", {"en": 0, "zh": 1 / 1.7, "other": 2}),
        ("합계는 두", {"en": 0, "zh": 0, "other": 2}),
        ("\u1112\u1161\u11b8", {"en": 0, "zh": 0, "other": 1}),
        ("مجموع ال", {"en": 0, "zh": 0, "other": 2}),
        ("a b x 12 3rd n_max max_n ab1 U2 ABCD \u03b1 12 kg", {"en": 0, "zh": 0, "other": 0}),
        ("f' x'' 'a' don't O'Neil", {"en": 2, "zh": 0, "other": 0}),
        ("e\u0301a\u0301 Ａｂｃ", {"en": 2, "zh": 0, "other": 0}),
        ("ABCDE is not IT", {"en": 3, "zh": 0, "other": 0}),
        ("", {"en": 0, "zh": 0, "other": 0}),
    ],
)
def test_words_are_told_by_their_script(text, words):
    assert script_words(text) == pytest.approx(words)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a $b$ c $$d $ e$$ f", "a c f"),
        ("a \\(b (c)\\) d \\[e [f]\\] g", "a d g"),
        ("a `b` c ```d\n`e` ``` f", "a c f"),
        ("a \\boxed{b {c {d}} e} f", "a f"),
        ("a \\begin{align} b \\end{align} \\operatorname{c} \\frac{d}{e}", "a b {d}{e}"),
        ("a \\text{b}", "a {b}"),
        ("a \\$b$ c", "a b$ c"),
        ("a $5 or $6, b ($7)", "a $5 or $6, b ($7)"),
        ("a $b\nc$ d", "a d"),
        ("a $b\n \nc$ d", "a $b c$ d"),
        ("a $b\\$c$ d", "a d"),
        ("a https://b.c/d?e f", "a f"),
        ("unclosed $a", "unclosed $a"),
        ("unclosed \\[a", "unclosed a"),
        ("unclosed \\(a \\(b\\) c", "unclosed a c"),
        ("unclosed ```a", "unclosed ```a"),
        ("unclosed `a\nb` c", "unclosed `a b` c"),
        ("unclosed \\boxed{a {b} c", "unclosed {a {b} c"),
        ("line\\\\[2pt] break", "line [2pt] break"),
    ],
)
def test_maths_and_code_go_and_nothing_else(text, left):
    assert " ".join(prose(text).split()) == left


maths = st.text(alphabet="ab 求д{}()[]\\_^+=12", min_size=1).map(lambda x: f"${{{x}.}}$")


@given(mixtures, mixtures, maths, st.sampled_from(["en", "zh"]))
def test_maths_never_changes_the_share(before, after, inline, target):
    if any(map(str.isalnum, before + after)):
        plain = share(f"{before} {after}", target)
        assert share(f"{before} {inline} {after}", target) == plain


@given(mixtures, st.sampled_from(["en", "zh"]))
def test_the_share_is_0_to_1_and_shares_add_up_to_1_at_most(text, target):
    assert 0 <= share(text, target) <= 1
    if sum(script_words(text).values()):
        assert share(text, "en") + share(text, "zh") <= 1 + 1e-12


@given(mixtures)
def test_another_word_of_the_language_never_lowers_its_share(text):
    if sum(script_words(text).values()):
        assert share(text + " word", "en") >= share(text, "en")
        assert share(text + " word", "zh") <= share(text, "zh")


@given(st.lists(st.sampled_from(SAMPLES), min_size=1, max_size=8), st.randoms())
def test_the_order_of_words_does_not_matter(pieces, rng):
    shuffled = rng.sample(pieces, len(pieces))
    assert share(" ".join(pieces), "zh") == share(" ".join(shuffled), "zh")


@pytest.mark.parametrize("inside", ["", " \n", "\u200b", "...", "{}$$", "<answer>"])
def test_silence_earns_nothing(inside):
    text = f"<think>{inside}</think><answer>forty-two</answer>"
    value, why = consistency(text, question="Why?", target="question", detector="script")
    assert (value, why) == (0.0, "a thought without letters or digits")


@pytest.mark.parametrize("inside", ["1 + 1 = 2", "$a$", "x", "```\nsum(a)\n```", "\u03c0r^2"])
def test_maths_alone_mixes_nothing(inside):
    assert share(inside, "zh") == share(inside, "en") == 1.0


def test_only_the_thought_counts_and_all_of_it():
    english, chinese = ENGLISH[0], CHINESE[0]
    assert consistency(
        f"<think>{english}</think>{chinese}", question="", target="en", detector="script"
    ) == (1.0, "wanted en, words: en 11")
    for text in (f"<think>{english}</think>{chinese}</think>42", f"{english} {chinese}"):
        value, why = consistency(text, question="", target="en", detector="script")
        assert value == pytest.approx(11 / (11 + 13 / 1.7))
        assert why == "wanted en, words: en 11, zh 7.647"


def test_a_question_without_words_wants_the_thoughts_language():
    text = "<think>so 我们得到答案</think>"
    value, why = consistency(text, question="2 + 2 = ?", target="question", detector="script")
    assert value == pytest.approx(6 / (6 + 1.7)) and why.startswith("wanted zh")


@pytest.mark.parametrize(
    ("target", "detector", "message"),
    [
        ("fr", "script", "language target with script: got 'fr', wanted one of .*'zh'"),
        ("other", "lingua", "language target with lingua: got 'other'"),
        ("en", "fasttext", "language detector: got 'fasttext', wanted one of .*'lingua'"),
    ],
)
def test_unknown_names_are_refused(target, detector, message):
    with pytest.raises(ValueError, match=message):
        consistency("a", question="b", target=target, detector=detector)


def test_lingua_tells_languages_of_one_script_apart():
    english = "So we add the two numbers and then divide the result by three."
    french = "Donc nous ajoutons les deux nombres et nous divisons la somme par trois."
    german = "Also addieren wir die beiden Zahlen und teilen das Ergebnis durch drei."
    for name, text in {"en": english, "fr": french, "de": german}.items():
        assert share(text, name, "lingua") == 1.0
        assert share(f"{text} {text} {english}", name, "lingua") > 0.6
    assert share(f"{english}\n{french}", "en", "lingua") == 13 / 26
    assert share(f"{german} {CHINESE[0]}", "zh", "lingua") == pytest.approx(
        13 / 1.7 / (12 + 13 / 1.7)
    )


@given(mixtures)
def test_lingua_only_shares_out_the_words_of_latin_script(text):
    words, told = script_words(text), lingua_words(text)
    assert sum(told.values()) == pytest.approx(sum(words.values()))
    assert told["zh"] == words["zh"] and told["other"] >= words["other"]


def test_words_that_no_language_has_are_other_words():
    assert lingua_words("\u024f\u024f " * 5)["other"] == 5


def test_a_missing_lingua_names_its_extra(monkeypatch):
    language._lingua.cache_clear()
    monkeypatch.setitem(sys.modules, "lingua", None)
    with pytest.raises(ImportError, match=r"pip install r1jax\[language\]"):
        consistency("so", question="", target="en", detector="lingua")


HOSTILE = [
    *("```", "`", "`a", "```a`b", "$", "$$", "$a\n", "$a\n \n", "$\\", "\\[", "\\(", "\\[ab\\(cd"),
    *("\\boxed{", "\\boxed{{}{}", "\\boxed ", "\\mathrm{", "{", "\\", "\n", "'", "a'", "a", "ab "),
    *("ab1", "求", "a求", "の", "\u0434", "\u200b", "https://", "<think>", "<answer>"),
]


JUDGED = ["a", "ab ", "ab1", "a'", "a\u6c42", "\\[ab\\(cd"]  # what reaches lingua


@pytest.mark.parametrize(
    ("detector", "piece"), [*(("script", p) for p in HOSTILE), *(("lingua", p) for p in JUDGED)]
)
def test_a_million_hostile_characters_take_linear_time(detector, piece):
    # 0.1 to 0.6 s; quadratic time would be minutes at least
    text = (piece * 1_000_000)[:1_000_000]
    value, _ = consistency(text, question="Why?", target="question", detector=detector)
    assert 0 <= value <= 1
