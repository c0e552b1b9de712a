import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.data.tasks.decontamination import (
    DecontaminationConfig,
    Evaluation,
    check_not_planted,
    find_hits,
    grams,
    index_grams,
    plain,
    planted,
    summary,
    words,
)

TEXT = st.lists(st.sampled_from("abc"), max_size=9).map(" ".join)


def naive_meet(one: str, two: str, n: int) -> bool:
    """Whether two texts of plain words share n words in a row, or are short and the same."""
    a, b = one.split(), two.split()
    if len(a) < n or len(b) < n:
        return len(a) < n and len(b) < n and a == b
    return any(
        a[i : i + n] == b[j : j + n] for i in range(len(a) - n + 1) for j in range(len(b) - n + 1)
    )


@given(TEXT, st.lists(TEXT, min_size=1, max_size=3), st.integers(1, 4))
def test_two_questions_meet_when_the_slow_way_says_so(train, exam, n):
    index = index_grams({"exam": {str(i): text for i, text in enumerate(exam)}}, n=n)
    hits = find_hits({"t": train}, index, n=n)
    assert bool(hits) == any(naive_meet(train, text, n) for text in exam)
    for hit in hits:
        assert all(
            hit.gram in text or hit.gram == text.replace(" ", "")
            for text in (train, exam[int(hit.evaluation_id)])
        )


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("Don't  STOP,\nnow!", "dont stop now"),
        ("It costs $1,000.50 (about).", "it costs 100050 about"),
        ("\uff21\uff22\uff11 \ufb01ne Stra\u00dfe", "ab1 fine strasse"),
        ("\u7b54\u6848\u662f42\u5417\uff1f", "\u7b54 \u6848 \u662f 42 \u5417"),
        ("$\\frac{1}{2}$ of x^2", "frac12 of x2"),
        ("snake_case \u2014 \u00b0", "snakecase"),
        ("", ""),
    ],
)
def test_words_forget_case_width_and_signs(text, want):
    assert words(text) == want.split()


def test_every_question_has_its_grams_and_itself():
    assert list(grams("One, two three.", 3)) == ["one two three", "one,twothree"]
    assert list(grams("One, two  three four", 3))[:-1] == ["one two three", "two three four"]
    assert list(grams("One,  TWO.", 3)) == list(grams("one,two", None)) == ["one,two"]


@pytest.mark.parametrize(
    ("one", "two", "equal"),
    [
        ("What is 3+4=?", "what is 3 + 4 = ?", True),
        ("Compute 7*8.", "Compute 7 * 8", True),
        ("Compute 7*8", "Compute 7+8", False),
        ("What is 5!", "What is 5?", False),
        ("1 2 + 3", "12 + 3", False),
        ("1  2\n+ 3", "1 2+3", True),
        ("3-4", "3 4", False),
        ("\uff13\uff0b\uff14\uff1f", "3+4?", True),
        ("\u7b54\u6848 \u3002", "\u7b54\u6848", True),
        ("?", ".", False),
    ],
)
def test_equal_questions_differ_in_case_width_and_spaces_alone(one, two, equal):
    assert (plain(one) == plain(two)) is equal
    for n in (2, 10, None):
        hits = find_hits({"t": one}, index_grams({"exam": {"e": two}}, n=n), n=n)
        assert bool(hits) is equal or n == 2


def test_spaces_that_make_words_hide_no_equal_question():
    index = index_grams({"exam": {"e": "1 + 2 + 3 + 4 + 5 ="}}, n=5)
    (hit,) = find_hits({"t": "1+2+3+4+5=?"}, index, n=5)
    assert hit.gram == "1+2+3+4+5="


def test_short_questions_keep_their_signs():
    index = index_grams({"exam": {"e": "What is 3 - 4?"}}, n=10)
    questions = {"a": "What is 3 + 4?", "b": "what  is 3 - 4?", "c": "And what is 3 - 4?"}
    assert [hit.id for hit in find_hits(questions, index, n=10)] == ["b"]


def test_chinese_is_counted_in_characters():
    exam = "小明有五个苹果和三个梨，共几个？"
    index = index_grams({"exam": {"e": exam}}, n=10)
    train = {"same": "问：" + exam[:12], "nine": exam[:9] + "某某"}
    assert [hit.id for hit in find_hits(train, index, n=10)] == ["same"]


def test_a_hit_names_the_first_question_that_it_meets():
    index = index_grams({"x": {"x1": "a b c"}, "y": {"y1": "b c d", "y2": "a b c"}}, n=3)
    (hit,) = find_hits({"t": "z a b c d"}, index, n=3)
    assert hit == ("t", "a b c", "x", "x1")


def test_a_report_without_hits_says_so():
    report = {"n": 10, "sources": {"a": {"before": 7, "removed": 0, "kept": 7}}, "removed": []}
    assert summary(report).startswith("decontamination: 0 of 7 training questions share 10 words")


def test_a_comparison_with_nothing_is_refused():
    with pytest.raises(ValueError, match="something to compare with"):
        DecontaminationConfig(against={}, held_out=False, n=10)


def asking(name: str, *questions: str) -> dict:
    turns = [
        turn
        for question in questions
        for turn in (
            {"role": "user", "content": question},
            {"role": "assistant", "content": "What is 3 + 4? It is 7."},
        )
    ]
    return {"id": name, "source": "s", "messages": turns}


EVALUATION = Evaluation(said={"test": {"t1": "What is 3 + 4?", "t2": "a b c d"}}, asked={})


def test_a_planted_question_is_caught_in_any_turn_of_the_user():
    clean = asking("clean", "Odd: 3 - 4?")
    rows = [clean, asking("second", "Hello!", "what is 3+4"), asking("gram", "x a b c y")]
    assert [hit.id for hit in planted(rows, EVALUATION, n=None)] == ["second"]
    hits = planted(rows, EVALUATION, n=3)
    assert [(h.id, h.evaluation_set, h.evaluation_id) for h in hits] == [
        ("second", "test", "t1"),
        ("gram", "test", "t2"),
    ]
    assert planted([clean], EVALUATION, n=None) == []


def test_the_words_of_a_template_alone_are_no_meeting():
    said, asked = {"x": {"e": "Sum a list."}}, {"x": {"e": "Write one function. Sum a list."}}
    rows = [
        asking("other", "Write one function. Sort a list."),
        asking("same", "Write one function.\n\nSum a list"),
    ]
    hits = planted(rows, Evaluation(said, asked), n=3)
    assert [(hit.id, hit.evaluation_id) for hit in hits] == [("same", "e")]
    assert planted(rows[:1], Evaluation(asked, {}), n=3)  # in the data's own words it would be


def test_a_training_file_with_a_planted_question_is_refused(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [asking("fine", "What is 5 + 4?"), asking("bad", "What is 3 + 4?")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ValueError, match=r"1 of 2 training rows .* first bad, which is t1 of test"):
        check_not_planted(path, EVALUATION, n=None)
    path.write_text(json.dumps(rows[0]) + "\n")
    assert check_not_planted(path, EVALUATION, n=None) == 1
