from r1jax.reports.samples import SampleRow, display_width, visible, wrap, write_samples

ROWS = [
    SampleRow("1+2?", "<think>three</think>3", 1.1, {"accuracy": 1.0}, "3 = 3", 0.7, 12, False),
    SampleRow("一加二?", "等等\n不对" * 40, -0.5, {"language": 0.25}, "no answer", -0.7, 512, True),
]


def test_wide_letters_count_two_columns_and_accents_none():
    assert [display_width(t) for t in ("abc", "汉字", "é", "e\u0301", "。")] == [3, 4, 1, 1, 2]


def test_wrapped_lines_fit_and_lose_nothing():
    text = "the quick brown fox " * 9 + "汉" * 77 + "x" * 60
    lines = wrap(text, 30)
    assert max(map(display_width, lines)) <= 30
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all("quick" in line or "qui" not in line for line in lines)


def test_columns_line_up_whatever_the_script(tmp_path):
    rows = [row._replace(parts={"正确": 1.0, "format": 0.5}) for row in ROWS]
    table = write_samples(tmp_path, 3, rows).read_text().split("\n")[2:5]
    assert len({display_width(line) for line in table}) == 1
    assert "正确" in table[0] and table[1].split()[:2] == ["1", "1.100"]


def test_everything_about_a_sample_is_there(tmp_path):
    path = write_samples(tmp_path, 20, ROWS)
    text = path.read_text()
    assert path == tmp_path / "samples" / "update_000020.txt"
    for piece in ("1+2?", "3 = 3", "+0.700", "512", "yes", "no answer", "等等", "0.250", " -"):
        assert piece in text
    assert max(display_width(line) for line in text.split("\n")) <= 100


def test_same_rows_same_bytes(tmp_path):
    first = write_samples(tmp_path / "a", 1, ROWS).read_bytes()
    assert first == write_samples(tmp_path / "b", 1, ROWS).read_bytes()
    assert first != write_samples(tmp_path / "b", 1, ROWS[:1]).read_bytes()


def test_no_sample_redraws_the_terminal():
    assert visible("a\x1b[2Jb\rc\n\u202ed") == "a\\x1b[2Jb\\rc\n\\u202ed"


def test_no_samples_make_a_table_without_rows(tmp_path):
    assert write_samples(tmp_path, 1, []).read_text().startswith("update 1, 0 samples")
