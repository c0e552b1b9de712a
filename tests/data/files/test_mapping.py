import decimal
import json
import os
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs import data
from r1jax import config as configs
from r1jax.data.files.mapping import FileSource, load_problems, question_texts
from r1jax.data.tasks.problems import Problem

GSM8K = r"####\s*(.+)$"


def source(path, **fields) -> FileSource:
    return configs.build(FileSource, data.rows(str(path), **fields))


def load(path, **fields):
    return load_problems(source(path, **fields))


def write(path, *rows):
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_problems_carry_answer_labels_and_line(tmp_path):
    path = write(
        tmp_path / "sums" / "train.v1.jsonl",
        {"question": "1+1?", "answer": "#### is it\nyes\n#### 2", "level": 1, "field": "sums"},
        {"question": "1000+1?", "answer": "so\n#### 1,001 ", "level": 5, "field": "sums"},
    )
    assert load(path, answer_pattern=GSM8K, stratum="level", subject="field") == [
        Problem("sums/train.v1:1", "1+1?", "2", "1", "sums", "maths", {}),
        Problem("sums/train.v1:2", "1000+1?", "1,001", "5", "sums", "maths", {}),
    ]


def test_an_empty_pattern_takes_the_whole_field(tmp_path):
    path = write(
        tmp_path / "x.jsonl",
        {"question": "q", "answer": " a\nb "},
        {"question": "q", "answer": 145.0},
        {"question": "q", "answer": ["1", "x+1"]},
    )
    assert [problem.answer for problem in load(path)] == ["a\nb", "145.0", "1, x+1"]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"question": "q"}, "no field 'answer'"),
        ({"answer": "#### 1"}, "no field 'question'"),
        ({"question": "q", "answer": "1"}, "finds nothing"),
        ({"question": "q", "answer": "####  "}, "finds nothing"),
        ({"question": " ", "answer": "#### 1"}, "field 'question' is empty"),
        ({"question": "q", "answer": None}, "is NoneType"),
        ({"question": "q", "answer": True}, "finds nothing"),
        ({"question": "q", "answer": {"a": 1}}, "is dict"),
    ],
)
def test_a_row_that_gives_no_problem_is_named(tmp_path, row, why):
    path = write(tmp_path / "x.jsonl", {"question": "q", "answer": "#### 1"}, row)
    with pytest.raises(ValueError, match=f"x.jsonl:2: .*{why}"):
        load(path, answer_pattern=GSM8K)


@pytest.mark.parametrize("field", ["stratum", "subject"])
def test_a_missing_label_is_an_error(tmp_path, field):
    path = write(tmp_path / "x.jsonl", {"question": "q", "answer": "1"})
    with pytest.raises(ValueError, match=rf"x\.jsonl:1: {field}: no field 'level'"):
        load(path, **{field: "level"})


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (dict(answer_pattern="####"), "0 groups, wanted 1"),
        (dict(answer_pattern="(a)(b)"), "2 groups, wanted 1"),
        (dict(answer_pattern="(a"), "no regular expression"),
        (dict(answer=""), "wanted both"),
        (dict(question=""), "wanted both"),
        (dict(options="choices"), "options 'choices' with kind 'maths'"),
        (dict(kind="choice"), "options '' with kind 'choice'"),
        (dict(kind="magic"), r"config\.kind: got 'magic', wanted one of \['maths'"),
        (dict(format="xls"), r"config\.format: got 'xls'"),
        (dict(limit=-1), "limit: got -1"),
        (dict(filters=(dict(field="a", op="is", value=1),)), r"filters\[0\]\.op: got 'is'"),
        (dict(stratums="x"), "did you mean 'stratum'"),
    ],
)
def test_a_block_that_cannot_be_read_is_refused_before_the_file(fields, why):
    with pytest.raises(ValueError, match=why):
        source("nowhere.jsonl", **fields)


def choice(path, **fields):
    return load(path, options="options", kind="choice", **fields)


@pytest.mark.parametrize(
    "options", [["3", "4"], ["(A)3", "(B)  4"], ["A)3", "B) 4"], ["(A)3", "4"], [3, 4]]
)
def test_options_are_shown_with_labels_once(tmp_path, options):
    path = write(tmp_path / "x.jsonl", {"question": "2+2?", "options": options, "answer": "B"})
    (problem,) = choice(path)
    assert problem.question == "2+2?\n(A) 3\n(B) 4"
    assert (problem.kind, problem.answer) == ("choice", "B")
    assert problem.reference == {"options": ["3", "4"]}


