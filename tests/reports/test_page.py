from r1jax.reports import page

ROW = {
    "id": "q_1",
    "sample": 3,
    "gold": "3",
    "answer": "$3",
    "tokens": 1234,
    "reason": "3 | 3",
    "completion": "three",
}


def test_blocks_stand_a_blank_line_apart(tmp_path):
    path = page.write_page(tmp_path, "A run", ["## Loss", "", "1 nat", page.picture("Curves")])
    assert path == tmp_path / "report.md"
    assert path.read_text() == "# A run\n\n## Loss\n\n1 nat\n\n![Curves](report.png)\n"


def test_a_cell_breaks_no_table():
    table = page.table(["name", "value"], [["a|b", "two\nlines"]])
    assert table == "| name | value |\n| --- | ---: |\n| a\\|b | two lines |"


def test_columns_of_words_are_flush_left():
    rule = page.table(["claim", "in words", "margin"], [], words=2).splitlines()[1]
    assert rule == "| --- | --- | ---: |"


def test_a_picture_may_have_its_own_file():
    assert page.picture("Stages", "stages.png") == "![Stages](stages.png)"


def test_facts_are_the_leaves_of_nested_dicts():
    facts = page.facts({"at": {"top_p": 1 / 3, "kinds": ["a"]}, "seed": 0, "none": {}}, "fact")
    assert facts.splitlines()[2:] == [
        "| at.top_p | 0.333333 |",
        "| at.kinds | ['a'] |",
        "| seed | 0 |",
    ]


def test_counts_have_their_thousands_apart():
    counts = page.counts({"rows_read": 12345}, "rows")
    assert counts == "|  | rows |\n| --- | ---: |\n| rows read | 12,345 |"


def test_an_answer_comes_with_question_and_verdict():
    judged, question, completion = page.answer(ROW, question="1+2?", value="value 1, ")
    assert judged == "q\\_1, sample 3: answer \\$3, gold 3, value 1, 1,234 tokens. 3 | 3"
    assert (question, completion) == ("```text\n1+2?\n```", "```text\nthree\n```")
    assert (
        ": no answer, gold 3, 1,234 tokens."
        in page.answer(ROW | {"answer": None}, question="", value="")[0]
    )
