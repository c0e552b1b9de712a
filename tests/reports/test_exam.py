import numpy as np
import pytest
from matplotlib.figure import Figure

from r1jax.reports import exam, exam_plots, panels
from r1jax.reports.exam import write_exam_report
from r1jax.reports.exam_plots import plot_exam


def span(mean, low=None, high=None, questions=40, **more):
    return {"questions": questions, "mean": mean, "low": low, "high": high, **more}


def results(**changes):
    lengths = {"answers": 80, "mean": 120.5, "median": 100.0}
    return {
        "questions": 40,
        "samples": 2,
        "answers": 80,
        "level": 0.95,
        "pass_at_1": span(0.25, 0.125, 0.375),
        "mean_value": span(0.25, 0.125, 0.375),
        "pass_at": {"1": span(0.25, 0.125, 0.375), "2": span(0.4, 0.3, 0.5)},
        "cons_at": {"1": span(0.25, 0.125, 0.375), "2": span(0.3, 0.2, 0.4)},
        "errors": {
            "answers": 0,
            "unjudged": [],
            "pass_at_1_if_wrong": 0.25,
            "pass_at_1_if_right": 0.25,
        },
        "rates": {"truncation": 0.125, "format": 0.9, "error": 0.0},
        "lengths": {kind: lengths for kind in ("all", "right", "wrong", "truncated")},
        "length_histogram": {
            "edges": [0.0, 10.0, 100.0, 4097.0],
            "right": [1, 9, 10],
            "wrong": [0, 20, 40],
        },
        "by_stratum": {"Level 1": span(0.5, 0.4, 0.6, 30, mean_length=90.0)},
        "by_subject": {"a|b <i>$x$": span(0.0, None, None, 1, mean_length=12.25)},
        "accuracies": {f"q{i}": i / 40 for i in range(40)},
        **changes,
    }


COMPARISON = {
    "questions": 40,
    "mean_a": 0.25,
    "mean_b": 0.125,
    "difference": 0.125,
    "low": -0.05,
    "high": 0.3,
    "p_t": 0.02345,
    "p_flip": 1e-5,
    "against": "the *base*",
    "level": 0.95,
    "left_out": 0,
}
ANSWER = {
    "id": "q_1",
    "sample": 3,
    "prompt": "一加二?",
    "completion": "x\n````\n## not a heading\n</details>",
    "gold": "3",
    "answer": "$3",
    "value": 1.0,
    "reason": "3 equals 3",
    "tokens": 1234,
}


@pytest.fixture
def unpainted(monkeypatch):
    """Reports without their picture, which takes a second each."""
    monkeypatch.setattr(exam, "plot_exam", lambda path, *, title, results: None)


def report(workdir, **changes):
    options = {
        "title": "GSM8K by tiny_model",
        "results": results(),
        "comparison": None,
        "examples": {"right": ANSWER, "errored": None},
        "facts": {"seed": 0, "at": {"top_p": 0.95}},
    } | changes
    return write_exam_report(workdir, **options).read_text()


def test_the_page_tells_what_the_exam_showed(tmp_path):
    text = report(tmp_path)
    assert text.startswith("# GSM8K by tiny\\_model\n")
    assert "|  | 40 questions, 2 answers to each |" in text
    assert "| pass@1 | 0.250 [0.125, 0.375] |" in text
    assert "| pass@2 | 0.400 [0.300, 0.500] |" in text
    assert "| cons@2 | 0.300 [0.200, 0.400] |" in text and "cons@1" not in text
    assert "| truncated | 12.5% |" in text and "| well-formed | 90.0% |" in text
    assert "| Level 1 | 30 | 0.500 [0.400, 0.600] | 90.0 |" in text
    assert "| wrong | 80 | 120.5 | 100.0 |" in text
    assert "| at.top_p | 0.95 |" in text and "the 95% interval" in text
    assert "The judge failed" not in text and "## Against" not in text and "parts" not in text
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
    assert "](report.png)" in text


def test_names_from_the_data_are_no_markup(tmp_path, unpainted):
    assert "| a\\|b \\<i\\>\\$x\\$ | 1 | 0.000 | 12.2 |" in report(tmp_path)


def test_answers_stand_in_full_within_their_fence(tmp_path, unpainted):
    long = ANSWER | {"completion": "word " * 5000 + "\x1b[2J the end", "answer": None}
    text = report(tmp_path, examples={"right": ANSWER, "truncated": long, "errored": None})
    assert "`````text\nx\n````\n## not a heading\n</details>\n`````" in text
    assert "q\\_1, sample 3: answer \\$3, gold 3, value 1, 1,234 tokens. 3 equals 3" in text
    assert "word " * 5000 + "\\x1b[2J the end\n```" in text and "\x1b" not in text
    assert "sample 3: no answer" in text and "### Errored\n\nNone." in text
    assert "一加二?" in text