def test_a_label_in_the_wrong_place_belongs_to_the_option(tmp_path):
    path = write(
        tmp_path / "x.jsonl", {"question": "?", "options": ["B)1", "(1)(2)"], "answer": "A"}
    )
    assert choice(path)[0].reference["options"] == ["B)1", "(1)(2)"]


@pytest.mark.parametrize(
    ("answer", "want"), [(0, "A"), (1, "B"), ("B", "B"), (["A", "B"], "A, B"), (" A ", "A")]
)
def test_answers_to_choices_become_letters(tmp_path, answer, want):
    path = write(tmp_path / "x.jsonl", {"question": "?", "options": ["x", "y"], "answer": answer})
    assert choice(path)[0].answer == want


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"answer": 2}, "answer 2, wanted 0 to 1"), ({"answer": -1}, "wanted 0 to 1"),
        ({"answer": "C"}, r"answer 'C', wanted one of \['A', 'B'\]"),
        ({"answer": "x"}, "wanted one of"), ({"answer": True}, "wanted one of"),
        ({"options": ["x"]}, "wanted 2 to 26 options"), ({"options": "xy"}, "wanted JSON"),
        ({"options": None}, "wanted a list or an object"),
        ({"options": ["x", ""]}, "'options' is empty"),
    ],
)  # fmt: skip
def test_a_choice_that_cannot_be_judged_is_named(tmp_path, change, why):
    row = {"question": "?", "options": ["x", "y"], "answer": "A"} | change
    with pytest.raises(ValueError, match=rf"x\.jsonl:1: .*{why}"):
        choice(write(tmp_path / "x.jsonl", row))


def test_an_option_letter_may_be_found_by_a_pattern(tmp_path):
    row = {"question": "?", "options": ["x", "y"], "answer": "so it is (B)"}
    path = write(tmp_path / "x.jsonl", row)
    assert choice(path, answer_pattern=r"\((.)\)")[0].answer == "B"
    with pytest.raises(ValueError, match="'s', wanted one of"):
        choice(path, answer_pattern=r"(.)")


def test_references_come_from_dotted_paths_as_they_are(tmp_path):
    tests = {"inputs": ["1\n"], "outputs": ["2\n"]}
    path = write(tmp_path / "x.jsonl", {"problem": "double", "tests": tests})
    (problem,) = load_problems(configs.build(FileSource, data.code_contests(str(path))))
    assert problem.reference == tests and problem.answer == "(tests)"
    assert problem.question.startswith("double\n\nWrite a Python program")
    with pytest.raises(ValueError, match=r"x\.jsonl:1: reference\.setup: no field"):
        load(path, question="problem", answer="", kind="code", reference={"setup": "tests.setup"})
    null = write(tmp_path / "n.jsonl", {"question": "q", "answer": "1", "t": None})
    with pytest.raises(ValueError, match=r"n\.jsonl:1: reference 'setup' is null"):
        load(null, reference={"setup": "t"})


def test_a_program_keeps_the_indentation_of_its_first_line(tmp_path):
    row = {
        "prompt": "def f():\n", "canonical_solution": "\n    return 1\n", "test": "t",
        "entry_point": "f",
    }  # fmt: skip
    path = write(tmp_path / "x.jsonl", row)
    (problem,) = load_problems(configs.build(FileSource, data.humaneval(str(path))))
    assert problem.answer == "    return 1"
    assert problem.reference == {"prompt": "def f():\n", "test": "t", "entry_point": "f"}


def test_filters_leave_line_numbers_and_the_limit_comes_after(tmp_path):
    rows = [{"question": f"q{i}", "answer": i, "task_id": i} for i in range(1, 9)]
    path = write(tmp_path / "x" / "x.jsonl", *rows)
    some = (
        dict(field="task_id", op="at_least", value=3),
        dict(field="task_id", op="at_most", value=7),
    )
    assert [p.id for p in load(path, filters=some)] == [f"x/x:{i}" for i in range(3, 8)]
    assert [p.answer for p in load(path, filters=some, limit=2)] == ["3", "4"]
    assert len(load(path, limit=99)) == 8
    with pytest.raises(ValueError, match=r"x\.jsonl: the filters leave none of 8 rows"):
        load(path, filters=(dict(field="task_id", op="at_most", value=0),))


