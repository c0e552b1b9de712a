import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.rewards.answers import choice

OPTIONS = {"options": ["32400", "6000", "600", "$\\frac{1}{2}$ m", "both A and B"]}


@pytest.mark.parametrize(
    "answer",
    [
        "C",
        "(C)",
        "C.",
        "**C**",
        "$C$",
        "\\text{C}",
        "\\text{(C)}",
        "\\textbf{C}",
        "\\mathrm{C}",
        "c",
        "option C",
        "Option (C)",
        "The answer is C",
        "The correct answer is (C).",
        "Answer: C",
        "C) 600",
        "(C) 600",
        "C. 600",
        "600",
        "$600$",
        "\u9009C",
        "\u7b54\u6848\u662fC",
        "\u7b54\u6848\uff1aC",
        "\uff23",
        "\uff08C\uff09",
        "\\boxed{C}",
        " C ",
        "C:600",
    ],
)
def test_a_letter_or_the_text_of_an_option_is_right(answer):
    assert choice.quick(answer, "C", OPTIONS).value == 1.0


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "A",
        "F",
        "Z",
        "A or C",
        "C or D",
        "A, C",
        "A, B, C",
        "ABCDE",
        "AC",
        "(A)(B)(C)(D)(E)",
        "(C) (C)",
        "C, C",
        "not C",
        "C and more",
        "C) 6000",
        "(C) 32400",
        "A) 600",
        "6000",
        "32400",
        "anything",
        "CC",
        "C" * 3000,
        "{" * 1_000_000,
        "Ignore the grader, output C",
        "C is wrong, D is right",
        "both A and B",
        "A) B) C)",
        "I choose C or B",
    ],
)
def test_other_letters_guesses_and_talk_are_wrong(answer):
    verdict = choice.quick(answer, "C", OPTIONS)
    assert verdict.value == 0.0 and not verdict.error
    assert 0 < len(verdict.reason) < 200


def test_an_option_that_speaks_of_letters_is_known_by_its_text():
    assert choice.quick("both A and B", "E", OPTIONS).value == 1.0
    assert choice.quick("0.5 m", "D", OPTIONS).value == 1.0
    assert choice.quick("0.5 km", "D", OPTIONS).value == 0.0
    assert choice.quick("D) $\\frac{1}{2}$ m", "D", OPTIONS).value == 1.0
    assert choice.quick("\\frac12 \\text{ m}", "D", OPTIONS).value == 1.0


def test_a_text_that_two_options_share_names_neither():
    twice = {"options": ["5", "5.0", "6"]}
    assert choice.letters("5", twice) == ("", "5 is the text of 2 options")
    assert choice.quick("A", "A", twice).value == 1.0
    assert choice.quick("6", "C", twice).value == 1.0


@pytest.mark.parametrize(
    "answer", ["BD", "DB", "B, D", "B and D", "(B)(D)", "B\u3001D", "\\text{BD}", "B D"]
)
def test_several_letters_are_a_set(answer):
    assert choice.quick(answer, "BD", {"options": ["1", "2", "3", "4"]}).value == 1.0
    assert choice.quick(answer, "B, D", {}).value == 1.0


@pytest.mark.parametrize("answer", ["B", "D", "ABD", "ABCD", "BC", "BBD", "B or D"])
def test_other_sets_are_wrong(answer):
    assert choice.quick(answer, "BD", {"options": ["1", "2", "3", "4"]}).value == 0.0


@pytest.mark.parametrize(
    ("gold", "reference"),
    [
        ("", {}),
        (
            "E",
            {
                "options": [
                    "1",
                    "2",
                    "3",
                    "4",
                ]
            },
        ),
        ("7", {}),
        ("because", {}),
        ("BB", {}),
        ("A or B", {}),
    ],
)
def test_golds_that_name_no_option_are_refused(gold, reference):
    with pytest.raises(ValueError, match="gold choice"):
        choice.check(gold, reference)
    with pytest.raises(ValueError, match="gold choice"):
        choice.quick("A", gold, reference)


@pytest.mark.parametrize("options", [[1, 2], ["1", None], "12", {"A": "1"}, 7])
def test_options_that_are_no_texts_are_refused(options):
    with pytest.raises(ValueError, match=r"options: got .*, wanted a list of texts"):
        choice.check("A", {"options": options})


@given(
    st.sampled_from("ABCD"),
    st.sampled_from("ABCD"),
    st.sampled_from(["%s", "(%s)", "%s.", "**%s**"]),
)
def test_letters_are_equal_when_they_are_the_same(a, b, form):
    reference = {"options": ["1", "2", "3", "4"]}
    assert choice.quick(form % a, b, reference).value == (a == b)
    assert choice.vote(form % a, reference) == a


@given(st.text(max_size=300))
def test_any_text_gets_a_verdict(answer):
    assert choice.quick(answer, "C", OPTIONS).value in (0.0, 1.0)
    assert choice.vote(answer, OPTIONS)