def test_a_failed_judge_is_told(tmp_path, unpainted):
    errors = {
        "answers": 7,
        "unjudged": ["q1", "q2"],
        "pass_at_1_if_wrong": 0.2,
        "pass_at_1_if_right": 0.35,
    }
    passes = {"1": span(0.25, 0.125, 0.375, 38), "2": span(None, questions=0)}
    text = report(
        tmp_path,
        results=results(errors=errors, pass_at=passes, mean_value=span(0.3, 0.2, 0.4)),
    )
    assert "**The judge failed on 7 of 80 answers**" in text
    assert "2 questions were lost altogether" in text
    assert "would be 0.200 had they all been wrong, 0.350 had they all been right" in text
    assert "| pass@2 | — (0 of 40 questions) |" in text
    assert "| mean value, parts counted | 0.300 [0.200, 0.400] |" in text


def test_a_comparison_comes_with_its_p_values(tmp_path, unpainted):
    text = report(tmp_path, comparison=COMPARISON)
    assert "## Against the \\*base\\*" in text
    assert "| difference, 95% interval | +0.125 [-0.050, +0.300] |" in text
    assert "| p, paired t-test | 0.023 |" in text and "| p, sign flips | < 0.0001 |" in text
    assert "trust the sign flips" not in text and "left out" not in text
    few = report(tmp_path, comparison=COMPARISON | {"questions": 12, "left_out": 3})
    assert "trust the sign flips" in few and "3 questions that a judge failed on" in few
    flat = report(tmp_path, comparison=COMPARISON | {"p_t": None})
    assert "| p, paired t-test | — |" in flat and "t-test has nothing to say" in flat


def test_an_example_that_lacks_a_key_is_refused(tmp_path, unpainted):
    with pytest.raises(
        ValueError, match=r"example 'wrong': missing keys \['completion', 'reason'\]"
    ):
        short = {k: v for k, v in ANSWER.items() if k not in ("completion", "reason")}
        report(tmp_path, examples={"wrong": short})
    assert not (tmp_path / "report.md").exists()


def bare(n_subjects):
    """One question a subject, one sample, nothing judged but the first."""
    nothing = {"answers": 0, "mean": None, "median": None}
    some = {"answers": 1, "mean": 7.0, "median": 7.0}
    one = span(0.0, questions=1)
    subjects = {
        # no formula that matplotlib could read, and no letter of its font
        f"$\\nowhere{{$ {'高' * (i % 2)}{i}": span(None, questions=1, mean_length=7.0)
        for i in range(n_subjects)
    }
    return results(
        questions=max(1, n_subjects),
        samples=1,
        pass_at_1=one,
        pass_at={"1": one},
        cons_at={},
        lengths={"all": some, "right": nothing, "wrong": some, "truncated": nothing},
        length_histogram={"edges": [7.0, 8.0], "right": [0], "wrong": [1]},
        by_stratum={},
        by_subject=subjects,
        accuracies={"q0": 0.0},
    )


# warnings are errors here: a letter that no font has, an axis without a range
def test_little_is_drawn_the_same_each_time(tmp_path):
    for name in ("one", "two"):
        plot_exam(tmp_path / name, title="$\\nowhere{$ 小学", results=bare(2))
    one, two = ((tmp_path / name).read_bytes() for name in ("one", "two"))
    assert one == two and one.startswith(b"\x89PNG")


def test_nothing_judged_is_drawn_too(tmp_path):
    none = span(None, questions=0)
    lost = bare(0) | {"pass_at_1": none, "pass_at": {"1": none}, "accuracies": {}}
    plot_exam(tmp_path / "lost.png", title="$\\nowhere{$", results=lost)
    assert (tmp_path / "lost.png").exists()


def test_no_two_labels_of_the_picture_overlap(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(
        panels, "Figure", lambda **options: figures.append(Figure(**options)) or figures[-1]
    )
    subjects = {f"{'subject ' * 5}{i}": span(0.5, 0.2, 0.7, 10, mean_length=5.0) for i in range(90)}
    plot_exam(tmp_path / "wide.png", title="wide", results=results(by_subject=subjects))
    (figure,) = figures
    figure.draw_without_rendering()
    groups = next(ax for ax in figure.axes if ax.get_title(loc="left").startswith("pass@1 by"))
    boxes = [label.get_window_extent() for label in groups.get_yticklabels()]
    assert len(boxes) == 92
    gaps = np.diff(sorted(box.y0 for box in boxes))
    assert gaps.min() >= max(box.height for box in boxes)
    others = [ax.get_tightbbox() for ax in figure.axes if ax is not groups]
    assert all(box.x1 <= min(label.x0 for label in boxes) for box in others)


def test_long_names_are_cut():
    assert exam_plots.drawable("word  \n two", "?") == "word two"
    assert exam_plots.drawable("x" * 100, "?") == "x" * 37 + "…"
    assert exam_plots.drawable("\U000f0000", "subject 4") == "subject 4"