def test_rows_behind_the_limit_are_not_read(tmp_path):
    path = write(tmp_path / "x.jsonl", {"question": "q", "answer": "1"})
    path.write_text(path.read_text() + "no json\n")
    assert len(load(path, limit=1)) == 1
    with pytest.raises(ValueError, match=r"x\.jsonl:2: "):
        load(path)


def test_an_empty_file_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"x\.jsonl: empty, wanted at least one row"):
        load(write(tmp_path / "x.jsonl"))


@pytest.mark.parametrize(
    ("folder", "name", "want"),
    [
        ("main", "train.jsonl", "main/train:1"), ("main", "*", "main/*:1"),
        ("main", "", ".*/main:1"), ("main/../main", "train.jsonl", "main/train:1"),
    ],
)  # fmt: skip
def test_ids_name_folder_and_file_as_they_were_given(tmp_path, folder, name, want):
    write(tmp_path / "main" / "train.jsonl", {"question": "q", "answer": "1"})
    (problem,) = load(os.path.join(tmp_path, folder, name))
    assert re.fullmatch(want.replace("main/*", r"main/\*"), problem.id)


def test_a_relative_path_has_the_same_ids(tmp_path, monkeypatch):
    write(tmp_path / "main" / "train.jsonl", {"question": "q", "answer": "1"})
    (tmp_path / "main" / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "main" / "deep")
    assert load("../train.jsonl")[0].id == "main/train:1"


def test_ids_count_rows_over_all_files_and_errors_within_one(tmp_path):
    for name in "ab":
        write(tmp_path / "s" / f"{name}.jsonl", *[{"question": "q", "answer": "1"}] * 2)
    assert [p.id.rpartition(":")[2] for p in load(tmp_path / "s")] == ["1", "2", "3", "4"]
    write(tmp_path / "s" / "b.jsonl", {"question": "q"})
    with pytest.raises(ValueError, match=r"s/b\.jsonl:1: answer: no field 'answer'"):
        load(tmp_path / "s")


def test_ids_and_errors_count_blank_lines(tmp_path):
    (tmp_path / "s").mkdir()
    for name in "ab":
        line = '{"question": "q", "answer": "1"}\n'
        (tmp_path / "s" / f"{name}.jsonl").write_text("\ufeff" + line + "\n" + line + "\n\n")
    assert [p.id for p in load(tmp_path / "s" / "a.jsonl")] == ["s/a:1", "s/a:3"]
    # blank lines at the end are nobody's
    assert [p.id.rpartition(":")[2] for p in load(tmp_path / "s")] == ["1", "3", "4", "6"]
    with pytest.raises(ValueError, match=r"s/a\.jsonl:1: stratum: no field 'level'"):
        load(tmp_path / "s", stratum="level")


def test_the_text_of_a_question_has_no_words_of_ours(tmp_path):
    path = write(
        tmp_path / "s" / "x.jsonl",
        {"question": "2+2?", "options": ["3", "4"], "answer": "B", "keep": 1},
        {"question": "3+3?", "options": ["3", "6"], "answer": "B", "keep": 0},
    )
    only = (dict(field="keep", op="one_of", value=(1,)),)
    made = source(
        path, question="Choose: {question} Now.", options="options", kind="choice", filters=only
    )
    assert question_texts(made) == {"s/x:1": "2+2?"}
    assert [p.id for p in load_problems(made)] == ["s/x:1"]


@pytest.mark.parametrize(
    ("solution", "want"),
    [
        (r"so $\boxed{2}$, no: $\boxed{\frac{1}{2}}$.", r"\frac{1}{2}"),
        (r"\fbox{3}", "3"),
        (r"\boxed{\{\frac{a_{1}}{b^{c_{2}}}\}}", r"\{\frac{a_{1}}{b^{c_{2}}}\}"),
    ],
)  # fmt: skip
def test_the_answer_of_a_solution_is_its_last_box(tmp_path, solution, want):
    row = {"problem": "p", "solution": solution, "level": "Level 1", "type": "Algebra"}
    path = write(tmp_path / "x.jsonl", row)
    (problem,) = load_problems(configs.build(FileSource, data.math_solutions(str(path))))
    assert problem.answer == want