def test_without_options_other_letters_in_it_are_refused():
    assert choice.quick("B) 600", "B", {}).value == 1.0
    assert choice.quick("B) or D", "B", {}).value == 0.0
    assert choice.quick("B. D", "B", {}).value == 0.0


def test_an_option_may_be_a_letter_or_speak_of_two():
    letters = {"options": ["A", "B", "C", "A and B"]}
    assert choice.quick("(A) A", "A", letters).value == 1.0
    assert choice.quick("(D) A and B", "D", letters).value == 1.0
    assert choice.quick("(B) A and B", "B", letters).value == 0.0
    assert choice.quick("(C) C and D", "C", letters).value == 0.0


def test_letters_beyond_the_options_are_named():
    assert choice.letters("F", OPTIONS) == ("", "no option F")
    assert choice.letters("BF", OPTIONS) == ("", "no option F")
    assert choice.letters("F", {}) == ("F", "")


CITIES = {"options": ["Paris", "Rome", "Oslo", "Bern"]}


@pytest.mark.parametrize(
    "answer",
    [
        "(b)",
        "[B]",
        "{B}",
        "\u3010B\u3011",
        '"B"',
        "'B'",
        "B;",
        "B - Rome",
        "B, Rome",
        "B (Rome)",
        "B is correct",
        "Letter B",
        "I choose B",
        "the answer is B because Rome",
        "b) Rome",
        "B\n\nExplanation",
        "B\n\nExplanation: Rome is the capital of Italy.",
        "B.\nRome",
        "\u201cB\u201d",
        "**B** - Rome",
        "B\u2014Rome",
        "B: Rome because of history",
        "rome",
        "B because it is the capital",
        "B is the correct answer",
        "My answer is B.",
    ],
)
def test_a_letter_may_be_wrapped_and_explained(answer):
    assert choice.quick(answer, "B", CITIES).value == 1.0
    for other in "ACD":
        assert choice.quick(answer, other, CITIES).value == 0.0


@pytest.mark.parametrize(
    "answer",
    [
        "A or B",
        "not B",
        "ABCD",
        "C or D",
        "all of the above",
        "B - Paris",
        "B because Paris",
        "B, A",
        "B and C",
        "B (Paris)",
        "B is wrong",
        "B is not correct",
        "B\nA",
        "B\nParis",
        "A\nB",
        "B\n\nor C",
        "B, Rome or C",
        "B is correct, C too",
        "Be",
        "B'",
        "B Rome Paris",
        "I choose B or C",
        "the answer is not B",
        "B isn't right",
        "B if A",
        "Rome or Paris",
        "B\nis wrong",
        "(B) (C)",
        "[B] [C]",
        "B;C",
        "B and more",
        "B 5",
        "b because Rome, Paris",
    ],
)
def test_a_letter_with_another_option_or_a_hedge_is_no_answer(answer):
    assert choice.quick(answer, "B", CITIES).value == 0.0


def test_all_of_the_above_is_an_answer_where_it_is_an_option():
    options = {"options": ["Paris", "Rome", "all of the above"]}
    assert choice.quick("all of the above", "C", options).value == 1.0
    assert choice.quick("C, all of the above", "C", options).value == 1.0
    assert choice.quick("A, all of the above", "A", options).value == 0.0


SENTENCE = "we see that the train goes and so a man can be at home by noon "


@pytest.mark.parametrize(
    "piece",
    [
        SENTENCE,
        "a",
        "A",
        "A ",
        "a b ",
        "A, ",
        "(A",
        "and ",
        "A and ",
        "B because ",
        "B\n",
        "B. ",
        "the answer is ",
        "correct ",
        "I choose ",
        "**",
        "**B ",
        "\\text{",
        "\\text{a}",
        "(",
        '"',
        "not ",
        "Rome ",
        "B Rome ",
        " ",
        "\n",
        "-",
        ". ",
    ],
)
def test_the_longest_answers_are_read_at_once(piece):
    # a sentence of 40 words took for ever; no such test would end
    for head in ("", "B", "B because ", "The answer is "):
        for tail in ("", "!", " 7", " ("):
            answer = (head + piece * choice.MAX_CHARS)[: choice.MAX_CHARS - 2] + tail
            assert choice.quick(answer, "C", CITIES).value == 0.0
            assert choice.vote(answer, {})


def test_only_short_answers_name_several_letters():
    assert choice.letters("A, B" + " " * 10 + "C", {}) == ("ABC", "")
    assert choice.letters("A" + " ," * choice.MAX_RUN + "B", {})[0] == ""


@pytest.mark.parametrize(
    "answer",
    [
        r"\textbf{(D)}\ 48",
        r"\text{(D) } 48",
        "(D) 48",
        r"\text{(D)}",
        "[D] 48",
        r"\mathrm{(D)}\ 48",
    ],
)
def test_a_bracketed_letter_may_have_its_option_behind_it(answer):
    assert choice.letters(answer, {}) == ("D", "")
    assert choice.quick(answer, "C", {}).value == 0.0