GPQA = {
    "Question": "Which is prime?",
    "Correct Answer": "7",
    "Incorrect Answer 1": "8",
    "Incorrect Answer 2": "9",
    "Incorrect Answer 3": "10",
}
COLUMNS = "Correct Answer, Incorrect Answer 1, Incorrect Answer 2, Incorrect Answer 3"


def gpqa(path, **fields):
    given = dict(question="Question", options=COLUMNS, answer="Correct Answer", kind="choice")
    return load(path, **(given | dict(options_seed=0) | fields))


def test_columns_of_right_and_wrong_answers_are_shuffled_by_a_seed(tmp_path):
    rows = [GPQA | {"Question": f"Which is prime, {i}?"} for i in range(40)]
    path = write(tmp_path / "x.jsonl", *rows)
    problems = gpqa(path)
    for problem in problems:
        options = problem.reference["options"]
        assert sorted(options) == ["10", "7", "8", "9"]
        assert options["ABCD".index(problem.answer)] == "7"
        assert f"\n({problem.answer}) 7" in problem.question
    assert {problem.answer for problem in problems} == set("ABCD")
    assert gpqa(path) == problems and gpqa(path, options_seed=1) != problems


def test_an_order_of_options_outlives_a_filter(tmp_path):
    rows = [GPQA | {"Question": f"Which is prime, {i}?", "keep": i % 2} for i in range(10)]
    path = write(tmp_path / "x.jsonl", *rows)
    only = (dict(field="keep", op="one_of", value=(1,)),)
    assert gpqa(path, filters=only) == gpqa(path)[1::2]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (dict(options_seed=None), "would stand at one place in every row: set options_seed"),
        (dict(kind="maths", options=""), "options_seed 0, answer_as 'letter' with kind 'maths'"),
        (dict(question_cut=("(",)), "question_cut '\\(': no regular expression"),
        (dict(reference={"a": "b"}, constants={"a": 1}), r"share the names \['a'\]"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(fields, why):
    with pytest.raises(ValueError, match=why):
        gpqa("nowhere.jsonl", **fields)


def test_a_right_answer_that_is_also_wrong_is_named(tmp_path):
    path = write(tmp_path / "x.jsonl", GPQA | {"Incorrect Answer 2": "7"})
    with pytest.raises(ValueError, match=r"x\.jsonl:1: answer: '7' is the text of 2 options"):
        gpqa(path)


def test_answers_of_other_forms_are_read_as_the_config_says(tmp_path):
    row = {"question": "?", "options": {"A": "x", "B": "y"}, "one": 2, "text": "y", "label": "B"}
    path = write(tmp_path / "x.jsonl", row)
    for answer, form in (("one", "from_1"), ("text", "text"), ("label", "letter")):
        (problem,) = choice(path, answer=answer, answer_as=form)
        assert (problem.answer, problem.reference["options"]) == ("B", ["x", "y"])
    (problem,) = choice(path, answer="label", options_seed=3)
    assert problem.reference["options"]["AB".index(problem.answer)] == "y"


def test_an_instruction_is_cut_away(tmp_path):
    rows = [
        {"prompt": [{"content": f"Solve it.\n\n{i} + 1?\n\nSay Answer:"}], "answer": i + 1}
        for i in (1, 2)
    ]
    path = write(tmp_path / "x.jsonl", *rows, {"prompt": [{"content": "3 + 1?"}], "answer": 4})
    cuts = (r"^Solve it\.\s*", r"\s*Say Answer:$")
    fields = dict(question="Sum: {prompt[0].content}", question_cut=cuts)
    assert [p.question for p in load(path, **fields)] == [f"Sum: {i} + 1?" for i in (1, 2, 3)]
    assert [*question_texts(source(path, **fields)).values()] == [f"{i} + 1?" for i in (1, 2, 3)]
    with pytest.raises(ValueError, match=r"x\.jsonl: question_cut 'Solve this' matches in no row"):
        load(path, question="prompt.0.content", question_cut=(*cuts, "Solve this"))


def test_truth_values_become_the_words_that_stand_for_them(tmp_path):
    path = write(
        tmp_path / "x.jsonl", {"question": "q", "answer": True}, {"question": "q", "answer": False}
    )
    assert [p.answer for p in load(path, kind="text")] == ["true", "false"]
    words = {"true": "yes", "false": "no"}
    assert [p.answer for p in load(path, kind="text", answer_words=words)] == ["yes", "no"]
    with pytest.raises(ValueError, match=r"x\.jsonl:2: answer: answer_words has no 'false'"):
        load(path, kind="text", answer_words={"true": "yes"})


def test_a_puzzle_takes_constants(tmp_path):
    path = write(tmp_path / "x.jsonl", {"nums": [3, 4], "target": 7})
    (problem,) = load(
        path,
        question="Make {target} of {nums:, }.",
        answer="",
        kind="countdown",
        reference=dict(numbers="nums", target="target"),
        constants=dict(use_all=True),
    )
    assert problem.question == "Make 7 of 3, 4." and problem.answer == "(any solution)"
    assert problem.reference == {"numbers": [3, 4], "target": 7, "use_all": True}


def test_a_puzzle_may_stand_in_a_table(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('nums,target\n"[3, 4]",7\nx,7\n')
    fields = dict(format="csv", question="{nums}", answer="", kind="countdown")
    fields |= dict(reference=dict(numbers="nums", target="target"), limit=1)
    (problem,) = load(path, **fields)
    assert problem.reference == {"numbers": [3, 4], "target": 7}
    with pytest.raises(ValueError, match=r"x\.csv:3: reference\.numbers: .*'x', wanted JSON"):
        load(path, **fields | dict(limit=0))


def test_a_reference_that_may_be_absent_is_left_out(tmp_path):
    tests = json.dumps({"inputs": ["1"], "outputs": ["2"]})
    called = json.dumps({"inputs": [[1]], "outputs": [2], "fn_name": "twice"})
    rows = [{"question": "q", "input_output": text} for text in (tests, called)]
    reference = {key: f"input_output.{key}" for key in ("inputs", "outputs")}
    reference |= {"fn_name": "input_output.fn_name?"}
    path = write(tmp_path / "x.jsonl", *rows)
    first, second = load(path, answer="", kind="code", reference=reference)
    assert first.reference == {"inputs": ["1"], "outputs": ["2"]}
    assert second.reference["asserts"] == ["assert _same(twice(1), 2)"]


def test_a_missing_answer_of_parquet_is_refused(tmp_path):
    pandas_like = pa.table({"question": ["q", "q"], "answer": pa.array([1.0, float("nan")])})
    pq.write_table(pandas_like, tmp_path / "x.parquet")
    with pytest.raises(ValueError, match=r"x\.parquet:2: answer: field 'answer' is NaN"):
        load(tmp_path / "x.parquet", format="parquet")


def test_decimals_and_short_floats_of_parquet_keep_their_digits(tmp_path):
    columns = {
        "question": ["q"],
        "decimal": pa.array([decimal.Decimal("2.50")], pa.decimal128(5, 2)),
        "float": pa.array([0.1], pa.float32()),
        "floats": pa.array([[0.1, None, 2.5]], pa.list_(pa.float32())),
        "large": pa.array([[0.7]], pa.large_list(pa.float32())),
        "inner": pa.array([{"x": 0.3}], pa.struct([("x", pa.float32())])),
    }
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(columns), path)
    wanted = {
        "decimal": "2.50",
        "float": "0.1",
        "floats.0": "0.1",
        "large.0": "0.7",
        "inner.x": "0.3",
    }
    for field, text in wanted.items():
        assert load(path, format="parquet", answer=field)[0].answer == text


def test_ids_name_the_file_without_its_suffix(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "a.json").write_text('[{"question": "q", "answer": 1}]')
    (tmp_path / "s" / "a.csv").write_text("question,answer\nq,1\n")
    assert [p.id for p in load(tmp_path / "s" / "a.json", format="json")] == ["s/a:1"]
    assert [p.id for p in load(tmp_path / "s" / "a.csv", format="csv")] == ["s/a:2"]


def test_an_error_names_the_key_and_shows_a_right_row(tmp_path):
    path = write(tmp_path / "x.jsonl", {"question": "q", "tests": {}})
    with pytest.raises(ValueError) as hit:
        load(
            path, answer="", kind="code", reference=dict(inputs="tests.*.in", outputs="tests.*.out")
        )
    message = str(hit.value)
    assert "x.jsonl:1: reference.inputs: no field 'tests.*.in', got []" in message
    right = json.loads(message.partition("a right row: ")[2])
    assert right["tests"] == [{"in": "2 3\n", "out": "5\n"}]


def test_a_broken_line_shows_a_right_row(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("{broken\n")
    with pytest.raises(ValueError, match=r'x\.jsonl:1: .*a right row: \{"question": "What'):
        load(path)
